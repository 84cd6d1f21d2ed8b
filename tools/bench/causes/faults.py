"""The labelled faults of ``faults/*.yml`` and the projects that they happen to."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import yaml

FOLDER = Path(__file__).parent
_WAREHOUSE = "warehouse.duckdb"

Edit = Mapping[str, Any]


@dataclass(frozen=True)
class Fault:
    """What happens to a project, and what that is.

    Attributes:
        project: Name of its folder.
        fault: What happened, in one word.
        about: In one sentence.
        kind: The true kind of cause, as fct_incident_causes names it.
        node: unique_ids of which any is right.
        edits: Changed files: file with old and new, content, rename, or delete.
        decoy: Harmless edits that arrive with it.
        sql: Runs on the warehouse after load.sql.
        env: Variables for dbt; ``{hanging_url}`` stands for a server that never answers.
        number: Counts what happened to the project before in the same word.
    """

    project: str
    fault: str
    about: str
    kind: str
    node: Sequence[str]
    edits: Sequence[Edit] = ()
    decoy: Sequence[Edit] = ()
    sql: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    number: int = 0

    @property
    def environment(self) -> str:
        """Each fault happens in an environment of its own, so that one history and one monitor run hold all."""
        return f"{self.project}-{self.fault}" + (f"-{self.number}" if self.number else "")

    def happen(self, place: Path) -> None:
        """Change a copy of the project and its warehouse."""
        for change in (*self.edits, *self.decoy):
            edit(place, change)
        load(place)
        if self.sql:
            with duckdb.connect(str(place / _WAREHOUSE)) as connection:
                connection.execute(self.sql)


def faults() -> list[Fault]:
    """All of them, by project."""
    seen: Counter[tuple[str, str]] = Counter()
    found = []
    for entry in _entries():
        key = (entry["project"], entry["fault"])
        found.append(Fault(**entry, number=seen[key]))
        seen[key] += 1
    return found


def _entries() -> Iterator[dict[str, Any]]:
    for path in sorted((FOLDER / "faults").glob("*.yml")):
        yield from yaml.safe_load(path.read_text(encoding="utf-8"))


def copy_project(name: str, place: Path) -> None:
    """A fresh copy of a project, with its raw tables loaded."""
    shutil.copytree(FOLDER / "projects" / name, place)
    load(place)


def load(place: Path) -> None:
    """Load the raw tables, as another program does before each build."""
    script = place / "load.sql"
    if script.is_file():
        with duckdb.connect(str(place / _WAREHOUSE)) as connection:
            connection.execute(script.read_text(encoding="utf-8"))


def edit(place: Path, change: Edit) -> None:
    """Make one edit in a copy of a project.

    Raises:
        ValueError: The old text is not there once.
    """
    path = place / change["file"]
    if change.get("delete"):
        path.unlink()
    elif "rename" in change:
        path.rename(place / change["rename"])
    elif "content" in change:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(change["content"], encoding="utf-8")
    else:
        text = path.read_text(encoding="utf-8")
        if text.count(change["old"]) != 1:
            raise ValueError(f"{path}: the old text is there {text.count(change['old'])} times")
        path.write_text(text.replace(change["old"], change["new"]), encoding="utf-8")
