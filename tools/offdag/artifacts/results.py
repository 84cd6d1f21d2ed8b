"""run_results.json, sources.json and freshness.json to rows, through dbt-artifacts-parser's model of the file's version."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from offdag.artifacts.document import NOT_JSON, Document, Kind, UnreadableArtifact, Verdict
from offdag.artifacts.models import msgspec_type, parser_module
from offdag.artifacts.timestamps import parse_instant
from offdag.artifacts.values import Columns, Row, count, items, mapping, number, text, threshold_seconds

# Commands whose results can be evidence about the data. Other commands overwrite run_results.json too: after `docs generate` every test
# reads "success". Their results are only recorded.
BUILD_COMMANDS = frozenset({"build", "run", "test", "seed", "snapshot", "clone", "retry"})

_NEWEST = {Kind.RUN_RESULTS: 6, Kind.SOURCES: 3}
# freshness.json of dbt 2.0 has the results of sources.json, and their resource type.
_PARSED_AS = {Kind.FRESHNESS: (Kind.SOURCES, 3)}


@dataclass(frozen=True)
class Results:
    """The rows of one run_results, sources or freshness file.

    Attributes:
        kind: run_results, sources or freshness.
        columns: Columns of ``node_results`` or ``source_freshness``, without those that name the invocation.
        invocation: Columns of ``invocations`` that come from the file.
        tolerated: Results that broke dbt's own schema and were read as far as possible, and replaced surrogates.
        args: What dbt wrote into ``args``: flags and variables of the command; empty where it wrote none.
    """

    kind: Kind
    columns: Columns
    invocation: Row
    tolerated: int
    args: Row

    @property
    def is_build(self) -> bool:
        return bool(self.invocation["is_build"])

    @property
    def row_count(self) -> int:
        return int(self.invocation["result_count"])

    @property
    def table(self) -> str:
        """The history's table that holds the rows."""
        return "node_results" if self.kind is Kind.RUN_RESULTS else "source_freshness"


def read_results(document: Document, redact: Callable[[str], str] = lambda text: text) -> Results:
    """Read every result of a run_results, sources or freshness document.

    Args:
        document: The file.
        redact: Takes credentials and data out of a database's message.

    Raises:
        UnreadableArtifact: The file has no list of results.
    """
    try:
        found, tolerated = _decoded_results(document.kind, document.version, document.parts.results)
    except NOT_JSON as error:
        raise UnreadableArtifact(Verdict.UNREADABLE, "has no list of results") from error
    # A result without an id cannot be kept; of several with one id, the last is kept.
    kept = list({item.unique_id: item for item in found if text(item.unique_id)}.values())
    if not kept and (found or tolerated):
        raise UnreadableArtifact(Verdict.UNREADABLE, "none of its results can be read")
    columns = _node_results(kept) if document.kind is Kind.RUN_RESULTS else _freshness(kept)
    columns["message"] = [text and redact(text) for text in columns["message"]]
    args = mapping(_decoded(document.parts.args))
    tolerated = max(tolerated, len(found) - len(kept)) + document.replaced_count
    return Results(document.kind, columns, _invocation(document, args, len(kept)), tolerated, args)


class _LooseResult(msgspec.Struct):
    """A result that breaks dbt's schema, read as far as possible: the fields of all versions, each of any type."""

    unique_id: Any = None
    status: Any = None
    message: Any = None
    failures: Any = None
    execution_time: Any = None
    timing: Any = None
    thread_id: Any = None
    adapter_response: Any = None
    relation_name: Any = None
    error: Any = None
    max_loaded_at: Any = None
    snapshotted_at: Any = None
    max_loaded_at_time_ago_in_s: Any = None
    criteria: Any = None


@functools.cache
def _list_decoder(kind: Kind, version: int) -> msgspec.json.Decoder[list[Any]]:
    """Reads the results of a schema version; a newer version is read as the newest that the parser knows."""
    kind, version = _PARSED_AS.get(kind, (kind, version))
    version = min(max(version, 1), _NEWEST[kind])
    model = getattr(
        parser_module(kind.value, version), f"{'RunResults' if kind is Kind.RUN_RESULTS else 'Sources'}V{version}"
    )
    return msgspec.json.Decoder(msgspec_type(model.model_fields["results"].annotation))


_items_decoder = msgspec.json.Decoder(list[msgspec.Raw])
_loose_decoder = msgspec.json.Decoder(_LooseResult)


def _decoded_results(kind: Kind, version: int, raw: msgspec.Raw) -> tuple[list[Any], int]:
    """The results, and how many of them broke dbt's schema. A file that follows it is decoded in one call, any other result by result."""
    decoder = _list_decoder(kind, version)
    try:
        return decoder.decode(raw), 0
    except msgspec.ValidationError:
        pass
    found: list[Any] = []
    tolerated = 0
    for item in _items_decoder.decode(raw):
        try:
            found.append(_loose_decoder.decode(item))
            decoder.decode(b"[" + bytes(item) + b"]")
        except NOT_JSON:
            tolerated += 1
    return found, tolerated


def _field(value: object, name: str) -> Any:
    """A field of a struct, or of a mapping that broke the schema; None where it is missing."""
    return value.get(name) if isinstance(value, dict) else getattr(value, name, None)


