"""Both sides of a diff in one connection: two DuckDB files read-only, or two schemas of one server."""

from __future__ import annotations

import logging
import signal
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from offdag.artifacts.compiled import CompiledNode
from offdag.dbt.command import DbtInvocation
from offdag.dbt.profile_adapter import profile_adapter
from offdag.duckdb_files import LockWait, open_read_only, quoted
from offdag.errors import OffdagError, UsageError, first_line

if TYPE_CHECKING:
    from sqlglot import exp
    from sqlmesh.core.engine_adapter.base import EngineAdapter

_log = logging.getLogger(__name__)

# Catalog of the file that the diff works in.
_WORK = "offdag_diff"


@dataclass(frozen=True)
class Databases:
    """One connection that reads both sides, and its own schema for views.

    Attributes:
        adapter: The connection.
        work_schema: Removed before the connection is closed.
    """

    adapter: EngineAdapter
    work_schema: str

    def table(self, node: CompiledNode) -> exp.Table:
        """The relation of a node, each part quoted."""
        from sqlglot import exp

        return exp.table_(node.alias or node.name, db=node.schema, catalog=node.database, quoted=True)

    def columns(self, node: CompiledNode) -> list[str]:
        """Names of a relation's columns; none where there is no such relation, with any error of the driver."""
        try:
            return list(self.adapter.columns(self.table(node)))
        except Exception:
            return []

    def work_table(self, name: str) -> exp.Table:
        """A relation of the work schema."""
        from sqlglot import exp

        return exp.table_(name, db=self.work_schema, quoted=True)


@contextmanager
def both_sides(review: DbtInvocation, files: tuple[Path, Path] | None, wait: LockWait) -> Iterator[Databases]:
    """Open production and the review side by side.

    Args:
        review: With its target, whose user creates the work schema.
        files: Production's DuckDB file, or its copy, and the review's; None for a server.
        wait: How long to wait for a locked file.

    Raises:
        UsageError: The databases cannot be opened side by side.
    """
    schema = f"offdag_{uuid.uuid4().hex[:12]}"
    with ExitStack() as stack:
        stack.enter_context(_stops_raise())
        # Drivers and SQLMesh raise many classes of errors.
        try:
            opened = _duckdb(files, wait) if files else profile_adapter(review)
            adapter = stack.enter_context(opened)
            adapter.create_schema(schema, warn_on_error=False)
        except OffdagError:
            raise
        except Exception as error:
            raise UsageError(
                f"the databases cannot be opened: {first_line(error)}", str(review.target), "dbt debug"
            ) from error
        try:
            yield Databases(adapter, schema)
        finally:
            try:
                adapter.drop_schema(schema, ignore_if_not_exists=True, cascade=True)
            except Exception as error:
                _log.warning("the schema %s could not be removed: %s", schema, first_line(error))


@contextmanager
def _stops_raise() -> Iterator[None]:
    """A cancelled job ends by a signal: it becomes an exception, so that the work schema is removed."""

    def stop(number: int, _frame: object) -> None:
        sys.exit(128 + number)

    previous = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextmanager
def _duckdb(files: tuple[Path, Path], wait: LockWait) -> Iterator[EngineAdapter]:
    catalogs: dict[str, Path] = {}
    for file in (path.resolve() for path in files):
        if catalogs.setdefault(file.stem, file) != file:
            raise UsageError(
                f"both databases are called {file.stem}, and DuckDB cannot hold two catalogs of one name",
                f"{catalogs[file.stem]} and {file}",
                "dbt debug    # after giving the files of the two targets different names in profiles.yml",
            )
        if not file.is_file():
            raise UsageError("there is no database", str(file), "dbt build --target ci")
        # Waits for a lock and names its holder; otherwise the attachment would fail at once.
        open_read_only(file, wait).close()
    from sqlmesh.core.engine_adapter import create_engine_adapter

    with tempfile.TemporaryDirectory(prefix="offdag-diff-") as folder:
        # Otherwise DuckDB searches Python's variables for an unknown table.
        connection = duckdb.connect(str(Path(folder) / f"{_WORK}.duckdb"), config={"python_enable_replacements": False})
        try:
            for name, file in catalogs.items():
                path = str(file).replace("'", "''")
                connection.execute(f"attach '{path}' as {quoted(name)} (read_only)")
            # SQLMesh's own configuration would hand out one adapter for all that open the same file.
            yield create_engine_adapter(lambda: connection, "duckdb")
        finally:
            connection.close()
