"""Tables in which the dbt packages Elementary and dbt_artifacts keep results, as the run_results.json that dbt wrote at the time.

The columns are those of Elementary's ``dbt_invocations`` and ``dbt_run_results``, and of dbt_artifacts' ``invocations`` and
``model_executions``, ``test_executions``, ``seed_executions`` and ``snapshot_executions`` (also of its marts ``fct_dbt__...``).
"""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from offdag.artifacts.timestamps import parse_instant
from offdag.artifacts.values import Row, count, mapping, number, text
from offdag.collect.places import ArtifactFile
from offdag.errors import UsageError, first_line
from offdag.history.history import History

if TYPE_CHECKING:
    import pyarrow as pa

# Why most results are left out when a folder is imported again.
IN_HISTORY = "that the history has"
_EXECUTIONS = ("model_executions", "test_executions", "seed_executions", "snapshot_executions")
# Each package's table of invocations, and those of results. One folder holds the tables of one package.
_PACKAGES = (
    ("dbt_invocations", ("dbt_run_results",)),
    ("invocations", _EXECUTIONS),
    ("fct_dbt__invocations", tuple(f"fct_dbt__{name}" for name in _EXECUTIONS)),
)
# A warehouse may write a table in parts: dbt_run_results_0_0_1.csv
_FILE = re.compile(r"(?P<table>.*?)(?:[-_.]?\d+)*\.(?:csv|parquet)")
# As warehouses and clients write nothing into CSV.
_NULLS = ["", "\\N", "NULL", "null"]
_BLOCK_BYTES = 64 * 1024**2
# Columns by the name that is used here: Elementary's, then that of dbt_artifacts.
_INVOCATION_COLUMNS = {
    "invocation_id": ("invocation_id", "command_invocation_id"),
    "dbt_version": ("dbt_version",),
    "project": ("project_name",),
    "started_at": ("run_started_at",),
    "written_at": ("generated_at", "run_completed_at"),
    "command": ("command", "dbt_command"),
    "is_full_refresh": ("full_refresh", "full_refresh_flag"),
    "target": ("target_name",),
    "selected": ("selected",),
    "args": ("invocation_args",),
    "vars": ("invocation_vars",),
}
_RESULT_COLUMNS = {
    "invocation_id": ("invocation_id", "command_invocation_id"),
    "unique_id": ("unique_id", "node_id"),
    "status": ("status",),
    "message": ("message",),
    "failures": ("failures",),
    "seconds": ("execution_time", "total_node_runtime"),
    "compile_started_at": ("compile_started_at",),
    "compile_completed_at": ("compile_completed_at",),
    "execute_started_at": ("execute_started_at",),
    "execute_completed_at": ("execute_completed_at", "query_completed_at"),
    "written_at": ("generated_at",),
    "rows_affected": ("rows_affected",),
    "thread_id": ("thread_id",),
    "response": ("adapter_response",),
}


def write_artifacts(folder: Path, history: History, place: Path) -> tuple[list[ArtifactFile], Counter[str], list[str]]:
    """Write a run_results file for each run of the exported tables that the history does not have, from its artifact or an earlier import.

    Args:
        folder: Has Parquet or CSV files for each table of one package, by the table's name in any letter case; numbers may follow.
        history: Is read only.
        place: Gets the files.

    Returns:
        The files, how many results were left out, by reason, and the package's tables of results that the folder does not have.

    Raises:
        UsageError: A table is missing, has no such columns, or cannot be read.
        HistoryError: The history cannot be read.
    """
    tables = _Tables(folder)
    ids_of_day = cache(lambda day: history.identities("invocations", day))
    files: list[ArtifactFile] = []
    for run in tables.runs():
        # The artifact may have another time than its rows in a table.
        days = [run.written_at.date() + timedelta(days=near) for near in (-1, 0, 1)]
        if any(run.invocation_id in ids_of_day(day) for day in days):
            tables.left_out[IN_HISTORY] += len(run.document["results"])
            continue
        file = place / f"run_results-{len(files):08}.json"
        file.write_text(json.dumps(run.document), encoding="utf-8")
        files.append(ArtifactFile(str(file)))
    return files, tables.left_out, tables.missing


@dataclass(frozen=True)
class _Run:
    """The results of one dbt command.

    Attributes:
        invocation_id: dbt's id.
        written_at: When dbt had ended, naive UTC.
        document: In the shape of run_results.json.
    """

    invocation_id: str
    written_at: datetime
    document: dict[str, Any]


