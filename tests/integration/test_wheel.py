"""The wheel, built and installed in a folder of its own: it carries the monitor project, and runs without this checkout."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from offdag import __version__
from support import artifacts
from support.command import ROOT, environ


def test_the_wheel_is_built_installed_and_run(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "dist")],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    [wheel] = (tmp_path / "dist").glob("*.whl")
    assert wheel.name.startswith(f"offdag-{__version__}-")
    home = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(home)]
    subprocess.run([*pip, str(wheel)], check=True, capture_output=True)
    env = {**environ(tmp_path), "PYTHONPATH": str(home)}
    del env["OFFDAG_MONITOR_PROJECT_DIR"]
    empty = tmp_path / "empty"
    empty.mkdir()

    def offdag(*arguments: str) -> str:
        command = [sys.executable, "-m", "offdag", *arguments]
        done = subprocess.run(command, cwd=empty, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done
        return done.stdout + done.stderr

    assert offdag("--version").strip() == f"offdag, version {__version__}"
    target = artifacts.write(
        tmp_path / "target",
        manifest=artifacts.manifest([artifacts.node("model.p.m")]),
        run_results=artifacts.run_results([artifacts.result("model.p.m", "error")]),
    )
    offdag("collect", "-e", "prod", str(target))
    assert "incidents: 1 open" in offdag("monitor", "--as-of", "2026-02-01T00:00:00")
    assert (home / "offdag" / "monitor_project" / "dbt_project.yml").is_file()
