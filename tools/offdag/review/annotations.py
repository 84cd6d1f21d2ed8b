"""GitHub's workflow commands: what failed, shown at the file of the node."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from offdag.artifacts.compiled import CompiledNode
from offdag.review.build import Build

# GitHub's limit for each kind in one step.
_MOST = 10


def workflow_commands(build: Build, project_dir: Path, workspace: Path) -> Iterator[str]:
    """One line for each failed or warned node, errors first, the first ten of each.

    Args:
        build: Its results.
        project_dir: Folder of the dbt project.
        workspace: Folder of the checkout, which paths are relative to.
    """
    for level, results in (
        ("error", [r for r in build.results.values() if r.is_failed]),
        ("warning", [r for r in build.results.values() if r.status == "warn"]),
    ):
        for result in results[:_MOST]:
            node = build.nodes.get(result.unique_id)
            place = build.nodes.get(node.attached_node or "", node) if node else None
            file = _file(place, project_dir, workspace)
            at = f"file={_property(file)}," if file else ""
            title = f"{node.name if node else result.unique_id}: {result.status}"
            yield f"::{level} {at}title={_property(title)}::{_data(result.brief)}"


def _file(node: CompiledNode | None, project_dir: Path, workspace: Path) -> str | None:
    """The node's file below the checkout; None for a path that leads out of it."""
    if node is None or node.path is None:
        return None
    path = Path(os.path.relpath((project_dir / node.path).resolve(), workspace.resolve()))
    return None if path.parts[:1] == ("..",) else path.as_posix()


def _data(text: str) -> str:
    # Control characters would reach the log as they are.
    return "".join(c if c.isprintable() else " " for c in text).replace("%", "%25")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
