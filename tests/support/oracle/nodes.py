"""Nodes of the manifests: those that are there, those that are gone, since when, and what reads what."""

from __future__ import annotations

from datetime import datetime

from support.generated import Project


def commands(project: Project) -> list[tuple[datetime, int, bool]]:
    """End, day and whether it is a retry, of every command: each left a manifest."""
    builds = [(b.ended_at, b.day, b.retries is not None) for b in project.builds]
    checks = [(run.ended_at, number, False) for number, run in enumerate(project.freshness)]
    descriptions = [(described.ended_at, described.day, False) for described in project.descriptions]
    return sorted(builds + checks + descriptions)


def _held(project: Project, day: int) -> set[str]:
    return {*project.nodes_on(day), *project.sources, *project.exposures}


def newest_manifest_at(project: Project) -> datetime:
    """End of the newest command."""
    return commands(project)[-1][0]


def current(project: Project) -> set[str]:
    """dim_nodes: the newest manifest's, and those of the newest manifest of each job that ran twice; a retry is no job."""
    found = _held(project, commands(project)[-1][1])
    builds = [b.day for b in project.builds if not b.retries]
    for days in (builds, list(range(len(project.freshness))), [d.day for d in project.descriptions]):
        if len(days) >= 2:
            found |= _held(project, days[-1])
    return found


def ever(project: Project) -> dict[str, bool]:
    """dim_nodes_ever: every node that a manifest held, and whether it is there now."""
    now = current(project)
    held = set().union(*(_held(project, day) for _, day, _ in commands(project)))
    return {node: node in now for node in held}


def periods(project: Project) -> set[tuple[str, datetime, datetime | None]]:
    """dim_node_history: from when to when each node was there with one code."""
    found = set()
    for node in {*project.nodes, *project.sources, *project.exposures}:
        begun: datetime | None = None
        version = 0
        for at, day, _ in commands(project):
            is_held = node in _held(project, day)
            is_same = is_held and project.version(node, day) == version
            if begun is not None and not is_same:
                found.add((node, begun, at))
                begun = None
            if is_held and begun is None:
                begun, version = at, project.version(node, day)
        if begun is not None:
            found.add((node, begun, None))
    return found


def upstream(project: Project, node_id: str) -> set[str]:
    """A node and everything that it reads, over any number of steps."""
    return {node_id}.union(*(upstream(project, parent) for parent in project.nodes[node_id].parents))


def schema_changes(project: Project) -> dict[tuple[str, datetime], int]:
    """fct_schema_changes: columns that were added, removed or retyped between two catalogs that have the relation."""
    found = {}
    for before, after in zip(project.descriptions, project.descriptions[1:], strict=False):
        for node, columns in after.columns.items():
            was = before.columns.get(node, columns)
            changed = [c for c in {*was, *columns} if was.get(c) != columns.get(c)]
            if changed:
                found[node, after.ended_at] = len(changed)
    return found


def routes(project: Project) -> set[tuple[str, str, str]]:
    """dim_node_routes: each node that can fail, for both severities; no route of the seed names a channel for nodes."""
    can_fail = current(project) - project.exposures.keys()
    return {(node, severity, "#data-alerts") for node in can_fail for severity in ("error", "warning")}


def edges(project: Project) -> dict[tuple[str, str], int]:
    """fct_lineage_edges: parent and child, with the child's steps from the nearest node without parents."""
    now = [project.nodes[n] for n in current(project) if n in project.nodes]
    depth = {n.id: 0 for n in now if not n.parents}
    level = 0
    while True:
        reached = {n.id for n in now if n.id not in depth and any(depth.get(p) == level for p in n.parents)}
        if not reached:
            break
        level += 1
        depth |= dict.fromkeys(reached, level)
    found = {(parent, n.id): depth[n.id] for n in now for parent in n.parents}
    for exposure, parents in project.exposures.items():
        found |= {(parent, exposure): 1 + min(depth[p] for p in parents) for parent in parents}
    return found
