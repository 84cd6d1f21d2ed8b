"""One table against production's, by SQLMesh's TableDiff, with the preparation that makes its result correct.

TableDiff leaves out columns whose type changed, multiplies rows of a repeated key, drops rows of an empty one, takes keys of several
columns for equal where their texts run together, rounds exact numbers, and fails on NaN and on upper-case keys. So it gets
views with only the shared columns, under plain names, one column for the key, and as text the values that it cannot compare; a key
with nulls or repeats is not used.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from offdag.artifacts.compiled import CompiledNode
from offdag.errors import first_line
from offdag.review.databases import Databases

if TYPE_CHECKING:
    import pandas as pd
    from sqlglot import exp

# The column that holds a key of several columns.
_KEY = "k"


@dataclass(frozen=True)
class SampleRow:
    """One row that differs.

    Attributes:
        change: added, removed or changed.
        key: Values of the key by column; of all shared columns where there is no key.
        values: For a changed row, the value before and after of each column that differs.
    """

    change: str
    key: dict[str, str]
    values: dict[str, tuple[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Comparison:
    """What differs between production's table and the review's.

    Attributes:
        unique_id: The node.
        key: Columns by which rows were matched; empty where whole rows were counted.
        before: Rows in production; None where they could not be counted.
        after: Rows in the review.
        added: Rows that production does not have.
        removed: Rows that the review does not have.
        changed: Rows whose key is in both; None where there is no key: a changed row is then one added and one removed.
        columns: Rows that differ, by column, of those whose key is in both.
        added_columns: Names and types.
        removed_columns: Names and types.
        retyped_columns: Type before and after, by name; their values are not compared.
        samples: Some of the rows that differ.
        remarks: What a reader has to know to read the figures.
        problem: Why there are no figures; None where there are.
    """

    unique_id: str
    key: tuple[str, ...] = ()
    before: int | None = None
    after: int | None = None
    added: int | None = None
    removed: int | None = None
    changed: int | None = None
    columns: dict[str, int] = field(default_factory=dict)
    added_columns: dict[str, str] = field(default_factory=dict)
    removed_columns: dict[str, str] = field(default_factory=dict)
    retyped_columns: dict[str, tuple[str, str]] = field(default_factory=dict)
    samples: tuple[SampleRow, ...] = ()
    remarks: tuple[str, ...] = ()
    problem: str | None = None

    @property
    def has_schema_changes(self) -> bool:
        return bool(self.added_columns or self.removed_columns or self.retyped_columns)

    @property
    def has_row_changes(self) -> bool:
        return bool(self.added or self.removed or self.changed)


def compare(
    databases: Databases, production: CompiledNode, review: CompiledNode, decimals: int, samples: int
) -> Comparison:
    """Compare one node's table with production's.

    Args:
        databases: The connection that reads both.
        production: The node in production's manifest.
        review: The same node in the review's, with the key.
        decimals: Decimal places to which floating-point numbers have to agree; other types have to be equal.
        samples: At most so many rows of each kind of change.

    Returns:
        The figures, or the problem that kept them from being found: one table's trouble never hides the others.
    """
    # Drivers, SQLMesh and sqlglot raise many classes of errors.
    try:
        return _compared(databases, production, review, decimals, samples)
    except Exception as error:
        return Comparison(review.unique_id, problem=first_line(error))


@dataclass(frozen=True)
class _Pair:
    """Both tables in the form that TableDiff gets.

    Attributes:
        before: View of production's table.
        after: View of the review's.
        columns: The shared columns: name by alias.
        types: Type by name.
        key: Aliases of the key's columns; empty where there is no key that can be used.
    """

    databases: Databases
    before: exp.Table
    after: exp.Table
    columns: dict[str, str]
    types: dict[str, exp.DataType]
    key: tuple[str, ...]
    decimals: int
    samples: int

    @property
    def key_column(self) -> str:
        """The one column that TableDiff joins by."""
        return self.key[0] if len(self.key) == 1 else _KEY

    def text(self, alias: str, value: Any) -> str:
        """A value as text."""
        import pandas as pd
        from sqlglot import exp

        if pd.api.types.is_scalar(value) and pd.isna(value):
            return "null"
        # pandas turns whole numbers into floats where one is missing, and those beyond 2^53 are not what they were.
        if isinstance(value, float) and self.types[self.columns[alias]].is_type(*exp.DataType.INTEGER_TYPES):
            return str(int(value)) if abs(value) < 2**53 else f"about {value:g}"
        return str(value)


def _shown(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."


def _compared(
    databases: Databases, production: CompiledNode, review: CompiledNode, decimals: int, samples: int
) -> Comparison:
    from sqlmesh.core.table_diff import TableDiff

    dialect = databases.adapter.dialect
    theirs, ours = (databases.table(node) for node in (production, review))
    if theirs == ours:
        return Comparison(review.unique_id, problem="production's table and the review's are the same one")
    whole = TableDiff(databases.adapter, theirs.sql(dialect), ours.sql(dialect), on=list(review.key)).schema_diff()
    types = {name: kind for name, kind in whole.source_schema.items() if whole.target_schema.get(name) == kind}
    found = Comparison(
        review.unique_id,
        added_columns={name: kind.sql(dialect) for name, kind in whole.added},
        removed_columns={name: kind.sql(dialect) for name, kind in whole.removed},
        retyped_columns={name: (a.sql(dialect), b.sql(dialect)) for name, (a, b) in whole.modified.items()},
    )
    if found.retyped_columns:
        names = ", ".join(found.retyped_columns)
        found = replace(found, remarks=(f"values of columns of another type are not compared: {names}",))
    if not types:
        remarks = (*found.remarks, "no column is the same on both sides: rows are only counted")
        return replace(found, before=_count(databases, theirs), after=_count(databases, ours), remarks=remarks)
    pair = _pair(databases, (theirs, ours), types, review.key, decimals, samples)
    remark = _why_not(pair, review)
    if remark:
        if pair.key:
            pair = _pair(databases, (theirs, ours), types, (), decimals, samples)
        return _by_rows(pair, replace(found, remarks=(*found.remarks, remark)))
    return _by_key(pair, replace(found, key=tuple(pair.columns[alias] for alias in pair.key)))


def _pair(
    databases: Databases,
    tables: tuple[exp.Table, exp.Table],
    types: dict[str, exp.DataType],
    key: tuple[str, ...],
    decimals: int,
    samples: int,
) -> _Pair:
    """Make the two views; the key is empty where one of its columns is not shared."""
    columns = {f"c{number}": name for number, name in enumerate(types)}
    aliases = _aliases(columns, key)
    before, after = (databases.work_table(name) for name in ("before", "after"))
    pair = _Pair(
        databases, before, after, columns, types, aliases if len(aliases) == len(key) else (), decimals, samples
    )
    texts = {name for name, kind in types.items() if _needs_text(kind, decimals)}
    # TableDiff rounds floats; whole rows are counted without it.
    texts |= _odd_floats(pair, tables) if pair.key else set(_floats(types))
    for table, view in zip(tables, (before, after), strict=True):
        databases.adapter.drop_view(view, ignore_if_not_exists=True)
        databases.adapter.create_view(view, _plain(pair, table, texts))
    return pair


def _aliases(columns: dict[str, str], key: tuple[str, ...]) -> tuple[str, ...]:
    """Those of a key's columns that are shared; a name in another case counts only where it is unambiguous."""
    exact = {name: alias for alias, name in columns.items()}
    folded: dict[str, list[str]] = {}
    for alias, name in columns.items():
        folded.setdefault(name.lower(), []).append(alias)
    found = (exact.get(name) or (c[0] if len(c := folded.get(name.lower(), [])) == 1 else None) for name in key)
    return tuple(alias for alias in found if alias)


