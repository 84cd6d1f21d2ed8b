"""Small artifacts in the shape of dbt 1.11, for what a real run does not give at will."""

from __future__ import annotations

import json
import uuid
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

NOW = datetime(2026, 1, 31, 6, 0, 0)


def instant(at: datetime) -> str:
    """A time as dbt writes it."""
    return at.isoformat(timespec="microseconds") + "Z"


def metadata(kind: str, version: int, at: datetime = NOW, **more: Any) -> dict[str, Any]:
    """The part that all artifacts have."""
    return {
        "dbt_schema_version": f"https://schemas.getdbt.com/dbt/{kind}/v{version}.json",
        "dbt_version": "1.11.16",
        "generated_at": instant(at),
        "invocation_id": str(uuid.uuid4()),
        "invocation_started_at": instant(at - timedelta(seconds=5)),
        "env": {},
        **more,
    }


def result(unique_id: str, status: str = "success", at: datetime = NOW, **more: Any) -> dict[str, Any]:
    """One result of run_results."""
    timing = (
        []
        if status == "skipped"
        else [
            {
                "name": "compile",
                "started_at": instant(at - timedelta(seconds=2)),
                "completed_at": instant(at - timedelta(seconds=1)),
            },
            {"name": "execute", "started_at": instant(at - timedelta(seconds=1)), "completed_at": instant(at)},
        ]
    )
    return {
        "status": status,
        "timing": timing,
        "thread_id": "Thread-1 (worker)",
        "execution_time": 0.0 if status == "skipped" else 2.0,
        "adapter_response": {"_message": "OK"},
        "message": "OK",
        "failures": None,
        "unique_id": unique_id,
        "compiled": True,
        "compiled_code": "select 1",
        "relation_name": None,
        **more,
    }


def run_results(results: list[dict[str, Any]], at: datetime = NOW, which: str = "build", **more: Any) -> dict[str, Any]:
    """A run_results of some results."""
    return {
        "metadata": metadata("run-results", 6, at, **more),
        "results": results,
        "elapsed_time": 4.5,
        "args": {"which": which, "invocation_command": f"dbt {which}", "select": [], "target": None},
    }


def sources(results: list[dict[str, Any]], at: datetime = NOW, **more: Any) -> dict[str, Any]:
    """A sources file of some results."""
    return {"metadata": metadata("sources", 3, at, **more), "results": results, "elapsed_time": 0.5}


def freshness(unique_id: str, status: str = "pass", age_seconds: float = 60.0, at: datetime = NOW) -> dict[str, Any]:
    """One result of a freshness check."""
    return {
        "unique_id": unique_id,
        "max_loaded_at": instant(at - timedelta(seconds=age_seconds)),
        "snapshotted_at": instant(at),
        "max_loaded_at_time_ago_in_s": age_seconds,
        "status": status,
        "criteria": {
            "warn_after": {"count": 1, "period": "hour"},
            "error_after": {"count": 2, "period": "day"},
            "filter": None,
        },
        "adapter_response": {},
        "timing": [],
        "thread_id": "Thread-1 (worker)",
        "execution_time": 0.1,
    }


def node(unique_id: str, parents: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    """A node of the manifest."""
    resource_type, package, name = unique_id.split(".", 2)
    return {
        "unique_id": unique_id,
        "name": name,
        "resource_type": resource_type,
        "package_name": package,
        "original_file_path": f"models/{name}.sql",
        "checksum": {"name": "sha256", "checksum": f"checksum of {name}"},
        "config": {"materialized": "table", "meta": {"owner": "@team"}, "tags": []},
        "tags": [],
        "columns": {},
        "depends_on": {"macros": [], "nodes": list(parents)},
        "created_at": 1.0,
        **more,
    }


def manifest(nodes: list[dict[str, Any]], at: datetime = NOW, project: str = "p", **more: Any) -> dict[str, Any]:
    """A manifest of some nodes."""
    return {
        "metadata": metadata("manifest", 12, at, project_name=project, adapter_type="duckdb", **more),
        "nodes": {n["unique_id"]: n for n in nodes},
        "sources": {},
        "exposures": {},
        "unit_tests": {},
        "groups": {},
    }


def catalog(relations: dict[str, dict[str, str]], at: datetime = NOW, **more: Any) -> dict[str, Any]:
    """A catalog from the types of columns, by node and column."""
    nodes = {
        unique_id: {
            "unique_id": unique_id,
            "metadata": {"type": "BASE TABLE", "schema": "main", "name": unique_id.rsplit(".", 1)[-1]},
            "columns": {
                name: {"name": name, "type": data_type, "index": i}
                for i, (name, data_type) in enumerate(columns.items())
            },
            "stats": {},
        }
        for unique_id, columns in relations.items()
    }
    return {"metadata": metadata("catalog", 1, at, **more), "nodes": nodes, "sources": {}, "errors": None}


def write(folder: Path, **documents: dict[str, Any]) -> Path:
    """Write artifacts such as ``run_results=...`` into a target folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, document in documents.items():
        (folder / f"{name}.json").write_text(json.dumps(document))
    return folder
