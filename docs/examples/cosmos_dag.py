"""Airflow 3 with Cosmos: one dbt command for each model, all of them one build of offdag."""

import os
import subprocess
from datetime import datetime
from pathlib import Path

from airflow.sdk import DAG
from cosmos import DbtTaskGroup, ExecutionConfig, ProfileConfig, ProjectConfig
from cosmos.constants import InvocationMode

PROJECT = Path(os.environ.get("SHOP_PROJECT", "/srv/shop"))


def collect(project_dir: str, **_: object) -> None:
    """Cosmos runs dbt in a temporary folder, and calls this before it is removed, also after a failure."""
    subprocess.run(["offdag", "collect", "-e", "prod", f"{project_dir}/target"], check=False)


with DAG("shop", schedule="15 4 * * *", start_date=datetime(2026, 1, 1), catchup=False) as dag:
    DbtTaskGroup(
        project_config=ProjectConfig(PROJECT),
        profile_config=ProfileConfig("warehouse", "prod", profiles_yml_filepath=PROJECT / "profiles.yml"),
        # Within Airflow's process dbt keeps the variables of its first command, and with them the job id.
        execution_config=ExecutionConfig(
            dbt_executable_path=os.environ.get("SHOP_DBT", "dbt"), invocation_mode=InvocationMode.SUBPROCESS
        ),
        operator_args={
            "callback": collect,
            "env": {"DBT_ENV_CUSTOM_ENV_OFFDAG_JOB_ID": "{{ run_id }}"},
            "append_env": True,
        },
    )

if __name__ == "__main__":
    dag.test()
