"""``python -m sim``: runs suites of cases from a seed, and prints what they did and what they broke."""

from __future__ import annotations

import os
import sys

import click

from sim import collects, deliveries, runs, years
from sim.case import CaseFunction
from sim.suite import run_suite

_SUITES: dict[str, CaseFunction] = {
    "deliveries": deliveries.run_case,
    "collects": collects.run_case,
    "runs": runs.run_case,
    "years": years.run_case,
}
# Cases of a whole run: about an hour on two cores, most of it for the years.
_CASES = {"deliveries": 1000, "collects": 1500, "runs": 60, "years": 50}


def main(suites: tuple[str, ...], seed: int, cases: int | None, case: int | None) -> int:
    """Run suites; gives 1 where a promise was broken."""
    broken = 0
    for name in suites or tuple(_CASES):
        numbers = [case] if case is not None else list(range(cases or _CASES[name]))
        broken += run_suite(name, _SUITES[name], seed, numbers, processes=min(len(numbers), os.cpu_count() or 1))
    return 1 if broken else 0


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("suites", nargs=-1, type=click.Choice(list(_CASES)))
@click.option("--seed", default=1, show_default=True, help="Makes all cases.")
@click.option("--cases", type=click.IntRange(1), help="Number of cases of each suite.")
@click.option("--case", type=click.IntRange(0), help="Run this case alone.")
def command(suites: tuple[str, ...], seed: int, cases: int | None, case: int | None) -> None:
    """Look for broken promises. Without suites, all of them."""
    sys.exit(main(suites, seed, cases, case))


if __name__ == "__main__":
    command()
