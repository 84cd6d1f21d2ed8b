"""Both sides of a review in one connection that only reads: two DuckDB files, or two schemas of one server."""

from __future__ import annotations

import logging
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from offdag.artifacts.compiled import CompiledNode
from offdag.artifacts.values import items, mapping
from offdag.dbt.command import DbtInvocation
from offdag.dbt.profile_adapter import profile_adapter
from offdag.dbt.redaction import without_values
from offdag.duckdb_files import LockWait, open_for_writing, open_read_only, quoted
from offdag.errors import OffdagError, UsageError, first_line

if TYPE_CHECKING:
    from sqlglot import exp
    from sqlmesh.core.engine_adapter.base import EngineAdapter

_log = logging.getLogger(__name__)

# A runner of CI is small; the profile's settings may give more. What does not fit is written to a temporary folder.
_MEMORY_LIMIT = "700MB"
# Names that differ only by case are the same there, also in quotes.
CASELESS = ("duckdb", "bigquery", "databricks", "spark")


def driver_message(error: Exception) -> str:
    """The first line of a driver's error, without values of rows."""
    return without_values(first_line(error))


@dataclass(frozen=True)
class Databases:
    """One connection that reads both sides. What it makes are temporary tables, which end with it."""

    adapter: EngineAdapter

    def table(self, node: CompiledNode) -> exp.Table:
        """The relation of a node, each part quoted."""
        from sqlglot import exp

        if node.relation_name:
            found = self.relation(node.relation_name)
            if found is not None:
                return found
        # An external source is a function call in DuckDB.
        return exp.table_(node.alias or node.name, db=node.schema, catalog=node.database, quoted=True)

    def relation(self, relation_name: str) -> exp.Table | None:
        """A relation as dbt writes it, each part quoted in the case in which the warehouse has it; None where it is no name."""
        from sqlglot import exp
        from sqlglot.errors import SqlglotError
        from sqlglot.optimizer.normalize_identifiers import normalize_identifiers

        try:
            table = exp.to_table(relation_name, dialect=self.dialect)
        except (SqlglotError, ValueError):
            return None
        if not isinstance(table.this, exp.Identifier):
            return None
        # An unquoted name is upper case on Snowflake, and lower case on Postgres.
        parts = [p if p.args.get("quoted") else normalize_identifiers(p, dialect=self.dialect) for p in table.parts]
        name, schema, database, *_ = [*(part.name for part in reversed(parts)), None, None]
        return exp.table_(name, db=schema, catalog=database, quoted=True)

    def is_same_name(self, one: str, other: str) -> bool:
        """Whether two names of a relation are the same to the warehouse."""
        return one.lower() == other.lower() if self.dialect in CASELESS else one == other

    def columns(self, node: CompiledNode) -> list[str]:
        """Names of a relation's columns; none where there is no such relation, with any error of the driver."""
        try:
            return list(self.adapter.columns(self.table(node)))
        except Exception:
            return []

    def has_schema(self, table: exp.Table) -> bool | None:
        """Whether the schema of a relation exists; None where the warehouse has no information schema that lists it."""
        from sqlglot import exp

        query = exp.select("catalog_name", "schema_name").from_("information_schema.schemata")
        try:
            found = self.rows(query)
        except Exception:
            return None
        return any(
            self.is_same_name(str(schema), table.db)
            and (not table.catalog or self.is_same_name(str(database), table.catalog))
            for database, schema in found
        )

    def temporary(self, code: str) -> exp.Table | None:
        """A temporary table with the rows of a query as dbt compiled it; None where it cannot be run here."""
        from sqlglot import exp

        table = exp.table_("offdag_again")
        try:
            self.adapter.execute(f"drop table if exists {table}")
            # The text itself: sqlglot does not read all that a warehouse does.
            self.adapter.execute(f"create temporary table {table} as {code.strip().rstrip(';')}")
        except Exception as error:
            _log.info("a model could not be run a second time: %s", driver_message(error))
            return None
        return table

    def row(self, query: exp.Expr) -> tuple[Any, ...]:
        """The first row of a query that has one."""
        found = self.adapter.fetchone(query)
        assert found is not None
        return tuple(found)

    def rows(self, query: exp.Expr) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        return [tuple(row) for row in self.adapter.fetchall(query)]

    @cached_property
    def dialect(self) -> str:
        """Sqlglot's name of the warehouse's SQL."""
        return self.adapter.dialect


