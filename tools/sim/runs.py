"""`offdag run` under signals and kills: dbt's exit code, no dbt left behind, every result in the history once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from offdag.history.history import History
from sim.case import Case, CaseResult

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP)
# A program in dbt's place: it writes results, waits a moment, and ends with the code that it is given; signals end it with 2.
_DBT = """
import json, os, pathlib, signal, sys, time
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP):
    signal.signal(number, lambda *_: os._exit(2))
place = pathlib.Path(os.environ["SIM"])
(place / f"pid-{os.environ['RUN']}").write_text(str(os.getpid()))
target = place / "target"; target.mkdir(exist_ok=True)
now = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()) + f".{int(time.time() % 1 * 1e6):06}Z"
document = {"metadata": {"dbt_schema_version": "https://schemas.getdbt.com/dbt/run-results/v6.json", "dbt_version": "1.11.16",
    "generated_at": now, "invocation_id": os.environ["RUN"], "env": {}}, "results": [{"unique_id": "model.p.m", "status": "success",
    "timing": [], "thread_id": "main", "execution_time": 0.1, "adapter_response": {}, "message": "OK", "failures": None,
    "compiled": True, "compiled_code": "", "relation_name": None}], "elapsed_time": 0.1, "args": {"which": "build"}}
temporary = target / "run_results.tmp"; temporary.write_text(json.dumps(document)); temporary.replace(target / "run_results.json")
(place / f"wrote-{os.environ['RUN']}").touch()
time.sleep(float(os.environ["SECONDS"]))
sys.exit(int(os.environ["CODE"]))
"""


def run_case(case: Case) -> CaseResult:
    """Two or three runs, most of them disturbed, then one that is not."""
    rng, result = case.rng, CaseResult()
    place = Path(case.folder)
    (place / "dbt_project.yml").write_text("name: p\n")
    (place / "dbt").write_text(_DBT)
    names = [f"run-{case.number:05}-{i}" for i in range(rng.randint(2, 3))]
    for name in names:
        code = rng.choice((0, 1))
        process = _start(place, name, code, rng.uniform(0, 0.4))
        time.sleep(rng.uniform(0, 0.9))
        is_killed = rng.random() < 0.3
        for number in [signal.SIGKILL] if is_killed else rng.choices(_SIGNALS, k=rng.randint(0, 3)):
            if process.poll() is None:
                process.send_signal(number)
                result.counts["kills" if is_killed else "signals"] += 1
            time.sleep(rng.uniform(0, 0.1))
        exit_code = process.wait(60)
        result.counts["runs"] += 1
        has_started = (place / f"pid-{name}").exists()
        if not is_killed and has_started and exit_code not in (code, 2, *(128 + s for s in _SIGNALS)):
            result.broken.append(f"{name} ended with {exit_code}, dbt with {code}")
        if not is_killed and has_started and _is_alive(place / f"pid-{name}"):
            result.broken.append(f"dbt of {name} was left running")
        _wait_for_dbt(place / f"pid-{name}")
    last = f"run-{case.number:05}-last"
    if _start(place, last, 0, 0).wait(60) != 0:
        result.broken.append("the last run did not end with 0")
    _check(place, [*names, last], result)
    return result


def _check(place: Path, names: list[str], result: CaseResult) -> None:
    history = History.open_existing(str(place / "history"))
    found = history.read("invocations", ["invocation_id"])["invocation_id"].to_pylist()
    # The results that were there at the next start: a later run overwrites what no offdag had the time to collect in between.
    for name in names:
        if (place / f"wrote-{name}").exists() and found.count(name) != 1:
            result.broken.append(f"the results of {name} are {found.count(name)} times in the history")
    result.counts["results"] += len(found)


def _start(place: Path, name: str, code: int, seconds: float) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "offdag", "run", "-e", "prod", "--project-dir", str(place), "--no-observe", "--"]
    environ = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("OFFDAG_", "DBT_"))},
        "OFFDAG_HISTORY": str(place / "history"),
        "SIM": str(place),
        "RUN": name,
        "CODE": str(code),
        "SECONDS": f"{seconds:.3f}",
    }
    words = [sys.executable, str(place / "dbt"), "build"]
    return subprocess.Popen([*command, *words], env=environ, stderr=subprocess.DEVNULL)


def _is_alive(pid_file: Path) -> bool:
    try:
        os.kill(int(pid_file.read_text() or 0), 0)
    except (ProcessLookupError, ValueError, FileNotFoundError):
        return False
    return True


def _wait_for_dbt(pid_file: Path) -> None:
    """A dbt that outlived a killed offdag ends by itself."""
    deadline = time.monotonic() + 10
    while _is_alive(pid_file) and time.monotonic() < deadline:
        time.sleep(0.02)
