"""Runs offdag and the shop's tools as their users do: as processes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from support import warm

ROOT = Path(__file__).parents[2]
BIN = warm.BIN


@dataclass(frozen=True, repr=False)
class CommandResult:
    """Exit code and output of a process."""

    code: int
    out: str
    err: str

    def __repr__(self) -> str:
        return f"exit code {self.code}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"


def environ(home: Path, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """An environment in which nothing of the caller's settings is left, and all that is written goes below ``home``."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("OFFDAG_", "DBT_", "GITHUB_", "GITLAB_", "CI_"))}
    return {
        **kept,
        **warm.variables(),
        "OFFDAG_HISTORY": str(home / "history"),
        "OFFDAG_MONITOR_DATABASE": str(home / "monitor.duckdb"),
        "OFFDAG_REPORT": str(home / "report.html"),
        "OFFDAG_MONITOR_PROJECT_DIR": str(ROOT / "monitor_project"),
        "OFFDAG_CONFIG_DIR": str(ROOT / "offdag"),
        "INVENTORY_DATA_DIR": str(home / "shop"),
        "DBT_TARGET_PATH": str(home / "shop_target"),
        "DBT_LOG_PATH": str(home / "shop_logs"),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "NO_COLOR": "1",
        **(more or {}),
    }


def config_folder(home: Path, **lines: str) -> Path:
    """A copy of the shop's folder with more lines in its seeds, by name of the seed."""
    copy = shutil.copytree(ROOT / "offdag", home / "offdag")
    for name, text in lines.items():
        with (copy / "seeds" / f"{name}.csv").open("a", encoding="utf-8") as seed:
            seed.write(text)
    return copy


def run(command: list[str], env: Mapping[str, str], cwd: Path = ROOT, timeout: float = 300) -> CommandResult:
    """Run a command to its end."""
    done = subprocess.run(command, env=dict(env), cwd=cwd, capture_output=True, text=True, timeout=timeout, check=False)
    return CommandResult(done.returncode, done.stdout, done.stderr)


def offdag(home: Path, *arguments: str, env: Mapping[str, str] | None = None, timeout: float = 300) -> CommandResult:
    """Run a verb with its own home."""
    return run([sys.executable, "-m", "offdag", *arguments], environ(home, env), timeout=timeout)


def greenery(home: Path, *arguments: str) -> CommandResult:
    """Run the shop's tools."""
    return run([sys.executable, "-m", "offdag.greenery", *arguments], environ(home))
