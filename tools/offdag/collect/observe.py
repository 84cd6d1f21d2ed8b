"""Copies of the tables that the monitor is asked to watch, taken after dbt has ended.

The monitor never opens the shop's database: on DuckDB a reader's lock breaks the shop's build, and a running build would stop the monitor.
"""

from __future__ import annotations

import csv
import hashlib
import uuid
from collections.abc import Callable, Iterable
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
from offdag.dbt.profile_adapter import profile_adapter
from offdag.dbt.project import DbtProject
from offdag.duckdb_files import open_read_only, quoted
from offdag.errors import OffdagError, UsageError, brief
from offdag.history.history import History
from offdag.history.schemas import TYPE_WORDS, arrow_schema

Row = dict[str, Any]

# Columns that say where a row comes from, beside those of the table itself.
_ORIGIN_COLUMNS = {
    "_project": "string",
    "_environment": "string",
    "_content_hash": "string",
    "_observed_at": "timestamp",
}


@dataclass(frozen=True)
class ObservedTable:
    """A line of the seed observed_tables.csv.

    Attributes:
        name: Makes the history table ``observed_<name>``.
        project: dbt project that holds the node.
        unique_id: The node.
        columns: Type word by column; only these are copied.
        max_rows: More rows are cut, and the verdict says so.
    """

    name: str
    project: str
    unique_id: str
    columns: dict[str, str]
    max_rows: int

    @property
    def schema(self) -> pa.Schema:
        """Arrow schema of the history table."""
        return arrow_schema({**_ORIGIN_COLUMNS, **self.columns})


def read_observed_tables(monitor_project_dir: Path) -> list[ObservedTable]:
    """The observed tables that the monitor project's seed lists; none where it has no such seed.

    Raises:
        UsageError: A line cannot be used.
    """
    path = monitor_project_dir / "seeds" / "observed_tables.csv"
    if not path.is_file():
        return []
    try:
        lines = list(csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines()))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"the observed tables cannot be read: {error}", str(path), "save the file as UTF-8") from error
    tables = []
    for number, line in enumerate(lines, start=2):
        try:
            columns = dict(pair.strip().split(":", 1) for pair in line["columns"].split("|"))
            unknown = set(columns.values()) - set(TYPE_WORDS)
            if unknown or not line["observed_table"].isidentifier():
                raise ValueError(f"unknown type {', '.join(unknown)}" if unknown else "observed_table is no plain name")
            tables.append(
                ObservedTable(
                    line["observed_table"], line["project"], line["unique_id"], columns, int(line["max_rows"])
                )
            )
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise UsageError(
                f"a line of the observed tables cannot be used: {error}",
                f"{path}, line {number}",
                "write it like: stock,shop,model.shop.stock,id:string|count:int64,10000,why",
            ) from error
    return tables


