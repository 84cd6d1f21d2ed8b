"""Which columns of its inputs a query's columns and rows come from, by sqlglot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from offdag.errors import first_line

if TYPE_CHECKING:
    from sqlglot import exp
    from sqlglot.lineage import Node
    from sqlglot.optimizer.scope import Scope

# A table as (catalog, schema, name), in lower case; a column of it, in lower case.
Table = tuple[str, str, str]
ColumnOf = tuple[Table, str]

# sqlglot's name where it is not the adapter's.
_DIALECTS = {"sqlserver": "tsql", "synapse": "tsql", "glue": "spark"}
# Table functions that read no data.
_OF_NO_DATA = ("unnest", "generate_series", "range", "generate_array", "flatten", "explode")
# Parts of a query that decide which rows there are; windows are listed apart from the columns that use them.
_DECIDING = ("where", "joins", "laterals", "group", "having", "qualify", "windows")


class NoLineage(Exception):
    """The query cannot be read column by column."""


@dataclass(frozen=True)
class QueryLineage:
    """Where a query's data comes from.

    Attributes:
        columns: Columns of tables that each output column comes from, by the output column's name in lower case.
        rows: Columns of tables that filters, joins, grouping, distinct, limits and set operations use: they decide the rows.
        tables: Every table that is read.
    """

    columns: dict[str, set[ColumnOf]]
    rows: set[ColumnOf]
    tables: set[Table]


def sqlglot_dialect(adapter_type: str | None) -> str | None:
    """Sqlglot's name of the SQL of an adapter; None for none in particular."""
    return _DIALECTS.get(adapter_type or "", adapter_type)


def relations_read(code: str, dialect: str | None) -> set[tuple[str, str]] | None:
    """Schema and name, in lower case, of the relations that a query names; functions that read files are among them.

    Returns:
        None where sqlglot cannot read the query.
    """
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import SqlglotError
    from sqlglot.optimizer.scope import traverse_scope

    try:
        scopes = traverse_scope(sqlglot.parse_one(code, dialect=dialect))
    except (SqlglotError, ValueError, RecursionError):
        return None
    found = set()
    for source in (source for scope in scopes for source in scope.sources.values()):
        if isinstance(source, exp.Table):
            name = source.name or source.this.sql(dialect)
            if not isinstance(source.this, exp.Identifier) and source.this.name.lower() in _OF_NO_DATA:
                continue
            found.add((source.db.lower(), name.lower()))
    return found


def query_lineage(code: str, dialect: str | None, columns: Mapping[Table, list[str]]) -> QueryLineage:
    """Trace every output column of a query to its tables.

    Args:
        code: One select statement, compiled.
        dialect: sqlglot's name of it; None for none in particular.
        columns: Names of each table's columns, as far as they are known: needed to resolve ``*`` and columns without a table.

    Raises:
        NoLineage: It is not a select statement that sqlglot reads, or a column's table is unknown.
    """
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import SqlglotError
    from sqlglot.lineage import lineage
    from sqlglot.optimizer.qualify import qualify
    from sqlglot.optimizer.scope import traverse_scope

    schema: dict[str, Any] = {}
    for (catalog, db, name), names in columns.items():
        # The types do not matter here.
        schema.setdefault(catalog, {}).setdefault(db, {})[name] = dict.fromkeys((n.lower() for n in names), "text")
    try:
        expression = sqlglot.parse_one(code, dialect=dialect)
        for identifier in expression.find_all(exp.Identifier):
            identifier.set("this", identifier.name.lower())
        qualified = qualify(expression, dialect=dialect, schema=schema, validate_qualify_columns=False, identify=False)
        # Parts before the whole.
        scopes = traverse_scope(qualified)
        if not scopes or not isinstance(scopes[-1].expression, exp.Query):
            raise NoLineage("it is not a select statement")
        _check_resolved(qualified, scopes)
        outputs = lineage(None, qualified, dialect=dialect, scope=scopes[-1], trim_selects=False, copy=False)
        found = {name: set(_leaves(node)) for name, node in outputs.items()}
        rows = {leaf for scope in scopes for leaf in _deciding(scope, scopes, dialect)}
        tables = {_name(table) for scope in scopes for table in _tables(scope)}
    except (SqlglotError, ValueError, KeyError, RecursionError) as error:
        raise NoLineage(first_line(error)) from error
    return QueryLineage(found, rows, tables)


