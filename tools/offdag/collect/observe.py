"""Copies of the tables that the monitor is asked to watch, taken after dbt has ended.

The monitor never opens the shop's database: on DuckDB a reader's lock breaks the shop's build, and a running build would stop the monitor.
A DuckDB file that this DuckDB reads is opened for one query; everything else is read by the user's own dbt.
"""

from __future__ import annotations

import hashlib
import logging
import re
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from offdag.artifacts.document import Kind, UnreadableArtifact, Verdict, parse_document
from offdag.artifacts.manifest import read_manifest
from offdag.clock import utc_now
from offdag.collect.dbt_show import DbtShow
from offdag.collect.observed_tables import ObservedTable
from offdag.dbt.command import DbtInvocation
from offdag.errors import OffdagError, UsageError, error_text, first_line
from offdag.history.history import History
from offdag.history.schemas import arrow_schema

if TYPE_CHECKING:
    from offdag.duckdb_files import LockWait

_log = logging.getLogger(__name__)

Row = dict[str, Any]

_INSTANT = re.compile(
    r"(?P<date>\d{4}-\d\d-\d\d)([T ](?P<time>\d\d:\d\d:\d\d)(\.(?P<digits>\d+))?)? ?(UTC)?(?P<zone>Z|[+-]\d\d(:?\d\d)?)?"
)


@dataclass(frozen=True)
class Observer:
    """Copies observed tables of one dbt project into the history.

    Attributes:
        history: Gets the copies and a verdict for each table.
        invocation: Names the project, its artifacts, and the profile and target that lead to its database.
        environment: Recorded with each row.
        wait: How long to wait for a locked database.
        show: How dbt itself is asked for rows.
        job_id: Recorded with each verdict.
    """

    history: History
    invocation: DbtInvocation
    environment: str
    wait: LockWait
    show: DbtShow
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
        frame = self._from_duckdb(table, node)
        if frame is None:
            frame = _typed(self.show.rows(table), table)
        remark = ""
        if frame.num_rows > table.max_rows:
            frame, remark = frame.slice(0, table.max_rows), f", cut at max_rows = {table.max_rows}"
        return frame, remark

    def _from_duckdb(self, table: ObservedTable, node: Row) -> pa.Table | None:
        """The columns of a table in a DuckDB file, which is open for this one query; None where only the user's dbt can read it."""
        path = duckdb_file(self.invocation)
        if path is None:
            return None
        try:
            import duckdb

            from offdag.duckdb_files import is_readable, open_read_only, quoted
        except ModuleNotFoundError:
            # The collector alone is installed.
            return None
        if not path.is_file():
            raise UsageError("there is no database", str(path), "dbt build")
        if not is_readable(path):
            return None
        columns = ", ".join(quoted(name) for name in table.columns)
        relation = f"{quoted(node['schema_name'])}.{quoted(node['alias'])}"
        # What is cut is old where a day comes first.
        order = ", ".join(f"{quoted(name)} desc" for name in table.columns)
        query = f"select {columns} from {relation} order by {order} limit {table.max_rows + 1}"
        with open_read_only(path, self.wait) as database:
            try:
                frame = database.execute(query).to_arrow_table()
            except duckdb.Error as error:
                raise _unreadable_table(error, node) from error
        return _cast(frame, table)


def duckdb_file(invocation: DbtInvocation) -> Path | None:
    """The file of a profile on DuckDB; None for any other database, and where the profile is not on this machine."""
    try:
        connection = invocation.connection("type", "path", "attach")
    except UsageError:
        return None
    path = str(connection.get("path") or "")
    if (
        connection.get("type") != "duckdb"
        or path.startswith(("md:", "motherduck:", ":memory:", "ducklake:"))
        or not path
        # The table may be in another file than this one.
        or str(connection.get("attach") or "[]") != "[]"
    ):
        return None
    return invocation.project_dir / path


def _typed(rows: list[dict[str, str | None]], table: ObservedTable) -> pa.Table:
    """Rows of texts with the types of the seed."""
    return _cast(pa.table({name: pa.array([row[name] for row in rows], pa.string()) for name in table.columns}), table)


def _cast(frame: pa.Table, table: ObservedTable) -> pa.Table:
    wanted = arrow_schema(table.columns)
    try:
        cast = [_cast_column(frame[field.name].combine_chunks(), field.type) for field in wanted]
    except pa.ArrowException as error:
        raise UsageError(
            f"a column has another type than seeds/observed_tables.csv: {first_line(error)}",
            table.unique_id,
            "offdag observe",
        ) from error
    return pa.table(cast, schema=wanted)


def _cast_column(column: pa.Array, kind: pa.DataType) -> pa.Array:
    """A column with another type. Texts are those of a warehouse: instants with or without a zone, whole numbers with decimals."""
    if not pa.types.is_string(column.type) or pa.types.is_string(kind):
        return pc.cast(column, kind, safe=False)
    if pa.types.is_timestamp(kind):
        return pa.array([_instant(text) for text in column.to_pylist()], kind)
    if pa.types.is_date(kind):
        return pc.cast(pc.utf8_slice_codeunits(column, 0, 10), kind)
    if pa.types.is_integer(kind):
        return pc.cast(pc.replace_substring_regex(column, r"\.0*$", ""), kind)
    return pc.cast(column, kind)


def _instant(text: str | None) -> datetime | None:
    """An instant as naive UTC.

    Raises:
        pa.ArrowInvalid: It is not an instant.
    """
    if text is None:
        return None
    # Python 3.10 reads neither Z, nor a zone without minutes, nor other than six digits.
    found = _INSTANT.fullmatch(text.strip())
    if found is None:
        raise pa.ArrowInvalid(f"{text[:40]!r} is not an instant")
    zone = found["zone"] or ""
    digits = (found["digits"] or "")[:6].ljust(6, "0")
    offset = "" if not zone else "+00:00" if zone == "Z" else zone if ":" in zone else f"{zone[:3]}:{zone[3:] or '00'}"
    try:
        instant = datetime.fromisoformat(f"{found['date']}T{found['time'] or '00:00:00'}.{digits}{offset}")
    except ValueError as error:
        raise pa.ArrowInvalid(f"{text[:40]!r} is not an instant") from error
    return instant.astimezone(timezone.utc).replace(tzinfo=None) if instant.tzinfo else instant


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