class _Tables:
    """The exported tables in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        files = self._files()
        packages = [(table, results) for table, results in _PACKAGES if files.keys() & {table, *results}]
        if len(packages) > 1:
            raise self._refused("there are tables of two packages, or marts beside their tables", folder)
        invocations, results = packages[0] if packages else _PACKAGES[0]
        found = [name for name in results if name in files]
        if invocations not in files or not found:
            lacking = "results" if invocations in files else "invocations"
            tables = "dbt_invocations and dbt_run_results, or invocations and model_executions"
            raise self._refused(f"there are no {lacking}: export {tables}", folder)
        self.missing = [name for name in results if name not in files]
        self._invocations = {
            row["invocation_id"]: row
            for path in files[invocations]
            for row in self._read(path, _INVOCATION_COLUMNS).to_pylist()
            if row["invocation_id"]
        }
        self._results = [self._read(path, _RESULT_COLUMNS) for name in found for path in files[name]]
        self.left_out: Counter[str] = Counter()

    def runs(self) -> Iterator[_Run]:
        """Each command with its results; ``left_out`` counts results, by reason, that give none."""
        import pyarrow as pa
        import pyarrow.compute as pc

        rows = pa.concat_tables(self._results)
        project = self._project(rows)
        ids = rows["invocation_id"].to_pylist()
        for invocation_id, places in groupby(pc.sort_indices(rows["invocation_id"]).to_pylist(), ids.__getitem__):
            run = self._run(self._invocations.get(invocation_id), rows.take(list(places)).to_pylist(), project)
            if run:
                yield run

    def _files(self) -> dict[str, list[Path]]:
        """The files of each table, by its name."""
        if not self._folder.is_dir():
            raise UsageError("there is no such file or folder", str(self._folder), "offdag import-tables exported")
        known = {table for invocations, results in _PACKAGES for table in (invocations, *results)}
        files: dict[str, list[Path]] = {}
        for path in sorted(self._folder.iterdir()):
            match = _FILE.fullmatch(path.name.lower())
            if match and match["table"] in known:
                files.setdefault(match["table"], []).append(path)
            elif path.name.lower().startswith(tuple(f"{table}{mark}" for table in known for mark in "._-")):
                # Half a table would be taken for the whole, and its rest later for what the history has.
                raise self._refused("this is no CSV or Parquet file by the name of a table", path)
        return files

    def _project(self, rows: pa.Table) -> str | None:
        """For the runs that do not name theirs: that of most others, else the package of most results."""
        named = Counter(row["project"] for row in self._invocations.values() if row["project"])
        if not named:
            for value in rows["unique_id"].value_counts().to_pylist():
                parts = str(value["values"]).split(".")
                if len(parts) > 2 and parts[1] not in ("elementary", "dbt_artifacts"):
                    named[parts[1]] += value["counts"]
        return next((project for project, _ in named.most_common(1)), None)

    def _run(self, invocation: Row | None, rows: list[Row], project: str | None) -> _Run | None:
        # Without its command nothing says that results are evidence: after `docs generate` every test reads "success".
        if invocation is None or not invocation["command"]:
            self.left_out["without their command"] += len(rows)
            return None
        ends = [
            invocation["written_at"],
            *(row[name] for row in rows for name in ("written_at", "execute_completed_at")),
        ]
        # Where nothing was executed, only the start is known.
        written_at = max(filter(None, map(parse_instant, ends)), default=parse_instant(invocation["started_at"]))
        if written_at is None:
            self.left_out["without a time that can be read"] += len(rows)
            return None
        document = _document({**invocation, "project": invocation["project"] or project}, written_at, rows)
        return _Run(invocation["invocation_id"], written_at, document)

    def _read(self, path: Path, columns: dict[str, tuple[str, ...]]) -> pa.Table:
        """The columns of a file by our names, all as text."""
        import pyarrow as pa

        wanted = {candidate for candidates in columns.values() for candidate in candidates}
        try:
            found = (_read_csv if path.suffix.lower() == ".csv" else _read_parquet)(path, wanted)
            names = {name.lower(): name for name in found.column_names}
            if len(names) < len(found.column_names):
                raise self._refused("a column is there twice", path)
            texts = {}
            for name, candidates in columns.items():
                own = next((names[candidate] for candidate in candidates if candidate in names), None)
                texts[name] = pa.nulls(len(found), pa.string()) if own is None else _as_text(found[own])
        except (OSError, ValueError, pa.ArrowException, csv.Error, StopIteration) as error:
            raise self._refused(f"the file cannot be read: {first_line(error)}", path) from error
        missing = [
            columns[name] for name in ("invocation_id", "unique_id") if name in columns and _is_empty(texts[name])
        ]
        if missing and len(found):
            raise self._refused(f"there is no column {' or '.join(missing[0])}", path)
        return pa.table(texts)

    def _refused(self, what: str, path: Path) -> UsageError:
        return UsageError(what, str(path), f"offdag import-tables {self._folder}    # after exporting the tables again")


def _is_empty(column: pa.Array) -> bool:
    return bool(column.null_count == len(column))


def _read_parquet(path: Path, wanted: set[str]) -> pa.Table:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        return file.read([name for name in file.schema_arrow.names if name.lower() in wanted])


def _read_csv(path: Path, wanted: set[str]) -> pa.Table:
    """Columns as text: no id and no message may be taken for a number or a time."""
    import pyarrow as pa
    import pyarrow.csv as pa_csv

    with path.open(encoding="utf-8-sig", newline="") as file:
        header = [name for name in next(csv.reader(file)) if name.lower() in wanted]
    return pa_csv.read_csv(
        path,
        # No cell may be longer than a block.
        read_options=pa_csv.ReadOptions(block_size=_BLOCK_BYTES),
        parse_options=pa_csv.ParseOptions(newlines_in_values=True),
        convert_options=pa_csv.ConvertOptions(
            column_types=dict.fromkeys(header, pa.string()),
            include_columns=header,
            strings_can_be_null=True,
            null_values=_NULLS,
        ),
    )


def _as_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column as text, times as UTC; nulls where it is nested."""
    import pyarrow as pa

    if pa.types.is_nested(column.type):
        return pa.nulls(len(column), pa.string())
    if str(column.type) == "extension<arrow.uuid>":
        return pa.array([None if value is None else str(value) for value in column.to_pylist()], pa.string())
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("us", column.type.tz), safe=False).cast(pa.timestamp("us"))
    return column.cast(pa.string())


