"""A closer look at columns that differ: the kind of each change, both profiles, the values that were mapped, a query to copy."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from offdag.review.columns import SharedColumn
from offdag.review.comparison import Pair, count_where
from offdag.review.figures import ColumnDetail, Comparison, Profile, SampleRow, shown_value

if TYPE_CHECKING:
    from sqlglot import exp

# Columns of one table that are examined, those with the most differing rows first.
_MOST_COLUMNS = 6
# More pairs of values explain nothing.
_MOST_PAIRS = 5
_MOST_ROWS_OF_QUERY = 100


def detailed(pair: Pair, found: Comparison) -> Comparison:
    """Add details and sample rows to the figures of two tables whose rows were matched by key.

    Args:
        pair: Both tables.
        found: Their figures.

    Raises:
        Exception: Drivers raise many classes of errors.
    """
    by_name = {column.name: column for column in pair.columns}
    most = sorted(found.columns, key=lambda name: -found.columns[name])[:_MOST_COLUMNS]
    columns = [by_name[name] for name in most]
    kinds = _kinds(pair, columns) if columns else {}
    before, after = (_profiles(pair, table, columns) for table in (pair.before, pair.after))
    details = {
        column.name: ColumnDetail(
            kinds=kinds[column.name],
            before=before[column.name],
            after=after[column.name],
            mapping=_mapping(pair, column),
            query=_query(pair, column),
        )
        for column in columns
    }
    return replace(found, details=details, samples=_samples(pair, found) if pair.precision.samples else ())


def _kinds(pair: Pair, columns: list[SharedColumn]) -> dict[str, dict[str, int]]:
    """Number of rows by kind of change, by column."""
    from sqlglot import exp

    counted: list[exp.Expr] = []
    named: list[tuple[str, str]] = []
    for column in columns:
        case = exp.case()
        kinds = _conditions(column)
        for number, (_, condition) in enumerate(kinds):
            case = case.when(condition, exp.Literal.number(number))
        kind = case.else_(exp.Literal.number(len(kinds)))
        for number, name in enumerate([*(name for name, _ in kinds), "another value"]):
            is_this = exp.and_(pair.differs[column.alias].copy(), kind.copy().eq(number))
            counted.append(count_where(is_this))
            named.append((column.name, name))
    found: dict[str, dict[str, int]] = {column.name: {} for column in columns}
    for (column_name, kind_name), count in zip(named, pair.databases.row(pair.joined("inner", *counted)), strict=True):
        if count:
            found[column_name][kind_name] = int(count)
    return found


def _conditions(column: SharedColumn) -> list[tuple[str, exp.Expr]]:
    """Kinds of change of one column; the first that fits counts."""
    from sqlglot import exp

    a, b = exp.column(column.alias, table="a"), exp.column(column.alias, table="b")
    found: list[tuple[str, exp.Expr]] = [("became null", b.is_(exp.null())), ("was null", a.is_(exp.null()))]
    if column.is_number:
        found.append(("the sign changed", a.copy().eq(exp.Neg(this=b.copy()))))
        # Floats beyond the precision of a double have no places to round.
        one, other = (exp.cast(value.copy(), "double") for value in (a, b))
        small = exp.func("abs", one.copy()) < exp.Literal.number("1e12")
        rounded = [
            exp.func(
                "abs",
                exp.paren(
                    exp.func("floor", one.copy() * 10**places + exp.Literal.number("0.5")) / 10**places - other.copy()
                ),
            )
            < exp.Literal.number("1e-9")
            for places in range(5)
        ]
        found.append(("was rounded", exp.and_(small, exp.paren(exp.or_(*rounded)))))
    if column.is_text:
        plain = [exp.func("lower", exp.func("trim", value.copy())) for value in (a, b)]
        found.append(("only case or spaces", plain[0].eq(plain[1])))
    return found


def _profiles(pair: Pair, table: exp.Table, columns: list[SharedColumn]) -> dict[str, Profile]:
    from sqlglot import exp

    if not columns:
        return {}
    selected: list[exp.Expr] = [exp.Count(this=exp.Star())]
    for column in columns:
        value = exp.column(column.alias)
        shows = pair.precision.shows(column.name) and (column.is_number or column.is_time)
        ends: list[exp.Expr] = (
            [exp.Min(this=value.copy()), exp.Max(this=value.copy())] if shows else [exp.null(), exp.null()]
        )
        mean = exp.Avg(this=exp.cast(value.copy(), "double")) if shows and column.is_number else exp.null()
        selected += [
            exp.Count(this=value.copy()),
            exp.Count(this=exp.Distinct(expressions=[value.copy()])),
            *ends,
            mean,
        ]
    rows, *figures = pair.databases.row(exp.select(*selected).from_(pair.side(table).subquery("profiled")))
    found = {}
    for number, column in enumerate(columns):
        filled, distinct, least, greatest, mean = figures[number * 5 : number * 5 + 5]
        found[column.name] = Profile(
            rows=int(rows),
            nulls=int(rows) - int(filled),
            distinct=int(distinct),
            least=_figure(least),
            greatest=_figure(greatest),
            mean=_figure(mean),
        )
    return found


def _figure(value: Any) -> str | None:
    if value is None:
        return None
    return f"{value:.6g}" if isinstance(value, float) else shown_value(value)


def _mapping(pair: Pair, column: SharedColumn) -> tuple[tuple[str, str, int], ...]:
    """The pairs of values of the rows that differ; none where there are many, or where values may not be shown."""
    from sqlglot import exp

    if not pair.precision.samples or not pair.precision.shows(column.name):
        return ()
    a, b = (exp.column(column.alias, table=side) for side in "ab")
    count = exp.Count(this=exp.Star())
    query = pair.joined("inner", a.as_("before"), b.as_("after"), count.as_("n")).where(
        pair.differs[column.alias].copy()
    )
    query = query.group_by(a.copy(), b.copy()).order_by(exp.column("n").desc()).limit(_MOST_PAIRS + 1)
    rows = pair.databases.rows(query)
    if len(rows) > _MOST_PAIRS:
        return ()
    return tuple((shown_value(before), shown_value(after), int(n)) for before, after, n in rows)


def _query(pair: Pair, column: SharedColumn) -> str:
    from sqlglot import exp

    keys = [exp.column(key.name, table="a", quoted=True) for key in pair.key]
    a, b = (exp.column(column.name, table=side, quoted=True) for side in "ab")
    on = exp.and_(*(key.eq(exp.column(key.name, table="b", quoted=True)) for key in keys))
    differs = replace(column, alias=column.name).differs(pair.precision.decimals)
    for found in differs.find_all(exp.Column):
        found.this.set("quoted", True)
    query = (
        exp.select(*(key.copy() for key in keys), a.as_("before"), b.as_("after"))
        .from_(pair.before.as_("a"))
        .join(pair.after.as_("b"), on=on)
        .where(exp.NullSafeNEQ(this=a.copy(), expression=b.copy()) if not column.is_float else differs)
        .order_by(*(key.copy() for key in keys))
        .limit(_MOST_ROWS_OF_QUERY)
    )
    return query.sql(pair.databases.dialect)


def _samples(pair: Pair, found: Comparison) -> tuple[SampleRow, ...]:
    """The first rows by key of each kind of change."""
    from sqlglot import exp

    limit = pair.precision.samples
    key = [column for column in pair.key if pair.precision.shows(column.name)]
    by_name = {column.name: column for column in pair.columns}
    differing = [by_name[name] for name in found.columns if pair.precision.shows(name)]

    def rows(kind: str, side: str, condition: exp.Expr, *more: exp.Expr) -> list[tuple[Any, ...]]:
        order = [exp.column(column.alias, table=side) for column in pair.key]
        selected = [exp.column(column.alias, table=side) for column in key]
        query = pair.joined(kind, *selected, *more).where(condition).order_by(*order).limit(limit)
        return pair.databases.rows(query) if selected or more else []

    samples: list[SampleRow] = []
    if found.changed:
        both = [
            value
            for column in differing
            for value in (
                *(exp.column(column.alias, table=side).as_(f"{side}_{column.alias}") for side in "ab"),
                pair.differs[column.alias].copy().as_(f"d_{column.alias}"),
            )
        ]
        for row in rows("inner", "a", exp.or_(*(e.copy() for e in pair.differs.values())), *both):
            values = row[len(key) :]
            triples = zip(differing, values[::3], values[1::3], values[2::3], strict=True)
            shown = {c.name: (shown_value(a), shown_value(b)) for c, a, b, is_different in triples if is_different}
            samples.append(SampleRow("changed", _key_values(key, row), shown))
    if found.added:
        missing = exp.Not(this=pair.present("a"))
        samples += [SampleRow("added", _key_values(key, row)) for row in rows("right", "b", missing)]
    if found.removed:
        missing = exp.Not(this=pair.present("b"))
        samples += [SampleRow("removed", _key_values(key, row)) for row in rows("left", "a", missing)]
    return tuple(samples)


def _key_values(key: Iterable[SharedColumn], row: tuple[Any, ...]) -> dict[str, str]:
    return {column.name: shown_value(value) for column, value in zip(key, row, strict=False)}
