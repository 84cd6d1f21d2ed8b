"""What is read from the project's database after a build: observed tables, and rows of failing tests."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from offdag.collect.observed_tables import read_observed_tables
from offdag.dbt.command import DbtInvocation
from offdag.errors import UsageError
from offdag.history.history import History
from offdag.settings import Settings

if TYPE_CHECKING:
    from offdag.collect.dbt_show import DbtShow

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Built:
    """A build that has ended.

    Attributes:
        command: The dbt command.
        invocation: The parsed command line, with what dbt wrote into its artifacts.
        environ: The environment of dbt.
        secrets: Texts that no error may show.
        job_id: Groups the commands of one job.
        run: Its ``invocations`` row.
    """

    command: Sequence[str]
    invocation: DbtInvocation
    environ: Mapping[str, str]
    secrets: Sequence[str]
    job_id: str | None
    run: Mapping[str, Any]

    def show(self) -> DbtShow:
        """How its dbt is asked for rows."""
        from offdag.collect.dbt_show import DbtShow

        return DbtShow(self.command, self.invocation.cwd, self.invocation.target_path, self.environ, self.secrets)


def observe(settings: Settings, history: History, built: Built) -> list[str]:
    """Copy the observed tables of the project; one line per table, and none where no table is listed for it."""
    try:
        tables = read_observed_tables(settings.config)
    except UsageError as error:
        _log.warning("%s", error)
        return []
    if not any(table.project == built.invocation.project_name for table in tables):
        return []
    from offdag.collect.observe import Observer, log_observed

    environment, wait = str(built.run["environment"]), settings.wait_as("observe")
    observer = Observer(history, built.invocation, environment, wait, built.show(), built.job_id)
    return log_observed(observer.observe(tables), built.invocation)


def keep_failing_rows(settings: Settings, history: History, built: Built) -> None:
    """Keep a few rows of failing tests, where a route asks for them."""
    from offdag.collect.failing_rows import FailingRows, shown_columns

    try:
        columns = shown_columns(settings.config)
    except UsageError as error:
        _log.warning("%s", error)
        return
    if columns:
        wait = settings.wait_as("run")
        FailingRows(history, built.invocation, wait, built.show(), columns).keep(built.run)
