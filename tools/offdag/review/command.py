"""The dbt command of a review: only what changed, where production's state allows it."""

from __future__ import annotations

from collections.abc import Sequence

from offdag.dbt.project import DbtProject, command_flag
from offdag.errors import UsageError
from offdag.review.state import State, duckdb_path

_SELECTS = ("--select", "-s", "--models", "-m", "--selector")


def build_command(command: Sequence[str], target: str) -> list[str]:
    """The build with its target said aloud: the profile's own, or DBT_TARGET's, may be production.

    Raises:
        UsageError: It names another target.
    """
    given = command_flag(command, "--target") or command_flag(command, "-t")
    if given is None:
        return [*(command or ("dbt", "build")), "--target", target]
    if given != target:
        raise UsageError(
            f"the build is for the target {given}, and the review for {target}",
            " ".join(command),
            f"offdag ci --to {given}",
        )
    return list(command)


def slim_flags(
    project: DbtProject, production: str, target: str, state: State | None, command: Sequence[str]
) -> tuple[list[str], str | None]:
    """The flags that narrow a build to what changed, and defer to production for all else.

    Args:
        project: Whose profile tells whether production's tables can be read from the review's connection.
        production: Its target.
        target: The review's.
        state: Production's artifacts; None where there are none.
        command: The build; what it selects itself stays.

    Returns:
        The flags, and why there are none where there are none.
    """
    if state is None:
        return [], "there is no state of production yet"
    ours = duckdb_path(project, target)
    if ours is not None and state.database is None and ours != duckdb_path(project, production):
        return [], f"there is no copy of {production}'s database to defer to"
    defer = ["--defer", "--favor-state", "--state", str(state.folder.resolve())]
    return (defer if selects(command) else ["--select", "state:modified+", *defer]), None


def selects(command: Sequence[str]) -> bool:
    """Whether a command chooses nodes by itself."""
    return any(word.partition("=")[0] in _SELECTS for word in command)
