"""What a build will make: which relations may be written, which unit tests dbt would leave out, what `dbt ls` is asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from offdag.dbt.command import list_command
from offdag.errors import UsageError
from offdag.review.building import edited_unit_tests
from offdag.review.selection import SelectedNode, check_relations


def node(unique_id: str, relation: tuple[str, str, str] | None = None, *parents: str) -> SelectedNode:
    kind, _, name = unique_id.split(".", 2)
    return SelectedNode(unique_id, name, kind, "table", relation, parents)


ORDERS = node("model.p.orders", ("db", "marts", "orders"))
RATES = node("seed.p.rates", ("db", "raw", "rates"))
TAKEN = {("db", "raw", "rates"), ("db", "marts", "other")}


@pytest.mark.parametrize("allowed", ["raw.rates", "raw.*", "db.raw.rates", "rates", "RAW.Rates"])
def test_relations_of_production_are_refused_unless_they_are_named(allowed: str) -> None:
    with pytest.raises(UsageError) as refused:
        check_relations([ORDERS, RATES], TAKEN, (), "offdag ci")
    assert "would write 1 of production's relations: db.raw.rates" in refused.value.what
    assert refused.value.next_command.startswith("offdag ci --allow-shared db.raw.rates ")
    check_relations([ORDERS, RATES], TAKEN, (allowed,), "offdag ci")


def test_what_makes_no_relation_overwrites_none() -> None:
    check_relations([ORDERS, node("test.p.t"), node("unit_test.p.u")], TAKEN, (), "offdag ci")


def test_unit_tests_without_their_model_are_run_apart() -> None:
    alone = node("unit_test.p.alone", None, "model.p.other")
    with_model = node("unit_test.p.with_model", None, "model.p.orders")
    assert edited_unit_tests([ORDERS, alone, with_model]) == ["alone"]


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("dbt build", "dbt --quiet ls"),
        (
            "uv run dbt build --target ci -s a b+ --exclude c -x",
            "uv run dbt --quiet ls -s a b+ --exclude c --target ci",
        ),
        (
            "dbt run --select state:modified+ --defer --favor-state --state s --threads 4 --full-refresh",
            "dbt --quiet ls --select state:modified+ --defer --favor-state --state s",
        ),
        ("dbt build --select=tag:daily --vars {a: 1}", "dbt --quiet ls --select=tag:daily --vars {a: 1}"),
    ],
)
def test_the_listing_has_the_selection_and_the_target_of_the_build(command: str, expected: str) -> None:
    words = command.replace("{a: 1}", "{a:1}").split()
    found = list_command(words, (), ("unique_id",), Path("/t"))
    apart = (
        " ".join(found)
        .replace(" --output json --output-keys unique_id", "")
        .removesuffix(" --target-path /t/target --log-path /t")
    )
    assert apart == expected.replace("{a: 1}", "{a:1}")