def _floats(types: dict[str, exp.DataType]) -> list[str]:
    from sqlglot import exp

    return [name for name, kind in types.items() if kind.is_type(*exp.DataType.FLOAT_TYPES)]


def _plain(pair: _Pair, table: exp.Table, texts: set[str]) -> exp.Select:
    """A query for the shared columns under their aliases, and for a key of several columns as one."""
    from sqlglot import exp

    dialect = pair.databases.adapter.dialect

    def plain(name: str) -> exp.Expr:
        column = exp.column(name, quoted=True)
        if name in texts and pair.types[name].is_type(*exp.DataType.FLOAT_TYPES):
            # Not every server has a function that rounds floats; the largest ones have no decimal places.
            scale = 10**pair.decimals
            rounded = exp.func("floor", column * scale + exp.Literal.number("0.5")) / scale
            return exp.cast(exp.case().when(_too_large(column), column).else_(rounded), "text")
        if name in texts and pair.types[name].is_type(*exp.DataType.REAL_TYPES) and dialect == "postgres":
            # A numeric without a precision keeps the zeros that it was written with.
            return exp.cast(exp.func("trim_scale", column), "text")
        return exp.cast(column, "text") if name in texts else column

    selected = {alias: plain(name) for alias, name in pair.columns.items()}
    if len(pair.key) > 1:
        parts = [exp.cast(selected[alias], "text") for alias in pair.key]
        # The length before each part keeps parts from running together.
        pieces = [piece for part in parts for piece in (exp.func("length", part), exp.Literal.string(":"), part)]
        selected[_KEY] = exp.func("concat", *pieces)
    return exp.select(*(expression.as_(alias) for alias, expression in selected.items())).from_(table)


