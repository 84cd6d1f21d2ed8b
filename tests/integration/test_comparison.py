"""The data diff on real databases: two DuckDB files, and two schemas of a real Postgres."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import duckdb
import psycopg2
import pytest
from sqlglot import exp, select

from offdag.review.build import Build
from offdag.review.comparison import compare
from offdag.review.details import detailed
from offdag.review.failing_rows import failing_rows
from offdag.review.figures import Precision, SampleRow
from sim import artifacts
from support.sides import Sides


@pytest.fixture(params=["duckdb", "postgres"])
def sides(request: pytest.FixtureRequest, tmp_path: Path) -> Sides:
    return Sides(tmp_path, request.getfixturevalue("server") if request.param == "postgres" else None)


def test_rows_are_matched_by_key_and_differences_counted_by_column(sides: Sides) -> None:
    sides.write(
        "create table t as select * from (values (1, 'a', 10), (2, 'b', 20), (3, 'c', 30), (4, null, 40)) v(id, name, n)",
        "create table t as select * from (values (1, 'a', 11), (2, 'B', 21), (4, null, 40), (5, 'e', 50)) v(id, name, n)",
    )
    found = sides.compare()
    assert (found.problem, found.remarks, found.key) == (None, (), ("id",))
    assert (found.before, found.after, found.added, found.removed, found.changed) == (4, 4, 1, 1, 2)
    assert found.columns == {"name": 1, "n": 2}
    assert found.samples[:2] == (
        SampleRow("changed", {"id": "1"}, {"n": ("10", "11")}),
        SampleRow("changed", {"id": "2"}, {"name": ("b", "B"), "n": ("20", "21")}),
    )
    assert found.samples[2:] == (SampleRow("added", {"id": "5"}), SampleRow("removed", {"id": "3"}))


def test_equal_tables_are_equal(sides: Sides) -> None:
    table = "create table t as select 1 as id, cast(0.1 as double precision) as x, current_date as d, true as b"
    sides.write(table, table)
    found = sides.compare()
    assert not found.has_row_changes
    assert not found.has_schema_changes
    assert (found.before, found.changed, found.columns, found.samples) == (1, 0, {}, ())


def test_two_empty_tables_are_equal(sides: Sides) -> None:
    table = "create table t (id integer, x double precision)"
    sides.write(table, table)
    for key in (("id",), ()):
        found = sides.compare(key=key)
        assert found.problem is None
        assert (found.before, found.after, found.added, found.removed) == (0, 0, 0, 0)


def test_a_table_that_became_empty_lost_all_its_rows(sides: Sides) -> None:
    sides.write("create table t as select 1 as id, 2 as n", "create table t (id integer, n integer)")
    found = sides.compare()
    assert (found.before, found.after, found.added, found.removed, found.changed) == (1, 0, 0, 1, 0)


def test_added_removed_and_retyped_columns_are_reported(sides: Sides) -> None:
    sides.write(
        "create table t as select 1 as id, 'x' as gone, 7 as n",
        "create table t as select 1 as id, true as new, '8' as n",
    )
    found = sides.compare()
    assert list(found.added_columns) == ["new"]
    assert list(found.removed_columns) == ["gone"]
    assert list(found.retyped_columns) == ["n"]
    assert found.remarks == ("of another type, and compared as text: n",)
    assert (found.changed, found.columns) == (1, {"n": 1})


def test_tables_without_a_shared_column_are_counted(sides: Sides) -> None:
    sides.write("create table t as select 1 as id", "create table t as select 1 as other union all select 2")
    found = sides.compare()
    assert (found.before, found.after, found.added, found.removed, found.changed) == (1, 2, None, None, None)
    assert found.remarks == ("no column is comparable on both sides: rows are only counted",)


def test_repeated_keys_are_reported_and_not_used(sides: Sides) -> None:
    sides.write(
        "create table t as select * from (values (1, 'a'), (1, 'b'), (2, 'c')) v(id, x)",
        "create table t as select * from (values (1, 'a'), (1, 'z'), (2, 'c')) v(id, x)",
    )
    found = sides.compare()
    assert found.key == ()
    assert (found.before, found.after, found.added, found.removed, found.changed) == (3, 3, 1, 1, None)
    assert found.remarks == (
        "the key (id; unique test) has 0 nulls and 1 repeats in production: whole rows are counted",
    )


def test_null_keys_are_reported_and_their_rows_are_not_lost(sides: Sides) -> None:
    sides.write(
        "create table t as select * from (values (1, 'a')) v(id, x)",
        "create table t as select * from (values (1, 'a'), (null, 'b')) v(id, x)",
    )
    found = sides.compare()
    assert (found.before, found.after, found.added, found.removed) == (1, 2, 1, 0)
    assert "1 nulls and 0 repeats in the review" in found.remarks[0]


def test_without_a_key_rows_are_a_multiset(sides: Sides) -> None:
    sides.write(
        "create table t as select * from (values (1), (1), (2)) v(x)",
        "create table t as select * from (values (1), (2), (2)) v(x)",
    )
    found = sides.compare(key=())
    assert (found.before, found.after, found.added, found.removed, found.changed) == (3, 3, 1, 1, None)
    assert found.samples == (SampleRow("added", {"x": "2"}), SampleRow("removed", {"x": "1"}))
    assert found.remarks[0].startswith("the project names no key")


def test_a_key_of_several_columns(sides: Sides) -> None:
    sides.write(
        "create table t as select * from (values ('a,b', 'c', 1), ('a', 'b,c', 2)) v(k, l, n)",
        "create table t as select * from (values ('a,b', 'c', 1), ('a', 'b,d', 2)) v(k, l, n)",
    )
    found = sides.compare(key=("k", "l"))
    assert (found.added, found.removed, found.changed) == (1, 1, 0)


def test_nan_and_infinity_are_values(sides: Sides) -> None:
    table = "create table t as select id, cast(x as double precision) as x from (values (1, 'NaN'), (2, 'Infinity'), (3, '{}')) v(id, x)"
    sides.write(table.format("1"), table.format("NaN"))
    found = sides.compare()
    assert (found.problem, found.changed, found.columns) == (None, 1, {"x": 1})


def test_decimals_limit_the_precision_of_floats_and_not_of_exact_numbers(sides: Sides) -> None:
    table = "create table t as select 1 as id, cast({} as double precision) as x, cast({} as decimal(20, 9)) as d"
    sides.write(table.format("1.0000001", "1.5"), table.format("1.0000002", "1.5"))
    assert sides.compare().changed == 0
    assert sides.compare(decimals=7).columns == {"x": 1}
    sides.write(table.format("-0.0000001", "1.000000001"), table.format("0.0000001", "1.000000002"))
    assert sides.compare().columns == {"d": 1}


def test_without_a_key_floats_are_rounded_too(sides: Sides) -> None:
    sides.write(
        "create table t as select cast(0.1 as double precision) + cast(0.2 as double precision) as x",
        "create table t as select cast(0.3 as double precision) as x",
    )
    assert not sides.compare(key=()).has_row_changes


def test_the_largest_floats_are_distinguished(sides: Sides) -> None:
    table = "create table t as select 1 as id, cast({} as double precision) as x"
    sides.write(table.format("1e304"), table.format("2e304"))
    found = sides.compare()
    assert (found.problem, found.changed) == (None, 1)


def test_zeros_at_the_end_are_no_difference(sides: Sides) -> None:
    kind = "numeric" if sides.server else "decimal(10, 2)"
    table = f"create table t as select cast({{}} as {kind}) as id, cast({{}} as {kind}) as n"
    sides.write(table.format("1.0", "1.50"), table.format("1.00", "1.5"))
    found = sides.compare()
    assert (found.problem, found.changed, found.added) == (None, 0, 0)


def test_a_key_is_its_own_column_where_names_differ_only_in_case(sides: Sides) -> None:
    if not sides.server:
        pytest.skip("DuckDB's names do not differ by case")
    sides.write('create table t as select 1 as id, 7 as "Id"', 'create table t as select 1 as id, 8 as "Id"')
    found = sides.compare()
    assert (found.key, found.changed, found.columns) == (("id",), 1, {"Id": 1})


def test_a_long_text_that_differs_at_its_end_is_shown(sides: Sides) -> None:
    table = "create table t as select 1 as id, '{}' as x"
    sides.write(table.format("y" * 70 + "1"), table.format("y" * 70 + "2"))
    [sample] = sides.compare().samples
    assert list(sample.values) == ["x"]


def test_a_table_is_not_compared_with_itself(sides: Sides) -> None:
    sides.write("create table t as select 1 as id", "create table t as select 1 as id")
    with sides.open() as databases:
        node, _ = sides.nodes()
        assert "the same one" in (compare(databases, node, node, Precision())[0].problem or "")


def test_names_that_need_quotes(sides: Sides) -> None:
    table = """create table "T-1" as select 1 as "Id", {} as "select", 2 as "s__x", 'q' as "a ""b"" c" """
    sides.write(table.format(1), table.format(2))
    found = sides.compare(table="T-1", key=("Id",))
    assert (found.problem, found.key, found.columns) == (None, ("Id",), {"select": 1})


def test_nested_values_are_compared_as_text(sides: Sides) -> None:
    table = "create table t as select 1 as id, cast('[1, {}]' as json) as j, array[1, {}] as l"
    sides.write(table.format(1, 1), table.format(2, 1))
    assert sides.compare().columns == {"j": 1}
    sides.write(table.format(1, 1), table.format(1, 2))
    assert sides.compare().columns == {"l": 1}


def test_one_tables_trouble_does_not_hide_the_others_and_nothing_is_left_behind(sides: Sides) -> None:
    sides.write("create table t as select 1 as id", "create table t as select 1 as id")
    with sides.open() as databases:
        missing, _ = compare(databases, *sides.nodes("missing"), Precision())
        assert missing.problem
        assert missing.before is None
        assert compare(databases, *sides.nodes(), Precision())[0].changed == 0
    if sides.server:
        connection = psycopg2.connect(
            host="127.0.0.1", port=sides.server.port, user=sides.server.user, dbname="postgres"
        )
        with connection, connection.cursor() as cursor:
            cursor.execute("select nspname from pg_namespace where nspname like 'offdag%' or nspname like 'sqlmesh%'")
            assert cursor.fetchall() == []
        connection.close()


@pytest.mark.parametrize(
    ("before", "after", "changed"),
    [
        ("cast(1 as integer)", "cast(1 as bigint)", 0),
        ("cast(1.5 as decimal(10, 2))", "cast(1.5 as decimal(12, 4))", 0),
        ("cast(1.5 as decimal(10, 2))", "cast(1.5001 as decimal(12, 4))", 1),
        ("cast(1.5 as decimal(10, 2))", "cast(1.5 as double precision)", 0),
        ("cast(2 as integer)", "cast(2.4 as double precision)", 1),
        ("cast('2026-01-02' as date)", "cast('2026-01-02 00:00:00' as timestamp)", 0),
        ("cast('2026-01-02' as date)", "cast('2026-01-02 07:00:00' as timestamp)", 1),
        ("true", "1", 0),
        ("7", "'7'", 0),
        ("7", "'seven'", 1),
    ],
)
def test_values_of_another_type_are_compared_in_a_common_one(
    sides: Sides, before: str, after: str, changed: int
) -> None:
    table = "create table t as select 1 as id, {} as n"
    sides.write(table.format(before), table.format(after))
    found = sides.compare()
    assert (found.problem, found.unknown_columns, list(found.retyped_columns)) == (None, {}, ["n"])
    assert found.changed == changed


def test_a_key_of_another_type_still_matches_rows(sides: Sides) -> None:
    table = "create table t as select cast(id as {}) as id, n from (values (1, 10), (2, {})) v(id, n)"
    sides.write(table.format("integer", 20), table.format("bigint", 21))
    found = sides.compare()
    assert (found.key, found.added, found.removed, found.columns) == (("id",), 0, 0, {"n": 1})


def test_what_cannot_be_compared_is_unknown_and_the_rest_is_compared(sides: Sides) -> None:
    nested = ("cast('{\"a\": 1}' as json)", "array[1]") if sides.server else ("{'a': 1}", "[1]")
    table = "create table t as select 1 as id, {} as s, {} as n, {} as w"
    zoned = "cast('2026-01-02 00:00:00+00' as timestamp{})"
    sides.write(
        table.format(nested[0], 10, zoned.format("")), table.format(nested[1], 11, zoned.format(" with time zone"))
    )
    found = sides.compare()
    assert list(found.unknown_columns) == ["s", "w"]
    assert (found.changed, found.columns, found.is_equal) == (1, {"n": 1}, False)
    sides.write(
        table.format(nested[0], 10, "1"),
        table.format(nested[1], 10, "1"),
    )
    assert sides.compare().is_equal is False


def test_a_type_without_equality_is_compared_as_text(sides: Sides) -> None:
    if not sides.server:
        pytest.skip("all types of DuckDB have an equality")
    table = "create table t as select 1 as id, '(1,{})'::point as p, '\\x0{}'::bytea as b, '<a>{}</a>'::xml as x"
    sides.write(table.format(2, 3, 4), table.format(2, 3, 4))
    assert sides.compare().is_equal
    sides.write(table.format(2, 3, 4), table.format(3, 4, 4))
    found = sides.compare()
    assert (found.problem, found.unknown_columns, found.columns) == (None, {}, {"p": 1, "b": 1})


def test_each_change_has_a_kind_and_each_column_a_profile(sides: Sides) -> None:
    table = "create table t as select * from (values {}) v(id, n, x, s)"
    sides.write(
        table.format(
            "(1, 10, 1.26, 'Open'), (2, 20, 2.5, 'open'), (3, cast(null as integer), 3.0, 'done'), (4, 40, 4.0, 'x')"
        ),
        table.format(
            "(1, -10, 1.3, 'open'), (2, cast(null as integer), 2.5, 'closed'), (3, 30, 9.0, 'done'), (4, 41, 4.0, 'x')"
        ),
    )
    found = sides.compare()
    assert found.columns == {"n": 4, "x": 2, "s": 2}
    assert found.details["n"].kinds == {"became null": 1, "was null": 1, "the sign changed": 1, "another value": 1}
    assert found.details["x"].kinds == {"was rounded": 1, "another value": 1}
    assert found.details["s"].kinds == {"only case or spaces": 1, "another value": 1}
    assert set(found.details["s"].mapping) == {("Open", "open", 1), ("open", "closed", 1)}
    before = found.details["n"].before
    assert (before.rows, before.nulls, before.distinct, before.least, before.greatest) == (4, 1, 3, "10", "40")
    assert (found.details["s"].before.least, found.details["n"].after.mean) == (None, "20.3333")


def test_the_query_to_copy_shows_the_rows_that_differ(sides: Sides) -> None:
    table = "create table t as select * from (values (1, 10, 1.5), (2, {}, {})) v(id, n, x)"
    sides.write(table.format(20, "2.5"), table.format(21, "cast(2.75 as double precision)"))
    found = sides.compare()
    assert set(found.details) == {"n", "x"}
    with sides.open() as databases:
        for name, values in {"n": (20, 21), "x": (2.5, 2.75)}.items():
            databases.adapter.execute(found.details[name].query)
            rows = [tuple(map(float, row)) for row in databases.adapter.cursor.fetchall()]
            assert rows == [(2.0, *values)]


def test_values_of_private_columns_are_never_shown(sides: Sides) -> None:
    table = "create table t as select 1 as id, '{}' as mail, {} as n"
    sides.write(table.format("a@x", 5), table.format("b@x", 6))
    with sides.open() as databases:
        theirs, ours = sides.nodes()
        private = replace(ours, private_columns=frozenset({"mail"}))
        found, pair = compare(databases, theirs, private, Precision(samples=3, hidden=frozenset({"n"})))
        assert pair is not None
        shown = detailed(pair, found)
        whole, _ = compare(databases, theirs, replace(private, key=()), Precision(samples=3, hidden=frozenset({"n"})))
    assert found.columns == {"mail": 1, "n": 1}
    assert "@" not in str(shown)
    assert (shown.details["n"].before.least, shown.samples) == (None, (SampleRow("changed", {"id": "1"}, {}),))
    assert whole.samples == (SampleRow("added", {"id": "1"}), SampleRow("removed", {"id": "1"}))


def test_a_renamed_column_is_recognised_by_its_values(sides: Sides) -> None:
    table = "create table t as select * from (values (1, 10, cast(null as text)), (2, 20, null)) v(id, {}, {})"
    sides.write(table.format("total", "x"), table.format("amount", "y"))
    assert sides.compare().renamed_columns == {"total": "amount"}


def test_without_a_key_the_columns_that_differ_are_named(sides: Sides) -> None:
    table = "create table t as select * from (values (1, 'a', {}), (2, 'b', 7)) v(x, y, z)"
    sides.write(table.format(5), table.format(6))
    found = sides.compare(key=())
    assert (found.added, found.removed, found.changed, found.columns) == (1, 1, None, {"z": 1})


def test_of_a_snapshot_the_current_rows_are_compared(sides: Sides) -> None:
    table = """create table t as select * from (values
        (1, 'old', 'a', cast('{0}' as timestamp), cast('2026-02-01' as timestamp)),
        (1, 'new', 'b', cast('{0}' as timestamp), null)) v(id, state, dbt_scd_id, dbt_valid_from, dbt_valid_to)"""
    sides.write(table.format("2026-01-01"), table.format("2026-01-09").replace("'old'", "'older'"))
    with sides.open() as databases:
        nodes = [replace(node, resource_type="snapshot") for node in sides.nodes()]
        found, _ = compare(databases, nodes[0], nodes[1], Precision())
    assert (found.problem, found.before, found.changed, found.is_equal) == (None, 1, 0, True)


def test_no_samples_where_none_are_asked_for(sides: Sides) -> None:
    sides.write("create table t as select 1 as id, 1 as n", "create table t as select 1 as id, 2 as n")
    found = sides.compare(samples=0)
    assert (found.changed, found.samples) == (1, ())


def test_both_files_are_only_read(tmp_path: Path) -> None:
    sides = Sides(tmp_path, None)
    sides.write("create table t as select 1 as id", "create table t as select 1 as id")
    before = [(tmp_path / f"{name}.duckdb").read_bytes() for name in ("prod", "ci")]
    # Another reader does not interfere.
    with duckdb.connect(str(tmp_path / "prod.duckdb"), read_only=True):
        assert sides.compare().changed == 0
    assert [(tmp_path / f"{name}.duckdb").read_bytes() for name in ("prod", "ci")] == before


def test_views_read_what_the_profile_attaches_and_files_of_the_project(tmp_path: Path) -> None:
    sides = Sides(tmp_path, None)
    (tmp_path / "rates.csv").write_text("id,rate\n1,0.5\n2,0.7\n")
    with duckdb.connect(str(tmp_path / "lake.duckdb")) as lake:
        lake.execute("create table raw as select 1 as id, 10 as n union all select 2, 20")
    for name, factor in (("prod", 1), ("ci", 2)):
        with duckdb.connect(str(tmp_path / f"{name}.duckdb")) as database:
            database.execute(f"attach '{tmp_path / 'lake.duckdb'}' as lake_of_ours (read_only)")
            database.execute(f"set file_search_path = '{tmp_path}'")
            query = f"select id, n * {factor} as n, rate from lake_of_ours.main.raw join 'rates.csv' using (id)"
            database.execute(f"create view t as {query}")
    attach = "[{path: lake.duckdb, alias: lake_of_ours}]"
    settings = "settings: {threads: 1, null_order: nulls_first}, extensions: [json]"
    with sides.open(f"{{type: duckdb, path: ci.duckdb, attach: {attach}, {settings}}}") as databases:
        found, _ = compare(databases, *sides.nodes(), Precision())
        assert databases.row(select("current_setting('threads')")) == (1,)
    assert (found.problem, found.columns) == (None, {"n": 2})


def test_rows_of_a_failed_test_are_shown_without_hidden_columns(sides: Sides) -> None:
    table = "create table t as select * from (values (1, 'a@x', null), (2, 'b@x', 'c')) v(id, mail, state)"
    sides.write(table, table)
    _, node = sides.nodes()
    relation = exp.table_("t", db=node.schema, catalog=node.database).sql()
    private = replace(node, private_columns=frozenset({"mail"}))
    test = replace(
        node, unique_id="test.p.x", parents=(node.unique_id,), code=f"select * from {relation} where state is null"
    )
    build = Build({node.unique_id: private, test.unique_id: test}, {}, "build", "ci", None, artifacts.NOW, None)
    with sides.open() as databases:
        assert failing_rows(databases, (build, build), test, Precision(), 5) == [("id", "state"), ("1", "null")]
        # Under another name, or by a test of the column itself, the values are hidden too.
        renamed = replace(test, code=f"select id, mail as contact from {relation}")
        assert failing_rows(databases, (build, build), renamed, Precision(), 5) == [("id",), ("1",), ("2",)]
        unique = replace(test, column_name="mail", code=f"select mail as unique_field, 2 as n_records from {relation}")
        assert failing_rows(databases, (build, build), unique, Precision(), 5) == []
        assert (
            failing_rows(databases, (build, build), replace(test, code="select nothing from nowhere"), Precision(), 5)
            == []
        )
        # An error does not spoil the connection.
        assert failing_rows(databases, (build, build), test, Precision(), 5)
