"""The comparison of two tables of a million rows, against the plain SQL that gives the same figures."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from bench.measure import Cost
from bench.suite import Suite, made, python

_ROWS = 1_000_000
_GOAL = 1.3
_COLUMNS = 50
_TABLE = """
create table orders as
select range as id, {state} as state, {others}
from range({rows})
"""
_OPEN = """
import sys
from dataclasses import replace
from pathlib import Path
from offdag.artifacts.compiled import CompiledNode
from offdag.review.comparison import compare
from offdag.review.databases import both_sides
from offdag.review.figures import Precision
from offdag.dbt.command import DbtInvocation
from offdag.duckdb_files import LockWait
from sqlmesh.core.table_diff import TableDiff
fields = {**dict.fromkeys(CompiledNode.__dataclass_fields__), 'private_columns': frozenset(), 'config': '{}'}
node = CompiledNode(**{**fields, 'unique_id': 'model.bench.orders', 'name': 'orders', 'schema': 'main', 'key': ('id',)})
folder = Path(sys.argv[1])
nodes = [replace(node, database=name) for name in ('prod', 'ci')]
files = tuple(folder / f'{name}.duckdb' for name in ('prod', 'ci'))
review = replace(DbtInvocation.parse((), folder, {}), target='ci')
with both_sides(review, files, LockWait('diff', 60.0)) as databases:
"""
_OURS = """
    found, _ = compare(databases, *nodes, Precision())
    assert (found.problem, found.changed) == (None, 1000), found
"""
_PLAIN = """
    names = [name for name in databases.columns(nodes[0]) if name != 'id']
    counted = ', '.join(f'count(*) filter (where a.{name} is distinct from b.{name})' for name in names)
    sides = 'prod.main.orders a full join ci.main.orders b using (id)'
    missing = 'count(*) filter (where a.id is null), count(*) filter (where b.id is null)'
    databases.adapter.execute(f'select {missing}, {counted} from {sides}')
    assert databases.adapter.cursor.fetchone()[2] == 1000
"""
_NEITHER = "    pass\n"


def suite(folder: Path, _full: bool) -> Suite:
    """Both, and the imports and connections that both need."""
    home = folder / "diff"
    home.mkdir()
    made("diffing", "write_tables", home)
    ours, plain, neither = (
        "offdag diff of 1,000,000 rows, 50 columns",
        "plain SQL of the same",
        "imports and connections of both",
    )
    found = Suite(
        {name: partial(_run, home, code) for name, code in ((ours, _OURS), (plain, _PLAIN), (neither, _NEITHER))}
    )
    found.cpu_ratio("diff against plain SQL, imports within", [ours], plain, _GOAL)
    return found


def write_tables(home: Path) -> None:
    """Two databases that differ in one column of every thousandth row."""
    import duckdb

    (home / "dbt_project.yml").write_text("name: p\nprofile: p\n")
    (home / "profiles.yml").write_text("p: {target: ci, outputs: {ci: {type: duckdb, path: ci.duckdb}}}\n")
    # Whole numbers, fractions and texts.
    kinds = ("range * {0} % 100003", "range / ({0} + 7.0)", "md5((range * {0})::text)")
    others = ", ".join(f"{kinds[number % 3].format(number)} as c{number}" for number in range(2, _COLUMNS))
    for name, state in (("prod", "range % 97"), ("ci", "case when range % 1000 = 0 then -1 else range % 97 end")):
        with duckdb.connect(str(home / f"{name}.duckdb")) as database:
            database.execute(_TABLE.format(state=state, others=others, rows=_ROWS))


def _run(home: Path, code: str, _number: int) -> Cost:
    return python(_OPEN + code, home)
