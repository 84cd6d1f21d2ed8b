"""``make demo``: four weeks of the shop, with real builds, the monitor after each, and the messages as they would be posted."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

_HOME = Path(".offdag/demo")


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


def main() -> int:
    """Run the demo; returns 0, or 1 where a step failed that should not."""
    shutil.rmtree(_HOME, ignore_errors=True)
    environ = _environ()
    start = time.monotonic()
    print(
        "The shop counts its stock once a week; the demo plays four weeks within minutes. Builds are real and happen now, so they\n"
        "are minutes apart; the weeks live in the stock counts. Each load marks its sources as loaded now, and one\n"
        "that stopped as seven days old.\n"
        "Nothing leaves this machine: without a Slack token, messages are printed.",
        flush=True,
    )
    for week in WEEKS:
        print(f"\n=== Week {week.number}: {week.story}", flush=True)
        raw = str(_HOME / "raw")
        shop = [sys.executable, "-m", "greenery"]
        _step("generate", [*shop, "generate", "--out", raw, "--week", str(week.number), *week.generate], environ)
        database = str(_HOME / "shop" / "inventory_prod.duckdb")
        _step("load", [*shop, "load", f"{raw}/week={week.number}", "--database", database, *week.load], environ)
        run = ["offdag", "run", "--environment", "prod", "--project-dir", "inventory_project", "--", "dbt", "--quiet"]
        # dbt's own failures are part of the story.
        _step("dbt source freshness", [*run, "source", "freshness", "--target", "prod"], environ, may_fail=True)
        _step("dbt build", [*run, "build", "--target", "prod"], environ, may_fail=True)
        _step("offdag monitor", ["offdag", "monitor"], environ)
        _step("offdag notify", ["offdag", "notify"], environ)
    print("\n=== At the end", flush=True)
    _step("offdag incidents", ["offdag", "incidents", "--all"], environ)
    _step("offdag report", ["offdag", "report"], environ)
    print(f"\nThe whole demo took {time.monotonic() - start:.0f} s. Open {_HOME / 'report.html'} in a browser.")
    return 0


def _environ() -> dict[str, str]:
    """The demo has its own history and databases, and sends nothing to a real channel."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("OFFDAG_", "DBT_"))}
    home = _HOME.absolute()
    return kept | {
        "OFFDAG_HISTORY": str(home / "history"),
        "OFFDAG_MONITOR_DATABASE": str(home / "monitor.duckdb"),
        "OFFDAG_REPORT": str(_HOME / "report.html"),
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
        sys.exit(
            f"error: {name} ended with {code}\nwhere: {' '.join(command)}\nnext:  make demo    # after reading the lines above"
        )


if __name__ == "__main__":
    sys.exit(main())
