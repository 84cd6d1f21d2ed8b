"""Production's tables put into the review before it builds, so that incremental models and snapshots run as in production.

What production does not have starts from nothing: the table of an earlier push was made by other code.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from offdag.artifacts.compiled import CompiledNode
from offdag.dbt.command import DbtInvocation, plain_command
from offdag.duckdb_files import LockWait
from offdag.errors import OffdagError, UsageError
from offdag.review.build import Build
from offdag.review.changes import grows
from offdag.review.databases import Databases, both_sides, driver_message
from offdag.review.selection import Dbt, DbtRefused, SelectedNode

if TYPE_CHECKING:
    from sqlglot import exp

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
    """Copy production's tables of the nodes that grow, and remove the review's tables of those that production does not have.

    Args:
        selected: What will be built, none of it production's.
        production: Where its tables are.
        review: With its target.
        files: Production's DuckDB file, or its copy, and the review's, which is created where it is missing; None for a server.
        wait: How long to wait for a locked file.

    Returns:
        unique_ids of the nodes that were copied, and remarks on those that were not: they are built from nothing.

    Raises:
        UsageError: A table of an earlier push cannot be removed.
    """
    growing = [(node, production.nodes.get(node.unique_id)) for node in selected if grows(node)]
    if not growing:
        return frozenset(), []
    cloned: set[str] = set()
    remarks: list[str] = []
    with ExitStack() as stack:
        try:
            databases = stack.enter_context(both_sides(review, files, wait, for_writing=True))
        except OffdagError as problem:
            names = ", ".join(node.name for node, _ in growing)
            remark = f"Not built as in production, but from nothing or on the table of an earlier push: {names}. {problem.what}."
            return frozenset(), [remark]
        for node, theirs in growing:
            target = databases.relation(node.relation_name or "")
            if target is None:
                continue
            _remove(databases, node, target)
            # Drivers and SQLMesh raise many classes of errors.
            try:
                if theirs and databases.columns(theirs):
                    _copy(databases, theirs, target)
                    cloned.add(node.unique_id)
                    _log.info("copied production's table of %s", node.name)
            except Exception as error:
                remarks.append(f"Built from nothing, not as in production: {node.name}. {driver_message(error)}.")
    return frozenset(cloned), remarks


def clone_by_dbt(
    dbt: Dbt, selected: Iterable[SelectedNode], production: Build, state: Path
) -> tuple[frozenset[str], list[str]]:
    """Copy production's tables by ``dbt clone``, which replaces those of an earlier push; see :func:`clone_tables`.

    Args:
        dbt: The build's program, target and project.
        selected: What will be built, none of it production's.
        production: Where its tables are.
        state: Folder of production's artifacts.
    """
    wanted = [node for node in selected if grows(node) and node.unique_id in production.nodes]
    if not wanted:
        return frozenset(), []
    names = sorted(node.name for node in wanted)
    selectors = sorted(node.selector for node in wanted)
    flags = ("--select", *selectors, "--state", str(state.resolve()), "--full-refresh")
    try:
        done = dbt.run(plain_command(dbt.command, "clone", *flags))
        problem = dbt.words_of(done.stdout) if done.returncode else None
    except DbtRefused as refusal:
        problem = refusal.message
    if problem:
        why = problem.splitlines()[0]
        listed = ", ".join(names)
        return frozenset(), [
            f"Not built as in production, but from nothing or on the table of an earlier push: {listed}. {why}."
        ]
    return frozenset(node.unique_id for node in wanted), []


def _remove(databases: Databases, node: SelectedNode, target: exp.Table) -> None:
    """Remove the table of an earlier push, with the views of the review that read it.

    Raises:
        UsageError: It stays, and dbt would add to it.
    """
    from sqlglot import exp

    adapter = databases.adapter
    schema = exp.table_(target.db, db=target.catalog or None, quoted=True)
    # Only Postgres and Redshift keep a table that a view reads.
    cascade = {"cascade": True} if databases.dialect in ("postgres", "redshift") else {}
    try:
        adapter.create_schema(schema)
        for existing in adapter.get_data_objects(schema):
            if not databases.is_same_name(existing.name, target.name):
                continue
            if existing.type.is_view:
                adapter.drop_view(existing.to_table(), **cascade)
            else:
                adapter.drop_table(existing.to_table(), **cascade)
    except Exception as error:
        raise UsageError(
            f"nothing was built, since the table of an earlier push cannot be removed: {driver_message(error)}",
            f"{node.name}: {target.sql(databases.dialect)}",
            "offdag ci --full-refresh    # builds it from nothing; or remove it by hand",
        ) from error


def _copy(databases: Databases, theirs: CompiledNode, target: exp.Table) -> None:
    from sqlglot import exp

    databases.adapter.ctas(target, exp.select("*").from_(databases.table(theirs)), exists=False)
