"""The runs of a job of dbt platform that the history does not have yet, each as one job of offdag."""

from __future__ import annotations

import tempfile
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from offdag.clock import utc_now
from offdag.collect.collection import Collection, collect
from offdag.collect.context import Context
from offdag.collect.dbt_platform import DbtPlatform, PlatformJob, PlatformRun
from offdag.collect.places import find_artifacts
from offdag.dbt.redaction import secret_values
from offdag.errors import UsageError
from offdag.history.history import History
from offdag.settings import Settings

_KIND = "platform_runs"
_SAVED_WITHIN = timedelta(days=1)


def collect_job(history: History, settings: Settings, url: str) -> tuple[Collection, int]:
    """Collect the complete runs of a job that were not collected before.

    Args:
        history: Gets the artifacts, and a note of each run that is done.
        settings: Name the API, its token, the project and the environment.
        url: ``dbt-platform://account/job``.

    Returns:
        What was collected, and the number of runs.

    Raises:
        UsageError: There is no token, or the API cannot be read. Runs that were collected before stay collected.
        HistoryError: The history cannot be written.
    """
    job = PlatformJob.parse(url)
    if settings.dbt_platform_token is None:
        raise UsageError(
            "there is no token for dbt platform",
            "OFFDAG_DBT_PLATFORM_TOKEN",
            "export OFFDAG_DBT_PLATFORM_TOKEN=dbtc_...",
        )
    address = settings.dbt_platform_url
    platform = DbtPlatform(address, settings.dbt_platform_token, settings.proxy_for(address))
    secrets = secret_values(settings.environ, *settings.secrets)
    new: list[PlatformRun] = []
    for page in platform.runs(job):
        noted = {run: history.known(_KIND, f"{job.account}-{run.id}") for run in page}
        unknown = [run for run, facts in noted.items() if facts is None]
        new += [run for run, facts in noted.items() if facts is None or _may_come(facts)]
        if page and not unknown:
            # What is older was collected before.
            break
    collection = Collection()
    # The oldest first: what a kill leaves uncollected is then always newer than what is known.
    for run in reversed(new):
        context = Context(
            settings.project,
            settings.environment,
            run.job_id,
            secrets=secrets,
            is_project_given=settings.project is not None,
            origin=run.origin,
        )
        with tempfile.TemporaryDirectory(prefix="offdag-platform-") as folder:
            found = platform.download(job, run, Path(folder))
            collection.add(collect(history, find_artifacts([folder], recursive=True), context))
        # After its rows: a run whose collection was cut short is collected again, which changes nothing.
        facts = history.known(_KIND, f"{job.account}-{run.id}") or {"asked_at": utc_now().isoformat()}
        history.note(_KIND, f"{job.account}-{run.id}", facts | {"job": job.job, "artifacts": len(found)})
    return collection, len(new)


def _may_come(facts: dict[str, Any]) -> bool:
    """Whether artifacts of a run that had none may still come: dbt platform saves them after the run."""
    return not facts["artifacts"] and utc_now() - datetime.fromisoformat(facts["asked_at"]) < _SAVED_WITHIN
