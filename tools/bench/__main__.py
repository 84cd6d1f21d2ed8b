"""``python -m bench``: measure in rounds, print the tables, and keep the numbers as JSON beside them."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from contextlib import ExitStack, suppress
from pathlib import Path

from bench import builds, collecting, deadlines, diffing, loading, monitoring, reporting, signals, startup
from bench.causes import suite as causes
from bench.measure import CommandFailure, Cost
from bench.suite import Suite
from bench.table import Numbers, put_table, table

_SUITES = {
    "builds": builds.suite,
    "collecting": collecting.suite,
    "monitoring": monitoring.suite,
    "reporting": reporting.suite,
    "diffing": diffing.suite,
    "loading": loading.suite,
    "startup": startup.suite,
    "signals": signals.suite,
    "causes": causes.suite,
    "deadlines": deadlines.suite,
}

_PAGE = Path("docs/performance.md")


def main() -> None:
    """Run the suites that are asked for."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=f"{', '.join(_SUITES)}; default: all")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured")
    parser.add_argument("--full", action="store_true", help="also the largest sizes: an hour and more")
    parser.add_argument("--out", type=Path, default=Path(".offdag/bench.json"), help="where the numbers go")
    parser.add_argument(
        "--docs", action="store_true", help="put the tables into docs/performance.md, the numbers beside it"
    )
    parser.add_argument("--merge", action="store_true", help="keep the file's numbers of what is not measured now")
    given = parser.parse_args()
    unknown = set(given.suites) - set(_SUITES)
    if unknown:
        parser.error(f"there is no suite {', '.join(sorted(unknown))}")
    measured: dict[str, list[Cost]] = {}
    with tempfile.TemporaryDirectory(prefix="offdag-bench-") as folder, ExitStack() as stack:
        suites: list[Suite] = []
        for name in given.suites or _SUITES:
            suites.append(_SUITES[name](Path(folder), given.full))
            # What the suite started ends here, also where a later one fails.
            stack.enter_context(suites[-1].at_end)
        # In rounds, so that a noisy minute of the machine falls on all of them.
        for number in range(given.rounds):
            for suite in suites:
                _round(suite, number, given.rounds, measured)
        numbers = _numbers(suites, measured)
        pages = {suite.page.path: suite.page.table() for suite in suites if suite.page}
    # The page keeps what was not measured now.
    known = _PAGE.with_suffix(".json") if given.docs else given.out
    if (given.merge or given.docs) and known.is_file():
        numbers = _merged(json.loads(known.read_text()), numbers)
    print(table(numbers), end="")
    outs = [given.out]
    for page in pages.values():
        print(page, end="")
    if given.docs:
        for path, text in {_PAGE: table(numbers), **pages}.items():
            put_table(text, path)
        outs.append(_PAGE.with_suffix(".json"))
    for out in outs:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(numbers, indent=1) + "\n")
        print(f"the numbers are in {out}", file=sys.stderr)


def _round(suite: Suite, number: int, rounds: int, measured: dict[str, list[Cost]]) -> None:
    for name, measure in suite.work.items():
        print(f"round {number + 1} of {rounds}: {name}", file=sys.stderr, flush=True)
        try:
            cost = measure(number)
        except CommandFailure as failed:
            # The others are measured all the same; this one is not in the table.
            print(failed, file=sys.stderr)
            continue
        if cost:
            measured.setdefault(name, []).append(cost)


def _merged(old: Numbers, new: Numbers) -> Numbers:
    figures = {figure["name"]: figure for numbers in (old, new) for figure in numbers["figures"]}
    return {**new, "costs": {**old["costs"], **new["costs"]}, "figures": list(figures.values())}


def _numbers(suites: list[Suite], measured: dict[str, list[Cost]]) -> Numbers:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "machine": {"cores": os.cpu_count(), "memory_gib": round(memory)},
        "costs": {
            name: [{"cpu_seconds": round(cost.cpu_seconds, 3), "peak_mib": round(cost.peak_mib, 1)} for cost in costs]
            for name, costs in measured.items()
        },
        "figures": _figures(suites, measured),
    }


def _figures(suites: list[Suite], measured: dict[str, list[Cost]]) -> list[dict[str, object]]:
    """Those whose costs could be measured."""
    found = []
    for figure in (figure for suite in suites for figure in suite.figures):
        with suppress(KeyError):
            found.append(vars(figure(measured)))
    return found


if __name__ == "__main__":
    main()
