"""Loading a history into a Postgres server."""

from __future__ import annotations

from pathlib import Path

from bench.suite import Suite


def suite(_folder: Path, _full: bool) -> Suite:
    """Nothing yet."""
    return Suite()
