"""The selector that leaves out flaky tests, as dbt understands it."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from offdag.errors import UsageError
from offdag.monitor.quarantine import selectors, write_selectors
from offdag.monitor.rows import ProposedQuarantine
from support.command import environ, offdag, run

UNTIL = date(2026, 12, 14)


def flaky(name: str) -> ProposedQuarantine:
    return ProposedQuarantine(
        project="p", environment="prod", node_id=f"test.p.{name}", node_name=name, owner=None, strip="PFPFP"
    )


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A model with three tests."""
    (tmp_path / "models").mkdir()
    (tmp_path / "dbt_project.yml").write_text("{name: p, profile: p, config-version: 2}\n")
    (tmp_path / "profiles.yml").write_text("p: {target: d, outputs: {d: {type: duckdb, path: p.duckdb}}}\n")
    (tmp_path / "models" / "orders.sql").write_text("select 1 as id")
    columns = "[{name: id, data_tests: [unique, not_null, {accepted_values: {arguments: {values: [1, 2]}}}]}]"
    (tmp_path / "models" / "orders.yml").write_text(f"{{version: 2, models: [{{name: orders, columns: {columns}}}]}}\n")
    return tmp_path


@pytest.mark.parametrize(
    ("left_out", "kept"),
    [
        (["unique_orders_id", "accepted_values_orders_id__1__2"], {"not_null_orders_id"}),
        ([], {"unique_orders_id", "not_null_orders_id", "accepted_values_orders_id__1__2"}),
    ],
)
def test_dbt_leaves_out_these_tests_alone(project: Path, left_out: list[str], kept: set[str]) -> None:
    write_selectors(project / "selectors.yml", selectors([flaky("replaced")], UNTIL))
    write_selectors(project / "selectors.yml", selectors([flaky(name) for name in left_out], UNTIL))
    command = ["dbt", "--quiet", "ls", "--selector", "without_flaky_tests", "--output", "name", "--profiles-dir", "."]
    listed = run(command, {**environ(project), "DBT_TARGET_PATH": str(project / "target")}, cwd=project)
    assert listed.code == 0, listed
    assert set(listed.out.split()) == {"orders", *kept}


def test_a_file_of_the_users_own_stays(tmp_path: Path) -> None:
    own = tmp_path / "selectors.yml"
    own.write_text("selectors: []\n")
    with pytest.raises(UsageError, match="not offdag's"):
        write_selectors(own, selectors([], UNTIL))
    assert own.read_text() == "selectors: []\n"


def test_without_flaky_tests_the_selector_has_all_nodes(failure: Path) -> None:
    file = failure / "selectors.yml"
    ended = offdag(failure, "quarantine", "--write", str(file))
    assert ended.code == 0, ended
    assert "0 tests are left out" in ended.err
    assert "exclude" not in file.read_text()
