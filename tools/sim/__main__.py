"""``python -m sim``: runs suites of cases from a seed, and prints what they did and what they broke."""

from __future__ import annotations

import sys
from functools import partial

import click

from sim import collects, deliveries, runs
from sim.case import CaseFunction
from sim.slack import FakeSlack
from sim.suite import run_suite

# Cases of a whole run: about ten minutes on two cores.
_CASES = {"deliveries": 1000, "collects": 1500, "runs": 60}


def main(suites: tuple[str, ...], seed: int, cases: int | None, case: int | None) -> int:
    """Run suites; gives 1 where a promise was broken."""
    broken = 0
    with FakeSlack() as slack:
        functions: dict[str, CaseFunction] = {
            "deliveries": partial(deliveries.run_case, slack=slack),
            "collects": collects.run_case,
            "runs": runs.run_case,
        }
        for name in suites or tuple(_CASES):
            numbers = [case] if case is not None else list(range(cases or _CASES[name]))
            broken += run_suite(name, functions[name], seed, numbers)
    return 1 if broken else 0


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("suites", nargs=-1, type=click.Choice(list(_CASES)))
@click.option("--seed", default=1, show_default=True, help="Makes all cases.")
@click.option("--cases", type=click.IntRange(1), help="Number of cases of each suite.")
@click.option("--case", type=click.IntRange(0), help="Run this case alone.")
def command(suites: tuple[str, ...], seed: int, cases: int | None, case: int | None) -> None:
    """Look for broken promises. Without suites, all of them."""
    sys.exit(main(suites, seed, cases, case))


command()
