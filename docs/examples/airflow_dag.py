"""Airflow 3: the nightly build with its monitor, and an hourly monitor of its own.

Put it into the folder of DAGs. The variables of offdag (OFFDAG_HISTORY, OFFDAG_SLACK_BOT_TOKEN and what the warehouse needs) are those of
the worker's environment, from your secrets backend.
"""

from datetime import timedelta

import pendulum
from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

PROJECT = "/srv/dbt/my_project"
START = pendulum.datetime(2026, 1, 1, tz="UTC")

with DAG("dbt_build", schedule="15 4 * * *", start_date=START, catchup=False, max_active_runs=1):
    freshness = BashOperator(
        task_id="freshness",
        bash_command=f"offdag run -e prod --project-dir {PROJECT} -- dbt source freshness --target prod || true",
    )
    # Each try is a run of its own in the history; `dbt retry` belongs to people.
    build = BashOperator(
        task_id="build",
        bash_command=f"offdag run -e prod --project-dir {PROJECT} -- dbt build --target prod",
        append_env=True,
    )
    # Also after a failed build: that is what it is for.
    monitor = BashOperator(
        task_id="monitor",
        bash_command="offdag monitor && offdag notify",
        trigger_rule="all_done",
        retries=2,
        retry_delay=timedelta(minutes=5),
    )
    # The DAG's state is that of its leaves: this one fails where the build did.
    outcome = BashOperator(task_id="outcome", bash_command="true")
    freshness >> build >> [monitor, outcome]

# A build that does not come can't be noticed by the job that does not come.
with DAG("dbt_monitor", schedule="45 * * * *", start_date=START, catchup=False, max_active_runs=1):
    BashOperator(task_id="monitor", bash_command="offdag monitor && offdag notify")
