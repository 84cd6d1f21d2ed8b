"""A history that needs more memory than DuckDB usually gets is monitored all the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.command import offdag

pytestmark = pytest.mark.slow


def test_where_memory_is_not_enough_the_monitor_repeats_with_more(failure: Path) -> None:
    (failure / "monitor.duckdb").unlink()
    built = offdag(failure, "monitor", env={"OFFDAG_MEMORY_LIMIT": "1MB"})
    assert built.code == 0, built
    assert "monitor repeats with 2GB of memory" in built.err
    assert "incidents: 1 open" in built.err
