"""Production's tables put into the review before it builds, so that incremental models and snapshots run as in production."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

from offdag.artifacts.compiled import CompiledNode
from offdag.dbt.command import DbtInvocation, plain_command
from offdag.duckdb_files import LockWait
from offdag.errors import OffdagError, first_line
from offdag.review.build import Build
from offdag.review.changes import grows
from offdag.review.databases import Databases, both_sides
from offdag.review.selection import Dbt, DbtRefused, SelectedNode

# Their tables are copied without cost by `dbt clone`; elsewhere it makes views, on which nothing can grow.
CLONED_BY_DBT = ("snowflake", "bigquery", "databricks")

_log = logging.getLogger(__name__)


def clone_tables(
    selected: Iterable[SelectedNode],
    production: Build,
    review: DbtInvocation,
    files: tuple[Path, Path] | None,
    wait: LockWait,
) -> tuple[frozenset[str], list[str]]:
    """Copy production's tables of the nodes that grow.

    Args:
        selected: What will be built.
        production: Where its tables are.
        review: With its target.
        files: Production's DuckDB file, or its copy, and the review's, which is created where it is missing; None for a server.
        wait: How long to wait for a locked file.

    Returns:
        unique_ids of the nodes that were copied, and remarks on those that were not: they are built from nothing.
    """
    wanted = [(node, theirs) for node in selected if grows(node) and (theirs := production.nodes.get(node.unique_id))]
    if not wanted:
        return frozenset(), []
    cloned: set[str] = set()
    remarks: list[str] = []
    with ExitStack() as stack:
        try:
            databases = stack.enter_context(both_sides(review, files, wait, for_writing=True))
        except OffdagError as problem:
            names = ", ".join(node.name for node, _ in wanted)
            return frozenset(), [f"Built from nothing, not as in production: {names}. {problem.what}."]
        for node, theirs in wanted:
            # Drivers and SQLMesh raise many classes of errors.
            try:
                if _clone(databases, node, theirs):
                    cloned.add(node.unique_id)
                    _log.info("copied production's table of %s", node.name)
            except Exception as error:
                remarks.append(f"Built from nothing, not as in production: {node.name}. {first_line(error)}.")
    return frozenset(cloned), remarks


def clone_by_dbt(
    dbt: Dbt, selected: Iterable[SelectedNode], production: Build, state: Path
) -> tuple[frozenset[str], list[str]]:
    """The same by ``dbt clone``, see :func:`clone_tables`.

    Args:
        dbt: The build's program, target and project.
        selected: What will be built.
        production: Where its tables are.
        state: Folder of production's artifacts.
    """
    wanted = [node for node in selected if grows(node) and node.unique_id in production.nodes]
    if not wanted:
        return frozenset(), []
    names = sorted(node.name for node in wanted)
    flags = ("--select", *names, "--state", str(state.resolve()), "--full-refresh")
    try:
        done = dbt.run(plain_command(dbt.command, "clone", *flags))
        problem = dbt.words_of(done.stdout) if done.returncode else None
    except DbtRefused as refusal:
        problem = refusal.message
    if problem:
        return frozenset(), [
            f"Built from nothing, not as in production: {', '.join(names)}. {problem.splitlines()[0]}."
        ]
    return frozenset(node.unique_id for node in wanted), []


def _clone(databases: Databases, node: SelectedNode, theirs: CompiledNode) -> bool:
    """Whether there was a table to copy."""
    from sqlglot import exp

    if node.relation is None or not databases.columns(theirs):
        return False
    adapter = databases.adapter
    database, schema, name = node.relation
    target = exp.table_(name, db=schema, catalog=database or None, quoted=True)
    schema_of_target = exp.table_(schema, db=database, quoted=True) if database else schema
    adapter.create_schema(schema_of_target)
    for existing in adapter.get_data_objects(schema_of_target, {name}):
        adapter.drop_data_object(existing)
    adapter.ctas(target, exp.select("*").from_(databases.table(theirs)))
    return True
