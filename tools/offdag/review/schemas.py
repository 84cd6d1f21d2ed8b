"""The schemas that a pull request's builds made, removed when it is closed."""

from __future__ import annotations

import logging
from collections.abc import Container
from pathlib import Path

from offdag.errors import UsageError, first_line
from offdag.review.databases import both_sides
from offdag.review.review import Request
from offdag.review.selection import Dbt, DbtRefused, selected_nodes
from offdag.review.state import duckdb_path

_log = logging.getLogger(__name__)


def drop_schemas(dbt: Dbt, request: Request, own: str, production: Container[tuple[str, str]]) -> list[str]:
    """Remove every schema of the review's target whose name holds the pull request's own.

    Args:
        dbt: Lists what the target makes.
        request: The review's connection.
        own: Name of the pull request's schema, such as pr_7.
        production: Databases and schemas of production's relations, in lower case: never removed.

    Returns:
        What was removed, as database.schema.

    Raises:
        UsageError: The project cannot be read, the target does not use the schema, or one cannot be removed.
    """
    from sqlglot import exp

    try:
        nodes = selected_nodes(dbt)
    except DbtRefused as refusal:
        raise UsageError(f"dbt could not read the project: {refusal.message}", "dbt ls", "dbt parse") from refusal
    made = {node.relation[:2] for node in nodes if node.relation}
    ours = sorted(place for place in made if _is_own(place[1], own.lower()))
    if not ours:
        raise UsageError(
            f"the target {request.review.target} has no schema of its own for {own}",
            "profiles.yml",
            "schema: \"{{ env_var('OFFDAG_REVIEW_SCHEMA', 'ci') }}\"    # in the target's settings",
        )
    taken = [place for place in ours if place in production]
    if taken:
        raise UsageError(
            f"nothing was removed, since production has relations in {', '.join('.'.join(place) for place in taken)}",
            f"OFFDAG_REVIEW_SCHEMA={own}",
            "export OFFDAG_REVIEW_SCHEMA=pr_7    # a name that only reviews use",
        )
    path = duckdb_path(request.review)
    files: tuple[Path, Path] | None = (path, path) if path else None
    with both_sides(request.review, files, request.wait, for_writing=True) as databases:
        for database, schema in ours:
            try:
                databases.adapter.drop_schema(
                    exp.table_(schema, db=database or None, quoted=True), ignore_if_not_exists=True, cascade=True
                )
            except Exception as error:
                raise UsageError(
                    f"the schema cannot be removed: {first_line(error)}", f"{database}.{schema}", "dbt debug"
                ) from error
            _log.info("removed the schema %s.%s", database, schema)
    return [".".join(place) for place in ours]


def _is_own(schema: str, own: str) -> bool:
    """Whether it is the pull request's schema, or one with a custom name before or behind it: pr_7_marts, and not pr_71."""
    return schema == own or schema.startswith(f"{own}_") or schema.endswith(f"_{own}")
