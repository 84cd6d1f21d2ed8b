"""Histories of any size: runs of a project's nodes over many days, with failures, slow days and flaky tests."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from offdag.history.history import History

_TESTS_PER_MODEL = 2
_SOURCES = 5
PROJECT = "bench"
ENVIRONMENT = "prod"


def write_history(root: str, runs: int, nodes: int, days: int, newest: datetime, seed: int = 7) -> int:
    """Write a history of ``runs`` builds of ``nodes`` nodes each, evenly over ``days`` days that end at ``newest``.

    Returns:
        Number of node results.
    """
    rng = random.Random(seed)
    history = History(root)
    ids = _node_ids(nodes)
    _write_manifest(history, ids, newest - timedelta(days=days))
    flaky = {node for node in ids if node.startswith("test.") and rng.random() < 0.02}
    project = _Project(ids, rng, flaky)
    step = timedelta(days=days) / runs
    for number in range(runs):
        at = (newest - timedelta(days=days) + step * (number + 1)).replace(microsecond=0)
        _write_run(history, project, number, at)
    return runs * nodes


def write_build(root: str, nodes: int, number: int, at: datetime) -> None:
    """Add one build to a history of builds of ``nodes`` nodes; ``number`` distinguishes it from the others."""
    _write_run(History(root), _Project(_node_ids(nodes), random.Random(number)), number, at)


def _node_ids(nodes: int) -> list[str]:
    models = max(1, nodes // (1 + _TESTS_PER_MODEL))
    ids = [f"model.{PROJECT}.model_{i:05}" for i in range(models)]
    return ids + [f"test.{PROJECT}.test_{i:05}.abc" for i in range(nodes - models)]


def _write_manifest(history: History, ids: list[str], at: datetime) -> None:
    models = [i for i in ids if i.startswith("model.")]
    rows, edges = [], []
    for number, unique_id in enumerate(ids):
        is_test = unique_id.startswith("test.")
        parent = models[number % len(models)] if is_test else models[number // 2] if number else None
        rows.append(
            {
                "node_hash": f"hash-{unique_id}",
                "unique_id": unique_id,
                "name": unique_id.split(".")[2],
                "resource_type": unique_id.split(".")[0],
                "package_name": PROJECT,
                "path": f"models/layer_{number % 7}/{unique_id.split('.')[2]}.sql",
                "materialization": "test" if is_test else ("table", "view", "incremental")[number % 3],
                "code_hash": f"code-{unique_id}",
                "owner": f"@team-{number % 5}",
                "tags": "[]",
                "columns": "{}",
                "description": "" if number % 4 else "One row per thing.",
                "test_name": ("not_null", "unique")[number % 2] if is_test else None,
                "column_name": "id" if is_test else None,
                "attached_node_id": parent if is_test else None,
                "stable_key": unique_id,
            }
        )
        if parent:
            edges.append({"node_hash": f"hash-{unique_id}", "unique_id": unique_id, "parent_unique_id": parent})
    manifest_nodes = [{"unique_id": row["unique_id"], "node_hash": row["node_hash"]} for row in rows]
    project = {"project": PROJECT}
    history.put("node_dependencies", at.date(), "bench", edges, project)
    history.put("nodes", at.date(), "bench", rows, project)
    history.put("manifest_nodes", at.date(), "bench", manifest_nodes, {**project, "manifest_hash": "bench"})


@dataclass
class _Project:
    """A project between two builds.

    Attributes:
        ids: unique_ids of its nodes.
        rng: Decides what happens.
        flaky: Tests that fail now and then.
        broken: Builds that a node will still fail in.
    """

    ids: list[str]
    rng: random.Random
    flaky: set[str] = field(default_factory=set)
    broken: dict[str, int] = field(default_factory=dict)


def _write_run(history: History, project: _Project, number: int, at: datetime) -> None:
    ids, rng, flaky, broken = project.ids, project.rng, project.flaky, project.broken
    invocation_id = f"bench-{number:08}"
    is_slow_day = number % 50 == 0
    for node in rng.sample(ids, k=1 if rng.random() < 0.2 else 0):
        broken[node] = rng.randint(1, 3)
    statuses, seconds = [], []
    for node in ids:
        is_test = node.startswith("test.")
        is_bad = broken.get(node, 0) > 0 or (node in flaky and rng.random() < 0.3)
        statuses.append(("fail" if is_test else "error") if is_bad else ("pass" if is_test else "success"))
        seconds.append(round(rng.lognormvariate(0, 0.3) * (3 if is_slow_day else 1), 3))
    for node in [n for n, left in broken.items() if left]:
        broken[node] -= 1
    count = len(ids)
    run: dict[str, Any] = {
        "project": PROJECT,
        "environment": ENVIRONMENT,
        "invocation_id": invocation_id,
        "generated_at": at,
    }
    starts = [at - timedelta(seconds=count - i, microseconds=rng.randrange(1_000_000)) for i in range(count)]
    history.put_columns(
        "node_results",
        at.date(),
        invocation_id,
        {
            "unique_id": ids,
            "resource_type": [node.split(".")[0] for node in ids],
            "status": statuses,
            "message": [
                "OK" if s in ("pass", "success") else "Got 3 results, configured to fail if != 0" for s in statuses
            ],
            "failures": [3 if s == "fail" else None for s in statuses],
            "execution_seconds": seconds,
            "started_at": starts,
            "execute_started_at": starts,
            "completed_at": [s + timedelta(seconds=d) for s, d in zip(starts, seconds, strict=True)],
            "thread_id": [f"Thread-{i % 4} (worker)" for i in range(count)],
            "adapter_response": ['{"_message":"OK"}'] * count,
        },
        {**run, "is_build": True},
    )
    invocation = {
        **run,
        "command": "build",
        "is_build": True,
        "is_retry": False,
        "is_partial": False,
        "selection": "{}",
        "dbt_version": "1.11.16",
        "adapter_type": "duckdb",
        "started_at": at - timedelta(seconds=count + 5),
        "elapsed_seconds": float(count),
        "result_count": count,
        "tolerated_count": 0,
        "manifest_hash": "bench",
        "manifest_invocation_id": invocation_id,
    }
    history.put("invocations", at.date(), invocation_id, [invocation])
