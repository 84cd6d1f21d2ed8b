"""Tables in which the dbt packages Elementary and dbt_artifacts keep results, as the run_results.json that dbt wrote at the time.

The columns are those of Elementary's ``dbt_invocations`` and ``dbt_run_results``, and of dbt_artifacts' ``invocations`` and
``model_executions``, ``test_executions``, ``seed_executions`` and ``snapshot_executions`` (also of its marts ``fct_dbt__...``).
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from offdag.artifacts.timestamps import parse_instant
from offdag.artifacts.values import Row, count, mapping, number, text
from offdag.collect.places import ArtifactFile
from offdag.errors import UsageError, first_line
from offdag.history.history import History

if TYPE_CHECKING:
    import pyarrow as pa

_INVOCATIONS = ("dbt_invocations", "invocations", "fct_dbt__invocations")
_RESULTS = (
    "dbt_run_results",
    *(f"{kind}_executions" for kind in ("model", "test", "seed", "snapshot")),
    *(f"fct_dbt__{kind}_executions" for kind in ("model", "test", "seed", "snapshot")),
)
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


def write_artifacts(folder: Path, history: History, place: Path) -> tuple[list[ArtifactFile], Counter[str]]:
    """Write a run_results file for each run of the exported tables that the history does not have, from its artifact or an earlier import.

    Args:
        folder: Has a Parquet or CSV file for each table, by the table's name in any letter case.
        history: Is read only.
        place: Gets the files.

    Returns:
        The files, and how many results were left out, by reason.

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
            tables.left_out["that the history has"] += len(run.document["results"])
            continue
        file = place / f"run_results-{len(files):08}.json"
        file.write_text(json.dumps(run.document), encoding="utf-8")
        files.append(ArtifactFile(str(file)))
    return files, tables.left_out


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
        files = {path.stem.lower(): path for path in sorted(folder.glob("*")) if path.suffix in (".parquet", ".csv")}
        invocations = [files[name] for name in _INVOCATIONS if name in files]
        results = [files[name] for name in _RESULTS if name in files]
        if not invocations or not results:
            tables = "dbt_invocations and dbt_run_results, or invocations and model_executions"
            raise self._refused(f"there are no {'results' if invocations else 'invocations'}: export {tables}", folder)
        self._invocations = {
            row["invocation_id"]: row
            for path in invocations
            for row in self._read(path, _INVOCATION_COLUMNS).to_pylist()
            if row["invocation_id"]
        }
        self._results = [self._read(path, _RESULT_COLUMNS) for path in results]
        self.left_out: Counter[str] = Counter()

    def runs(self) -> Iterator[_Run]:
        """Each command with its results; ``left_out`` counts results, by reason, that give none."""
        import pyarrow as pa

        rows = pa.concat_tables(self._results).sort_by("invocation_id")
        ids = rows["invocation_id"].to_pylist()
        start = 0
        while start < len(ids):
            end = start + 1
            while end < len(ids) and ids[end] == ids[start]:
                end += 1
            run = self._run(self._invocations.get(ids[start]), rows.slice(start, end - start).to_pylist())
            if run:
                yield run
            start = end

    def _run(self, invocation: Row | None, rows: list[Row]) -> _Run | None:
        # Without its command nothing says that results are evidence: after `docs generate` every test reads "success".
        if invocation is None or not invocation["command"]:
            self.left_out["without their command"] += len(rows)
            return None
        written = [
            invocation["written_at"],
            *(row[column] for row in rows for column in ("written_at", "execute_completed_at")),
        ]
        written_at = max(filter(None, map(parse_instant, written)), default=None)
        if written_at is None:
            self.left_out["without a time"] += len(rows)
            return None
        return _Run(invocation["invocation_id"], written_at, _document(invocation, written_at, rows))

    def _read(self, path: Path, columns: dict[str, tuple[str, ...]]) -> pa.Table:
        """The columns of a file by our names, all as text."""
        import pyarrow as pa

        try:
            found = _read_csv(path) if path.suffix == ".csv" else _read_parquet(path)
        except (OSError, ValueError, pa.ArrowException, csv.Error, StopIteration) as error:
            raise self._refused(f"the file cannot be read: {first_line(error)}", path) from error
        names = {name.lower(): name for name in found.column_names}
        texts = {}
        for name, candidates in columns.items():
            own = next((names[candidate] for candidate in candidates if candidate in names), None)
            texts[name] = pa.nulls(len(found), pa.string()) if own is None else _as_text(found[own])
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


def _read_parquet(path: Path) -> pa.Table:
    import pyarrow.parquet as pq

    return pq.read_table(path)


def _read_csv(path: Path) -> pa.Table:
    """All columns as text: no id and no message may be taken for a number or a time."""
    import pyarrow as pa
    import pyarrow.csv as pa_csv

    with path.open(encoding="utf-8-sig", newline="") as file:
        header = next(csv.reader(file))
    options = pa_csv.ConvertOptions(column_types=dict.fromkeys(header, pa.string()), strings_can_be_null=True)
    return pa_csv.read_csv(path, convert_options=options, parse_options=pa_csv.ParseOptions(newlines_in_values=True))


def _as_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column as text, times as UTC; nulls where it is nested."""
    import pyarrow as pa

    if pa.types.is_nested(column.type):
        return pa.nulls(len(column), pa.string())
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("us", column.type.tz), safe=False).cast(pa.timestamp("us"))
    return column.cast(pa.string())


def _document(invocation: Row, written_at: datetime, rows: list[Row]) -> dict[str, Any]:
    started_at = parse_instant(invocation["started_at"])
    command = invocation["command"]
    args = {
        **_selection(invocation),
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
        "project_name": text(invocation["project"]) or _package(rows),
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
        "message": row["message"],
        "failures": count(row["failures"]),
        "execution_time": number(row["seconds"]),
        "timing": [
            {"name": step, "started_at": start, "completed_at": end} for step, start, end in steps if start or end
        ],
        "thread_id": row["thread_id"] or "",
        "adapter_response": response,
    }


def _selection(invocation: Row) -> Row:
    """What was selected: dbt's own arguments, or Elementary's list of selectors."""
    args = _json(invocation["args"])
    try:
        selected = json.loads(invocation["selected"] or "[]")
    except ValueError:
        selected = invocation["selected"]
    listed = selected if isinstance(selected, list) else [selected]
    return {"select": listed} | {key: args[key] for key in ("select", "exclude", "selector") if args.get(key)}


def _json(value: str | None) -> Row:
    """The object in a text, else an empty one."""
    try:
        return mapping(json.loads(value or "{}"))
    except ValueError:
        return {}


def _package(rows: list[Row]) -> str | None:
    """The package of most nodes: older tables do not name the project, and most of what a project builds is its own."""
    packages = Counter(parts[1] for row in rows if len(parts := str(row["unique_id"]).split(".")) > 2)
    return packages.most_common(1)[0][0] if packages else None


def _is_true(value: str | None) -> bool | None:
    return None if value is None else value.lower() in ("true", "t", "1")


def _instant(at: datetime) -> str:
    return at.isoformat(timespec="microseconds") + "Z"
