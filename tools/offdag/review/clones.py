"""Production's tables put into the review before it builds, so that incremental models and snapshots run as in production.

What production does not have starts from nothing: the table of an earlier push was made by other code.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from offdag.artifacts.compiled import CompiledNode
from offdag.dbt.command import DbtInvocation, plain_command
from offdag.duckdb_files import LockWait
from offdag.errors import OffdagError, UsageError
from offdag.review.build import Build
from offdag.review.databases import Databases, both_sides, driver_message
from offdag.review.selection import Dbt, DbtRefused, SelectedNode

if TYPE_CHECKING:
    from sqlglot import exp

# Their tables are copied without cost by `dbt clone`; elsewhere it makes views, on which nothing can grow.
CLONED_BY_DBT = ("snowflake", "bigquery", "databricks")

_log = logging.getLogger(__name__)


def start_tables(
    copied: Sequence[SelectedNode],
    removed: Sequence[SelectedNode],
    production: Build,
    review: DbtInvocation,
    files: tuple[Path, Path] | None,
    wait: LockWait,
) -> tuple[frozenset[str], list[str]]:
    """Give nodes that grow a copy of production's table, or no table.

    Args:
        copied: Nodes that production has.
        removed: Nodes that begin from nothing.
        production: Where its tables are.
        review: With its target.
        files: Production's DuckDB file, or its copy, and the review's, which is created where it is missing; None for a server.
        wait: How long to wait for a locked file.

    Returns:
        unique_ids of the nodes that were copied, and remarks on those that were not: they are built from nothing.

    Raises:
        UsageError: A table of an earlier push cannot be removed.
    """
    cloned: set[str] = set()
    remarks: list[str] = []
    if not copied and not removed:
        return frozenset(), remarks
    with ExitStack() as stack:
        try:
            databases = stack.enter_context(both_sides(review, files, wait, for_writing=True))
        except OffdagError as problem:
            return frozenset(), [_not_as_in_production((*copied, *removed), problem.what)]
        for node in (*copied, *removed):
            target = databases.relation(node.relation_name or "")
            if target is None:
                continue
            _remove(databases, node, target)
            theirs = production.nodes.get(node.unique_id) if node in copied else None
            # Drivers and SQLMesh raise many classes of errors.
            try:
                if theirs and databases.columns(theirs):
                    _copy(databases, theirs, target)
                    cloned.add(node.unique_id)
                    _log.info("copied production's table of %s", node.name)
            except Exception as error:
                remarks.append(f"Built from nothing, not as in production: {node.name}. {driver_message(error)}.")
    return frozenset(cloned), remarks


def clone_by_dbt(dbt: Dbt, copied: Sequence[SelectedNode], state: Path) -> tuple[frozenset[str], list[str]]:
    """Copy production's tables by ``dbt clone``, which replaces those of an earlier push.

    Args:
        dbt: The build's program, target and project.
        copied: Nodes that production has.
        state: Folder of production's artifacts.

    Returns:
        As :func:`start_tables`.
    """
    if not copied:
        return frozenset(), []
    selectors = sorted(node.selector for node in copied)
    flags = ("--select", *selectors, "--state", str(state.resolve()), "--full-refresh")
    try:
        done = dbt.run(plain_command(dbt.command, "clone", *flags))
        if done.returncode:
            raise DbtRefused(dbt.words_of(done.stdout))
        # dbt also ends well where a selector matches nothing.
        results = Build.read(dbt.invocation.target_path).results
    except (DbtRefused, UsageError) as problem:
        return frozenset(), [_not_as_in_production(copied, problem.what)]
    cloned = frozenset(i for i in (node.unique_id for node in copied) if i in results and not results[i].is_failed)
    others = [node for node in copied if node.unique_id not in cloned]
    return cloned, [_not_as_in_production(others, "dbt clone did not copy production's table")] if others else []


def _not_as_in_production(nodes: Sequence[SelectedNode], why: str) -> str:
    names = ", ".join(sorted(node.name for node in nodes))
    return f"Not built as in production, but from nothing or on the table of an earlier push: {names}. {why}."


def _remove(databases: Databases, node: SelectedNode, target: exp.Table) -> None:
    """Remove the table of an earlier push, and as dbt does the views that read it.

    Raises:
        UsageError: It stays, and dbt would add to it.
    """
    from sqlglot import exp

    adapter = databases.adapter
    schema = exp.table_(target.db, db=target.catalog or None, quoted=True)
    # Only Postgres and Redshift keep a table that a view reads.
    cascade = databases.dialect in ("postgres", "redshift")
    try:
        adapter.create_schema(schema)
        for existing in adapter.get_data_objects(schema):
            if not databases.is_same_name(existing.name, target.name):
                continue
            is_materialized = existing.type.is_materialized_view
            kind = "VIEW" if existing.type.is_view or is_materialized else "TABLE"
            # SQLMesh's own methods know no materialized views of Postgres.
            adapter.execute(
                exp.Drop(this=existing.to_table(), kind=kind, materialized=is_materialized, cascade=cascade)
            )
    except Exception as error:
        raise UsageError(
            f"nothing was built, since the table of an earlier push cannot be removed: {driver_message(error)}",
            f"{node.name}: {target.sql(databases.dialect)}",
            "offdag ci --drop    # removes the schemas of the pull request; or remove the table by hand",
        ) from error


def _copy(databases: Databases, theirs: CompiledNode, target: exp.Table) -> None:
    from sqlglot import exp

    databases.adapter.ctas(target, exp.select("*").from_(databases.table(theirs)), exists=False)
