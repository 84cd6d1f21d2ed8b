"""Two dbt projects of one name in one history: they would resolve each other's incidents."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from offdag.artifacts.manifest import Manifest
from offdag.history.history import History

# Below this, two projects may have no node in common by chance, or because one has just begun.
_FEWEST_NODES = 3


def is_other_project(history: History, manifest: Manifest, kept: Iterable[tuple[date, str]]) -> bool:
    """Whether a manifest belongs to another project than manifests with its project's name: most of its nodes have other ids.

    A project changes in steps: between two of its manifests, most nodes stay.

    Args:
        history: Holds the nodes of the kept manifests.
        manifest: A new one, with nodes that no kept manifest holds.
        kept: Date and hash of the newest manifests of that name.

    Raises:
        HistoryError: The history cannot be read.
    """
    own = _own_nodes(manifest.project, (row["unique_id"] for row in manifest.nodes))
    others = []
    for day, manifest_hash in kept:
        rows = history.read_identity("manifest_nodes", day, manifest_hash, "manifest_hash", ["unique_id"])
        others.append(_own_nodes(manifest.project, rows["unique_id"].to_pylist()))
    others = [ids for ids in others if len(ids) >= _FEWEST_NODES]
    return len(own) >= _FEWEST_NODES and bool(others) and all(2 * len(own & ids) < len(own | ids) for ids in others)


def other_adapter(history: History, project: str, environment: str, adapter_type: str | None) -> str | None:
    """The adapter with which the environment of that name was built until now, where it is another one; None where all is well."""
    known = history.known("adapters", f"{project}|{environment}") or {}
    kept = known.get("adapter_type")
    return str(kept) if kept and adapter_type and kept != adapter_type else None


def note_adapter(history: History, project: str, environment: str, adapter_type: str | None) -> None:
    """Record the adapter of an environment's newest build."""
    key = f"{project}|{environment}"
    if adapter_type and (history.known("adapters", key) or {}).get("adapter_type") != adapter_type:
        history.note("adapters", key, {"adapter_type": adapter_type})


def _own_nodes(project: str | None, unique_ids: Iterable[str]) -> set[str]:
    """Nodes of the project itself: those of a package may be in many projects."""
    return {node for node in unique_ids if node.split(".")[1:2] == [project]}
