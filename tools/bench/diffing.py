"""The diff of two tables of a million rows, against SQLMesh's TableDiff alone."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from bench.measure import Cost
from bench.suite import Suite, made, python

_ROWS = 1_000_000
_GOAL = 1.3
_TABLE = """
create table orders as
select
    range as id, 'name ' || range as name, {state} as state, range / 7.0 as share, cast(range as decimal(18, 2)) as amount,
    timestamp '2026-01-01' + interval (range) second as ordered_at, range % 2 = 0 as is_paid, md5(range::text) as note,
    range % 13 as kind, case when range % 5 = 0 then null else range end as reference
from range({rows})
"""
_OPEN = """
import sys, warnings
from dataclasses import replace
from pathlib import Path
from offdag.artifacts.compiled import CompiledNode
from offdag.review.comparison import compare
from offdag.review.databases import both_sides
from offdag.dbt.command import DbtInvocation
from offdag.duckdb_files import LockWait
from sqlmesh.core.table_diff import TableDiff
fields = dict.fromkeys(CompiledNode.__dataclass_fields__)
node = CompiledNode(**{**fields, 'unique_id': 'model.bench.orders', 'name': 'orders', 'schema': 'main', 'key': ('id',)})
folder = Path(sys.argv[1])
nodes = [replace(node, database=name) for name in ('prod', 'ci')]
files = tuple(folder / f'{name}.duckdb' for name in ('prod', 'ci'))
review = replace(DbtInvocation.parse((), folder, {}), target='ci')
with both_sides(review, files, LockWait('diff', 60.0)) as databases:
"""
_OURS = """
    found = compare(databases, *nodes, 6, 3)
    assert (found.problem, found.changed) == (None, 1000), found
"""
_THEIRS = """
    tables = [databases.table(node).sql('duckdb') for node in nodes]
    found = TableDiff(databases.adapter, *tables, on=['id'], decimals=6).row_diff(temp_schema=databases.work_schema)
    assert found.partial_match_count == 1000
"""
_NEITHER = "    pass\n"


def suite(folder: Path, _full: bool) -> Suite:
    """Both, and the imports and connections that both need."""
    home = folder / "diff"
    home.mkdir()
    made("diffing", "write_tables", home)
    ours, theirs, neither = "offdag diff of 1,000,000 rows", "TableDiff of the same", "imports and connections of both"
    found = Suite(
        {name: partial(_run, home, code) for name, code in ((ours, _OURS), (theirs, _THEIRS), (neither, _NEITHER))}
    )
    found.cpu_ratio("diff against TableDiff, imports within", [ours], theirs, _GOAL)
    return found


def write_tables(home: Path) -> None:
    """Two databases that differ in one column of every thousandth row."""
    import duckdb

    for name, state in (("prod", "range % 97"), ("ci", "case when range % 1000 = 0 then -1 else range % 97 end")):
        with duckdb.connect(str(home / f"{name}.duckdb")) as database:
            database.execute(_TABLE.format(state=state, rows=_ROWS))


def _run(home: Path, code: str, _number: int) -> Cost:
    return python(_OPEN + code, home)
