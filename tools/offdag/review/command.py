"""The dbt command of a review: only what changed, where production's state allows it."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from offdag.dbt.command import DbtInvocation, dbt_words, flag_value, selects
from offdag.errors import UsageError
from offdag.review.state import State, duckdb_path

# What changed, and everything downstream.
STATE_MODIFIED = "state:modified+"


def build_command(command: Sequence[str], target: str) -> list[str]:
    """The build with an explicit target: the profile's default, or DBT_TARGET, may be production.

    Raises:
        UsageError: It names another target.
    """
    given = flag_value(dbt_words(command), "--target", "-t")
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
    production: DbtInvocation, review: DbtInvocation, state: State | None, command: Sequence[str]
) -> tuple[list[str], str | None]:
    """The flags that narrow a build to what changed, and defer to production for all else.

    Args:
        production: With its target.
        review: With its target; the profile shows whether production's tables can be read from its connection.
        state: Production's artifacts; None where there are none.
        command: The build; its own selection stays.

    Returns:
        The flags, and where there are none the reason.
    """
    if state is None:
        return [], "there is no state of production yet"
    path = duckdb_path(review)
    if path is not None and state.database is None and path != duckdb_path(production):
        return [], f"there is no copy of {production.target}'s database to defer to"
    defer = ["--defer", "--favor-state", "--state", str(state.folder.resolve())]
    return (defer if selects(command) else ["--select", STATE_MODIFIED, *defer]), None


def unseen_changes(files: Collection[str], command: Sequence[str]) -> list[str]:
    """A remark on changed files whose effect ``state:modified`` does not select.

    Args:
        files: What the branch changed, relative to the project.
        command: The build.
    """
    changed = sorted({"dbt_project.yml", "packages.yml"} & set(files))
    if not changed or STATE_MODIFIED not in command:
        return []
    return [
        f"{' and '.join(changed)} changed: dbt does not select what uses another variable or another version of a package. "
        "With --full everything is built."
    ]
