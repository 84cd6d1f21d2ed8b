"""The plan of a monitor run: what dbt compiled, in dbt's order, for DuckDB to execute without dbt.

dbt writes it after each build (:mod:`offdag.monitor.planner`). It holds for as long as nothing but the history changes: project, seeds,
variables, versions, settings and database are compared by :mod:`offdag.monitor.last_run`. Whatever it cannot do, dbt does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

import duckdb
import msgspec

# A model whose text asks for the time, or for chance, is built in each run.
_VOLATILE = re.compile(r"(?i)\b(now|today|random|uuid|gen_random_uuid|current_(?:date|time|timestamp))\b")


class Step(msgspec.Struct, frozen=True):
    """A node of the monitor project.

    Attributes:
        unique_id: dbt's.
        kind: A materialization, or ``seed`` or ``test``.
        relation: Quoted name; empty for a test.
        parents: unique_ids that it reads.
        before: Statements that dbt executed while it compiled the node; they set variables of DuckDB.
        sql: The compiled query; empty for a seed.
        is_volatile: Whether it can change without a change of its parents.
    """

    unique_id: str
    kind: str
    relation: str
    parents: tuple[str, ...]
    before: tuple[str, ...]
    sql: str
    is_volatile: bool


class Plan(msgspec.Struct, frozen=True):
    """What a run executes.

    Attributes:
        settings: DuckDB's settings of the profile.
        filesystems: fsspec's, as the profile of dbt-duckdb names them.
        history_tables: Name of the history's table by unique_id of the source.
        steps: Each after its parents.
    """

    settings: dict[str, str | bool | int]
    filesystems: list[dict[str, str]]
    history_tables: dict[str, str]
    steps: list[Step]

    @classmethod
    def read(cls, path: Path) -> Plan | None:
        """The plan of a file; None where there is none that this offdag understands."""
        try:
            return msgspec.json.decode(path.read_bytes(), type=cls)
        except (OSError, msgspec.MsgspecError):
            return None

    def write(self, path: Path) -> None:
        """Write the plan to a file."""
        path.write_bytes(msgspec.json.encode(self))


# By unique_id: a hash of a source's file names or of a table's rows; a test's number of rows.
Contents = dict[str, str]


def is_volatile(compiled: str, before: Sequence[str]) -> bool:
    """Whether a compiled query can give other rows from the same tables."""
    return bool(_VOLATILE.search(compiled)) or any("as_of" in statement for statement in before)


def run_plan(
    plan: Plan, connection: duckdb.DuckDBPyConnection, history: str, as_of: datetime, known: Contents
) -> Contents:
    """Execute a plan, and commit after each step: DuckDB estimates the size of a table only once it is committed.

    Args:
        plan: What dbt compiled for this database.
        connection: The monitor's database.
        history: Folder or URL.
        as_of: Naive UTC.
        known: What the last run returned; empty to execute all steps.

    Returns:
        The contents after the run.

    Raises:
        duckdb.Error: A step failed; the steps before it are done.
    """
    for name, value in plan.settings.items():
        connection.execute(f"set {name} = '{value}'")
    for filesystem in plan.filesystems:
        import fsspec

        options = dict(filesystem)
        connection.register_filesystem(fsspec.filesystem(options.pop("fs"), **options))
    run = _PlanRun(connection, known)
    run.see_sources(plan, history)
    connection.execute(f"set variable given_as_of = '{as_of.isoformat(sep=' ', timespec='microseconds')}'")
    for step in plan.steps:
        run.execute(step)
    return run.contents


class _PlanRun:
    """A plan while it is executed.

    Attributes:
        contents: Those of this run so far.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, known: Contents) -> None:
        self.contents: Contents = {}
        self._connection = connection
        self._known = known
        self._changed: set[str] = set()

    def see_sources(self, plan: Plan, history: str) -> None:
        """Find the sources that changed. The history's files never change under their names."""
        pattern = f"{history}/tables/*/*/*.parquet".replace("'", "''")
        found = self._connection.execute(
            f"""
            select regexp_extract(file, '/tables/([^/]+)/run_date=[^/]+/[^/]+$', 1), count(*) || '-' || sum(hash(file))
            from glob('{pattern}') group by 1
            """
        ).fetchall()
        hash_by_table = dict(found)
        for unique_id, table in plan.history_tables.items():
            self._note(unique_id, hash_by_table.get(table))

    def execute(self, step: Step) -> None:
        """Execute a step whose result can be another one than in the last run."""
        is_due = (
            not self._known
            or step.is_volatile
            or any(parent in self._changed or parent not in self.contents for parent in step.parents)
        )
        if step.kind == "seed":
            self.contents[step.unique_id] = ""
        elif step.kind in ("view", "ephemeral"):
            self._note(step.unique_id, None if is_due else self._known[step.unique_id])
        elif not is_due:
            self.contents[step.unique_id] = self._known[step.unique_id]
        else:
            for statement in step.before:
                self._connection.execute(statement)
            self._note(
                step.unique_id,
                {"table": self._table, "incremental": self._incremental, "test": self._test}[step.kind](step),
            )

    def _note(self, unique_id: str, content: str | None) -> None:
        """Keep the content of a node; None is one that is not known, and so another one than before."""
        if content is None or content != self._known.get(unique_id):
            self._changed.add(unique_id)
        self.contents[unique_id] = content or ""

    def _table(self, step: Step) -> str:
        self._connection.execute(f"create or replace table {step.relation} as\n{step.sql}")
        return self._value(f"select count(*) || '-' || coalesce(sum(hash(found)), 0) from {step.relation} as found")

    def _incremental(self, step: Step) -> str | None:
        """Replace the rows of the changed dates."""
        if self._value("select len(getvariable('changed_run_dates'))") == "0":
            return self._known.get(step.unique_id, "")
        changed = "select found.run_date from (select unnest(getvariable('changed_run_dates')) as found)"
        self._connection.execute(f"create or replace temp table new_rows as\n{step.sql}")
        self._connection.execute("begin")
        self._connection.execute(f"delete from {step.relation} where run_date in ({changed})")
        self._connection.execute(f"insert into {step.relation} by name select * from new_rows")
        self._connection.execute("commit")
        self._connection.execute("drop table new_rows")
        return None

    def _test(self, step: Step) -> str:
        return self._value(f"select count(*) from (\n{step.sql}\n) as found")

    def _value(self, query: str) -> str:
        row = self._connection.execute(query).fetchone()
        return str(row[0]) if row else ""


def failures(contents: Contents) -> Iterator[tuple[str, int]]:
    """Names of failing tests, with their numbers of rows."""
    for unique_id, content in contents.items():
        if unique_id.startswith("test.") and content not in ("", "0"):
            yield unique_id.split(".")[2], int(content)
