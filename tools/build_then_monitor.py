"""What a scheduler calls: check freshness, build, then monitor, notify and report, also where the build failed.

Ends with the build's exit code. Calls that overlap wait for each other, up to --wait seconds, then leave with code 75.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import TextIO

# sysexits.h, EX_TEMPFAIL: try again later.
_BUSY = 75
_LOCK = Path(".offdag/build_then_monitor.lock")


def main() -> int:
    """Run the steps; gives the build's exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", default="prod", help="dbt target of the shop")
    parser.add_argument("--environment", default="prod", help="environment that offdag records")
    parser.add_argument("--project-dir", default="inventory_project")
    parser.add_argument("--wait", type=float, default=600, help="seconds to wait for another call; 0 leaves at once")
    arguments = parser.parse_args()
    lock = _locked(arguments.wait)
    if lock is None:
        return _BUSY
    with lock:
        environ = {**os.environ, "OFFDAG_JOB_ID": os.environ.get("OFFDAG_JOB_ID") or uuid.uuid4().hex}
        run = ["offdag", "run", "--environment", arguments.environment, "--project-dir", arguments.project_dir, "--"]
        _step([*run, "dbt", "source", "freshness", "--target", arguments.target], environ)
        code = _step([*run, "dbt", "build", "--target", arguments.target], environ)
        for verb in ("monitor", "notify", "report"):
            _step(["offdag", verb], environ)
    return code


def _step(command: list[str], environ: dict[str, str]) -> int:
    start = time.monotonic()
    code = subprocess.run(command, env=environ, check=False).returncode
    print(f"-- {' '.join(command)}: exit code {code}, {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)
    return code


def _locked(wait: float) -> TextIO | None:
    """The lock file, held until it is closed or the process ends; None where another call kept it."""
    _LOCK.parent.mkdir(parents=True, exist_ok=True)
    file = _LOCK.open("a+")
    deadline = time.monotonic() + wait
    told = False
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            if time.monotonic() >= deadline:
                print(f"build-then-monitor leaves: process {holder} is still at it", file=sys.stderr)
                file.close()
                return None
            if not told:
                print(f"build-then-monitor waits up to {wait:.0f} s for process {holder}", file=sys.stderr, flush=True)
                told = True
            time.sleep(0.5)
        else:
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            return file


if __name__ == "__main__":
    sys.exit(main())
