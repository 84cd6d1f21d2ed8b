"""Copies of the tables that the monitor is asked to watch, taken after dbt has ended.

The monitor never opens the shop's database: on DuckDB a reader's lock breaks the shop's build, and a running build would stop the monitor.
"""

from __future__ import annotations

import hashlib
import logging
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from offdag.artifacts.document import Kind, UnreadableArtifact, Verdict, parse_document
from offdag.artifacts.manifest import read_manifest
from offdag.clock import utc_now
from offdag.collect.observed_tables import ObservedTable
from offdag.dbt.command import DbtInvocation
from offdag.dbt.profile_adapter import profile_adapter
from offdag.duckdb_files import LockWait, open_read_only, quoted
from offdag.errors import OffdagError, UsageError, error_text, first_line
from offdag.history.history import History
from offdag.history.schemas import arrow_schema

_log = logging.getLogger(__name__)

Row = dict[str, Any]


@dataclass(frozen=True)
class Observer:
    """Copies observed tables of one dbt project into the history.

    Attributes:
        history: Gets the copies and a verdict for each table.
        invocation: Names the project, its artifacts, and the profile and target that lead to its database.
        environment: Recorded with each row.
        wait: How long to wait for a locked database.
        job_id: Recorded with each verdict.
    """

    history: History
    invocation: DbtInvocation
    environment: str
    wait: LockWait
    job_id: str | None = None

    def observe(self, tables: Iterable[ObservedTable]) -> list[Row]:
        """Copy the tables of this project; lines of other projects are ignored.

        Returns:
            ``artifact_verdicts`` rows, one per table. For a table that could not be copied, the last observation stays.
        """
        mine = [table for table in tables if table.project == self.invocation.project_name]
        if not mine:
            return []
        nodes, problem = self._nodes()
        now = utc_now()
        verdicts = [self._observed(table, nodes, problem, now) for table in mine]
        self.history.put("artifact_verdicts", now.date(), uuid.uuid4().hex, verdicts)
        return verdicts

    @property
    def _manifest_path(self) -> Path:
        return self.invocation.target_path / f"{Kind.MANIFEST.value}.json"

    def _nodes(self) -> tuple[dict[str, Row], str | None]:
        """Nodes of the manifest by unique_id, and why there are none."""
        try:
            document = parse_document(str(self._manifest_path), self._manifest_path.read_bytes())
            return {node["unique_id"]: node for node in read_manifest(document).nodes}, None
        except UnreadableArtifact as problem:
            return {}, f"the manifest {problem.reason}"
        except OSError as error:
            return {}, f"the manifest cannot be opened: {error.strerror}"

    def _observed(self, table: ObservedTable, nodes: dict[str, Row], problem: str | None, now: datetime) -> Row:
        verdict: Row = {
            "collected_at": now,
            "project": table.project,
            "environment": self.environment,
            "job_id": self.job_id,
            "path": table.unique_id,
            "kind": table.history_table,
        }
        try:
            if problem or table.unique_id not in nodes:
                what = problem or f"the manifest has no node {table.unique_id}"
                raise UsageError(what, str(self._manifest_path), "dbt build")
            frame, remark = self._copy(table, nodes[table.unique_id])
            return verdict | self._keep(table, frame, remark, now)
        except OffdagError as error:
            return verdict | {"verdict": Verdict.UNREADABLE.value, "reason": f"{error.what} ({error.where})"}

    def _keep(self, table: ObservedTable, frame: pa.Table, remark: str, now: datetime) -> Row:
        """Write a copy under the hash of its content; the same content is not written twice."""
        frame = frame.sort_by([(name, "ascending") for name in frame.column_names])
        digest = hashlib.sha256(f"{table.project}|{self.environment}|".encode())
        for batch in frame.combine_chunks().to_batches():
            digest.update(batch.serialize())
        content_hash = digest.hexdigest()[:32]
        verdict = {
            "sha256": content_hash,
            "reason": f"{frame.num_rows} rows{remark}",
            "verdict": Verdict.ACCEPTED.value,
        }
        self.history.declare(table.history_table, table.schema)
        if self.history.known(table.history_table, content_hash):
            reason = f"{frame.num_rows} rows, as before{remark}"
            return verdict | {"verdict": Verdict.DUPLICATE.value, "reason": reason}
        constants = {
            "_project": table.project,
            "_environment": self.environment,
            "_content_hash": content_hash,
            "_observed_at": now,
        }
        columns = [
            pa.array([value] * frame.num_rows, table.schema.field(name).type) for name, value in constants.items()
        ]
        numbers = pa.array(range(frame.num_rows), pa.int64())
        whole = pa.table([*columns, numbers, *frame.columns], schema=table.schema)
        self.history.put_frame(table.history_table, now.date(), content_hash, whole)
        self.history.note(table.history_table, content_hash, {"observed_at": str(now)})
        return verdict

    def _copy(self, table: ObservedTable, node: Row) -> tuple[pa.Table, str]:
        """The rows of a node, and a remark where some were cut."""
        if not node["schema_name"] or not node["alias"]:
            raise UsageError("the node has no table", table.unique_id, "dbt ls --resource-type model")
        connection = self.invocation.connection("type", "path")
        if connection.get("type") == "duckdb":
            frame = self._from_duckdb(self.invocation.project_dir / str(connection.get("path", "")), table, node)
        else:
            frame = self._from_warehouse(table, node)
        remark = ""
        if frame.num_rows > table.max_rows:
            frame, remark = frame.slice(0, table.max_rows), f", cut at max_rows = {table.max_rows}"
        wanted = arrow_schema(table.columns)
        try:
            cast = [pc.cast(frame[field.name], field.type, safe=False) for field in wanted]
        except pa.ArrowException as error:
            raise UsageError(
                f"a column has another type than seeds/observed_tables.csv: {error}", table.unique_id, "offdag observe"
            ) from error
        return pa.table(cast, schema=wanted), remark

    def _from_duckdb(self, path: Path, table: ObservedTable, node: Row) -> pa.Table:
        """The columns of a DuckDB table; the file is open for this one query."""
        if not path.is_file():
            raise UsageError("there is no database", str(path), "dbt build")
        columns = ", ".join(quoted(name) for name in table.columns)
        relation = f"{quoted(node['schema_name'])}.{quoted(node['alias'])}"
        query = f"select {columns} from {relation} order by {columns} limit {table.max_rows + 1}"
        with open_read_only(path, self.wait) as database:
            try:
                return database.execute(query).to_arrow_table()
            except duckdb.Error as error:
                raise _unreadable_table(error, node) from error

    def _from_warehouse(self, table: ObservedTable, node: Row) -> pa.Table:
        """The columns of a table in any warehouse that SQLMesh can reach by a dbt profile."""
        from sqlglot import exp

        relation = exp.table_(node["alias"], db=node["schema_name"], catalog=node["database_name"], quoted=True)
        columns = [exp.column(name, quoted=True) for name in table.columns]
        query = exp.select(*columns).from_(relation).order_by(*columns).limit(table.max_rows + 1)
        # Drivers raise many classes of errors; with any of them the last observation stays.
        try:
            with profile_adapter(self.invocation) as adapter:
                frame = adapter.fetchdf(query)
        except Exception as error:
            raise _unreadable_table(error, node) from error
        return pa.Table.from_pandas(frame, preserve_index=False)


def log_observed(verdicts: list[Row], invocation: DbtInvocation) -> list[str]:
    """Log what could not be copied; returns one line per table."""
    for row in verdicts:
        if row["verdict"] == Verdict.UNREADABLE.value:
            what = f"{row['path']} was not observed: {row['reason']}"
            where = str(invocation.project_dir)
            _log.warning("%s", error_text(what, where, f"offdag observe --project-dir {where}"))
    return [f"{row['path']} {row['verdict']} ({row['reason']})" for row in verdicts]


def _unreadable_table(error: Exception, node: Row) -> UsageError:
    return UsageError(
        f"the table cannot be read: {first_line(error)}", str(node["unique_id"]), "offdag observe    # after dbt build"
    )
