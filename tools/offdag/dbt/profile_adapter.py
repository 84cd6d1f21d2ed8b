"""A dbt profile's connection as SQLMesh's engine adapter. Importing SQLMesh takes seconds: it is done where a connection is opened."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from offdag.dbt.project import DbtProject

if TYPE_CHECKING:
    from sqlmesh.core.engine_adapter.base import EngineAdapter


@contextmanager
def profile_adapter(project: DbtProject, target: str | None) -> Iterator[EngineAdapter]:
    """The connection of a profile's target, closed at the end.

    Args:
        project: Whose profile.
        target: None for the profile's default.

    Raises:
        Exception: Drivers and SQLMesh raise errors of their own, of many kinds.
    """
    from sqlmesh.dbt.context import DbtContext
    from sqlmesh.dbt.profile import Profile

    profile = Profile.load(DbtContext(project_root=project.folder), target_name=target)
    adapter = profile.target.to_sqlmesh().create_engine_adapter()
    try:
        yield adapter
    finally:
        adapter.close()
