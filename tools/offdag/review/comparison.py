"""One table against production's: rows matched by key, differences counted by column, in one query over both tables.

SQLMesh compares the columns and their types; its TableDiff of rows leaves out columns whose type changed, rounds exact numbers, and
writes a wide temporary table, so that rows are counted here (docs/decisions.md).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from typing import TYPE_CHECKING

from offdag.artifacts.compiled import CompiledNode
from offdag.review.columns import SharedColumn, shared_columns
from offdag.review.databases import CASELESS, Databases, driver_message
from offdag.review.figures import Comparison, Precision, SampleRow, shown_value

if TYPE_CHECKING:
    from sqlglot import exp

# Columns without a key are compared one by one.
_MOST_WITHOUT_KEY = 60
# Removed columns times added ones: all are compared in one query.
_MOST_RENAMES = 100


@dataclass(frozen=True)
class Pair:
    """Both tables, and how their rows are matched.

    Attributes:
        databases: The connection that reads both.
        before: Production's table, or a query in its place.
        after: The review's.
        columns: The shared columns that can be compared.
        key: Those of them that identify a row; empty where none do.
        where: Rows that are compared on both sides; None for all.
        precision: How exactly.
    """

    databases: Databases
    before: exp.Table
    after: exp.Table
    columns: tuple[SharedColumn, ...]
    key: tuple[SharedColumn, ...]
    where: exp.Expr | None
    precision: Precision

    def side(self, table: exp.Table) -> exp.Select:
        """The shared columns of one table under their aliases."""
        from sqlglot import exp

        return self.of_rows(exp.select(*(column.value().as_(column.alias) for column in self.columns)).from_(table))

    def of_rows(self, query: exp.Select) -> exp.Select:
        """A query over one of the tables, for the rows that are compared."""
        return query.where(self.where) if self.where is not None else query

    def joined(self, kind: str, *selected: exp.Expr) -> exp.Select:
        """A query over the rows of both sides, ``a`` and ``b``, matched by key."""
        from sqlglot import exp

        before, after = (self.side(table) for table in (self.before, self.after))
        return (
            exp.select(*selected)
            .from_(before.subquery("a"))
            .join(after.subquery("b"), on=self.same_key, join_type=kind)
        )

    @property
    def same_key(self) -> exp.Expr:
        """Whether a row of ``a`` and one of ``b`` have the same key."""
        from sqlglot import exp

        return exp.and_(*(exp.column(c.alias, table="a").eq(exp.column(c.alias, table="b")) for c in self.key))

    def present(self, side: str) -> exp.Expr:
        """Whether a joined row has one side: a key is never null."""
        from sqlglot import exp

        return exp.Not(this=exp.column(self.key[0].alias, table=side).is_(exp.null()))

    @cached_property
    def differs(self) -> dict[str, exp.Expr]:
        """For each column besides the key, whether the values of two matched rows differ."""
        keys = {column.alias for column in self.key}
        decimals = self.precision.decimals
        return {column.alias: column.differs(decimals) for column in self.columns if column.alias not in keys}

    def named(self, alias: str) -> SharedColumn:
        return next(column for column in self.columns if column.alias == alias)


def compare(
    databases: Databases, production: CompiledNode, review: CompiledNode, precision: Precision
) -> tuple[Comparison, Pair | None]:
    """Compare one node's table with production's.

    Args:
        databases: The connection that reads both.
        production: The node in production's manifest.
        review: The same node in the review's, with the key.
        precision: How exactly, and what may be shown.

    Returns:
        The figures, or the problem that kept them from being found: one table's trouble never hides the others. The pair is for
        those who look closer; None where rows were not compared.
    """
    theirs, ours = (databases.table(node) for node in (production, review))
    if theirs == ours:
        return Comparison(review.unique_id, problem="production's table and the review's are the same one"), None
    # A mark that the change removes still hides what production holds.
    hidden = precision.hidden | production.private_columns | review.private_columns
    precision = replace(precision, hidden=hidden)
    return compare_relations(databases, (theirs, ours), review, precision)


def compare_relations(
    databases: Databases, tables: tuple[exp.Table, exp.Table], node: CompiledNode, precision: Precision
) -> tuple[Comparison, Pair | None]:
    """Compare two relations as one node's; see :func:`compare`."""
    # Drivers, SQLMesh and sqlglot raise many classes of errors.
    try:
        return _compared(databases, tables, node, precision)
    except Exception as error:
        return Comparison(node.unique_id, problem=driver_message(error)), None


