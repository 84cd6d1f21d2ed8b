"""The one rule for the environment that a run is recorded under."""

from __future__ import annotations

UNKNOWN = "unknown"


def resolve_environment(named: str | None, carried: str | None = None, target: str | None = None) -> str:
    """The environment of a run; the first that is known wins.

    Args:
        named: Given by the user: ``--environment`` or OFFDAG_ENVIRONMENT.
        carried: Found in the artifact: what ``offdag run`` handed to dbt.
        target: The dbt target, where a flag, DBT_TARGET or the artifact names it.

    Returns:
        Its name, ``unknown`` where nothing names it.
    """
    return named or carried or target or UNKNOWN
