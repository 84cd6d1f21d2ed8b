"""Which of the built nodes can hold other data than in production: their code or one of their inputs is not the same."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache

from offdag.artifacts.compiled import CompiledNode
from offdag.review.build import Build


def changed_nodes(production: Build, review: Build) -> set[str]:
    """unique_ids of the review's nodes that differ from production's in code or, at any distance, in inputs; new ones too.

    Code is compared as compiled, with each model, seed and snapshot by its id and each source by its relation: a changed macro
    or another source table is a change, another schema is not. What production's last build leaves unknown counts as a change.
    """
    named = {**_by_relation(production.nodes.values()), **_by_relation(review.nodes.values())}
    pattern = re.compile("|".join(map(re.escape, sorted(named, key=len, reverse=True)))) if named else None

    def code(node: CompiledNode) -> str | None:
        if node.code is None or pattern is None:
            return node.code
        return pattern.sub(lambda match: "{" + named[match[0]] + "}", node.code)

    @cache
    def differs(unique_id: str) -> bool:
        before, node = production.nodes.get(unique_id), review.nodes[unique_id]
        if before is None or before.config != node.config:
            return True
        if node.resource_type == "source":
            return before.relation_name != node.relation_name
        if unique_id not in review.results:
            # It was not selected, so it was not compiled, and its children read production's.
            return before.checksum != node.checksum
        result = production.results.get(unique_id)
        # The code of a table that production's last build did not make is unknown.
        if result is None or result.status != "success" or node.resource_type == "snapshot":
            return True
        if node.resource_type == "seed":
            return node.checksum is None or before.checksum != node.checksum
        return node.code is None or code(before) != code(node)

    relations = (i for i in review.results if i in review.nodes and review.nodes[i].relation_name)
    return {unique_id for unique_id in relations if any(map(differs, _with_ancestors(review, unique_id)))}


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
