"""The dbt command of a review: only what changed, where production's state allows it."""

from __future__ import annotations

from collections.abc import Sequence

from offdag.ci.state import State, duckdb_path
from offdag.dbt_project import DbtProject

_SELECTS = ("--select", "-s", "--models", "-m", "--selector")


def slim_command(
    project: DbtProject, production: str, target: str, state: State | None, command: Sequence[str], full: bool
) -> tuple[list[str], list[str]]:
    """Add the flags of a slim build.

    Args:
        project: Whose profile tells whether production's tables can be read from the review's connection.
        production: Its target.
        target: The review's.
        state: Production's artifacts; None where there are none.
        command: The build as it was given; what it selects itself stays.
        full: Build everything.

    Returns:
        The command, and what a reviewer has to know of it.
    """
    if state is None:
        return list(command), ["Everything is built: there is no state of production yet."]
    if full:
        return list(command), ["Everything is built, as asked by --full."]
    ours, theirs = duckdb_path(project, target), duckdb_path(project, production)
    if ours is not None and state.database is None and ours != theirs:
        return list(command), [f"Everything is built: there is no copy of {production}'s database to defer to."]
    defer = ["--defer", "--favor-state", "--state", str(state.folder.resolve())]
    if any(word.partition("=")[0] in _SELECTS for word in command):
        return [*command, *defer], []
    return [*command, "--select", "state:modified+", *defer], []