def _compared(
    databases: Databases, tables: tuple[exp.Table, exp.Table], node: CompiledNode, precision: Precision
) -> tuple[Comparison, Pair | None]:
    from sqlmesh.core.table_diff import TableDiff

    dialect = databases.dialect
    before, after = (table.sql(dialect) for table in tables)
    is_caseless = dialect in CASELESS
    differ = TableDiff(databases.adapter, before, after, on=list(node.key), schema_diff_ignore_case=is_caseless)
    schemas = differ.schema_diff()
    theirs, ours = schemas.source_schema, schemas.target_schema
    if is_caseless:
        names = {name.lower(): name for name in ours}
        theirs = {names.get(name.lower(), name): kind for name, kind in theirs.items()}
    where, unread = _snapshot_rows(node)
    columns, unknown = shared_columns(
        *({name: kind for name, kind in schema.items() if name.lower() not in unread} for schema in (theirs, ours))
    )
    found = Comparison(
        node.unique_id,
        unknown_columns=unknown,
        added_columns={name: kind.sql(dialect) for name, kind in schemas.added},
        removed_columns={name: kind.sql(dialect) for name, kind in schemas.removed},
        retyped_columns={name: (a.sql(dialect), b.sql(dialect)) for name, (a, b) in schemas.modified.items()},
        remarks=_cast_remarks(columns),
    )
    pair = Pair(databases, *tables, tuple(columns), _key_columns(columns, node.key), where, precision)
    if not columns:
        counts = [int(databases.row(exp_count(table))[0]) for table in tables]
        remark = "no column is comparable on both sides: rows are only counted"
        return replace(found, before=counts[0], after=counts[1], remarks=(*found.remarks, remark)), None
    pair, found = _comparable(pair, found)
    why_not = _why_not(pair, node)
    if why_not:
        return _by_rows(replace(pair, key=()), replace(found, remarks=(*found.remarks, why_not))), None
    found = _by_key(pair, replace(found, key=tuple(column.name for column in pair.key)))
    renamed, remarks = _renamed(pair, found, (theirs, ours))
    return replace(found, renamed_columns=renamed, remarks=(*found.remarks, *remarks)), pair


def exp_count(source: exp.Expr) -> exp.Select:
    """A query for the number of rows."""
    from sqlglot import exp

    return exp.select(exp.Count(this=exp.Star())).from_(source)


def count_where(condition: exp.Expr) -> exp.Expr:
    """The number of rows for which a condition holds."""
    from sqlglot import exp

    return exp.Count(this=exp.case().when(condition, exp.Literal.number(1)))


def _snapshot_rows(node: CompiledNode) -> tuple[exp.Expr | None, set[str]]:
    """Which rows of a snapshot are compared, and which columns are not: its current rows, without dbt's own times and keys."""
    import json

    from sqlglot import exp

    if node.resource_type != "snapshot":
        return None, set()
    config = json.loads(node.config)
    renamed = config.get("snapshot_meta_column_names") or {}
    own = ("dbt_valid_from", "dbt_valid_to", "dbt_scd_id", "dbt_updated_at")
    valid_to = exp.column(renamed.get("dbt_valid_to") or "dbt_valid_to")
    current: exp.Expr = valid_to.is_(exp.null())
    if config.get("dbt_valid_to_current"):
        current = exp.or_(current, valid_to.copy().eq(exp.maybe_parse(str(config["dbt_valid_to_current"]))))
    return current, {str(renamed.get(name) or name).lower() for name in own}


def _cast_remarks(columns: list[SharedColumn]) -> tuple[str, ...]:
    named = ", ".join(column.name for column in columns if column.is_retyped and column.cast == "text")
    return (f"of another type, and compared as text: {named}",) if named else ()


def _key_columns(columns: list[SharedColumn], key: tuple[str, ...]) -> tuple[SharedColumn, ...]:
    """The key's columns, where all are shared; a name in another case counts only where it is unambiguous."""
    exact = {column.name: column for column in columns}
    folded: dict[str, list[SharedColumn]] = {}
    for column in columns:
        folded.setdefault(column.name.lower(), []).append(column)
    found = [exact.get(name) or (c[0] if len(c := folded.get(name.lower(), [])) == 1 else None) for name in key]
    return tuple(column for column in found if column) if all(found) else ()