def _document(invocation: Row, written_at: datetime, rows: list[Row]) -> dict[str, Any]:
    started_at = parse_instant(invocation["started_at"])
    command = invocation["command"]
    args = {
        **_arguments(invocation),
        "which": command,
        "invocation_command": f"dbt {command}",
        "target": text(invocation["target"]),
        "full_refresh": _is_true(invocation["is_full_refresh"]),
    }
    metadata = {
        "dbt_schema_version": "https://schemas.getdbt.com/dbt/run-results/v6.json",
        "dbt_version": text(invocation["dbt_version"]),
        "generated_at": _instant(written_at),
        "invocation_id": invocation["invocation_id"],
        "invocation_started_at": started_at and _instant(started_at),
        "env": {},
        "project_name": text(invocation["project"]),
    }
    elapsed = (written_at - started_at).total_seconds() if started_at else None
    return {"metadata": metadata, "args": args, "elapsed_time": elapsed, "results": [_result(row) for row in rows]}


def _result(row: Row) -> dict[str, Any]:
    steps = [(step, row[f"{step}_started_at"], row[f"{step}_completed_at"]) for step in ("compile", "execute")]
    response = _json(row["response"])
    if (affected := count(row["rows_affected"])) is not None:
        response.setdefault("rows_affected", affected)
    return {
        "unique_id": row["unique_id"],
        "status": row["status"],
        # dbt_artifacts writes Python's word for no message.
        "message": None if row["message"] == "None" else row["message"],
        "failures": count(row["failures"]),
        "execution_time": number(row["seconds"]),
        "timing": [
            {"name": step, "started_at": start, "completed_at": end} for step, start, end in steps if start or end
        ],
        "thread_id": row["thread_id"] or "",
        "adapter_response": response,
    }


def _arguments(invocation: Row) -> Row:
    """What was selected and how: dbt's own arguments, or Elementary's list of selectors and variables."""
    args = _json(invocation["args"])
    try:
        selected = json.loads(invocation["selected"] or "[]")
    except (ValueError, RecursionError):
        selected = invocation["selected"]
    listed = [item for item in (selected if isinstance(selected, list) else [selected]) if item]
    kept = ("select", "exclude", "selector", "empty", "sample", "vars")
    return {"select": listed, "vars": _json(invocation["vars"])} | {key: args[key] for key in kept if args.get(key)}


def _json(value: str | None) -> Row:
    """The object in a text, else an empty one."""
    try:
        return mapping(json.loads(value or "{}", parse_constant=lambda _: None))
    except (ValueError, RecursionError):
        return {}


def _is_true(value: str | None) -> bool | None:
    return None if value is None else value.lower() in ("true", "t", "1")


def _instant(at: datetime) -> str:
    return at.isoformat(timespec="microseconds") + "Z"
