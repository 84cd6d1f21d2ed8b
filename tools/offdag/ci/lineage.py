"""Which columns of its inputs a query's columns and rows come from, by sqlglot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlglot.lineage import Node
    from sqlglot.optimizer.scope import Scope

# A table as (catalog, schema, name), in lower case; a column of it, in lower case.
Table = tuple[str, str, str]
ColumnOf = tuple[Table, str]

# Parts of a query that decide which rows there are.
_DECIDING = ("where", "joins", "group", "having", "qualify")


class NoLineage(Exception):
    """The query cannot be read column by column."""


@dataclass(frozen=True)
class QueryLineage:
    """Where a query's data comes from.

    Attributes:
        columns: Columns of tables that each output column is made of, by the output column's name in lower case.
        rows: Columns of tables that filters, joins and grouping look at: they decide which rows there are.
        tables: Every table that is read.
    """

    columns: dict[str, set[ColumnOf]]
    rows: set[ColumnOf]
    tables: set[Table]


def query_lineage(code: str, dialect: str | None, columns: Mapping[Table, list[str]]) -> QueryLineage:
    """Trace every output column of a query to its tables.

    Args:
        code: One select statement, compiled.
        dialect: sqlglot's name of it; None for none in particular.
        columns: Names of each table's columns, as far as they are known: needed to resolve ``*`` and columns without a table.

    Raises:
        NoLineage: It is no select statement that sqlglot reads, or a column's table cannot be told.
    """
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import SqlglotError
    from sqlglot.lineage import lineage
    from sqlglot.optimizer.qualify import qualify
    from sqlglot.optimizer.scope import build_scope, traverse_scope

    schema: dict[str, Any] = {}
    for (catalog, db, name), names in columns.items():
        # The types do not matter here.
        schema.setdefault(catalog, {}).setdefault(db, {})[name] = dict.fromkeys((n.lower() for n in names), "text")
    try:
        expression = sqlglot.parse_one(code, dialect=dialect)
        for identifier in expression.find_all(exp.Identifier):
            identifier.set("this", identifier.name.lower())
        qualified = qualify(expression, dialect=dialect, schema=schema, validate_qualify_columns=False, identify=False)
        scope = build_scope(qualified)
        if scope is None or not isinstance(scope.expression, exp.Query):
            raise NoLineage("it is no select statement")
        if qualified.find(exp.Star) and any(not isinstance(s.parent, exp.Count) for s in qualified.find_all(exp.Star)):
            raise NoLineage("the columns behind a * are not known")
        outputs = lineage(None, qualified, dialect=dialect, scope=scope, trim_selects=False, copy=False)
        found = {name: set(_leaves(node)) for name, node in outputs.items()}
        rows = {leaf for inner in traverse_scope(qualified) for leaf in _deciding(inner, dialect)}
        tables = {_name(table) for inner in traverse_scope(qualified) for table in _tables(inner)}
    except (SqlglotError, ValueError, KeyError, RecursionError) as error:
        raise NoLineage(str(error).strip().split("\n", 1)[0][:200] or type(error).__name__) from error
    return QueryLineage(found, rows, tables)


def _leaves(node: Node) -> Iterator[ColumnOf]:
    from sqlglot import exp

    for inner in node.walk():
        if isinstance(inner.expression, exp.Table):
            yield _name(inner.expression), inner.name.rpartition(".")[2].strip('"`').lower()


def _deciding(scope: Scope, dialect: str | None) -> Iterator[ColumnOf]:
    from sqlglot import exp
    from sqlglot.lineage import lineage
    from sqlglot.optimizer.scope import Scope as ScopeType

    parts = [scope.expression.args.get(part) for part in _DECIDING]
    for part in (p for listed in parts for p in (listed if isinstance(listed, list) else [listed]) if p is not None):
        for column in part.find_all(exp.Column):
            source = scope.sources.get(column.table)
            if isinstance(source, exp.Table):
                yield _name(source), column.name.lower()
            elif isinstance(source, ScopeType) and isinstance(source.expression, exp.Query):
                query = source.expression
                if column.name in query.named_selects:
                    yield from _leaves(lineage(column.name, query, dialect=dialect, scope=source, trim_selects=False))


def _tables(scope: Scope) -> Iterator[Any]:
    from sqlglot import exp

    return (source for source in scope.sources.values() if isinstance(source, exp.Table))


def _name(table: Any) -> Table:
    return table.catalog.lower(), table.db.lower(), table.name.lower()
