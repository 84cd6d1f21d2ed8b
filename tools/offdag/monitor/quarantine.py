"""Quarantine: a selector for dbt that leaves out flaky tests, as the monitor proposes them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path

from offdag.errors import UsageError
from offdag.monitor.rows import ProposedQuarantine

SELECTOR = "without_flaky_tests"
_MARK = "# Written by `offdag quarantine`, which replaces it."


def selectors(tests: Sequence[ProposedQuarantine], until: date) -> str:
    """The text of a selectors.yml whose selector has all nodes but these tests."""
    import yaml

    names = sorted({test.node_name for test in tests})
    definition = {
        "name": SELECTOR,
        "description": f"All but flaky tests, until {until}",
        "definition": {
            "union": [{"method": "fqn", "value": "*"}, {"exclude": [{"method": "fqn", "value": n} for n in names]}]
        },
    }
    if not names:
        definition["definition"] = {"method": "fqn", "value": "*"}
    return f"{_MARK}\n{yaml.safe_dump({'selectors': [definition]}, sort_keys=False, allow_unicode=True)}"


def write_selectors(path: Path, text: str) -> None:
    """Write the file, where nothing of the user's is in it.

    Raises:
        UsageError: It is the user's own, or cannot be written.
    """
    what, command = "the file is not offdag's", "offdag quarantine    # prints what to add to it"
    try:
        if path.exists() and not path.read_text(encoding="utf-8", errors="replace").startswith(_MARK):
            raise UsageError(what, str(path), command)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"the file cannot be written: {error.strerror}", str(path), command) from error
