"""The examples for orchestrators, run with the real ones by `make orchestrators`: installing them takes too long for `make test`."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import duckdb
import pytest

from offdag.history.history import History
from support import venvs
from support.command import ROOT, environ, offdag, run

pytestmark = pytest.mark.skipif(
    os.environ.get("OFFDAG_TEST_ORCHESTRATORS") != "1", reason="installs Airflow and Dagster: make orchestrators"
)

EXAMPLES = ROOT / "docs" / "examples"
DBT = ("dbt-core==1.11.16", "dbt-duckdb==1.10.1", "duckdb==2.0.1")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The stranger's project with a failing test and a package, with the same database wherever it runs."""
    folder = shutil.copytree(ROOT / "tests" / "fixtures" / "strangers" / "orders", tmp_path / "orders")
    settings = folder / "dbt_project.yml"
    settings.write_text("".join(line for line in settings.open() if not line.startswith("target-path")))
    profiles = (folder / "profiles.yml").read_text()
    (folder / "profiles.yml").write_text(
        profiles.replace("target: dev", "target: prod").replace('"prod.duckdb"', f'"{tmp_path / "prod.duckdb"}"')
    )
    return folder


def env_of(home: Path, program: Path, project: Path) -> dict[str, str]:
    kept = {k: v for k, v in environ(home).items() if not k.startswith("DBT_")}
    return {
        **kept,
        # offdag is behind the orchestrator's own programs.
        "PATH": f"{program}:{kept['PATH']}",
        "SHOP_PROJECT": str(project),
        "SHOP_DBT": str(program / "dbt"),
        "AIRFLOW_HOME": str(home / "airflow"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
        "DAGSTER_HOME": "",
    }


def monitored(home: Path) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """The jobs and the incidents of a home."""
    assert offdag(home, "monitor").code == 0
    with duckdb.connect(str(home / "monitor.duckdb"), read_only=True) as connection:
        jobs = connection.execute("select job_status, invocation_count, result_count from fct_jobs").fetchall()
        incidents = connection.execute("select title, incident_status from fct_incidents").fetchall()
    return jobs, incidents


INCIDENT = ("test amounts_are_known on stg_orders.amount fails", "open")


def test_one_command_for_each_model_is_one_build(project: Path, tmp_path: Path) -> None:
    program = venvs.make({"airflow": (*DBT, "apache-airflow==3.3.2", "astronomer-cosmos==1.15.1")}, tmp_path)["airflow"]
    env = env_of(tmp_path, program, project)
    assert run(["dbt", "deps"], env, cwd=project).code == 0
    (tmp_path / "dags").mkdir()
    dag = shutil.copy(EXAMPLES / "cosmos_dag.py", tmp_path / "dags")
    assert run(["airflow", "db", "migrate"], env, cwd=tmp_path).code == 0
    run(["python", str(dag)], env, cwd=tmp_path, timeout=600)
    # The seed, the view, and the test that fails: what is after it never ran.
    assert monitored(tmp_path) == ([("failure", 3, 3)], [INCIDENT])
    jobs = {row["job_id"] for row in History(str(tmp_path / "history")).read("invocations").to_pylist()}
    assert len(jobs) == 1
    assert str(jobs.pop()).startswith("manual__")


def test_dagsters_command_is_collected_although_it_fails(project: Path, tmp_path: Path) -> None:
    program = venvs.make({"dagster": (*DBT, "dagster==1.13.27", "dagster-dbt==0.29.27")}, tmp_path)["dagster"]
    env = env_of(tmp_path, program, project)
    del env["DAGSTER_HOME"]
    assert run(["dbt", "deps"], env, cwd=project).code == 0
    assert run(["dbt", "parse"], env, cwd=project).code == 0
    run(["python", str(EXAMPLES / "dagster_shop.py")], env, cwd=tmp_path, timeout=600)
    jobs, incidents = monitored(tmp_path)
    assert [status for status, *_ in jobs] == ["failure"]
    assert incidents == [INCIDENT]
