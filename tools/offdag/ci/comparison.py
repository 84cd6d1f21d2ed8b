"""One table against production's, by SQLMesh's TableDiff, with what it needs around it to be right.

TableDiff leaves out columns whose type changed, multiplies rows of a repeated key, drops rows of an empty one, and fails on NaN and on
upper-case keys. So it is given views: shared columns alone, under plain names, numbers with a fraction as text; and a key that is
not one is not used.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from offdag.artifacts.compiled import CompiledNode
from offdag.ci.databases import Databases

if TYPE_CHECKING:
    import pandas as pd
    from sqlglot import exp

_KEY_AND_ROWS = "rows with the same key"
_ROWS_ALONE = "whole rows"


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
        databases: Where both lie.
        production: The node in production's manifest.
        review: The same node in the review's; tells the key.
        decimals: Places behind the point up to which floating-point numbers have to agree; other types have to be equal.
        samples: At most so many rows of each kind of change.

    Returns:
        The figures, or the problem that kept them from being found: one table's trouble never hides the others.
    """
    # Drivers, SQLMesh and sqlglot raise errors of their own, of many kinds.
    try:
        return _compared(databases, production, review, decimals, samples)
    except Exception as error:
        reason = next(iter(str(error).strip().splitlines()), "") or type(error).__name__
        return Comparison(review.unique_id, problem=reason[:300])


def _compared(
    databases: Databases, production: CompiledNode, review: CompiledNode, decimals: int, samples: int
) -> Comparison:
    from sqlmesh.core.table_diff import TableDiff

    adapter, dialect = databases.adapter, databases.adapter.dialect
    tables = [databases.table(node) for node in (production, review)]
    theirs, ours = tables
    whole = TableDiff(adapter, theirs.sql(dialect), ours.sql(dialect), on=list(review.key)).schema_diff()
    shared = [name for name, kind in whole.source_schema.items() if whole.target_schema.get(name) == kind]
    found = Comparison(
        review.unique_id,
        added_columns={name: kind.sql(dialect) for name, kind in whole.added},
        removed_columns={name: kind.sql(dialect) for name, kind in whole.removed},
        retyped_columns={name: (a.sql(dialect), b.sql(dialect)) for name, (a, b) in whole.modified.items()},
    )
    if found.retyped_columns:
        names = ", ".join(found.retyped_columns)
        found = replace(found, remarks=(f"values of columns of another type are not compared: {names}",))
    views = [databases.work_table(name) for name in ("before", "after")]
    columns = {f"c{number}": name for number, name in enumerate(shared)}
    for table, view in zip(tables, views, strict=True):
        adapter.drop_view(view, ignore_if_not_exists=True)
        if shared:
            adapter.create_view(view, _plain(table, columns, whole.source_schema, decimals, dialect))
    if not shared:
        counts = [_count(databases, table) for table in tables]
        remarks = (*found.remarks, "no column is the same on both sides: rows are only counted")
        return replace(found, before=counts[0], after=counts[1], remarks=remarks)
    key, remark = _usable_key(databases, review, columns, views)
    if remark:
        found = replace(found, remarks=(*found.remarks, remark))
    method = _by_key if key else _by_rows
    return method(databases, views, columns, key, samples, replace(found, key=tuple(columns[c] for c in key)))


def _plain(
    table: exp.Table, columns: dict[str, str], types: dict[str, exp.DataType], decimals: int, dialect: str
) -> exp.Select:
    """A query for the shared columns under plain names; values that TableDiff cannot compare become text."""
    from sqlglot import exp

    def plain(name: str) -> exp.Expr:
        column, kind = exp.column(name, quoted=True), types[name]
        if kind.is_type(*exp.DataType.FLOAT_TYPES):
            # Postgres rounds exact numbers alone; they know NaN and infinity too.
            exact = exp.cast(column, "decimal") if dialect == "postgres" else column
            # Plus zero, since there is a negative zero.
            return exp.cast(exp.func("round", exact, exp.Literal.number(decimals)) + 0, "text")
        if kind.is_type(*exp.DataType.REAL_TYPES, *exp.DataType.NESTED_TYPES, "json", "jsonb", "xml"):
            return exp.cast(column, "text")
        return column

    return exp.select(*(plain(name).as_(alias) for alias, name in columns.items())).from_(table)


