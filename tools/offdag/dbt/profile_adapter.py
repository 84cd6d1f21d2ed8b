"""A dbt profile's connection as SQLMesh's engine adapter. Importing SQLMesh takes seconds, so it happens where a connection is opened."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from offdag.dbt.command import DbtInvocation
from offdag.dbt.project import profile_output, rendered

if TYPE_CHECKING:
    from sqlmesh.core.engine_adapter.base import EngineAdapter


def _libpq(fields: dict[str, Any]) -> dict[str, Any]:
    """What dbt accepts and SQLMesh does not: either name of the database, and 0 for the system's own keepalive."""
    kept = {name: value for name, value in fields.items() if name != "keepalives_idle" or value}
    return {**kept, "dbname": fields.get("dbname") or fields.get("database")}


@contextmanager
def profile_adapter(invocation: DbtInvocation) -> Iterator[EngineAdapter]:
    """The connection of an invocation's target, closed at the end.

    Raises:
        UsageError: There is no such profile or target, or a variable that it needs is not set.
        Exception: Drivers and SQLMesh raise many classes of errors.
    """
    from sqlmesh.dbt.target import TargetConfig

    path, target = invocation.profiles_file, invocation.target
    output = profile_output(path, invocation.profile, target, invocation.environ)
    # Rendered here: SQLMesh would use the variables of the process, which lack the review's schema.
    fields = rendered(output, invocation.environ, path)
    if fields.get("type") in ("postgres", "redshift"):
        fields = _libpq(fields)
    config = TargetConfig.load({"name": target or "default", "profile_name": invocation.profile, **fields})
    adapter = config.to_sqlmesh().create_engine_adapter()
    # Otherwise the first query connects, and its error would be taken for one of the query.
    adapter.ping()
    if fields.get("search_path"):
        adapter.cursor.execute("select set_config('search_path', %s, false)", (str(fields["search_path"]),))
    try:
        yield adapter
    finally:
        adapter.close()