def _comparable(pair: Pair, found: Comparison) -> tuple[Pair, Comparison]:
    """Without the columns that the warehouse itself cannot compare: they are unknown, and the others are not."""
    from sqlglot import exp

    def planned(columns: tuple[SharedColumn, ...]) -> str | None:
        """The warehouse's error for a comparison of no rows."""
        tried = replace(pair, columns=columns, key=())
        sides = [tried.side(table).limit(0).subquery(name) for table, name in ((pair.before, "a"), (pair.after, "b"))]
        conditions = [column.differs(pair.precision.decimals) for column in columns]
        counted = [count_where(condition) for condition in conditions]
        try:
            pair.databases.row(exp.select(*counted).from_(sides[0]).join(sides[1], join_type="cross"))
        except Exception as error:
            return driver_message(error)
        return None

    if planned(pair.columns) is None:
        return pair, found
    problems = {column.name: problem for column in pair.columns if (problem := planned((column,)))}
    columns = tuple(column for column in pair.columns if column.name not in problems)
    key = pair.key if all(column in columns for column in pair.key) else ()
    return replace(pair, columns=columns, key=key), replace(found, unknown_columns=found.unknown_columns | problems)


def _why_not(pair: Pair, node: CompiledNode) -> str | None:
    """Why rows cannot be matched by key; None where they can."""
    from sqlglot import exp

    if not node.key:
        return "the project names no key: whole rows are counted, and a changed row is one removed and one added"
    named = f"the key ({', '.join(node.key)}; {node.key_origin})"
    if not pair.key:
        return f"{named} is not comparable on both sides: whole rows are counted"
    keys = replace(pair, columns=pair.key)
    for table, side in ((pair.before, "production"), (pair.after, "the review")):
        rows = keys.side(table)
        empty = exp.or_(*(exp.column(column.alias).is_(exp.null()) for column in pair.key))
        counts = exp.select(exp.Count(this=exp.Star()), count_where(empty)).from_(rows.subquery("keys"))
        total, without = map(int, pair.databases.row(counts))
        distinct = rows.copy().distinct().subquery("keys")
        different = int(pair.databases.row(exp_count(distinct).where(exp.Not(this=exp.paren(empty.copy()))))[0])
        repeated = total - without - different
        if without or repeated:
            return f"{named} has {without:,} nulls and {repeated:,} repeats in {side}: whole rows are counted"
    return None


def _by_key(pair: Pair, found: Comparison) -> Comparison:
    from sqlglot import exp

    inner = pair.joined(
        "full",
        exp.Not(this=pair.present("a")).as_("is_added"),
        exp.Not(this=pair.present("b")).as_("is_removed"),
        *(
            exp.and_(pair.present("a"), pair.present("b"), differs).as_(alias)
            for alias, differs in pair.differs.items()
        ),
    )
    flags = [exp.column(alias) for alias in pair.differs]
    query = exp.select(
        exp.Count(this=exp.Star()),
        count_where(exp.column("is_added")),
        count_where(exp.column("is_removed")),
        count_where(exp.or_(*flags)) if flags else exp.Literal.number(0),
        *(count_where(flag.copy()) for flag in flags),
    ).from_(inner.subquery("rows_of_both"))
    rows, added, removed, changed, *by_column = map(int, pair.databases.row(query))
    return replace(
        found,
        before=rows - added,
        after=rows - removed,
        added=added,
        removed=removed,
        changed=changed,
        columns={pair.named(a).name: n for a, n in zip(pair.differs, by_column, strict=True) if n},
    )


