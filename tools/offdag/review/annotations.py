"""GitHub's workflow commands: what failed, shown at the file of the node."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from offdag.artifacts.compiled import CompiledNode
from offdag.review.base import Base
from offdag.review.build import Build

# GitHub's limit for each kind in one step.
_MOST = 10


def workflow_commands(build: Build, base: Base, project_dir: Path, workspace: Path) -> Iterator[str]:
    """One line for each failed or warned node, errors first, the first ten of each.

    Args:
        build: Its results.
        base: Names the files that the branch changed: GitHub shows an annotation beside the code only there.
        project_dir: Folder of the dbt project.
        workspace: Folder of the checkout, which paths are relative to.
    """
    for level, results in (
        ("error", [r for r in build.results.values() if r.is_failed]),
        ("warning", [r for r in build.results.values() if r.status == "warn"]),
    ):
        for result in results[:_MOST]:
            node = build.nodes.get(result.unique_id)
            places = [build.nodes.get(node.attached_node or "", node), node] if node else []
            # The model that is tested, unless only the file in which the test stands was changed.
            changed = [place for place in places if base.here and place.path in base.here]
            place = next(iter(changed or places), None)
            file = _file(place, project_dir, workspace)
            line = _line(project_dir / node.path, node) if node and node.path and place is node else None
            at = f"file={_property(file)}," + (f"line={line}," if line else "") if file else ""
            title = f"{node.name if node else result.unique_id}: {result.status}"
            yield f"::{level} {at}title={_property(title)}::{_data(result.brief)}"


def _file(node: CompiledNode | None, project_dir: Path, workspace: Path) -> str | None:
    """The node's file below the checkout; None for a path that leads out of it."""
    if node is None or node.path is None:
        return None
    path = Path(os.path.relpath((project_dir / node.path).resolve(), workspace.resolve()))
    return None if path.parts[:1] == ("..",) else path.as_posix()


def _line(file: Path, test: CompiledNode) -> int | None:
    """The line of a .yml file at which a test stands: below the name of its model, and of its column."""
    if file.suffix not in (".yml", ".yaml"):
        return None
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    model = (test.attached_node or "").split(".")[2:3]
    at = None
    for name in filter(None, [*model, test.column_name, test.name if test.resource_type == "unit_test" else None]):
        start = at or 0
        pattern = re.compile(rf"name:\s*[\"']?{re.escape(name)}\b")
        at = next((n for n, line in enumerate(lines[start:], start + 1) if pattern.search(line)), at)
    return at


def _data(text: str) -> str:
    # Control characters would reach the log as they are.
    return "".join(c if c.isprintable() else " " for c in text).replace("%", "%25")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
