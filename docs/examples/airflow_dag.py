"""Airflow 3: the nightly build with its monitor, and a separate hourly monitor.

Copy it into the DAGs folder. The worker's environment must have offdag's variables (OFFDAG_HISTORY, OFFDAG_SLACK_BOT_TOKEN) and the
warehouse's, from your secrets backend.
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
    # Each attempt is a separate run in the history; `dbt retry` is left to people.
    build = BashOperator(
        task_id="build",
        bash_command=f"offdag run -e prod --project-dir {PROJECT} -- dbt build --target prod",
        append_env=True,
    )
    # It also runs after a failed build, to send the alerts.
    monitor = BashOperator(
        task_id="monitor",
        bash_command="offdag monitor && offdag notify",
        trigger_rule="all_done",
        retries=2,
        retry_delay=timedelta(minutes=5),
    )
    # A DAG's state is that of its leaf tasks: this task fails if the build did.
    outcome = BashOperator(task_id="outcome", bash_command="true")
    freshness >> build >> [monitor, outcome]

# A DAG that does not start cannot report that its build is missing.
with DAG("dbt_monitor", schedule="45 * * * *", start_date=START, catchup=False, max_active_runs=1):
    BashOperator(task_id="monitor", bash_command="offdag monitor && offdag notify")