def _by_rows(pair: Pair, found: Comparison) -> Comparison:
    """As multisets: how often each whole row, and each value of a column, occurs on either side."""
    from sqlglot import exp

    def more_often(columns: tuple[SharedColumn, ...]) -> exp.Subquery:
        """Each combination of values with how much more often the review has it."""
        names = [column.alias for column in columns]
        sides = [
            pair.of_rows(
                exp.select(
                    *(column.rounded(pair.precision.decimals).as_(column.alias) for column in columns),
                    exp.Literal.number(sign).as_("weight"),
                ).from_(table)
            )
            for table, sign in ((pair.before, -1), (pair.after, 1))
        ]
        both = exp.union(*sides, distinct=False).subquery("rows_of_both")
        surplus = exp.Sum(this=exp.column("weight")).as_("surplus")
        return exp.select(*names, surplus).from_(both).group_by(*names).subquery("surpluses")

    def sums(columns: tuple[SharedColumn, ...]) -> tuple[int, int]:
        surplus = exp.column("surplus")
        positive = [
            exp.Sum(this=exp.case().when(condition, value).else_(exp.Literal.number(0)))
            for condition, value in ((surplus > 0, surplus), (surplus < 0, exp.Neg(this=surplus)))
        ]
        added, removed = pair.databases.row(exp.select(*positive).from_(more_often(columns)))
        return int(added or 0), int(removed or 0)

    added, removed = sums(pair.columns)
    if (added or removed) and len(pair.columns) > _MOST_WITHOUT_KEY:
        remark = f"the first {_MOST_WITHOUT_KEY} of {len(pair.columns)} columns are compared one by one, and all in whole rows"
        found = replace(found, remarks=(*found.remarks, remark))
    by_column = {
        column.name: max(sums((column,))) for column in (pair.columns[:_MOST_WITHOUT_KEY] if added or removed else ())
    }
    counts = [int(pair.databases.row(pair.of_rows(exp_count(table)))[0]) for table in (pair.before, pair.after)]
    samples: list[SampleRow] = []
    if pair.precision.samples and (added or removed):
        shown = [column for column in pair.columns if pair.precision.shows(column.name)]
        for change, condition in (("added", exp.column("surplus") > 0), ("removed", exp.column("surplus") < 0)):
            query = exp.select(*(c.alias for c in shown)).from_(more_often(pair.columns)).where(condition)
            query = query.order_by(*(column.alias for column in shown)).limit(pair.precision.samples)
            samples += [
                SampleRow(change, {c.name: shown_value(v) for c, v in zip(shown, row, strict=True)})
                for row in pair.databases.rows(query)
            ]
    return replace(
        found,
        before=counts[0],
        after=counts[1],
        added=added,
        removed=removed,
        columns={name: count for name, count in by_column.items() if count},
        samples=tuple(samples),
    )


def _renamed(
    pair: Pair, found: Comparison, schemas: tuple[dict[str, exp.DataType], dict[str, exp.DataType]]
) -> tuple[dict[str, str], list[str]]:
    """Removed columns whose values are in an added one, on every matched row and not all null; and remarks."""
    from sqlglot import exp

    removed, added = list(found.removed_columns), list(found.added_columns)
    if len(removed) * len(added) > _MOST_RENAMES:
        return {}, [f"{len(removed)} columns are gone and {len(added)} new: which of them were renamed is not compared"]
    candidates: dict[tuple[str, str], SharedColumn] = {}
    for number, (old, new) in enumerate(product(removed, added)):
        shared, _ = shared_columns({"x": schemas[0][old]}, {"x": schemas[1][new]})
        if shared and not (shared[0].is_retyped and not shared[0].is_number):
            candidates[old, new] = replace(shared[0], alias=f"renamed_{number}")
    if not candidates:
        return {}, []
    keys = [column.value().as_(column.alias) for column in pair.key]
    before, after = (
        pair.of_rows(
            exp.select(
                *keys, *(replace(c, name=names[i]).value().as_(c.alias) for names, c in candidates.items())
            ).from_(t)
        )
        for i, t in enumerate((pair.before, pair.after))
    )
    counted = [
        count
        for c in candidates.values()
        for count in (
            count_where(c.differs(pair.precision.decimals)),
            exp.Count(this=exp.column(c.alias, table="a")),
        )
    ]
    joined = exp.select(*counted).from_(before.subquery("a")).join(after.subquery("b"), on=pair.same_key)
    counts = pair.databases.row(joined)
    renamed: dict[str, str] = {}
    for (old, new), different, filled in zip(candidates, counts[::2], counts[1::2], strict=True):
        if not different and filled and old not in renamed and new not in renamed.values():
            renamed[old] = new
    return renamed, []