def _needs_text(kind: exp.DataType, decimals: int) -> bool:
    """Whether TableDiff would round or refuse values of a type: decimals are exact, and nested ones have no equality everywhere."""
    from sqlglot import exp

    if kind.is_type(*exp.DataType.FLOAT_TYPES):
        return False
    if kind.is_type(*exp.DataType.REAL_TYPES):
        size = [int(param.name) for param in kind.expressions]
        # TableDiff casts to 38 digits, with ``decimals`` of them after the point.
        return len(size) != 2 or size[1] > decimals or size[0] - size[1] + decimals > 38
    return kind.is_type(*exp.DataType.NESTED_TYPES, "json", "jsonb", "xml")


def _odd_floats(pair: _Pair, tables: Iterable[exp.Table]) -> set[str]:
    """Floating-point columns with values that no decimal holds: NaN, which is larger than all numbers, infinity, or too large."""
    from sqlglot import exp

    floats = _floats(pair.types)
    odd: set[str] = set()
    for table in tables if floats else ():
        too_large = (_too_large(exp.column(name, quoted=True)) for name in floats)
        counts = (exp.Count(this=exp.case().when(large, exp.Literal.number(1))) for large in too_large)
        row = pair.databases.adapter.fetchone(exp.select(*counts).from_(table))
        assert row is not None
        odd |= {name for name, count in zip(floats, row, strict=True) if count}
    return odd


def _too_large(column: exp.Column) -> exp.Expr:
    from sqlglot import exp

    return exp.func("abs", column) >= exp.Literal.number("1e22")


def _why_not(pair: _Pair, review: CompiledNode) -> str | None:
    """Why rows cannot be matched by key; None where they can."""
    from sqlglot import exp

    if not review.key:
        return "the project names no key: whole rows are counted, and a changed row is one removed and one added"
    named = f"the key ({', '.join(review.key)}; {review.key_origin})"
    if not pair.key:
        return f"{named} is not on both sides with one type: whole rows are counted"
    for view, side in ((pair.before, "production"), (pair.after, "the review")):
        empty = exp.or_(*(exp.column(alias).is_(exp.null()) for alias in pair.key))
        distinct = exp.select(pair.key_column).distinct().from_(view).subquery("keys")
        nulls = _count(pair.databases, exp.select("*").from_(view).where(empty).subquery("empty"))
        repeated = _count(pair.databases, view) - _count(pair.databases, distinct)
        if nulls or repeated:
            return f"{named} has {nulls:,} nulls and {repeated:,} repeats in {side}: whole rows are counted"
    return None


