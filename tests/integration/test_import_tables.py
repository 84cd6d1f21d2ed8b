"""Results of a real dbt, as Elementary and dbt_artifacts keep them in their tables, come back as the rows of the artifact itself."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from offdag.artifacts.timestamps import parse_instant
from offdag.history.history import History
from sim import artifacts
from support.command import CommandResult, offdag
from support.recorded import document

Rows = list[dict[str, Any]]


def elementary(run_results: dict[str, Any]) -> dict[str, Rows]:
    """Its tables, as their documentation lists the columns."""
    metadata, args = run_results["metadata"], run_results["args"]
    written = {
        "invocation_id": metadata["invocation_id"],
        "generated_at": metadata["generated_at"][:19].replace("T", " "),
    }
    invocation = {
        **written,
        "run_started_at": metadata["invocation_started_at"],
        "run_completed_at": written["generated_at"],
        "command": args["which"],
        "dbt_version": metadata["dbt_version"],
        "full_refresh": False,
        "target_name": "live",
        "selected": str(args["select"]).replace("'", '"'),
    }
    results = []
    for result in run_results["results"]:
        times = {
            f"{step['name']}_{side}_at": step[f"{side}_at"]
            for step in result["timing"]
            for side in ("started", "completed")
        }
        results.append(
            {
                **written,
                **dict.fromkeys(
                    ["compile_started_at", "compile_completed_at", "execute_started_at", "execute_completed_at"]
                ),
                **times,
                **{
                    key: result[key]
                    for key in ("unique_id", "status", "message", "failures", "execution_time", "thread_id")
                },
                "rows_affected": result["adapter_response"].get("rows_affected"),
            }
        )
    return {"dbt_invocations": [invocation], "dbt_run_results": results}


def dbt_artifacts(run_results: dict[str, Any]) -> dict[str, Rows]:
    """Its tables: one for each resource type, times without a zone."""
    metadata, args = run_results["metadata"], run_results["args"]
    started = parse_instant(metadata["invocation_started_at"])
    run = {"command_invocation_id": metadata["invocation_id"], "run_started_at": started}
    tables: dict[str, Rows] = {
        "invocations": [
            {
                **run,
                "dbt_version": metadata["dbt_version"],
                "project_name": "coffee",
                "dbt_command": args["which"],
                "full_refresh_flag": False,
                "target_name": "live",
                "invocation_args": '{"select": ["tag:nightly"]}',
            }
        ]
    }
    for result in run_results["results"]:
        starts = [parse_instant(step["started_at"]) for step in result["timing"] if step["name"] == "compile"]
        ends = [parse_instant(step["completed_at"]) for step in result["timing"] if step["name"] == "execute"]
        kind = result["unique_id"].partition(".")[0]
        tables.setdefault(f"{kind}_executions", []).append(
            {
                **run,
                "node_id": result["unique_id"],
                "was_full_refresh": False,
                "thread_id": result["thread_id"],
                "status": result["status"],
                "compile_started_at": starts[0] if starts else None,
                "query_completed_at": ends[0] if ends else None,
                "total_node_runtime": result["execution_time"],
                "rows_affected": result["adapter_response"].get("rows_affected"),
                "message": result["message"],
                **({"failures": result["failures"]} if kind == "test" else {}),
            }
        )
    return tables


def write(folder: Path, tables: dict[str, Rows], suffix: str) -> Path:
    folder.mkdir()
    for name, rows in tables.items():
        if suffix == "parquet":
            pq.write_table(pa.Table.from_pylist(rows), folder / f"{name}.parquet")
            continue
        # As Snowflake exports them.
        with (folder / f"{name.upper()}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, [column.upper() for column in rows[0]])
            writer.writeheader()
            writer.writerows({column.upper(): value for column, value in row.items()} for row in rows)
    return folder


def imported(home: Path, folder: Path, *arguments: str) -> CommandResult:
    return offdag(home, "import-tables", *arguments, str(folder))


def kept(home: Path, columns: list[str]) -> Rows:
    rows = History.open_existing(str(home / "history")).read("node_results").to_pylist()
    return sorted(({column: row[column] for column in columns} for row in rows), key=lambda row: row["unique_id"])


COLUMNS = [
    "unique_id",
    "resource_type",
    "status",
    "message",
    "failures",
    "execution_seconds",
    "started_at",
    "completed_at",
]


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
@pytest.mark.parametrize(
    ("tables", "columns"),
    [
        (elementary, [*COLUMNS, "execute_started_at", "rows_affected", "thread_id"]),
        (dbt_artifacts, [*COLUMNS, "rows_affected"]),
    ],
)
@pytest.mark.parametrize("case", ["build_fails", "retry_recovers"])
def test_the_rows_are_those_of_the_artifact(
    tmp_path: Path, case: str, tables: Any, columns: list[str], suffix: str
) -> None:
    run_results = document("1.11", case, "run_results")
    artifacts.write(tmp_path / "target", run_results=run_results)
    assert offdag(tmp_path / "artifact", "collect", "-e", "live", str(tmp_path / "target")).code == 0
    ended = imported(tmp_path / "tables", write(tmp_path / "exported", tables(run_results), suffix))
    assert ended.code == 0, ended
    assert "imported 1 runs of dbt (1 accepted)" in ended.err
    expected = kept(tmp_path / "artifact", columns)
    if tables is dbt_artifacts:
        # It has no table for hooks and exposures.
        expected = [row for row in expected if row["resource_type"] in ("model", "seed", "snapshot", "test")]
    assert kept(tmp_path / "tables", columns) == expected != []
    [run] = History.open_existing(str(tmp_path / "tables" / "history")).read("invocations").to_pylist()
    assert (run["environment"], run["command"], run["is_build"]) == ("live", run_results["args"]["which"], True)
    rebuilt = offdag(tmp_path / "tables", "rebuild")
    assert rebuilt.code == 0, rebuilt
    assert run["project"] == run_results["results"][0]["unique_id"].split(".")[1] or tables is dbt_artifacts


def test_a_run_that_the_history_has_stays_as_it_is(tmp_path: Path) -> None:
    run_results = document("1.11", "build_fails", "run_results")
    artifacts.write(tmp_path / "target", run_results=run_results)
    assert offdag(tmp_path, "collect", "-e", "live", str(tmp_path / "target")).code == 0
    exported = write(tmp_path / "exported", elementary(run_results), "csv")
    ended = imported(tmp_path, exported)
    assert ended.code == 0, ended
    assert "imported 0 runs of dbt (none)" in ended.err
    assert f"results left out: {len(run_results['results'])} that the history has" in ended.err


def test_results_without_their_command_are_no_evidence(tmp_path: Path) -> None:
    tables = elementary(document("1.11", "build_fails", "run_results"))
    tables["dbt_invocations"][0]["invocation_id"] = "another"
    ended = imported(tmp_path, write(tmp_path / "exported", tables, "csv"))
    assert ended.code == 3, ended
    assert "imported 0 runs" in ended.err
    assert f"results left out: {len(tables['dbt_run_results'])} without their command" in ended.err


def test_parts_of_a_table_are_one_and_a_second_import_adds_nothing(tmp_path: Path) -> None:
    tables = dbt_artifacts(document("1.11", "build_fails", "run_results"))
    models = tables.pop("model_executions")
    del tables["snapshot_executions"]
    exported = write(
        tmp_path / "exported",
        {**tables, "model_executions_0_0_1": models[:1], "model_executions_0_1_1": models[1:]},
        "csv",
    )
    assert imported(tmp_path, exported).code == 0
    before = kept(tmp_path, COLUMNS)
    assert {row["unique_id"] for row in before} >= {row["node_id"] for row in models}
    again = imported(tmp_path, exported)
    assert again.code == 0, again
    assert "imported 0 runs of dbt (none)" in again.err
    assert "there is no file of snapshot_executions" in again.err
    assert kept(tmp_path, COLUMNS) == before


@pytest.mark.parametrize("form", ["{} UTC", "{}+00", "{}Z"])
def test_times_are_read_as_warehouses_write_them(tmp_path: Path, form: str) -> None:
    tables = dbt_artifacts(document("1.11", "build_fails", "run_results"))
    for rows in tables.values():
        for row in rows:
            row.update({name: form.format(value) for name, value in row.items() if name.endswith("_at") and value})
    assert imported(tmp_path / "text", write(tmp_path / "texts", tables, "csv")).code == 0
    plain = dbt_artifacts(document("1.11", "build_fails", "run_results"))
    assert imported(tmp_path / "time", write(tmp_path / "times", plain, "parquet")).code == 0
    assert kept(tmp_path / "text", COLUMNS) == kept(tmp_path / "time", COLUMNS) != []


def test_nothing_in_any_spelling_is_nothing(tmp_path: Path) -> None:
    """A run that executed nothing has the time of its start, and no word for a missing value becomes one."""
    tables = dbt_artifacts(document("1.11", "build_fails", "run_results"))
    tables["invocations"][0].update(
        target_name="\\N", project_name="", invocation_args='{"empty": true, "select": null}'
    )
    for name, rows in tables.items():
        for row in rows if name != "invocations" else []:
            row.update(message="None", query_completed_at="\\N", compile_started_at="NULL", thread_id="null")
    ended = imported(tmp_path, write(tmp_path / "exported", tables, "csv"), "-e", "live")
    assert ended.code == 0, ended
    [run] = History.open_existing(str(tmp_path / "history")).read("invocations").to_pylist()
    assert (run["target"], run["project"], run["is_build"], run["selection"]) == (None, "shop", False, "{}")
    assert run["generated_at"] == tables["invocations"][0]["run_started_at"]
    assert {row["message"] for row in kept(tmp_path, ["unique_id", "message"])} == {None}


def test_what_is_missing_or_damaged_is_named(tmp_path: Path) -> None:
    tables = elementary(document("1.11", "build_fails", "run_results"))
    exported = write(tmp_path / "exported", {"dbt_invocations": tables["dbt_invocations"]}, "csv")
    assert "error: there are no results: export dbt_invocations and dbt_run_results" in imported(tmp_path, exported).err
    results = exported / "dbt_run_results.csv"
    for content, problem in (
        (b"", "the file cannot be read"),
        (b"a,b\n1\n", "the file cannot be read"),
        (b"invocation_id,status\ni,pass\n", "there is no column unique_id or node_id"),
        (b"\xff\xfe\x00", "the file cannot be read"),
        (b"invocation_id,unique_id,status,STATUS\ni,u,pass,pass\n", "a column is there twice"),
    ):
        results.write_bytes(content)
        ended = imported(tmp_path, exported)
        assert ended.code == 2, ended
        assert problem in ended.err
        assert f"where: {results}" in ended.err
    results.write_bytes(b"invocation_id,unique_id\n")
    for name, problem in (
        ("dbt_run_results_old.csv", "this is no CSV or Parquet file by the name of a table"),
        ("dbt_run_results.csv.gz", "this is no CSV or Parquet file by the name of a table"),
        ("invocations.csv", "there are tables of two packages"),
    ):
        (exported / name).touch()
        ended = imported(tmp_path, exported)
        assert (ended.code, problem in ended.err) == (2, True), ended
        (exported / name).unlink()
    assert "error: there is no such file or folder" in imported(tmp_path, tmp_path / "nowhere").err
