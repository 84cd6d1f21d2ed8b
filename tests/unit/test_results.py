from __future__ import annotations

import json
from typing import Any

import pytest

from offdag.artifacts.document import UnreadableArtifact, parse_document
from offdag.artifacts.results import Results, read_results
from sim import artifacts


def read(document: dict[str, Any]) -> Results:
    return read_results(parse_document("x.json", json.dumps(document).encode()))


def rows(found: Results) -> list[dict[str, Any]]:
    return [dict(zip(found.columns, values, strict=True)) for values in zip(*found.columns.values(), strict=True)]


def test_a_result_becomes_a_row() -> None:
    response = {"_message": "OK", "rows_affected": "12", "bytes_processed": 5, "job_id": "q"}
    [row] = rows(read(artifacts.run_results([artifacts.result("model.p.m", adapter_response=response)])))
    assert row["status"] == "success"
    assert row["resource_type"] == "model"
    assert (row["rows_affected"], row["bytes_processed"], row["query_id"]) == (12, 5, "q")
    assert row["completed_at"] == artifacts.NOW
    assert "compiled_code" not in row


@pytest.mark.parametrize(
    ("which", "is_build"),
    [
        *((command, True) for command in ("build", "run", "test", "seed", "snapshot", "clone", "retry")),
        *((command, False) for command in ("generate", "compile", "show", "run-operation")),
    ],
)
def test_only_building_commands_are_evidence(which: str, is_build: bool) -> None:
    assert read(artifacts.run_results([], which=which)).is_build is is_build


def test_a_retry_is_known_by_its_command_line() -> None:
    document = artifacts.run_results([])
    document["args"]["invocation_command"] = "dbt retry --target prod"
    assert read(document).invocation["is_retry"] is True


def test_one_bad_result_never_voids_the_file() -> None:
    good, odd = artifacts.result("model.p.good"), artifacts.result("model.p.odd", "exploded", failures="many")
    found = read(artifacts.run_results([good, odd, {"no": "id"}, "no mapping"]))  # type: ignore[list-item]
    assert [row["unique_id"] for row in rows(found)] == ["model.p.good", "model.p.odd"]
    assert rows(found)[1]["status"] == "exploded"
    assert rows(found)[1]["failures"] is None
    assert found.tolerated == 3
    assert found.invocation["result_count"] == 2


def test_a_node_that_comes_twice_counts_once() -> None:
    found = read(artifacts.run_results([artifacts.result("model.p.m", "error"), artifacts.result("model.p.m")]))
    assert [row["status"] for row in rows(found)] == ["success"]
    assert (found.invocation["result_count"], found.tolerated) == (1, 1)


def test_unknown_keys_and_versions_are_read() -> None:
    document = artifacts.run_results([artifacts.result("model.p.m", new_key_of_2_0={"deep": 1})])
    document["metadata"]["dbt_schema_version"] = "https://schemas.getdbt.com/dbt/run-results/v9.json"
    found = read(document)
    assert (len(rows(found)), found.tolerated) == (1, 0)


@pytest.mark.parametrize("rows_affected", [-1, "-1", None, "n/a", "inf"])
def test_unknown_numbers_are_null(rows_affected: object) -> None:
    response = {"rows_affected": rows_affected}
    [row] = rows(read(artifacts.run_results([artifacts.result("model.p.m", adapter_response=response)])))
    assert row["rows_affected"] is None


def test_skipped_nodes_have_no_times() -> None:
    [row] = rows(read(artifacts.run_results([artifacts.result("model.p.m", "skipped")])))
    assert row["started_at"] is None
    assert row["completed_at"] is None


def test_freshness_rows_have_thresholds_in_seconds() -> None:
    found = read(artifacts.sources([artifacts.freshness("source.p.s.t", "Warn", 7200)]))
    [row] = rows(found)
    assert (row["status"], row["age_seconds"]) == ("Warn", 7200)
    assert (row["warn_after_seconds"], row["error_after_seconds"]) == (3600, 172800)
    assert found.invocation["command"] == "freshness"
    assert not found.is_build


def test_a_freshness_query_that_broke_keeps_its_error() -> None:
    broken = {"unique_id": "source.p.s.t", "status": "runtime error", "error": "no such table"}
    [row] = rows(read(artifacts.sources([broken])))
    assert (row["status"], row["message"], row["age_seconds"]) == ("runtime error", "no such table", None)


def test_a_file_without_results_is_unreadable() -> None:
    document = artifacts.run_results([])
    document["results"] = None
    with pytest.raises(UnreadableArtifact):
        read(document)
