"""Models that production has under another name, or no longer makes, and who reads them there."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import SequenceMatcher

from offdag.artifacts.compiled import CompiledNode
from offdag.review.build import Build
from offdag.review.impact import Impact

# Share of the words of two models from which on one is taken for the other, renamed.
_ALIKE = 0.7
# Kinds of nodes that make a relation.
RELATIONS = ("model", "seed", "snapshot")


def renamed_models(build: Build, production: Build) -> dict[str, str]:
    """New models with the code of one that is gone, the same or most of it: unique_id in production by the new one."""
    gone = [
        n
        for i, n in production.nodes.items()
        if n.resource_type == "model" and n.relation_name and i not in build.nodes
    ]
    found: dict[str, str] = {}
    for unique_id, node in build.nodes.items():
        if node.resource_type != "model" or unique_id in production.nodes:
            continue
        alike = {n.unique_id: _likeness(n, node) for n in gone if n.unique_id not in found.values()}
        best = max(alike, key=lambda i: alike[i], default=None)
        if best and alike[best] >= _ALIKE:
            found[unique_id] = best
    return found


def removed_relations(build: Build, production: Build, renamed: Mapping[str, str]) -> dict[str, str]:
    """Why relations of production are no longer made, by unique_id."""
    lost = {}
    new_names = {old: build.nodes[new].name for new, old in renamed.items()}
    for unique_id, node in production.nodes.items():
        if node.resource_type in RELATIONS and node.relation_name:
            ours = build.nodes.get(unique_id)
            if ours is None:
                is_renamed = unique_id in new_names
                lost[unique_id] = (
                    f"is now called {new_names[unique_id]}" if is_renamed else "is no longer in the project"
                )
            elif not ours.relation_name:
                lost[unique_id] = f"no longer has a relation: it is {ours.materialization or 'not built'}"
    return lost


def readers_of(
    removed: Mapping[str, str], build: Build, production: Build, impact: Mapping[str, Impact]
) -> dict[str, Impact]:
    """Exposures that read in production what is gone, or has another name."""
    found: dict[str, Impact] = {}
    for unique_id, why in removed.items():
        for reader in production.children.get(unique_id, ()):
            if reader.startswith("exposure.") and reader in build.nodes and reader not in impact:
                found[reader] = Impact(whole=f"{production.nodes[unique_id].name} {why}")
    return found


def _likeness(before: CompiledNode, node: CompiledNode) -> float:
    if before.checksum is not None and before.checksum == node.checksum:
        return 1.0
    if before.code is None or node.code is None:
        return 0.0
    return SequenceMatcher(None, before.code.split(), node.code.split()).ratio()
