"""run_results.json, sources.json and freshness.json to rows, through dbt-artifacts-parser's model of the version at hand."""

from __future__ import annotations

import functools
import importlib
import json
import operator
import typing
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

import msgspec

from offdag.artifacts.document import NOT_JSON, Document, Kind, UnreadableArtifact, Verdict
from offdag.artifacts.timestamps import parse_instant
from offdag.artifacts.values import Row, count, items, mapping, number, text, threshold_seconds

if typing.TYPE_CHECKING:
    from pydantic import BaseModel

# Commands whose results say something about the data. All others overwrite run_results.json too, and there every test reads
# "success" after `docs generate`: they are recorded, and evidence of nothing.
BUILD_COMMANDS = frozenset({"build", "run", "test", "seed", "snapshot", "clone", "retry"})

_NEWEST = {Kind.RUN_RESULTS: 6, Kind.SOURCES: 3}
# freshness.json of dbt 2.0 has the results of sources.json, and their resource type.
_PARSED_AS = {Kind.FRESHNESS: (Kind.SOURCES, 3)}


@dataclass(frozen=True)
class Results:
    """The rows of one run_results, sources or freshness file.

    Attributes:
        rows: ``node_results`` or ``source_freshness`` rows, without the columns that name the invocation.
        invocation: Columns of ``invocations`` that only the file knows.
        tolerated: Results that broke dbt's own schema and were read as far as they go.
    """

    kind: Kind
    rows: list[Row]
    invocation: Row
    tolerated: int

    @property
    def is_build(self) -> bool:
        return bool(self.invocation["is_build"])

    @property
    def table(self) -> str:
        """The history's table that holds the rows."""
        return "node_results" if self.kind is Kind.RUN_RESULTS else "source_freshness"


class _File(msgspec.Struct):
    """The parts of a run_results or sources file; the results stay bytes until the model of their version reads them."""

    results: msgspec.Raw = msgspec.Raw()
    args: Any = None
    elapsed_time: Any = None


_file_decoder = msgspec.json.Decoder(_File)


def read_results(document: Document) -> Results:
    """Read every result of a run_results, sources or freshness document.

    Raises:
        UnreadableArtifact: The file has no list of results.
    """
    try:
        file = _file_decoder.decode(document.content)
    except NOT_JSON as error:
        raise UnreadableArtifact(Verdict.UNREADABLE, f"is not the JSON of an artifact: {error}"[:200]) from error
    raw = bytes(file.results)
    if not raw.lstrip().startswith(b"["):
        raise UnreadableArtifact(Verdict.UNREADABLE, "has no list of results")
    found, tolerated = _validated(_item_type(document.kind, document.version), raw)
    to_row = _node_result if document.kind is Kind.RUN_RESULTS else _freshness
    # A result without an id, or a second one of an id, can't be kept: the last one of each id stands.
    kept = {values["unique_id"]: values for values in found if text(values.get("unique_id"))}
    rows = [to_row(values) for values in kept.values()]
    if found and not rows:
        raise UnreadableArtifact(Verdict.UNREADABLE, f"none of its {len(found)} results can be read")
    return Results(document.kind, rows, _invocation(document, file, len(rows)), max(tolerated, len(found) - len(rows)))


@functools.cache
def _item_type(kind: Kind, version: int) -> Any:
    """The type of one result in the parser's model of a schema version; a newer version is read by the newest model.

    Only the one module is imported: the parser's own entry point loads every version of every artifact. A status may be any text: what
    it means is judged in SQL, where an unknown one is neither success nor failure. (Three enums in a union cost half of all reading.)
    """
    from pydantic import create_model

    kind, version = _PARSED_AS.get(kind, (kind, version))
    version = min(max(version, 1), _NEWEST[kind])
    module = importlib.import_module(f"dbt_artifacts_parser.parsers.{kind.value}.{kind.value}_v{version}")
    model: type[BaseModel] = getattr(module, f"{'RunResults' if kind is Kind.RUN_RESULTS else 'Sources'}V{version}")
    item = typing.get_args(model.model_fields["results"].annotation)[0]
    # Sources have one model for what was checked and one for what could not be.
    models = typing.get_args(item) or (item,)
    loosened = [create_model(m.__name__, __base__=m, status=(str, ...)) for m in models]
    return functools.reduce(operator.or_, loosened)


@functools.cache
def _adapter(item_type: Any) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(item_type)