def _by_key(pair: _Pair, found: Comparison) -> Comparison:
    from sqlmesh.core.table_diff import TableDiff

    adapter = pair.databases.adapter
    table_diff = TableDiff(
        adapter,
        pair.before.sql(adapter.dialect),
        pair.after.sql(adapter.dialect),
        on=[pair.key_column],
        # At least one row, since a limit of 0 is no limit.
        limit=max(pair.samples, 1),
        decimals=pair.decimals,
    )
    with warnings.catch_warnings():
        # SQLMesh uses what pandas 3 removes.
        warnings.simplefilter("ignore", FutureWarning)
        diff = table_diff.row_diff(temp_schema=pair.databases.work_schema, skip_grain_check=True)
    # Where no row is on both sides there are no shares.
    shares = diff.column_stats["pct_match"].items() if diff.join_count else ()
    return replace(
        found,
        before=diff.source_count,
        after=diff.target_count,
        added=diff.t_only_count,
        removed=diff.s_only_count,
        changed=diff.partial_match_count,
        columns={pair.columns[str(a)]: round(diff.join_count * (100 - float(p)) / 100) for a, p in shares if p < 100},
        samples=_sample_rows(pair, diff.sample),
    )


def _by_rows(pair: _Pair, found: Comparison) -> Comparison:
    """As multisets: how often each whole row occurs on either side."""
    from sqlglot import exp

    def only_in(one: exp.Table, other: exp.Table) -> exp.Subquery:
        rows = [exp.select(*pair.columns).from_(view) for view in (one, other)]
        return exp.except_(*rows, distinct=False).subquery("differing")

    differing = {"added": only_in(pair.after, pair.before), "removed": only_in(pair.before, pair.after)}
    samples = [
        SampleRow(
            change,
            {name: _shown(pair.text(alias, v)) for (alias, name), v in zip(pair.columns.items(), row, strict=True)},
        )
        for change, query in differing.items()
        for row in pair.databases.adapter.fetchall(exp.select(*pair.columns).from_(query).limit(max(pair.samples, 1)))
    ]
    return replace(
        found,
        before=_count(pair.databases, pair.before),
        after=_count(pair.databases, pair.after),
        added=_count(pair.databases, differing["added"]),
        removed=_count(pair.databases, differing["removed"]),
        samples=tuple(samples) if pair.samples else (),
    )


def _count(databases: Databases, source: exp.Expr) -> int:
    from sqlglot import exp

    row = databases.adapter.fetchone(exp.select(exp.Count(this=exp.Star())).from_(source))
    assert row is not None
    return int(row[0])


def _sample_rows(pair: _Pair, sample: pd.DataFrame) -> tuple[SampleRow, ...]:
    """Of each kind of change the first rows of TableDiff's sample, which has the columns of both sides, empty where a side has no row."""
    import pandas as pd

    found: dict[str, list[SampleRow]] = {"changed": [], "added": [], "removed": []}
    for row in sample.to_dict("records"):
        values = {alias: tuple(pair.text(alias, row[f"{side}__{alias}"]) for side in "st") for alias in pair.columns}
        # A key is never null.
        before, after = (not pd.isna(row[f"{side}__{pair.key[0]}"]) for side in "st")
        change = "changed" if before and after else "added" if after else "removed"
        found[change].append(
            SampleRow(
                change,
                {pair.columns[alias]: _shown(values[alias][0 if before else 1]) for alias in pair.key},
                {pair.columns[a]: (_shown(s), _shown(t)) for a, (s, t) in values.items() if s != t}
                if change == "changed"
                else {},
            )
        )
    return tuple(row for rows in found.values() for row in rows[: pair.samples])
