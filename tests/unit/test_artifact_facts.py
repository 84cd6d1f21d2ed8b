"""Behaviour of dbt that a collector has to handle: one named case each, on recorded artifacts where a version that installs shows it."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from offdag.artifacts.code import tokens_of
from offdag.artifacts.document import Kind, parse_document
from offdag.artifacts.manifest import read_manifest
from offdag.collect.collection import collect_files
from offdag.collect.collector import CollectedArtifact
from offdag.collect.context import Context
from offdag.collect.places import find_artifacts, fingerprints
from offdag.history.history import History
from sim import artifacts
from support import recorded

AT = artifacts.NOW
every_version = pytest.mark.parametrize("version", recorded.VERSIONS)


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(str(tmp_path / "history"))


def take(history: History, folder: Path, **context: Any) -> dict[str, CollectedArtifact]:
    """The result for each kind of artifact in a folder."""
    files = find_artifacts([str(folder)], recursive=False)
    return {j.verdict["kind"]: j for j in collect_files(history, files, Context(environment="prod", **context))}


def left(tmp_path: Path, **documents: dict[str, Any]) -> Path:
    return artifacts.write(tmp_path / "target", **documents)


def table(history: History, name: str) -> list[dict[str, Any]]:
    return list(history.read(name).to_pylist())


def test_fixtures_are_of_every_version_that_installs() -> None:
    assert set(recorded.VERSIONS) == {"1.7", "1.8", "1.9", "1.10", "1.11"}


@every_version
def test_recorded_builds_are_read_whole(history: History, version: str) -> None:
    found = take(history, recorded.folder(version, "build_fails"))
    written = recorded.document(version, "build_fails", "run_results")
    assert {kind: judged.verdict["verdict"] for kind, judged in found.items()} == {
        "run_results": "accepted",
        "manifest": "accepted",
    }
    assert found["run_results"].verdict["tolerated_count"] == 0
    rows = {row["unique_id"]: row for row in table(history, "node_results")}
    assert {(r["unique_id"], r["status"]) for r in written["results"]} == {(k, r["status"]) for k, r in rows.items()}
    assert rows["model.shop.fct_broken"]["status"] == "error"
    assert "no_such_column" in rows["model.shop.fct_broken"]["message"]
    assert rows["model.shop.after_broken"]["status"] == "skipped"
    assert rows["model.shop.stg_orders"]["started_at"] < rows["model.shop.stg_orders"]["completed_at"]
    [invocation] = table(history, "invocations")
    assert (invocation["project"], invocation["adapter_type"]) == ("shop", "duckdb")


@every_version
def test_fact_01_after_docs_generate_every_test_reads_success(history: History, version: str) -> None:
    results = recorded.document(version, "docs_generate", "run_results")["results"]
    tests = [r for r in results if r["unique_id"].startswith("test.")]
    assert {(r["status"], r["failures"]) for r in tests} == {("success", None)}, "the trap"
    found = take(history, recorded.folder(version, "docs_generate"))
    assert found["run_results"].verdict["verdict"] == "other command"
    assert {row["is_build"] for row in table(history, "node_results")} == {False}


def test_fact_02_a_failed_start_leaves_the_previous_file(history: History, tmp_path: Path) -> None:
    folder = left(tmp_path, run_results=artifacts.run_results([artifacts.result("model.p.m")]))
    found = take(history, folder, before=fingerprints(folder))
    assert found["run_results"].verdict["verdict"] == "stale"
    assert table(history, "invocations") == []


def test_fact_03_the_manifest_beside_may_be_of_another_invocation(history: History, tmp_path: Path) -> None:
    results = artifacts.run_results([artifacts.result("model.p.m")], invocation_id="build-0001")
    manifest = artifacts.manifest([artifacts.node("model.p.m")], invocation_id="freshness-0001")
    take(history, left(tmp_path, run_results=results, manifest=manifest))
    [row] = table(history, "invocations")
    assert (row["invocation_id"], row["manifest_invocation_id"]) == ("build-0001", "freshness-0001")


def test_fact_03_of_many_manifests_the_one_of_the_same_invocation_is_taken(history: History, tmp_path: Path) -> None:
    for i in range(3):
        at = AT + timedelta(days=i)
        node = artifacts.node("model.p.m", description=f"version {i}")
        artifacts.write(
            tmp_path / "archive" / f"manifests-{i}",
            manifest=artifacts.manifest([node], at, invocation_id=f"build-{i:04}"),
        )
        artifacts.write(
            tmp_path / "archive" / f"results-{i}",
            run_results=artifacts.run_results(
                [artifacts.result("model.p.m", at=at)], at, invocation_id=f"build-{i:04}"
            ),
        )
    collect_files(history, find_artifacts([str(tmp_path / "archive")], recursive=True), Context(environment="prod"))
    assert [(r["invocation_id"], r["manifest_invocation_id"]) for r in table(history, "invocations")] == [
        (f"build-{i:04}", f"build-{i:04}") for i in range(3)
    ]


def test_fact_04_times_come_from_the_results(history: History, tmp_path: Path) -> None:
    old = artifacts.instant(AT - timedelta(days=30))
    manifest = artifacts.manifest([artifacts.node("model.p.m")], invocation_started_at=old)
    results = artifacts.run_results([artifacts.result("model.p.m")])
    take(history, left(tmp_path, run_results=results, manifest=manifest))
    [row] = table(history, "invocations")
    assert row["started_at"] == AT - timedelta(seconds=5)


@every_version
def test_fact_05_wall_time_exists_from_1_10_on(history: History, version: str) -> None:
    take(history, recorded.folder(version, "build_fails"))
    [row] = table(history, "invocations")
    assert (row["started_at"] is not None) == (tuple(map(int, version.split("."))) >= (1, 10))
    if row["started_at"]:
        wall = (row["generated_at"] - row["started_at"]).total_seconds()
        assert wall > row["elapsed_seconds"], "elapsed_time excludes parsing"


@every_version
def test_fact_06_a_run_that_selected_nothing_is_empty(history: History, version: str) -> None:
    found = take(history, recorded.folder(version, "nothing_selected"))
    assert found["run_results"].verdict["verdict"] == "empty"


@every_version
def test_fact_07_the_target_is_not_recorded(history: History, version: str) -> None:
    files = find_artifacts([str(recorded.folder(version, "build_fails"))], recursive=False)
    collect_files(history, files, Context())
    [row] = table(history, "invocations")
    assert (row["target"], row["environment"]) == (None, "unknown")


@every_version
def test_fact_08_variables_of_the_run_carry_the_job(history: History, version: str) -> None:
    take(history, recorded.folder(version, "build_fails"))
    [row] = table(history, "invocations")
    assert row["job_id"] == "job-1"


@every_version
def test_fact_09_the_project_is_named_by_the_manifest(history: History, version: str) -> None:
    assert "project_name" not in recorded.document(version, "build_fails", "run_results")["metadata"]
    found = take(history, recorded.folder(version, "build_fails"))
    assert found["run_results"].verdict["project"] == "shop"


@pytest.mark.parametrize("status", ["partial success", "no-op", "reused", "Pass", "of the future"])
def test_fact_10_a_status_is_kept_as_it_is_written(history: History, tmp_path: Path, status: str) -> None:
    found = take(history, left(tmp_path, run_results=artifacts.run_results([artifacts.result("model.p.m", status)])))
    assert found["run_results"].verdict["verdict"] == "accepted"
    assert [row["status"] for row in table(history, "node_results")] == [status]


def test_fact_11_an_error_of_a_test_is_not_its_failure(history: History, tmp_path: Path) -> None:
    broken = artifacts.result("test.p.broken", "error", failures=None)
    bad_rows = artifacts.result("test.p.bad_rows", "fail", failures=3)
    take(history, left(tmp_path, run_results=artifacts.run_results([broken, bad_rows])))
    assert {(r["status"], r["failures"]) for r in table(history, "node_results")} == {("error", None), ("fail", 3)}


@every_version
def test_fact_12_failures_are_zero_on_a_pass(history: History, version: str) -> None:
    take(history, recorded.folder(version, "build_fails"))
    passed = [r for r in table(history, "node_results") if r["resource_type"] == "test" and r["status"] == "pass"]
    assert passed
    assert {row["failures"] for row in passed} == {0}


@every_version
def test_fact_13_warn_error_turns_a_warning_into_a_failure(history: History, version: str) -> None:
    take(history, recorded.folder(version, "build_fails"))
    take(history, recorded.folder(version, "warnings_are_errors"))
    mine = [r for r in table(history, "node_results") if r["unique_id"] == "test.shop.warns_on_any_row"]
    assert sorted(row["status"] for row in mine) == ["fail", "warn"]


@every_version
def test_fact_14_skipped_nodes_have_no_times(history: History, version: str) -> None:
    take(history, recorded.folder(version, "fail_fast"))
    skipped = [row for row in table(history, "node_results") if row["status"] == "skipped"]
    assert skipped
    assert {(row["started_at"], row["execution_seconds"]) for row in skipped} == {(None, 0.0)}


def test_fact_14_ephemeral_models_are_skipped_in_a_green_run_of_2_0(history: History, tmp_path: Path) -> None:
    results = artifacts.run_results([artifacts.result("model.p.ephemeral", "skipped"), artifacts.result("model.p.m")])
    results["metadata"]["dbt_version"] = "2.0.0-preview.1"
    node = artifacts.node("model.p.ephemeral", config={"materialized": "ephemeral"})
    take(history, left(tmp_path, run_results=results, manifest=artifacts.manifest([node, artifacts.node("model.p.m")])))
    [ephemeral] = [row for row in table(history, "nodes") if row["name"] == "ephemeral"]
    assert ephemeral["materialization"] == "ephemeral"


@every_version
def test_fact_15_there_are_rows_besides_models_and_tests(history: History, version: str) -> None:
    take(history, recorded.folder(version, "build_fails"))
    types = {row["resource_type"] for row in table(history, "node_results")}
    assert types >= {"model", "test", "seed", "snapshot"}
    number = tuple(map(int, version.split(".")))
    assert ("unit_test" in types) == (number >= (1, 8))
    assert ("exposure" in types) == (number >= (1, 10))
    types = {row["resource_type"] for row in table(history, "nodes")}
    assert ("unit_test" in types) == (number >= (1, 8)), "unit tests are not among the nodes of the manifest"


def test_fact_16_a_microbatch_model_keeps_its_status(history: History, tmp_path: Path) -> None:
    batches = {"successful": [["2026-01-30", "2026-01-31"]], "failed": []}
    result = artifacts.result("model.p.m", "partial success", batch_results=batches)
    found = take(history, left(tmp_path, run_results=artifacts.run_results([result])))
    assert found["run_results"].verdict["tolerated_count"] == 0
    assert table(history, "node_results")[0]["status"] == "partial success"


def test_fact_17_a_test_keeps_its_key_when_its_arguments_change() -> None:
    def row_of(unique_id: str, values: list[str]) -> dict[str, Any]:
        node = artifacts.node(
            unique_id,
            ("model.p.m",),
            column_name="c",
            attached_node="model.p.m",
            test_metadata={"name": "accepted_values", "namespace": None, "kwargs": {"values": values}},
        )
        content = json.dumps(artifacts.manifest([node])).encode()
        return read_manifest(parse_document("manifest.json", content)).nodes[0]

    one, other = row_of("test.p.accepted_values.aaa", ["a"]), row_of("test.p.accepted_values.bbb", ["a", "b"])
    assert one["unique_id"] != other["unique_id"]
    assert one["stable_key"] == other["stable_key"]


@every_version
def test_fact_18_a_source_whose_query_broke_is_left_out(history: History, version: str) -> None:
    take(history, recorded.folder(version, "freshness"))
    statuses = {row["unique_id"]: row["status"] for row in table(history, "source_freshness")}
    assert statuses["source.shop.raw.loads"] == "pass"
    # Up to 1.7 dbt wrote it down.
    assert statuses.get("source.shop.raw.not_there") == ("runtime error" if version == "1.7" else None)
    take(history, recorded.folder(version, "build_fails"))
    expected = {row["unique_id"] for row in table(history, "nodes") if row["has_freshness"]}
    assert "source.shop.raw.not_there" in expected, "the manifest tells what should have been checked"


@every_version
def test_fact_19_an_empty_table_was_loaded_in_year_one(history: History, version: str) -> None:
    take(history, recorded.folder(version, "freshness"))
    [empty] = [r for r in table(history, "source_freshness") if r["unique_id"] == "source.shop.raw.no_loads"]
    assert empty["max_loaded_at"] == datetime(1, 1, 1)
    assert empty["age_seconds"] > 6e10


def test_fact_20_a_moved_freshness_file_is_found_by_its_content(history: History, tmp_path: Path) -> None:
    folder = artifacts.write(tmp_path / "odd place", sources=artifacts.sources([artifacts.freshness("source.p.s.t")]))
    moved = (folder / "sources.json").rename(folder / "checked today.json")
    [judged] = collect_files(history, find_artifacts([str(moved)], recursive=False), Context(environment="prod"))
    assert (judged.verdict["kind"], judged.verdict["verdict"]) == ("sources", "accepted")


def test_fact_21_freshness_json_of_2_0_holds_sources_and_models(history: History, tmp_path: Path) -> None:
    results = [
        {**artifacts.freshness("source.p.s.t", "Pass"), "resource_type": "source"},
        {**artifacts.freshness("model.p.m", "Warn"), "resource_type": "model"},
    ]
    document = {"metadata": artifacts.metadata("freshness", 0), "results": results, "elapsed_time": 1.0}
    found = take(history, left(tmp_path, freshness=document))
    assert found["freshness"].verdict["verdict"] == "accepted"
    assert found["freshness"].verdict["tolerated_count"] == 0
    assert {(r["unique_id"], r["status"]) for r in table(history, "source_freshness")} == {
        ("source.p.s.t", "Pass"),
        ("model.p.m", "Warn"),
    }
    assert table(history, "invocations")[0]["command"] == "freshness"


@pytest.mark.parametrize("thread", ["Thread-1 (worker)", "main", "MainThread", "", "Thread-16"])
def test_fact_22_threads_have_many_names(history: History, tmp_path: Path, thread: str) -> None:
    take(history, left(tmp_path, run_results=artifacts.run_results([artifacts.result("model.p.m", thread_id=thread)])))
    assert table(history, "node_results")[0]["thread_id"] == (thread or None)


@pytest.mark.parametrize("version", [1, 2, 3, 4, 5, 6])
@pytest.mark.parametrize(
    "written", ["2026-01-31T06:00:00.000000Z", "2026-01-31T06:00:00.000000+00:00", "2026-01-31T06:00:00.000000123Z"]
)
def test_fact_23_instants_are_read_in_every_form_and_version(
    history: History, tmp_path: Path, version: int, written: str
) -> None:
    timing = [{"name": "execute", "started_at": written, "completed_at": written}]
    document = artifacts.run_results([artifacts.result("model.p.m", timing=timing)], generated_at=written)
    document["metadata"]["dbt_schema_version"] = f"https://schemas.getdbt.com/dbt/run-results/v{version}.json"
    take(history, left(tmp_path, run_results=document))
    [row] = table(history, "node_results")
    assert (row["started_at"], row["completed_at"], row["generated_at"]) == (AT, AT, AT)


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        ({"_message": "OK"}, (None, None, None, None)),
        ({"rows_affected": "-1"}, (None, None, None, None)),
        ({"rows_affected": 7, "query_id": "01b"}, (7, None, None, "01b")),
        ({"bytes_processed": 9, "slot_ms": 4, "job_id": "bq"}, (None, 9, 4, "bq")),
    ],
)
def test_fact_24_adapters_answer_differently(
    history: History, tmp_path: Path, response: dict[str, Any], expected: tuple[Any, ...]
) -> None:
    results = artifacts.run_results([artifacts.result("model.p.m", adapter_response=response)])
    take(history, left(tmp_path, run_results=results))
    [row] = table(history, "node_results")
    columns = ("rows_affected", "bytes_processed", "slot_milliseconds", "query_id")
    assert tuple(row[column] for column in columns) == expected
    assert json.loads(row["adapter_response"]) == response


@every_version
def test_fact_25_relation_names_are_null_where_dbt_has_none(history: History, version: str) -> None:
    take(history, recorded.folder(version, "build_fails"))
    rows = {row["unique_id"]: row for row in table(history, "node_results")}
    assert rows["test.shop.warns_on_any_row"]["relation_name"] is None


@every_version
def test_fact_26_compiled_code_is_in_no_table(history: History, version: str) -> None:
    take(history, recorded.folder(version, "build_fails"))
    take(history, recorded.folder(version, "docs_generate"))
    compiled = {
        result["compiled_code"]
        for result in recorded.document(version, "docs_generate", "run_results")["results"]
        if result.get("compiled_code")
    }
    assert compiled or version == "1.7"
    # The code as it was written is kept as tokens, without its texts.
    hidden = {text for code in compiled for text in (json.dumps(code)[1:-1], tokens_of(code)) if text and '"' in code}
    for name in history.tables():
        kept = json.dumps(table(history, name), default=str)
        assert [text for text in hidden if text in kept] == [], name


def test_fact_29_unknown_keys_are_ignored_at_every_depth(history: History, tmp_path: Path) -> None:
    results = artifacts.run_results([artifacts.result("model.p.m", of_2_0={"x": 1})])
    results["results"][0]["timing"][0]["of_2_0"] = [1]
    manifest = artifacts.manifest([artifacts.node("model.p.m", of_2_0={"deep": {}})])
    found = take(history, left(tmp_path, run_results=results, manifest={**manifest, "of_2_0": {}}))
    assert [j.verdict["tolerated_count"] for j in found.values()] == [0, 0]
    assert table(history, "node_results")[0]["started_at"] is not None


@pytest.mark.parametrize(
    "odd",
    [
        {"depends_on": {"macros": [None], "nodes": []}},
        {"config": {"enabled": "True and True", "materialized": "table"}},
    ],
)
def test_fact_30_odd_nodes_are_read(history: History, tmp_path: Path, odd: dict[str, Any]) -> None:
    found = take(history, left(tmp_path, manifest=artifacts.manifest([artifacts.node("model.p.m", **odd)])))
    assert found["manifest"].verdict["verdict"] == "accepted"
    assert [row["materialization"] for row in table(history, "nodes")] == ["table"]


@pytest.mark.parametrize("url", ["run-results/v12", "https://schemas.getdbt.com/dbt/run-results/v6/run_results.json"])
def test_fact_30_odd_schema_addresses_are_read(url: str) -> None:
    document = artifacts.run_results([])
    document["metadata"]["dbt_schema_version"] = url if "://" in url else f"https://schemas.getdbt.com/dbt/{url}"
    assert parse_document("x", json.dumps(document).encode()).kind is Kind.RUN_RESULTS


def test_fact_30_failures_as_text_are_a_number(history: History, tmp_path: Path) -> None:
    odd = artifacts.run_results([artifacts.result("test.p.t", "fail", failures="3")])
    found = take(history, left(tmp_path, run_results=odd))
    assert found["run_results"].verdict["tolerated_count"] == 1
    assert table(history, "node_results")[0]["failures"] == 3


@pytest.mark.parametrize(
    ("content", "verdict", "reason"),
    [
        (b'{"results": []}', "unsupported", "before 0.19"),
        (b"<<<<<<< HEAD\n{}", "unreadable", "merge conflict"),
        (b'{"metadata": {"dbt_schema', "unreadable", "cut short"),
        (b"", "unreadable", "is empty"),
    ],
)
def test_fact_30_what_cannot_be_read_is_kept_and_reported(
    history: History, tmp_path: Path, content: bytes, verdict: str, reason: str
) -> None:
    folder = tmp_path / "target"
    folder.mkdir()
    (folder / "run_results.json").write_bytes(content)
    found = take(history, folder)["run_results"].verdict
    assert found["verdict"] == verdict
    assert reason in found["reason"]
    assert list(Path(history.root).glob("artifacts/*/*/*/unreadable-*/run_results.json.zst"))


def test_fact_30_a_trimmed_manifest_is_read(history: History, tmp_path: Path) -> None:
    whole = artifacts.manifest([artifacts.node("model.p.m")])
    trimmed = {"metadata": whole["metadata"], "nodes": whole["nodes"]}
    assert take(history, left(tmp_path, manifest=trimmed))["manifest"].verdict["verdict"] == "accepted"


@every_version
def test_fact_31_an_unchanged_manifest_is_neither_parsed_nor_kept_again(
    history: History, tmp_path: Path, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = recorded.document(version, "build_fails", "manifest")
    assert take(history, artifacts.write(tmp_path / "a", manifest=document))["manifest"].manifest
    document["metadata"] = {**document["metadata"], "invocation_id": "another-1", "generated_at": artifacts.instant(AT)}
    for node in document["nodes"].values():
        node["created_at"] = node["created_at"] + 1
    monkeypatch.setattr("offdag.collect.collector.read_manifest", None)
    again = take(history, artifacts.write(tmp_path / "b", manifest=document))["manifest"]
    assert again.verdict["verdict"] == "duplicate"
    assert again.manifest
    assert again.manifest.invocation_id == "another-1"
    assert len(list(Path(history.root).glob("artifacts/**/manifest.json.zst"))) == 1


@every_version
def test_catalogs_are_kept_by_content(history: History, tmp_path: Path, version: str) -> None:
    take(history, recorded.folder(version, "docs_generate"))
    columns = {(r["unique_id"], r["column_name"]) for r in table(history, "catalog_columns")}
    assert ("model.shop.stg_orders", "order_id") in columns
    again = recorded.document(version, "docs_generate", "catalog")
    again["metadata"]["invocation_id"] = "another-catalog"
    take(history, artifacts.write(tmp_path / "again", catalog=again))
    assert len(table(history, "catalogs")) == 2
    assert len(table(history, "catalog_columns")) == len(columns)


@every_version
def test_a_retry_is_distinguished_from_the_run_it_completes(history: History, version: str) -> None:
    take(history, recorded.folder(version, "build_fails"))
    take(history, recorded.folder(version, "retry_recovers"))
    rows = sorted(table(history, "invocations"), key=lambda row: row["generated_at"])
    assert [row["is_retry"] for row in rows] == [False, True]
    retried = [r for r in table(history, "node_results") if r["invocation_id"] == rows[1]["invocation_id"]]
    assert "model.shop.fct_broken" in {row["unique_id"] for row in retried}