def _usable_key(
    databases: Databases, review: CompiledNode, columns: dict[str, str], views: Iterable[exp.Table]
) -> tuple[list[str], str | None]:
    """The key under its plain names; none, and why, where it does not name rows on both sides."""
    from sqlglot import exp

    if not review.key:
        return [], "the project tells no key: whole rows are counted, and a changed row is one removed and one added"
    by_name = {name.lower(): alias for alias, name in columns.items()}
    key = [by_name.get(name.lower(), "") for name in review.key]
    named = f"the key ({', '.join(review.key)}; {review.key_origin})"
    if not all(key):
        return [], f"{named} is not on both sides with one type: whole rows are counted"
    for view, side in zip(views, ("production", "the review"), strict=True):
        empty = exp.or_(*(exp.column(c).is_(exp.null()) for c in key))
        distinct = exp.select(*key).distinct().from_(view).subquery("keys")
        nulls = _count(databases, exp.select("*").from_(view).where(empty).subquery("rows_"))
        repeated = _count(databases, view) - _count(databases, distinct)
        if nulls or repeated:
            return [], f"{named} has {nulls:,} nulls and {repeated:,} repeats in {side}: whole rows are counted"
    return key, None


def _by_key(
    databases: Databases,
    views: list[exp.Table],
    columns: dict[str, str],
    key: list[str],
    samples: int,
    found: Comparison,
) -> Comparison:
    from sqlmesh.core.table_diff import TableDiff

    dialect = databases.adapter.dialect
    before, after = (view.sql(dialect) for view in views)
    # One more row than none, since a limit of none is no limit.
    table_diff = TableDiff(databases.adapter, before, after, on=key, limit=max(samples, 1))
    diff = table_diff.row_diff(temp_schema=databases.work_schema, skip_grain_check=True)
    matches = {str(name): float(share) for name, share in diff.column_stats["pct_match"].items()}
    unequal = {
        columns[alias]: round(diff.join_count * (100 - share) / 100)
        for alias, share in matches.items()
        if diff.join_count and share < 100
    }
    return replace(
        found,
        before=diff.source_count,
        after=diff.target_count,
        added=diff.t_only_count,
        removed=diff.s_only_count,
        changed=diff.partial_match_count,
        columns=unequal,
        samples=(
            *_sample_rows("changed", diff.joined_sample, columns, key, samples),
            *_sample_rows("added", diff.t_sample, columns, key, samples),
            *_sample_rows("removed", diff.s_sample, columns, key, samples),
        ),
    )


def _by_rows(
    databases: Databases,
    views: list[exp.Table],
    columns: dict[str, str],
    _key: list[str],
    samples: int,
    found: Comparison,
) -> Comparison:
    """As multisets: how often each whole row occurs on either side."""
    from sqlglot import exp

    def only_in(one: exp.Table, other: exp.Table) -> exp.Subquery:
        rows = [exp.select(*columns).from_(view) for view in (one, other)]
        return exp.except_(*rows, distinct=False).subquery("only")

    before, after = views
    added, removed = only_in(after, before), only_in(before, after)
    rows: list[SampleRow] = []
    for change, query in (("added", added), ("removed", removed)):
        frame = databases.adapter.fetchdf(exp.select(*columns).from_(query).limit(max(samples, 1)))
        rows += _sample_rows(change, frame, columns, list(columns), samples)
    return replace(
        found,
        before=_count(databases, before),
        after=_count(databases, after),
        added=_count(databases, added),
        removed=_count(databases, removed),
        samples=tuple(rows),
    )


def _count(databases: Databases, source: exp.Expr) -> int:
    from sqlglot import exp

    row = databases.adapter.fetchone(exp.select(exp.Count(this=exp.Star())).from_(source))
    assert row is not None
    return int(row[0])


def _sample_rows(
    change: str, frame: pd.DataFrame, columns: dict[str, str], key: list[str], samples: int
) -> list[SampleRow]:
    rows = []
    for row in frame.head(samples).to_dict("records"):
        pairs = {alias: (row.get(f"s__{alias}"), row.get(f"t__{alias}")) for alias in columns if f"t__{alias}" in row}
        rows.append(
            SampleRow(
                change,
                {columns[alias]: _shown(row[alias]) for alias in key},
                {columns[a]: (_shown(s), _shown(t)) for a, (s, t) in pairs.items() if a not in key and s != t},
            )
        )
    return rows


def _shown(value: Any) -> str:
    import pandas as pd

    text = "null" if pd.api.types.is_scalar(value) and pd.isna(value) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