def _validated(item_type: Any, raw: bytes) -> tuple[list[Row], int]:
    """The fields of each result, and for how many of them dbt's schema had to be bent.

    A file that keeps the schema is read at once; one that does not is read result by result.
    """
    from pydantic import ValidationError

    whole: Any = list[item_type]
    try:
        return [vars(item) for item in _adapter(whole).validate_json(raw, extra="ignore")], 0
    except ValidationError:
        pass
    found: list[Row] = []
    tolerated = 0
    for item in msgspec.json.decode(raw, type=list[msgspec.Raw]):
        try:
            fields = mapping(msgspec.json.decode(item))
        except NOT_JSON:
            fields = {}
        try:
            found.append(vars(_adapter(item_type).validate_python(fields, extra="ignore")))
        except ValidationError:
            found.append(fields)
            tolerated += 1
    return found, tolerated


def _fields(value: object) -> Row:
    """The fields of a nested model, or of a mapping that broke the schema."""
    return value if isinstance(value, dict) else getattr(value, "__dict__", {})


def _word(value: object) -> str | None:
    """A text, also of one of the parser's enums."""
    return text(value.value if isinstance(value, Enum) else value)


def _invocation(document: Document, file: _File, result_count: int) -> Row:
    args = mapping(file.args)
    command = (
        "freshness"
        if document.kind is not Kind.RUN_RESULTS
        else text(args.get("which")) or text(args.get("rpc_method"))
    )
    written = text(args.get("invocation_command"))
    return {
        "command": command,
        # Files of dbt before 1.0 do not name their command; they were written by builds.
        "is_build": document.kind is Kind.RUN_RESULTS and (command is None or command in BUILD_COMMANDS),
        "is_retry": command == "retry" or (written or "").split()[1:2] == ["retry"],
        "is_full_refresh": args.get("full_refresh") if isinstance(args.get("full_refresh"), bool) else None,
        "target": text(args.get("target")),
        "selection": _json({k: args[k] for k in ("select", "exclude", "selector") if args.get(k)}),
        "elapsed_seconds": number(file.elapsed_time),
        "result_count": result_count,
    }


def _node_result(values: Row) -> Row:
    starts: list[datetime] = []
    ends: list[datetime] = []
    execute_started_at = None
    for item in items(values.get("timing")):
        step = _fields(item)
        start, end = parse_instant(step.get("started_at")), parse_instant(step.get("completed_at"))
        starts += [start] if start else []
        ends += [end] if end else []
        if step.get("name") == "execute":
            execute_started_at = start
    response = mapping(values.get("adapter_response"))
    unique_id = str(values["unique_id"])
    return {
        "unique_id": unique_id,
        "resource_type": unique_id.split(".", 1)[0],
        "status": _word(values.get("status")),
        "message": text(values.get("message")),
        "failures": count(values.get("failures")),
        "execution_seconds": number(values.get("execution_time")),
        "started_at": min(starts, default=None),
        "execute_started_at": execute_started_at,
        "completed_at": max(ends, default=None),
        "thread_id": text(values.get("thread_id")),
        "rows_affected": _at_least_zero(count(response.get("rows_affected"))),
        "bytes_processed": count(response.get("bytes_processed")),
        "query_id": text(response.get("query_id")) or text(response.get("job_id")),
        "adapter_response": _json(response),
        "relation_name": text(values.get("relation_name")),
        "slot_milliseconds": count(response.get("slot_ms")),
    }


def _freshness(values: Row) -> Row:
    criteria = _fields(values.get("criteria"))
    error = values.get("error")
    return {
        "unique_id": str(values["unique_id"]),
        "status": _word(values.get("status")),
        "message": None if error is None else str(error),
        "max_loaded_at": parse_instant(values.get("max_loaded_at")),
        "checked_at": parse_instant(values.get("snapshotted_at")),
        "age_seconds": number(values.get("max_loaded_at_time_ago_in_s")),
        "warn_after_seconds": _threshold_seconds(criteria.get("warn_after")),
        "error_after_seconds": _threshold_seconds(criteria.get("error_after")),
        "filter": text(criteria.get("filter")),
        "execution_seconds": number(values.get("execution_time")),
    }


def _threshold_seconds(value: object) -> int | None:
    threshold = _fields(value)
    return threshold_seconds({"count": threshold.get("count"), "period": _word(threshold.get("period"))})


def _json(value: object) -> str:
    try:
        return msgspec.json.encode(value, order="sorted").decode()
    except OverflowError:
        # Whole numbers beyond 64 bits.
        return json.dumps(value, sort_keys=True)


def _at_least_zero(value: int | None) -> int | None:
    """Adapters write -1 for "unknown"."""
    return value if value is not None and value >= 0 else None
