"""Artifacts as each dbt writes them: what dbt 1.11 writes, without the fields that a version does not have."""

from __future__ import annotations

import importlib
import re
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

_SECOND = re.compile(r"(\d\d:\d\d:\d\d\.\d{6})Z")


@dataclass(frozen=True)
class Version:
    """A version of dbt, by the versions of the schemas that it writes.

    Attributes:
        name: Such as 1.8.
        run_results: Version of run_results.
        manifest: Version of manifest.
        sources: Version of sources.
        is_fusion: Whether it is dbt 2.x: nanoseconds, one interval for both steps, no wall time, and files of its own.
    """

    name: str
    run_results: int
    manifest: int
    sources: int
    is_fusion: bool = False

    @property
    def number(self) -> tuple[int, ...]:
        return tuple(map(int, self.name.split(".")))


VERSIONS = (
    Version("0.19", 1, 1, 1),
    Version("0.20", 2, 2, 1),
    Version("0.21", 3, 3, 2),
    Version("1.0", 4, 4, 3),
    Version("1.1", 4, 5, 3),
    Version("1.2", 4, 6, 3),
    Version("1.3", 4, 7, 3),
    Version("1.4", 4, 8, 3),
    Version("1.5", 4, 9, 3),
    Version("1.6", 4, 10, 3),
    Version("1.7", 5, 11, 3),
    Version("1.8", 6, 12, 3),
    Version("1.9", 6, 12, 3),
    Version("1.10", 6, 12, 3),
    Version("1.11", 6, 12, 3),
    Version("1.12", 6, 12, 3),
    Version("2.0", 6, 12, 3, is_fusion=True),
)


def written_by(version: Version, documents: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The documents of a command, as a version of dbt writes them."""
    found = {}
    for kind, document in documents.items():
        number = {"run_results": version.run_results, "manifest": version.manifest, "sources": version.sources}[kind]
        shaped = deepcopy(document)
        fields = _fields(kind, number)
        shaped["metadata"] = {k: v for k, v in shaped["metadata"].items() if k in fields} | {
            "dbt_schema_version": f"https://schemas.getdbt.com/dbt/{kind.replace('_', '-')}/v{number}.json",
            "dbt_version": f"{version.name}.0",
        }
        if kind == "manifest":
            for section in ("nodes", "sources"):
                shaped[section] = {k: _kept(node, fields) for k, node in shaped[section].items()}
            for node in shaped["nodes"].values():
                node["config"] = _kept(node["config"], fields)
            shaped = {k: v for k, v in shaped.items() if k in fields}
        else:
            shaped["results"] = [_kept(row, fields) for row in shaped["results"]]
        if kind == "run_results":
            _as_run_by(version, shaped)
        found[kind] = shaped
    if version.is_fusion and "sources" in found:
        found["freshness"] = _as_freshness(found.pop("sources"))
    return found


def write_own_files(version: Version, folder: Path, command_id: str) -> None:
    """What dbt 2.x leaves in its target folder besides artifacts: Parquet files of its local history and of OpenTelemetry."""
    if not version.is_fusion:
        return
    rows = pa.table({"unique_id": ["model.shop.stg_1"], "status": ["success"], "invocation_id": [command_id]})
    for name in ("info_schema/v1/nodes.parquet", f"metadata/run/{command_id}.parquet", "logs/otel.parquet"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(rows, path)


def _as_freshness(sources: dict[str, Any]) -> dict[str, Any]:
    """The document of `dbt freshness` of dbt 2.x: the results of sources.json, with their resource type."""
    schema = "https://schemas.getdbt.com/dbt/freshness/v0.json"
    results = [{**row, "resource_type": "source"} for row in sources["results"]]
    return {**sources, "metadata": {**sources["metadata"], "dbt_schema_version": schema}, "results": results}


def _as_run_by(version: Version, run_results: dict[str, Any]) -> None:
    if version.number < (1, 4):
        run_results["args"].pop("invocation_command", None)
    if version.number < (1, 10):
        run_results["metadata"].pop("invocation_started_at", None)
    if not version.is_fusion:
        return
    run_results.pop("elapsed_time", None)
    for result in run_results["results"]:
        result["thread_id"] = "Thread-16"
        if result["timing"]:
            result["timing"] = [{**result["timing"][1], "name": step["name"]} for step in result["timing"]]
            for step in result["timing"]:
                for end in ("started_at", "completed_at"):
                    step[end] = _SECOND.sub(r"\g<1>000Z", step[end])


def _kept(row: dict[str, Any], fields: frozenset[str]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name in fields}


@cache
def _fields(kind: str, number: int) -> frozenset[str]:
    """All fields that a version of a schema has anywhere, by the models of dbt-artifacts-parser."""
    module = importlib.import_module(f"dbt_artifacts_parser.parsers.{kind}.{kind}_v{number}")
    models = [model for model in vars(module).values() if isinstance(model, type) and hasattr(model, "model_fields")]
    return frozenset(
        name for model in models for key, field in model.model_fields.items() for name in (key, field.alias) if name
    )
