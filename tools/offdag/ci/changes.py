"""Which of the built nodes can hold other data than in production: their code or one of their inputs is not the same."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache

from offdag.artifacts.compiled import CompiledNode
from offdag.ci.build import Build


def changed_nodes(production: Build, review: Build) -> set[str]:
    """unique_ids of the review's nodes that differ from production's in code or, at any distance, in inputs; new ones too.

    Code is compared as compiled, with each model, seed and snapshot by its id and each source by its relation: a changed macro
    is a change, another schema is none, and another source table is one.
    """
    relations = [_by_relation(build.nodes.values()) for build in (production, review)]
    named = {**relations[0], **relations[1]}
    pattern = re.compile("|".join(map(re.escape, sorted(named, key=len, reverse=True)))) if named else None

    def code(node: CompiledNode) -> str | None:
        if node.code is None or pattern is None:
            return node.code
        return pattern.sub(lambda match: "{" + named[match[0]] + "}", node.code)

    @cache
    def differs(unique_id: str) -> bool:
        before, node = production.nodes.get(unique_id), review.nodes[unique_id]
        if before is None or before.materialization != node.materialization:
            return True
        if node.resource_type == "source":
            return before.relation_name != node.relation_name
        # A snapshot that is built anew has no past.
        if node.resource_type == "snapshot" and unique_id in review.results:
            return True
        # What was not selected is not compiled.
        if before.code is None or node.code is None:
            return before.checksum != node.checksum
        return code(before) != code(node)

    return {unique_id for unique_id in review.results if any(map(differs, _with_ancestors(review, unique_id)))}


def _with_ancestors(build: Build, unique_id: str) -> Iterator[str]:
    pending, seen = [unique_id], {unique_id}
    while pending:
        at = pending.pop()
        if at in build.nodes:
            yield at
            new = set(build.nodes[at].parents) - seen
            seen |= new
            pending += new


def _by_relation(nodes: Iterable[CompiledNode]) -> dict[str, str]:
    return {n.relation_name: n.unique_id for n in nodes if n.relation_name and n.resource_type != "source"}
