"""run_results files in the shape of dbt 1.11."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any


def write_runs(folder: Path, runs: int, results: int, newest: datetime) -> None:
    """Write ``runs`` files of ``results`` results each, an hour apart, the last one at ``newest``."""
    for number in range(runs):
        at = newest - timedelta(hours=runs - 1 - number)
        path = folder / f"run-{number:05}" / "run_results.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(_run_results(number, results, at)))


def _run_results(number: int, results: int, at: datetime) -> dict[str, Any]:
    return {
        "metadata": {
            "dbt_schema_version": "https://schemas.getdbt.com/dbt/run-results/v6.json",
            "dbt_version": "1.11.16",
            "generated_at": _instant(at),
            "invocation_id": f"bench-{number:08}",
            "invocation_started_at": _instant(at - timedelta(minutes=5)),
            "env": {},
        },
        "results": [_result(i, at) for i in range(results)],
        "elapsed_time": 290.0,
        "args": {"which": "build", "invocation_command": "dbt build"},
    }


def _result(number: int, at: datetime) -> dict[str, Any]:
    start = at - timedelta(seconds=300 - number % 290, microseconds=number)
    steps = (
        ("compile", start, start + timedelta(seconds=1)),
        ("execute", start + timedelta(seconds=1), start + timedelta(seconds=3)),
    )
    return {
        "status": "success",
        "timing": [{"name": n, "started_at": _instant(a), "completed_at": _instant(b)} for n, a, b in steps],
        "thread_id": f"Thread-{number % 4} (worker)",
        "execution_time": 3.0 + number / 1000,
        "adapter_response": {"_message": "OK"},
        "message": "OK",
        "failures": None,
        "unique_id": f"model.bench.model_{number:05}",
        "compiled": True,
        "compiled_code": "select id, name, amount, counted_at from a_table_of_the_layer_below\n" * 8,
        "relation_name": f'"bench"."main"."model_{number:05}"',
        "batch_results": None,
    }


def _instant(at: datetime) -> str:
    return at.isoformat(timespec="microseconds") + "Z"


def write_manifests(folder: Path, nodes: int, at: datetime) -> None:
    """Write a manifest of ``nodes`` nodes and about 5 kB each to ``first``, and to ``again`` one that differs only in its metadata."""
    sections = {"nodes": {f"model.bench.model_{i:05}": _node(i) for i in range(nodes)}, "sources": {}, "exposures": {}}
    paths = folder / "first" / "manifest.json", folder / "again" / "manifest.json"
    for number, path in enumerate(paths):
        metadata = {
            "dbt_schema_version": "https://schemas.getdbt.com/dbt/manifest/v12.json",
            "generated_at": _instant(at + timedelta(hours=number)),
            "invocation_id": f"bench-manifest-{number}",
            "project_name": "bench",
            "adapter_type": "duckdb",
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"metadata": metadata, **sections}))


def _node(number: int) -> dict[str, Any]:
    unique_id = f"model.bench.model_{number:05}"
    code = "select id, name, amount, counted_at from a_table_of_the_layer_below\n"
    return {
        "unique_id": unique_id,
        "name": unique_id.split(".")[2],
        "resource_type": "model",
        "package_name": "bench",
        "original_file_path": f"models/layer_{number % 7}/model_{number:05}.sql",
        "checksum": {"name": "sha256", "checksum": f"{number:064x}"},
        "config": {"materialized": "table", "meta": {"owner": "@team"}, "tags": []},
        "columns": {
            f"column_{i}": {"name": f"column_{i}", "description": "A column.", "data_type": "int"} for i in range(10)
        },
        "depends_on": {"macros": [], "nodes": [f"model.bench.model_{number // 2:05}"] if number else []},
        "raw_code": code * 30,
        "compiled_code": code * 30,
        "created_at": 1.0,
    }
