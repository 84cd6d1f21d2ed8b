"""Two dbt projects of one name in one history: they would resolve each other's incidents.

Only artifacts that are newer than what the history has under the name are judged: an archive of old ones is what it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime

from offdag.artifacts.document import Document
from offdag.artifacts.manifest import Manifest
from offdag.collect.context import RunContext
from offdag.history.history import History

# Below this, two projects may have no node in common by chance, or because one has just begun.
_FEWEST_NODES = 3
OTHER_NODES = "belongs to another project of that name: this history has other nodes under it"
OTHER_ADAPTER = "was built with another adapter than this environment until now"


def is_other_project(history: History, manifest: Manifest, day: date, kept: Iterable[tuple[date, str]]) -> bool:
    """Whether a manifest belongs to another project than the kept ones with its project's name: most of its nodes have other ids.

    A project grows, shrinks and changes in steps: between two of its manifests, most nodes of the smaller one stay.

    Args:
        history: Holds the nodes of the kept manifests.
        manifest: A new one, all nodes of which have other content than in the kept ones.
        day: UTC date of the manifest.
        kept: Date and hash of the newest manifests of that name.

    Raises:
        HistoryError: The history cannot be read.
    """
    own = _own_nodes(manifest.project, (row["unique_id"] for row in manifest.nodes))
    if len(own) < _FEWEST_NODES:
        return False
    others = []
    for kept_day, manifest_hash in kept:
        if kept_day > day:
            return False
        rows = history.read_identity("manifest_nodes", kept_day, manifest_hash, "manifest_hash", ["unique_id"])
        others.append(_own_nodes(manifest.project, rows["unique_id"].to_pylist()))
    others = [ids for ids in others if len(ids) >= _FEWEST_NODES]
    return bool(others) and all(2 * len(own & ids) < min(len(own), len(ids)) for ids in others)


class Adapters:
    """The adapter of each environment's newest runs; read once for each environment.

    Args:
        history: Where they are recorded.
    """

    def __init__(self, history: History) -> None:
        self._history = history
        self._known: dict[str, tuple[str, datetime] | None] = {}

    def is_other(self, document: Document, context: RunContext) -> bool:
        """Whether a run is newer than the newest one of its environment, and was built with another adapter.

        Raises:
            HistoryError: The history cannot be read.
        """
        kept = self._of(context)
        is_different = kept and context.adapter_type and kept[0] != context.adapter_type
        return bool(is_different and kept and kept[1] < document.generated_at)

    def note(self, document: Document, context: RunContext) -> None:
        """Record the adapter of an environment's newest run.

        Raises:
            HistoryError: The history cannot be written.
        """
        kept = self._of(context)
        is_known = kept and (kept[0] == context.adapter_type or kept[1] >= document.generated_at)
        if context.adapter_type and not is_known:
            self._known[_key(context)] = (context.adapter_type, document.generated_at)
            facts = {"adapter_type": context.adapter_type, "since": document.generated_at.isoformat()}
            self._history.note("adapters", _key(context), facts)

    def _of(self, context: RunContext) -> tuple[str, datetime] | None:
        """The environment's adapter, and the first run that had it."""
        key = _key(context)
        if key not in self._known:
            known = self._history.known("adapters", key)
            self._known[key] = (known["adapter_type"], datetime.fromisoformat(known["since"])) if known else None
        return self._known[key]


def _key(context: RunContext) -> str:
    return f"{context.project}|{context.environment}"


def _own_nodes(project: str | None, unique_ids: Iterable[str]) -> set[str]:
    """Nodes of the project itself: those of a package may be in many projects."""
    return {node for node in unique_ids if node.split(".")[1:2] == [project]}
