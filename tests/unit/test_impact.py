"""What changed, and what a changed column touches: artifacts of small projects, code that sqlglot reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from offdag.review.build import Build
from offdag.review.changes import changed_files, changes_of
from offdag.review.impact import Impact, trace_impact
from offdag.review.lineage import NoLineage, query_lineage
from sim import artifacts

COLUMNS = {"model.p.orders": ["id", "amount", "state"], "model.p.customers": ["id", "name"]}


def model(name: str, code: str | None, *parents: str, db: str = "ci", **more: Any) -> dict[str, Any]:
    return artifacts.node(
        f"model.p.{name}",
        parents,
        **{
            "database": db,
            "schema": "main",
            "alias": name,
            "relation_name": f'"{db}"."main"."{name}"',
            "compiled_code": code,
            **more,
        },
    )


def exposure(*parents: str) -> dict[str, Any]:
    return artifacts.node("exposure.p.board", parents, label="The board", owner={"name": "Ana"})


def build(folder: Path, nodes: list[dict[str, Any]], *built: str) -> Build:
    results = [artifacts.result(unique_id) for unique_id in built or [n["unique_id"] for n in nodes]]
    artifacts.write(folder, manifest=artifacts.manifest(nodes), run_results=artifacts.run_results(results))
    return Build.read(folder)


def trace(folder: Path, nodes: list[dict[str, Any]], **starts: Impact) -> dict[str, Impact]:
    given = {f"model.p.{name}": touched for name, touched in starts.items()}
    found = trace_impact(build(folder, nodes), None, given, lambda unique_id: COLUMNS.get(unique_id, []))
    return {unique_id: touched for unique_id, touched in found.items() if unique_id not in given}


ORDERS = model("orders", "select 1")
CUSTOMERS = model("customers", "select 1")


def test_a_column_is_followed_through_names_ctes_and_stars(tmp_path: Path) -> None:
    nodes = [
        ORDERS,
        model("paid", 'with o as (select * from "ci"."main"."orders") select id, amount * 2 as money from o', "model.p.orders"),
        model("total", 'select sum(money) as total, count(*) as n from "ci"."main"."paid"', "model.p.paid"),
        model("ids", 'select id from "ci"."main"."orders"', "model.p.orders"),
        exposure("model.p.total"),
    ]  # fmt: skip
    found = trace(tmp_path, nodes, orders=Impact(columns={"amount": "changed"}))
    assert list(found) == ["model.p.paid", "model.p.total", "exposure.p.board"]
    assert found["model.p.paid"].columns == {"money": "from orders.amount"}
    assert found["model.p.total"] == Impact(columns={"total": "from paid.money"})
    assert found["exposure.p.board"].whole == "uses total"


@pytest.mark.parametrize(
    "code",
    [
        'select id from "ci"."main"."orders" where state = \'paid\'',
        'select c.name from "ci"."main"."customers" c join "ci"."main"."orders" o on o.state = c.name',
        'select count(*) as n from "ci"."main"."orders" group by state',
        'with o as (select id, state as s from "ci"."main"."orders") select id from o where s is null',
        'select max(id) as id from "ci"."main"."orders" having max(state) > 5',
        'select id from "ci"."main"."customers" where name in (select state from "ci"."main"."orders")',
        'select id from "ci"."main"."customers" where id > (select max(state) from "ci"."main"."orders")',
        'select c.id from "ci"."main"."customers" c where exists (select 1 from "ci"."main"."orders" o where o.state = c.name)',
        'select distinct on (state) id from "ci"."main"."orders"',
        'select id from "ci"."main"."orders" order by state limit 5',
        'select id from "ci"."main"."customers" union select state from "ci"."main"."orders"',
        'select id from "ci"."main"."customers" except select state from "ci"."main"."orders"',
        'select sum(id) over w as s from "ci"."main"."orders" window w as (partition by state)',
        'select state, count(*) as n from "ci"."main"."orders" group by all',
    ],
)
def test_a_column_that_filters_joins_or_groups_touches_the_rows(tmp_path: Path, code: str) -> None:
    nodes = [
        ORDERS,
        CUSTOMERS,
        model("m", code, "model.p.orders", "model.p.customers"),
        model("n", 'select * from "ci"."main"."m"', "model.p.m"),
    ]
    found = trace(tmp_path, nodes, orders=Impact(columns={"state": "changed"}))
    assert found["model.p.m"].rows == "filters, joins or groups by orders.state"
    assert found["model.p.n"].rows == "reads rows of m"


def test_a_union_touches_by_position(tmp_path: Path) -> None:
    code = 'select id, name as what from "ci"."main"."customers" union all select id, state from "ci"."main"."orders"'
    nodes = [ORDERS, CUSTOMERS, model("m", code, "model.p.orders", "model.p.customers")]
    found = trace(tmp_path, nodes, orders=Impact(columns={"state": "changed"}))
    assert found["model.p.m"].columns == {"what": "from orders.state"}


def test_ephemeral_models_are_seen_through(tmp_path: Path) -> None:
    inlined = 'with __dbt__cte__e as (select amount as a from "ci"."main"."orders") select a as b from __dbt__cte__e'
    nodes = [
        ORDERS,
        model("e", 'select amount as a from "ci"."main"."orders"', "model.p.orders", config={"materialized": "ephemeral"}),
        model("m", inlined, "model.p.e"),
    ]  # fmt: skip
    found = trace(tmp_path, nodes, orders=Impact(columns={"amount": "changed"}))
    assert found["model.p.m"].columns == {"b": "from orders.amount"}


@pytest.mark.parametrize(
    ("code", "why"),
    [
        (None, "its code was not compiled"),
        ("this is no sql at all (", "by model alone, since"),
        ('select * from "ci"."main"."unknown_columns"', "the columns behind a * are not known"),
        ("def model(dbt, session): return dbt.ref('orders')", "by model alone, since"),
        ('select columns(\'a|b\') from "ci"."main"."orders"', "by model alone, since"),
        (
            'select gone from "ci"."main"."orders" a, "ci"."main"."orders" b',
            "it is unknown which table has the column gone",
        ),
    ],
)
def test_what_cannot_be_read_by_column_is_touched_as_a_whole_with_the_reason(
    tmp_path: Path, code: str | None, why: str
) -> None:
    nodes = [
        ORDERS,
        model("unknown_columns", "select 1"),
        model("m", code, "model.p.orders", "model.p.unknown_columns"),
    ]
    touched = trace(tmp_path, nodes, orders=Impact(columns={"amount": "changed"}))["model.p.m"]
    assert touched.whole is not None
    assert touched.whole.startswith("depends on orders")
    assert why in touched.whole


def test_a_metric_and_what_shows_it_are_reached(tmp_path: Path) -> None:
    document = artifacts.manifest([ORDERS])
    semantic = artifacts.node("semantic_model.p.orders", ("model.p.orders",))
    metric = artifacts.node("metric.p.revenue", ("semantic_model.p.orders",))
    document["semantic_models"] = {semantic["unique_id"]: semantic}
    document["metrics"] = {metric["unique_id"]: metric}
    board = exposure("metric.p.revenue")
    document["exposures"] = {board["unique_id"]: board}
    artifacts.write(tmp_path, manifest=document, run_results=artifacts.run_results([]))
    starts = {"model.p.orders": Impact(columns={"amount": "changed"})}
    found = trace_impact(Build.read(tmp_path), None, starts, lambda _: [])
    assert [key for key in found if key not in starts] == [metric["unique_id"], board["unique_id"]]


def test_untouched_columns_touch_nothing(tmp_path: Path) -> None:
    nodes = [ORDERS, model("m", 'select id from "ci"."main"."orders"', "model.p.orders"), exposure("model.p.m")]
    assert trace(tmp_path, nodes, orders=Impact(columns={"amount": "changed"})) == {}


def test_deferred_code_reads_productions_relations(tmp_path: Path) -> None:
    review = build(tmp_path / "ci", [ORDERS, model("m", 'select amount from "prod"."main"."orders"', "model.p.orders")])
    production = build(tmp_path / "prod", [model("orders", "select 1", db="prod")])
    found = trace_impact(review, production, {"model.p.orders": Impact(columns={"amount": "x"})}, lambda _: [])
    assert found["model.p.m"].columns == {"amount": "from orders.amount"}


def test_lineage_of_a_statement_that_is_not_a_query() -> None:
    with pytest.raises(NoLineage):
        query_lineage("create table t (a int)", "duckdb", {})


def of(db: str, macro: str = "1", table: str = "raw") -> list[dict[str, Any]]:
    return [
        model("a", f'select {macro} from "raw"."main"."{table}"', db=db),
        model("b", f'select * from "{db}"."main"."a"', "model.p.a", db=db),
        model("c", "select 2", db=db),
    ]


def changed_nodes(production: Build, review: Build) -> set[str]:
    return set(changes_of(production, review).origins)


@pytest.mark.parametrize(
    ("change", "changed"),
    [
        ({}, set()),
        ({"macro": "1 + 1"}, {"model.p.a", "model.p.b"}),
        # A source in another place may hold other data.
        ({"table": "other"}, {"model.p.a", "model.p.b"}),
    ],
)
def test_changed_is_what_has_other_code_or_inputs(tmp_path: Path, change: dict[str, str], changed: set[str]) -> None:
    production = build(tmp_path / "prod", of("prod"))
    assert changed_nodes(production, build(tmp_path / "ci", of("ci", **change))) == changed


def test_a_new_node_another_materialization_and_a_snapshot_are_changes(tmp_path: Path) -> None:
    def nodes(db: str, materialized: str) -> list[dict[str, Any]]:
        return [
            model("a", "select 1", db=db, config={"materialized": materialized}),
            {**model("s", "select 1", db=db), "unique_id": "snapshot.p.s", "resource_type": "snapshot"},
        ]

    production = build(tmp_path / "prod", nodes("prod", "view"))
    review = build(tmp_path / "ci", [*nodes("ci", "table"), model("new", "select 1")])
    assert changed_nodes(production, review) == {"model.p.a", "model.p.new", "snapshot.p.s"}


def test_what_productions_last_build_did_not_make_may_differ(tmp_path: Path) -> None:
    review = build(tmp_path / "ci", of("ci"))
    nodes, ids = of("prod"), [f"model.p.{name}" for name in "abc"]
    assert changed_nodes(build(tmp_path / "some", nodes, *ids[:2]), review) == {"model.p.c"}
    results = [artifacts.result(ids[0], "error"), artifacts.result(ids[1], "skipped"), artifacts.result(ids[2])]
    artifacts.write(tmp_path / "failed", manifest=artifacts.manifest(nodes), run_results=artifacts.run_results(results))
    assert changed_nodes(Build.read(tmp_path / "failed"), review) == {"model.p.a", "model.p.b"}


def test_a_seed_is_known_by_its_file_and_its_configuration(tmp_path: Path) -> None:
    def seed(checksum: dict[str, str], **config: Any) -> list[dict[str, Any]]:
        row = model("s", None, checksum=checksum, config={"materialized": "seed", **config})
        return [{**row, "unique_id": "seed.p.s", "resource_type": "seed"}]

    sha, path = ({"name": name, "checksum": "x"} for name in ("sha256", "path"))
    production = build(tmp_path / "prod", seed(sha))
    assert changed_nodes(production, build(tmp_path / "same", seed(sha, schema="other"))) == set()
    assert changed_nodes(production, build(tmp_path / "typed", seed(sha, column_types={"v": "int"}))) == {"seed.p.s"}
    # dbt does not read large seeds: the checksum is the path.
    large = build(tmp_path / "large", seed(path))
    assert changed_nodes(large, build(tmp_path / "again", seed(path))) == {"seed.p.s"}


def test_what_was_not_selected_is_not_compiled_and_goes_by_its_checksum(tmp_path: Path) -> None:
    production = build(tmp_path / "prod", of("prod"))
    nodes = of("ci")
    # Selected and not compiled: unknown.
    nodes[0]["compiled_code"] = None
    assert changed_nodes(production, build(tmp_path / "whole", nodes)) == {"model.p.a", "model.p.b"}
    assert changed_nodes(production, build(tmp_path / "ci", nodes, "model.p.b")) == set()
    nodes[0]["checksum"] = {"checksum": "other"}
    assert changed_nodes(production, build(tmp_path / "other", nodes, "model.p.b")) == {"model.p.b"}


def test_what_was_measured_ends_the_path(tmp_path: Path) -> None:
    nodes = [
        model("a", "select 1 as x"),
        model("b", "select x from db.main.a", "model.p.a"),
        model("c", "select x from db.main.b", "model.p.b"),
        artifacts.node("exposure.p.board", ("model.p.c",)),
    ]
    review = build(tmp_path, nodes)
    starts = {"model.p.a": Impact(columns={"x": "differs in 2 rows"})}
    assert set(trace_impact(review, None, starts, lambda _: ["x"])) == {
        "model.p.a", "model.p.b", "model.p.c", "exposure.p.board",
    }  # fmt: skip
    # b was compared with production's and found equal.
    found = trace_impact(review, None, starts, lambda _: ["x"], {"model.p.a", "model.p.b"})
    assert set(found) == {"model.p.a"}


def test_a_metric_is_touched_by_the_columns_of_its_measures(tmp_path: Path) -> None:
    def metric(name: str, measure: str) -> dict[str, Any]:
        row = artifacts.node(f"metric.p.{name}", ("semantic_model.p.orders",))
        return {**row, "type_params": {"input_measures": [{"name": measure}]}}

    semantic = {
        **artifacts.node("semantic_model.p.orders", ("model.p.a",)),
        "measures": [{"name": "revenue", "expr": "amount - tax"}, {"name": "orders", "expr": "1"}],
    }
    nodes = [model("a", "select 1 as amount"), semantic, metric("revenue", "revenue"), metric("orders", "orders")]
    review = build(tmp_path, nodes, "model.p.a")

    def touched(**effect: Any) -> dict[str, Impact]:
        return trace_impact(review, None, {"model.p.a": Impact(**effect)}, lambda _: [])

    by_column = touched(columns={"tax": "differs in 1 rows"})
    assert by_column["metric.p.revenue"].whole == "measures a.tax"
    assert set(by_column) == {"model.p.a", "metric.p.revenue"}
    assert set(touched(rows="1 added, 0 removed")) == {"model.p.a", "metric.p.revenue", "metric.p.orders"}


def test_a_table_that_grows_can_differ_with_the_same_code(tmp_path: Path) -> None:
    incremental = model("i", "select 1", config={"materialized": "incremental"})
    production, review = (build(tmp_path / name, [incremental]) for name in ("prod", "ci"))
    changes = changes_of(production, review)
    assert changes.origins == {"model.p.i": frozenset({"model.p.i"})}
    assert not changes.has_own("model.p.i")
    other = build(tmp_path / "other", [{**incremental, "checksum": {"name": "sha256", "checksum": "other"}}])
    assert changes_of(production, other).has_own("model.p.i")


def test_a_changed_macro_is_named_with_its_file(tmp_path: Path) -> None:
    def nodes(body: str) -> list[dict[str, Any]]:
        inner = {
            **artifacts.node("macro.p.inner"), "macro_sql": body, "original_file_path": "macros/inner.sql",
        }  # fmt: skip
        outer = {**artifacts.node("macro.p.outer"), "macro_sql": "x", "original_file_path": "macros/outer.sql"}
        outer["depends_on"] = {"macros": ["macro.p.inner"]}
        row = model("a", f"select {body}")
        return [inner, outer, {**row, "depends_on": {"nodes": [], "macros": ["macro.p.outer"]}}]

    production, review = build(tmp_path / "prod", nodes("1")), build(tmp_path / "ci", nodes("2"))
    assert changed_files(production, review, "model.p.a") == {"macros/inner.sql": "macro inner"}


@pytest.mark.parametrize(
    ("code", "deciding"),
    [
        (
            "select state, sum(amount) as total from db.main.orders group by state order by total desc limit 3",
            {"amount", "state"},
        ),
        ("select id, amount as k from db.main.orders order by k limit 3", {"amount"}),
        (
            """with recursive t(a, d) as (
                select id, amount from db.main.orders
                union all
                select o.id, t.d + 1 from db.main.orders o join t on o.state = t.a where t.d < 5
            ) select a, d from t""",
            {"id", "amount", "state"},
        ),
    ],
)
def test_what_orders_a_limit_or_ends_a_recursion_decides_the_rows(code: str, deciding: set[str]) -> None:
    found = query_lineage(code, "duckdb", {("db", "main", "orders"): ["id", "amount", "state"]})
    assert {column for _, column in found.rows} == deciding