def observe(
    history: History,
    tables: Iterable[ObservedTable],
    project: DbtProject,
    target_path: Path,
    environment: str,
    target: str | None,
    lock_timeout: float,
    job_id: str | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> list[Row]:
    """Copy a project's observed tables into the history.

    Args:
        history: Opened with the schemas of the tables.
        tables: What to observe; lines of other projects are passed over.
        project: The dbt project whose profile leads to the database.
        target_path: Where the manifest lies.
        environment: Recorded with each row.
        target: Target of the profile; None for its default.
        lock_timeout: Longest wait for a locked database, in seconds.
        job_id: Recorded with each verdict.
        say: Gets a line for people while waiting.

    Returns:
        ``artifact_verdicts`` rows, one per table. What could not be copied leaves the last observation in place.
    """
    mine = [table for table in tables if table.project == project.name]
    if not mine:
        return []
    manifest_path = target_path / f"{Kind.MANIFEST.value}.json"
    nodes: dict[str, Row] = {}
    manifest_problem = None
    try:
        nodes = {
            node["unique_id"]: node
            for node in read_manifest(parse_document(str(manifest_path), manifest_path.read_bytes())).nodes
        }
    except UnreadableArtifact as problem:
        manifest_problem = f"the manifest {problem.reason}"
    except OSError as error:
        manifest_problem = f"the manifest cannot be opened: {error.strerror}"
    verdicts = []
    now = utc_now()
    for table in mine:
        verdict: Row = {
            "collected_at": now,
            "project": table.project,
            "environment": environment,
            "job_id": job_id,
            "path": table.unique_id,
            "kind": f"observed_{table.name}",
        }
        try:
            if manifest_problem or table.unique_id not in nodes:
                what = manifest_problem or f"the manifest has no node {table.unique_id}"
                raise UsageError(what, str(manifest_path), "mend seeds/observed_tables.csv, or build first")
            frame, remark = _copy(table, nodes[table.unique_id], project, target, lock_timeout, say)
            verdict |= _keep(history, table, environment, frame, remark, now)
        except OffdagError as error:
            verdict |= {"verdict": Verdict.UNREADABLE.value, "reason": f"{error.what} ({error.where})"}
        verdicts.append(verdict)
    history.put("artifact_verdicts", now.date(), uuid.uuid4().hex, verdicts)
    return verdicts


def _keep(history: History, table: ObservedTable, environment: str, frame: pa.Table, remark: str, now: datetime) -> Row:
    """Write a copy under the hash of its content; the same content is not written twice."""
    frame = frame.sort_by([(name, "ascending") for name in frame.column_names])
    digest = hashlib.sha256(f"{table.project}|{environment}|".encode())
    for batch in frame.combine_chunks().to_batches():
        digest.update(batch.serialize())
    content_hash = digest.hexdigest()[:32]
    verdict = {"sha256": content_hash, "reason": f"{frame.num_rows} rows{remark}", "verdict": Verdict.ACCEPTED.value}
    if history.known(f"observed_{table.name}", content_hash):
        return verdict | {"verdict": Verdict.DUPLICATE.value, "reason": f"{frame.num_rows} rows, as before{remark}"}
    constants = {
        "_project": table.project,
        "_environment": environment,
        "_content_hash": content_hash,
        "_observed_at": now,
    }
    columns = [pa.array([value] * frame.num_rows, table.schema.field(name).type) for name, value in constants.items()]
    whole = pa.table([*columns, *frame.columns], schema=table.schema)
    history.put_frame(f"observed_{table.name}", now.date(), content_hash, whole)
    history.note(f"observed_{table.name}", content_hash, {"observed_at": str(now)})
    return verdict


def _copy(
    table: ObservedTable,
    node: Row,
    project: DbtProject,
    target: str | None,
    lock_timeout: float,
    say: Callable[[str], None],
) -> tuple[pa.Table, str]:
    """The rows of a node, and a remark where some were cut."""
    if not node["schema_name"] or not node["alias"]:
        raise UsageError("the node has no table", table.unique_id, "mend seeds/observed_tables.csv")
    connection = project.connection(target, "type", "path")
    if connection.get("type") == "duckdb":
        path = project.folder / str(connection.get("path", ""))
        frame = _from_duckdb(path, node, table, lock_timeout, say)
    else:
        frame = _from_warehouse(project, target, node, table)
    remark = ""
    if frame.num_rows > table.max_rows:
        frame, remark = frame.slice(0, table.max_rows), f", cut at max_rows = {table.max_rows}"
    wanted = arrow_schema(table.columns)
    try:
        cast = [pc.cast(frame[field.name], field.type, safe=False) for field in wanted]
    except pa.ArrowException as error:
        raise UsageError(
            f"a column has another type than the seed says: {error}", table.unique_id, "mend seeds/observed_tables.csv"
        ) from error
    return pa.table(cast, schema=wanted), remark


def _from_duckdb(
    path: Path, node: Row, table: ObservedTable, lock_timeout: float, say: Callable[[str], None]
) -> pa.Table:
    """The columns of a DuckDB table; the file is open for this one query."""
    if not path.is_file():
        raise UsageError("there is no database", str(path), "run the build first")
    columns = ", ".join(quoted(name) for name in table.columns)
    relation = f"{quoted(node['schema_name'])}.{quoted(node['alias'])}"
    query = f"select {columns} from {relation} order by {columns} limit {table.max_rows + 1}"
    with open_read_only(path, "observe", lock_timeout, say) as database:
        try:
            return database.execute(query).to_arrow_table()
        except duckdb.Error as error:
            raise _unreadable_table(error, node) from error


def _from_warehouse(project: DbtProject, target: str | None, node: Row, table: ObservedTable) -> pa.Table:
    """The columns of a table in any warehouse that SQLMesh can reach by a dbt profile."""
    from sqlglot import exp

    relation = exp.table_(node["alias"], db=node["schema_name"], catalog=node["database_name"], quoted=True)
    columns = [exp.column(name, quoted=True) for name in table.columns]
    query = exp.select(*columns).from_(relation).order_by(*columns).limit(table.max_rows + 1)
    # Drivers raise errors of their own, of many kinds; whatever it is, the last observation stands.
    try:
        with profile_adapter(project, target) as adapter:
            frame = adapter.fetchdf(query)
    except Exception as error:
        raise _unreadable_table(error, node) from error
    return pa.Table.from_pandas(frame, preserve_index=False)


def _unreadable_table(error: Exception, node: Row) -> UsageError:
    return UsageError(
        f"the table cannot be read: {brief(error)}", str(node["unique_id"]), "dbt build, then offdag observe"
    )
