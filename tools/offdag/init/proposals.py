"""What the monitor proposes for a project: its views ``proposed_*``, over the history and the artifacts that are there already."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from offdag.collect.collection import collect
from offdag.collect.context import Context
from offdag.collect.places import find_artifacts
from offdag.dbt.redaction import secret_values
from offdag.errors import error_text
from offdag.history.copy import copy_history
from offdag.history.history import History
from offdag.monitor.build import RunOptions, build_monitor
from offdag.monitor.coverage import Coverage
from offdag.monitor.marts import open_marts
from offdag.monitor.rows import ProposedCadence, ProposedRoute, ProposedVar
from offdag.settings import Settings

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Proposals:
    """What would fit the project.

    Attributes:
        cadences: For run_cadences.csv.
        routes: Owners without a route.
        settings: For the vars of dbt_project.yml.
        coverage: What it was found from, as a text.
    """

    cadences: Sequence[ProposedCadence] = ()
    routes: Sequence[ProposedRoute] = ()
    settings: Sequence[ProposedVar] = ()
    coverage: str = "no builds"


def proposals(settings: Settings, paths: Sequence[str]) -> Proposals:
    """Build the monitor over a temporary copy of the history, to which the artifacts at some paths are added.

    Args:
        settings: Name the history, which is only read, and the environment of the artifacts.
        paths: Target folders, files, and trees of archived artifacts.

    Raises:
        OffdagError: The history cannot be read, or the monitor cannot be built.
    """
    files = find_artifacts(paths, recursive=True)
    with tempfile.TemporaryDirectory(prefix="offdag-init-") as folder:
        home = Path(folder)
        has_history = copy_history(settings.history, home / "history")
        if "://" in settings.history:
            what = "the history on an object store is not read, and only artifacts at the given paths are"
            _log.warning(
                "%s", error_text(what, settings.history, "offdag doctor    # proposes cadences from the marts")
            )
        if not files and not has_history:
            return Proposals()
        history = History(str(home / "history"))
        if files:
            secrets = secret_values(settings.environ, *settings.secrets)
            context = Context(
                settings.project, settings.environment, secrets=secrets, is_project_given=settings.project is not None
            )
            collection = collect(history, files, context)
            _log.info("read %d artifacts, and %s", len(files), "the history" if has_history else "no history")
            if collection.lacks_environment:
                _log.warning("an artifact names no target: give --environment prod, if these builds are of production")
        temporary = replace(settings, history=str(home / "history"), monitor_database=home / "monitor.duckdb")
        build_monitor(temporary, history, RunOptions())
        with open_marts(temporary.monitor_database, temporary.wait_as("init")) as marts:
            return Proposals(
                sorted(marts.rows(ProposedCadence), key=lambda row: (row.project, row.environment)),
                sorted(marts.rows(ProposedRoute), key=lambda row: row.owner),
                sorted(marts.rows(ProposedVar), key=lambda row: (row.var_name, row.var_value)),
                str(Coverage.of(marts)),
            )
