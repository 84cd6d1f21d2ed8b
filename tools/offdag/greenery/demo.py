"""``offdag demo``: four weeks of the shop, with real builds, the monitor after each, and the messages as they would be posted."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from offdag.errors import MonitorError, UsageError

# The shop's project and its folder for offdag: in the package, or in the checkout of an editable install.
_PACKAGED = Path(__file__).parent / "shop"
_SHOP = _PACKAGED if _PACKAGED.is_dir() else Path(__file__).parents[3]
# Only a folder that holds this file is removed.
_MARK = ".offdag-demo"


@dataclass(frozen=True)
class Week:
    """One week of the demo.

    Attributes:
        number: From 1 to 4.
        story: What to watch for.
        generate: Arguments of the generator.
        load: Arguments of the loader.
    """

    number: int
    story: str
    generate: tuple[str, ...] = ()
    load: tuple[str, ...] = ()


WEEKS = (
    Week(1, "A green week."),
    Week(
        2,
        "A bad load: five orders came twice, three lines name no product. Tests fail, what is downstream is skipped.",
        generate=("--bad", "duplicates", "--bad", "orphans"),
    ),
    Week(
        3,
        "The load is fixed, but Pothos and String of pearls run out of stock, and the events stopped loading a week ago.",
        load=("--stopped", "events"),
    ),
    Week(4, "Everything has recovered: stock has arrived, events load again."),
)


def run_demo(home: Path, inherited: Mapping[str, str]) -> None:
    """Run the demo in a folder of its own; what an earlier demo left there is removed first.

    Args:
        home: Gets copies of the shop's project and of its folder for offdag, its databases, the history and the report.
        inherited: The environment of the caller.

    Raises:
        UsageError: The folder cannot be written, or holds something else.
        MonitorError: A step failed that should not.
    """
    _prepare(home)
    environ = _environ(home, inherited)
    start = time.monotonic()
    print(
        "The shop counts its stock once a week; the demo plays four weeks within minutes. Builds are real and happen now, so they\n"
        "are minutes apart; the weeks live in the stock counts. Each load marks its sources as loaded now, and one\n"
        "that stopped as seven days old.\n"
        "Nothing leaves this machine: without a Slack token, messages are printed.",
        flush=True,
    )
    offdag = [sys.executable, "-m", "offdag"]
    shop = [sys.executable, "-m", "offdag.greenery"]
    for week in WEEKS:
        print(f"\n=== Week {week.number}: {week.story}", flush=True)
        _step(
            "generate",
            [*shop, "generate", "--out", str(home / "raw"), "--week", str(week.number), *week.generate],
            environ,
        )
        database = str(home / "shop" / "inventory_prod.duckdb")
        _step(
            "load",
            [*shop, "load", str(home / "raw" / f"week={week.number}"), "--database", database, *week.load],
            environ,
        )
        run = [*offdag, "run", "-e", "prod", "--project-dir", str(home / "inventory_project"), "--", "dbt", "--quiet"]
        # dbt's own failures are part of the story.
        _step("dbt source freshness", [*run, "source", "freshness", "--target", "prod"], environ, may_fail=True)
        _step("dbt build", [*run, "build", "--target", "prod"], environ, may_fail=True)
        _step("offdag monitor", [*offdag, "monitor"], environ)
        _step("offdag notify", [*offdag, "notify"], environ)
    print("\n=== At the end", flush=True)
    _step("offdag incidents", [*offdag, "incidents", "--all"], environ)
    _step("offdag report", [*offdag, "report"], environ)
    print(f"\nThe whole demo took {time.monotonic() - start:.0f} s. Open {home / 'report.html'} in a browser.")


def _prepare(home: Path) -> None:
    """Copy the shop's project and its folder for offdag."""
    if home.exists() and any(home.iterdir()) and not (home / _MARK).is_file():
        raise UsageError(
            "the folder holds something else than a demo of this offdag", str(home), f"offdag demo --home {home}-2"
        )
    try:
        if home.exists():
            shutil.rmtree(home)
        home.mkdir(parents=True)
        (home / _MARK).touch()
        for name in ("inventory_project", "offdag"):
            shutil.copytree(_SHOP / name, home / name, ignore=shutil.ignore_patterns("target", "logs", "data"))
    except OSError as error:
        raise UsageError(
            f"the folder cannot be written: {error.strerror}", str(home), "offdag demo --home .offdag/demo"
        ) from error


def _environ(home: Path, inherited: Mapping[str, str]) -> dict[str, str]:
    """The demo has its own history and databases, and sends nothing to a real channel."""
    kept = {k: v for k, v in inherited.items() if not k.startswith(("OFFDAG_", "DBT_"))}
    home = home.absolute()
    return kept | {
        # The dbt beside this Python.
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{inherited.get('PATH', os.defpath)}",
        "OFFDAG_HISTORY": str(home / "history"),
        "OFFDAG_CONFIG_DIR": str(home / "offdag"),
        "OFFDAG_MONITOR_DATABASE": str(home / "monitor.duckdb"),
        "OFFDAG_REPORT": str(home / "report.html"),
        "INVENTORY_DATA_DIR": str(home / "shop"),
        "DBT_TARGET_PATH": str(home / "shop_target"),
        "DBT_LOG_PATH": str(home / "shop_logs"),
    }


def _step(name: str, command: list[str], environ: dict[str, str], may_fail: bool = False) -> None:
    start = time.monotonic()
    print(f"--- {name}", flush=True)
    code = subprocess.run(command, env=environ, check=False).returncode
    print(f"    ({name}: {time.monotonic() - start:.1f} s)", flush=True)
    if code and not may_fail:
        raise MonitorError(
            f"{name} ended with {code}", " ".join(command), "offdag demo    # after reading the lines above"
        )
