"""A dbt profile's connection as SQLMesh's engine adapter. Importing SQLMesh takes seconds, so it happens where a connection is opened."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from offdag.dbt.command import DbtInvocation

if TYPE_CHECKING:
    from sqlmesh.core.engine_adapter.base import EngineAdapter


@contextmanager
def profile_adapter(invocation: DbtInvocation) -> Iterator[EngineAdapter]:
    """The connection of an invocation's target, closed at the end.

    Raises:
        UsageError: There is no profiles.yml.
        Exception: Drivers and SQLMesh raise many classes of errors.
    """
    from sqlmesh.dbt.context import DbtContext
    from sqlmesh.dbt.profile import Profile

    context = DbtContext(
        project_root=invocation.project_dir,
        # SQLMesh searches only the project, so it gets the folder that was found.
        profiles_dir=invocation.profiles_file.parent.absolute(),
        profile_name=invocation.profile,
    )
    profile = Profile.load(context, target_name=invocation.target)
    adapter = profile.target.to_sqlmesh().create_engine_adapter()
    try:
        yield adapter
    finally:
        adapter.close()
