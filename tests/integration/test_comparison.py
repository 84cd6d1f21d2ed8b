"""The data diff on real databases: two DuckDB files, and two schemas of a real Postgres."""

from __future__ import annotations

from pathlib import Path

import duckdb
import psycopg2
import pytest

from offdag.review.comparison import SampleRow, compare
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
    assert found.remarks == ("values of columns of another type are not compared: n",)
    assert (found.changed, found.columns) == (0, {})


def test_tables_without_a_shared_column_are_counted(sides: Sides) -> None:
    sides.write("create table t as select 1 as id", "create table t as select 1 as other union all select 2")
    found = sides.compare()
    assert (found.before, found.after, found.added, found.removed, found.changed) == (1, 2, None, None, None)
    assert found.remarks == ("no column is the same on both sides: rows are only counted",)


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
        assert "the same one" in (compare(databases, node, node, 6, 3).problem or "")


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
        missing = compare(databases, *sides.nodes("missing"), 6, 3)
        assert missing.problem
        assert missing.before is None
        assert compare(databases, *sides.nodes(), 6, 3).changed == 0
        # The same table again: the views of the first comparison do not interfere.
        assert compare(databases, *sides.nodes(), 6, 3).changed == 0
    if sides.server:
        connection = psycopg2.connect(
            host="127.0.0.1", port=sides.server.port, user=sides.server.user, dbname="postgres"
        )
        with connection, connection.cursor() as cursor:
            cursor.execute("select nspname from pg_namespace where nspname like 'offdag%' or nspname like 'sqlmesh%'")
            assert cursor.fetchall() == []
        connection.close()


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