def _invocation(document: Document, args: Row, result_count: int) -> Row:
    command = (
        "freshness"
        if document.kind is not Kind.RUN_RESULTS
        else text(args.get("which")) or text(args.get("rpc_method"))
    )
    written = text(args.get("invocation_command"))
    return {
        "command": command,
        "is_build": document.kind is Kind.RUN_RESULTS and _is_evidence(command, args),
        "is_retry": command == "retry" or _is_retry(written),
        "is_full_refresh": args.get("full_refresh") if isinstance(args.get("full_refresh"), bool) else None,
        "target": text(args.get("target")),
        "selection": _json({k: args[k] for k in ("select", "exclude", "selector") if args.get(k)}),
        "variables_hash": _hash(args.get("vars")),
        "elapsed_seconds": number(_decoded(document.parts.elapsed_time)),
        "result_count": result_count,
    }


def _is_evidence(command: str | None, args: Row) -> bool:
    """Whether a command's results tell how nodes fare with their data: `--empty` builds without any, `--sample` on a part."""
    # Files of dbt before 1.0 do not name their command; they were written by builds.
    return (command is None or command in BUILD_COMMANDS) and not args.get("empty") and not args.get("sample")


def _hash(variables: object) -> str | None:
    """Tells jobs apart that differ by their variables; the values may be secret. dbt before 1.5 wrote the variables as YAML."""
    if not variables or variables == "{}":
        return None
    return hashlib.sha256(_json(variables).encode()).hexdigest()[:12]


def _is_retry(command_line: str | None) -> bool:
    """Whether dbt's verb was retry; flags may precede it."""
    verb = next((word for word in (command_line or "").split()[1:] if word in BUILD_COMMANDS), None)
    return verb == "retry"


def _decoded(raw: msgspec.Raw) -> object:
    return msgspec.json.decode(raw) if raw else None


# Column by column: half the time of row by row.
def _node_results(found: list[Any]) -> Columns:
    intervals = [_interval(items(item.timing)) for item in found]
    responses = [mapping(item.adapter_response) for item in found]
    return {
        "unique_id": [item.unique_id for item in found],
        "resource_type": [item.unique_id.partition(".")[0] for item in found],
        "status": _texts(found, "status"),
        "message": _texts(found, "message"),
        "failures": [count(value) for value in _values(found, "failures")],
        "execution_seconds": [number(item.execution_time) for item in found],
        "started_at": [interval[0] for interval in intervals],
        "execute_started_at": [interval[1] for interval in intervals],
        "completed_at": [interval[2] for interval in intervals],
        "thread_id": _texts(found, "thread_id"),
        "rows_affected": [_at_least_zero(count(response.get("rows_affected"))) for response in responses],
        "bytes_processed": [count(response.get("bytes_processed")) for response in responses],
        "slot_milliseconds": [count(response.get("slot_ms")) for response in responses],
        "query_id": [text(response.get("query_id")) or text(response.get("job_id")) for response in responses],
        "adapter_response": _jsons(responses),
        "relation_name": _texts(found, "relation_name"),
    }


def _interval(timing: list[Any]) -> tuple[datetime | None, datetime | None, datetime | None]:
    """First start, start of the execute step, last end."""
    first = execute = last = None
    for step in timing:
        if isinstance(step, msgspec.Struct):
            name, start, end = step.name, parse_instant(step.started_at), parse_instant(step.completed_at)  # type: ignore[attr-defined]
        else:
            name, *ends = (_field(step, field) for field in ("name", "started_at", "completed_at"))
            start, end = map(parse_instant, ends)
        if start and (first is None or start < first):
            first = start
        if end and (last is None or end > last):
            last = end
        if name == "execute":
            execute = start
    return first, execute, last


def _freshness(found: list[Any]) -> Columns:
    criteria = _values(found, "criteria")
    return {
        "unique_id": [item.unique_id for item in found],
        "status": _texts(found, "status"),
        "message": [None if error is None else str(error) for error in _values(found, "error")],
        "max_loaded_at": [parse_instant(value) for value in _values(found, "max_loaded_at")],
        "checked_at": [parse_instant(value) for value in _values(found, "snapshotted_at")],
        "age_seconds": [number(value) for value in _values(found, "max_loaded_at_time_ago_in_s")],
        "warn_after_seconds": [_threshold_seconds(_field(c, "warn_after")) for c in criteria],
        "error_after_seconds": [_threshold_seconds(_field(c, "error_after")) for c in criteria],
        "filter": [text(_field(c, "filter")) for c in criteria],
        "execution_seconds": [number(value) for value in _values(found, "execution_time")],
    }


def _values(found: list[Any], field: str) -> list[Any]:
    """A field that some schema versions do not have."""
    return [getattr(item, field, None) for item in found]


def _texts(found: list[Any], field: str) -> list[str | None]:
    return [value if isinstance(value, str) and value else None for value in _values(found, field)]


def _jsons(values: list[Row]) -> list[str]:
    """JSON of each; equal values, which are frequent, are encoded once."""
    written: dict[str, str] = {}
    return [written.get(key) or written.setdefault(key, _json(value)) for value in values for key in (repr(value),)]


def _threshold_seconds(value: object) -> int | None:
    return threshold_seconds({"count": _field(value, "count"), "period": _field(value, "period")})


def _json(value: object) -> str:
    try:
        return msgspec.json.encode(value, order="sorted").decode()
    except OverflowError:
        # Whole numbers beyond 64 bits.
        return json.dumps(value, sort_keys=True)


def _at_least_zero(value: int | None) -> int | None:
    """Adapters write -1 for "unknown"."""
    return value if value is not None and value >= 0 else None