def _leaves(node: Node) -> Iterator[ColumnOf]:
    from sqlglot import exp

    for inner in node.walk():
        if isinstance(inner.expression, exp.Table):
            yield _name(inner.expression), inner.name.rpartition(".")[2].strip('"`').lower()


def _check_resolved(query: exp.Expr, scopes: list[Scope]) -> None:
    """Refuse a query in which a column's table is not known: what reads it would seem untouched.

    Raises:
        NoLineage: There is such a column.
    """
    from sqlglot import exp

    if any(not isinstance(star.parent, exp.Count) for star in query.find_all(exp.Star)) or query.find(exp.Columns):
        raise NoLineage("the columns behind a * are not known")
    for scope in scopes:
        if isinstance(scope.expression, exp.Query):
            outputs = [column for select in scope.expression.selects for column in select.find_all(exp.Column)]
            # Elsewhere a name may be an output's.
            others = [column for column in scope.columns if column.name not in scope.expression.named_selects]
            for column in (c for c in (*outputs, *others) if not c.table):
                raise NoLineage(f"it is unknown which table has the column {column.name}")


def _deciding(scope: Scope, scopes: list[Scope], dialect: str | None) -> Iterator[ColumnOf]:
    """Columns of tables that decide which rows a part of a query gives."""
    # A recursive part refers to a copy of its first part, which lacks that part's tables.
    whole = {id(other.expression): other for other in scopes}
    for column in _deciding_columns(scope):
        source = scope.sources.get(column.table)
        known = (
            whole.get(id(source.expression), source) if source is not None and hasattr(source, "expression") else source
        )
        yield from _sources_of(column, scope, known, dialect)


def _deciding_columns(scope: Scope) -> Iterator[exp.Column]:
    from sqlglot import exp

    query = scope.expression
    # All columns that a subquery in a filter or a join reads decide.
    around = query.find_ancestor(exp.Where, exp.Having, exp.Qualify, exp.Join, exp.Select)
    in_filter = scope.is_subquery and not isinstance(around, (exp.Select, type(None)))
    if isinstance(query, exp.SetOperation):
        return
    unites = isinstance(query.parent, exp.SetOperation) and (
        not isinstance(query.parent, exp.Union) or bool(query.parent.args.get("distinct"))
    )
    group = query.args.get("group")
    if in_filter or unites or query.args.get("distinct") or (group and group.args.get("all")):
        yield from scope.columns
        return
    parts = [*_DECIDING, *(["order"] if query.args.get("limit") else [])]
    for part in parts:
        listed = query.args.get(part)
        for expression in listed if isinstance(listed, list) else [listed]:
            if isinstance(expression, exp.Expression):
                yield from expression.find_all(exp.Column)


def _sources_of(
    column: exp.Column, scope: Scope, source: exp.Table | Scope | None, dialect: str | None
) -> Iterator[ColumnOf]:
    from sqlglot import exp
    from sqlglot.lineage import lineage

    if not column.table and isinstance(scope.expression, exp.Query) and column.name in scope.expression.named_selects:
        # The name of an output, as in `order by total limit 3`.
        yield from _leaves(lineage(column.name, scope.expression, dialect=dialect, scope=scope, trim_selects=False))
    elif isinstance(source, exp.Table):
        yield _name(source), column.name.lower()
    elif source is not None and isinstance(source.expression, exp.Query):
        query = source.expression
        if column.name in query.named_selects:
            yield from _leaves(lineage(column.name, query, dialect=dialect, scope=source, trim_selects=False))


def _tables(scope: Scope) -> Iterator[Any]:
    from sqlglot import exp

    return (source for source in scope.sources.values() if isinstance(source, exp.Table))


def _name(table: Any) -> Table:
    return table.catalog.lower(), table.db.lower(), table.name.lower()
