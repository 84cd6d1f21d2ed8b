"""run_results.json and sources.json to rows, through dbt-artifacts-parser's model of the version at hand."""

from __future__ import annotations

import importlib
import json
import typing
from dataclasses import dataclass
from typing import Any

from offdag.artifacts.document import Document, Kind, UnreadableArtifact, Verdict
from offdag.artifacts.timestamps import parse_instant
from offdag.artifacts.values import Row, count, items, mapping, number, text, threshold_seconds

if typing.TYPE_CHECKING:
    from pydantic import BaseModel

# Commands whose results say something about the data. All others overwrite run_results.json too, and there every test reads
# "success" after `docs generate`: they are recorded, and evidence of nothing.
BUILD_COMMANDS = frozenset({"build", "run", "test", "seed", "snapshot", "clone", "retry"})

_NEWEST = {Kind.RUN_RESULTS: 6, Kind.SOURCES: 3}


@dataclass(frozen=True)
class Results:
    """The rows of one run_results or sources file.

    Attributes:
        rows: ``node_results`` or ``source_freshness`` rows, without the columns that name the invocation.
        invocation: Columns of ``invocations`` that only the file knows.
        tolerated: Results that broke dbt's own schema and were read as far as they go.
    """

    rows: list[Row]
    invocation: Row
    tolerated: int

    @property
    def is_build(self) -> bool:
        return bool(self.invocation["is_build"])


def read_results(document: Document) -> Results:
    """Read every result of a run_results or sources document.

    Raises:
        UnreadableArtifact: The file has no list of results.
    """
    raw = json.loads(document.content)
    found = raw.get("results") if isinstance(raw, dict) else None
    if not isinstance(found, list):
        raise UnreadableArtifact(Verdict.UNREADABLE, "has no list of results")
    item_model = _item_model(document.kind, document.version)
    to_row = _node_result if document.kind is Kind.RUN_RESULTS else _freshness
    rows: list[Row] = []
    tolerated = 0
    for item in found:
        values, was_tolerated = _validated(item_model, item)
        tolerated += was_tolerated
        if isinstance(values.get("unique_id"), str):
            rows.append(to_row(values))
    return Results(rows, _invocation(document, raw, len(found)), tolerated)


def _item_model(kind: Kind, version: int) -> Any:
    """The type of one result in the parser's model of a schema version; a newer version is read by the newest model.

    Only the one module is imported: the parser's own entry point loads every version of every artifact.
    """
    version = min(max(version, 1), _NEWEST[kind])
    module = importlib.import_module(f"dbt_artifacts_parser.parsers.{kind.value}.{kind.value}_v{version}")
    model: type[BaseModel] = getattr(module, f"{'RunResults' if kind is Kind.RUN_RESULTS else 'Sources'}V{version}")
    from pydantic import TypeAdapter

    item_type: Any = typing.get_args(model.model_fields["results"].annotation)[0]
    return TypeAdapter(item_type)


def _validated(item_model: Any, item: object) -> tuple[Row, bool]:
    """One result as plain values, and whether dbt's schema had to be bent for it.

    A status that the schema does not know stays as it is written: unknown, neither success nor failure.
    """
    from pydantic import ValidationError

    if not isinstance(item, dict):
        return {}, True
    # dbt 2.0 capitalises freshness statuses.
    status = item.get("status")
    known = {**item, "status": status.lower()} if isinstance(status, str) else item
    try:
        values = item_model.dump_python(item_model.validate_python(known, extra="ignore"), mode="json", warnings=False)
    except ValidationError:
        return {**known, "status": status if isinstance(status, str) else None}, True
    return dict(values), False


def _invocation(document: Document, raw: Row, result_count: int) -> Row:
    args = mapping(raw.get("args"))
    command = "freshness" if document.kind is Kind.SOURCES else text(args.get("which")) or text(args.get("rpc_method"))
    written = text(args.get("invocation_command"))
    return {
        "command": command,
        # Files of dbt before 1.0 do not name their command; they were written by builds.
        "is_build": document.kind is Kind.RUN_RESULTS and (command is None or command in BUILD_COMMANDS),
        "is_retry": command == "retry" or (written or "").split()[1:2] == ["retry"],
        "is_full_refresh": args.get("full_refresh") if isinstance(args.get("full_refresh"), bool) else None,
        "target": text(args.get("target")),
        "selection": json.dumps({k: args[k] for k in ("select", "exclude", "selector") if args.get(k)}, sort_keys=True),
        "elapsed_seconds": number(raw.get("elapsed_time")),
        "result_count": result_count,
    }


def _node_result(values: Row) -> Row:
    timing = {mapping(t).get("name"): mapping(t) for t in items(values.get("timing"))}
    starts = [t for t in (parse_instant(x.get("started_at")) for x in timing.values()) if t]
    ends = [t for t in (parse_instant(x.get("completed_at")) for x in timing.values()) if t]
    response = mapping(values.get("adapter_response"))
    unique_id = str(values["unique_id"])
    return {
        "unique_id": unique_id,
        "resource_type": unique_id.split(".", 1)[0],
        "status": text(values.get("status")),
        "message": text(values.get("message")),
        "failures": count(values.get("failures")),
        "execution_seconds": number(values.get("execution_time")),
        "started_at": min(starts) if starts else None,
        "execute_started_at": parse_instant(timing.get("execute", {}).get("started_at")),
        "completed_at": max(ends) if ends else None,
        "thread_id": text(values.get("thread_id")),
        "rows_affected": _at_least_zero(count(response.get("rows_affected"))),
        "bytes_processed": count(response.get("bytes_processed")),
        "query_id": text(response.get("query_id")) or text(response.get("job_id")),
        "adapter_response": json.dumps(response, sort_keys=True, default=str),
        "relation_name": text(values.get("relation_name")),
    }


def _freshness(values: Row) -> Row:
    criteria = mapping(values.get("criteria"))
    error = values.get("error")
    return {
        "unique_id": str(values["unique_id"]),
        "status": text(values.get("status")),
        "message": None if error is None else str(error),
        "max_loaded_at": parse_instant(values.get("max_loaded_at")),
        "checked_at": parse_instant(values.get("snapshotted_at")),
        "age_seconds": number(values.get("max_loaded_at_time_ago_in_s")),
        "warn_after_seconds": threshold_seconds(criteria.get("warn_after")),
        "error_after_seconds": threshold_seconds(criteria.get("error_after")),
        "filter": text(criteria.get("filter")),
        "execution_seconds": number(values.get("execution_time")),
    }


def _at_least_zero(value: int | None) -> int | None:
    """Adapters write -1 for "unknown"."""
    return value if value is not None and value >= 0 else None
