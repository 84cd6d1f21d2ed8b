"""The schemas that a pull request's builds made, removed when it is closed."""

from __future__ import annotations

import logging
import re
from pathlib import Path

from offdag.errors import UsageError
from offdag.review.build import Build
from offdag.review.databases import Databases, both_sides, driver_message
from offdag.review.review import Request
from offdag.review.selection import Dbt, DbtRefused, relations_of, selected_nodes
from offdag.review.state import duckdb_path

_log = logging.getLogger(__name__)


def drop_schemas(dbt: Dbt, request: Request, own: str, production: Build | None) -> list[str]:
    """Remove every schema of the review's target whose name holds the pull request's own.

    Args:
        dbt: Lists what the target makes.
        request: The review's connection.
        own: Name of the pull request's schema, such as pr_7.
        production: Its last build, whose schemas are never removed; None where there is none.

    Returns:
        What was removed, as database.schema, without those that did not exist.

    Raises:
        UsageError: The project cannot be read, the target does not use the schema, or one cannot be removed.
    """
    try:
        nodes = selected_nodes(dbt)
    except DbtRefused as refusal:
        raise UsageError(f"dbt could not read the project: {refusal.message}", "dbt ls", "dbt parse") from refusal
    # Without case to be compared, and as dbt writes them to be addressed.
    made = {node.relation[:2]: node.relation_name for node in nodes if node.relation and node.relation_name}
    ours = {place: made[place] for place in sorted(made) if is_own_schema(place[1], own.lower())}
    if not ours:
        raise UsageError(
            f"the target {request.review.target} has no schema of its own for {own}",
            "profiles.yml",
            "schema: \"{{ env_var('OFFDAG_REVIEW_SCHEMA', 'ci') }}\"    # in the target's settings",
        )
    if production is None and not re.fullmatch(r"pr_\d+", own):
        raise UsageError(
            f"nothing was removed, since production's schemas are unknown, and {own} may be one of them",
            f"OFFDAG_REVIEW_SCHEMA={own}; the history has no build of {request.production.target}",
            "export OFFDAG_REVIEW_SCHEMA=pr_7    # or give --state with the folder that offdag state wrote",
        )
    theirs = relations_of(production) if production else set()
    taken = sorted({relation[:2] for relation in theirs} & ours.keys())
    if taken:
        raise UsageError(
            f"nothing was removed, since production has relations in {', '.join('.'.join(place) for place in taken)}",
            f"OFFDAG_REVIEW_SCHEMA={own}",
            "export OFFDAG_REVIEW_SCHEMA=pr_7    # a name that only reviews use",
        )
    path = duckdb_path(request.review)
    files: tuple[Path, Path] | None = (path, path) if path else None
    with both_sides(request.review, files, request.wait, for_writing=True) as databases:
        removed = [_dropped(databases, relation_name) for relation_name in ours.values()]
    return [place for place in removed if place]


def _dropped(databases: Databases, relation_name: str) -> str | None:
    """Remove the schema of a relation.

    Returns:
        database.schema; None where there is no such schema.

    Raises:
        UsageError: It cannot be removed.
    """
    from sqlglot import exp

    table = databases.relation(relation_name)
    if table is None:
        return None
    place = ".".join(filter(None, (table.catalog, table.db)))
    if databases.has_schema(table) is False:
        _log.info("there is no schema %s", place)
        return None
    schema = exp.table_(table.db, db=table.catalog or None, quoted=True)
    try:
        databases.adapter.drop_schema(schema, ignore_if_not_exists=True, cascade=True)
    except Exception as error:
        raise UsageError(f"the schema cannot be removed: {driver_message(error)}", place, "dbt debug") from error
    if databases.has_schema(table):
        raise UsageError("the schema is still there after it was removed", place, "dbt debug")
    _log.info("removed the schema %s", place)
    return place


def is_own_schema(schema: str, own: str) -> bool:
    """Whether it is the pull request's schema, or one with a custom name before or behind it: pr_7_marts, and not pr_71."""
    return schema == own or schema.startswith(f"{own}_") or schema.endswith(f"_{own}")
