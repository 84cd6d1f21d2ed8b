"""Where impact begins: columns and rows that differ, columns whose tests fail, nodes that were not built."""

from __future__ import annotations

from collections.abc import Iterable

from offdag.review.build import Build
from offdag.review.figures import Comparison
from offdag.review.impact import Impact


def failing_nodes(build: Build) -> dict[str, Impact]:
    """The columns that failed tests check, and the nodes that were not built."""
    found: dict[str, Impact] = {}
    for result in build.results.values():
        node = build.nodes.get(result.unique_id)
        if node is None or not result.is_failed:
            continue
        if node.resource_type == "unit_test" and not build.results.keys() & set(node.parents):
            # It was run alone: no data is other than before.
            continue
        if node.resource_type in ("test", "unit_test"):
            # A test of several nodes is not attached to one.
            for tested in [node.attached_node] if node.attached_node else node.parents:
                effect = found.setdefault(tested, Impact())
                if node.column_name and node.attached_node:
                    effect.columns.setdefault(node.column_name.lower(), f"fails {node.name}")
                else:
                    effect.whole = effect.whole or f"fails {node.name}"
        else:
            found.setdefault(result.unique_id, Impact()).whole = "was not built"
    return {unique_id: effect for unique_id, effect in found.items() if unique_id in build.nodes}


def starting_points(
    build: Build, production: Build, comparisons: Iterable[Comparison], not_compared: Iterable[str]
) -> dict[str, Impact]:
    """What differs or fails by itself, by unique_id.

    Args:
        build: The build to review.
        production: Production's build.
        comparisons: Of the tables that differ for a reason.
        not_compared: Nodes that changed and were not compared.
    """
    starts = failing_nodes(build)
    for c in comparisons:
        effect = starts.setdefault(c.unique_id, Impact())
        for words, names in (
            ("added", c.added_columns),
            ("removed", c.removed_columns),
            ("has another type", c.retyped_columns),
        ):
            effect.columns |= {name.lower(): words for name in names}
        unit = "rows" if c.key else "values"
        for name, rows in c.columns.items():
            # That its test fails says more.
            effect.columns.setdefault(name.lower(), f"differs in {rows:,} {unit}")
        if c.added or c.removed:
            effect.rows = f"{c.added:,} added, {c.removed:,} removed"
        effect.columns |= {name.lower(): "could not be compared" for name in c.unknown_columns}
        effect.columns |= {old.lower(): f"was renamed to {new}" for old, new in c.renamed_columns.items()}
        if c.problem:
            effect.whole = "could not be compared"
    for unique_id in not_compared:
        before = production.nodes.get(unique_id)
        # What was ephemeral had no readers of its own.
        if before and before.relation_name:
            effect = starts.setdefault(unique_id, Impact())
            effect.whole = effect.whole or "changed, and was not compared"
    return {unique_id: effect for unique_id, effect in starts.items() if effect.is_any}