@contextmanager
def both_sides(
    review: DbtInvocation, files: tuple[Path, Path] | None, wait: LockWait, for_writing: bool = False
) -> Iterator[Databases]:
    """Open production and the review side by side.

    Args:
        review: With its target, whose user reads both, and whose settings DuckDB gets.
        files: Production's DuckDB file, or its copy, and the review's; None for a server.
        wait: How long to wait for a locked file.
        for_writing: Whether the review's DuckDB file is written to, and created where it is missing; production's never is.

    Raises:
        UsageError: The databases cannot be opened side by side.
    """
    with ExitStack() as stack:
        stack.enter_context(_stops_raise())
        # Drivers and SQLMesh raise many classes of errors.
        try:
            opened = _duckdb(review, files, wait, for_writing) if files else profile_adapter(review)
            adapter = stack.enter_context(opened)
        except OffdagError:
            raise
        except Exception as error:
            raise UsageError(
                f"the databases cannot be opened: {driver_message(error)}", str(review.target), "dbt debug"
            ) from error
        yield Databases(adapter)


@contextmanager
def _stops_raise() -> Iterator[None]:
    """A cancelled job ends by a signal: it becomes an exception, so that temporary files are removed."""

    def stop(number: int, _frame: object) -> None:
        sys.exit(128 + number)

    previous = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextmanager
def _duckdb(
    review: DbtInvocation, files: tuple[Path, Path], wait: LockWait, for_writing: bool
) -> Iterator[EngineAdapter]:
    catalogs: dict[str, Path] = {}
    for file in (path.resolve() for path in files):
        if catalogs.setdefault(file.stem, file) != file:
            raise UsageError(
                f"both databases are called {file.stem}, and DuckDB cannot hold two catalogs of one name",
                f"{catalogs[file.stem]} and {file}",
                "dbt debug    # after giving the files of the two targets different names in profiles.yml",
            )
        if for_writing and file == files[1].resolve():
            file.parent.mkdir(parents=True, exist_ok=True)
            open_for_writing(file, wait).close()
            continue
        if not file.is_file():
            raise UsageError("there is no database", str(file), "dbt build --target ci")
        # Waits for a lock and names its holder; otherwise the attachment would fail at once.
        open_read_only(file, wait).close()
    from sqlmesh.core.engine_adapter import create_engine_adapter

    with tempfile.TemporaryDirectory(prefix="offdag-diff-") as folder:
        # Otherwise DuckDB searches Python's variables for an unknown table.
        connection = duckdb.connect(
            config={"python_enable_replacements": False, "temp_directory": folder, "memory_limit": _MEMORY_LIMIT}
        )
        try:
            for name, file in catalogs.items():
                is_written = for_writing and file == files[1].resolve()
                connection.execute(
                    f"attach {_literal(str(file))} as {quoted(name)}{'' if is_written else ' (read_only)'}"
                )
            # SQLMesh's own configuration would hand out one adapter for all that open the same file.
            adapter = create_engine_adapter(lambda: connection, "duckdb")
            # Some settings belong to a cursor.
            _settings_of_the_profile(adapter.cursor, review, catalogs, for_writing)
            yield adapter
        finally:
            connection.close()


def _settings_of_the_profile(
    cursor: duckdb.DuckDBPyConnection, review: DbtInvocation, attached: dict[str, Path], for_writing: bool
) -> None:
    """Give DuckDB what the profile gives it: views may read other files, over extensions, with secrets.

    Raises:
        UsageError: A variable that the profile needs is not set.
        duckdb.Error: An extension is not installed, or a setting is unknown.
    """
    profile = review.connection("extensions", "settings", "secrets", "attach")
    # Relative paths are relative to the folder in which dbt runs.
    cursor.execute(f"set file_search_path = {_literal(str(review.cwd.resolve()))}")
    for extension in items(profile.get("extensions")):
        cursor.execute(f"load {quoted(str(mapping(extension).get('name') or extension))}")
    for name, value in mapping(profile.get("settings")).items():
        cursor.execute(f"set {quoted(name)} = {_literal(value)}")
    if profile.get("secrets"):
        from dbt.adapters.duckdb.secrets import Secret

        for secret in map(dict, map(mapping, items(profile["secrets"]))):
            kind = str(secret.pop("type", ""))
            # A persistent one would stay on this machine.
            cursor.execute(Secret.create(kind, **{**secret, "persistent": False}).to_sql())
    for other in map(mapping, items(profile.get("attach"))):
        path, kind = str(other.get("path", "")), str(other.get("type", ""))
        file = (review.cwd / path).resolve()
        # Others are URLs and connection strings.
        place = str(file) if file.is_file() else path
        alias = str(other.get("alias") or file.stem)
        if path and alias not in attached and file not in attached.values():
            # A review may have tables in them.
            modes = ["read_only"] if other.get("read_only") or not for_writing else []
            modes += [f"type {kind}"] if kind.isidentifier() else []
            cursor.execute(
                f"attach {_literal(place)} as {quoted(alias)} {'(' + ', '.join(modes) + ')' if modes else ''}"
            )


def _literal(value: object) -> str:
    return "'" + str(value).replace("'", "''") + "'"
