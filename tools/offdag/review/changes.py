"""Which of the built nodes can hold other data than in production: their code or one of their inputs is not the same."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from offdag.artifacts.compiled import CompiledNode
from offdag.review.base import PACKAGES
from offdag.review.build import Build
from offdag.review.lineage import sqlglot_dialect
from offdag.review.selection import SelectedNode


@dataclass(frozen=True)
class Changes:
    """How the built nodes can differ from production's.

    Attributes:
        origins: For each built node that can hold other data, those of its ancestors and itself whose own code, configuration or
            relation differs, or whose code in production is unknown.
        growing: Nodes whose data depends on what was there before, such as snapshots.
        recompiled: Those of them whose compiled code differs, by a variable or because production's was built from nothing.
    """

    origins: dict[str, frozenset[str]]
    growing: frozenset[str] = frozenset()
    recompiled: frozenset[str] = frozenset()

    def has_own(self, unique_id: str) -> bool:
        """Whether the code or configuration of a node itself differs."""
        return unique_id in self.origins.get(unique_id, ()) and unique_id not in self.growing


def changes_of(production: Build, review: Build) -> Changes:
    """How the review's nodes differ from production's in code or, at any distance, in inputs; new ones too.

    Code is compared as compiled, with each model, seed and snapshot by its id and each source by its relation: a changed macro
    or another source table is a change, another schema is not. What production's last build leaves unknown counts as a change.
    """
    codes = _Codes(production, review)
    relations = [i for i in review.results if i in review.nodes and review.nodes[i].relation_name]
    origins = {i: frozenset(filter(codes.differs, _with_ancestors(review, i))) for i in relations}
    growing = {i for found in origins.values() for i in found if codes.only_grows(i)}
    return Changes(
        {unique_id: found for unique_id, found in origins.items() if found},
        frozenset(growing),
        frozenset(filter(codes.is_recompiled, growing)),
    )


class _Codes:
    """The code of both builds, with relations by the node that makes them."""

    def __init__(self, production: Build, review: Build) -> None:
        self._production = production
        self._review = review
        self._dialect = sqlglot_dialect(review.adapter_type)
        named = {**_by_relation(production.nodes.values()), **_by_relation(review.nodes.values())}
        # A name that any dialect reads as one.
        self._named = {relation: re.sub(r"\W", "_", f"node_{unique_id}") for relation, unique_id in named.items()}
        names = sorted(named, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, names))) if names else None
        self._found: dict[str, bool] = {}

    def differs(self, unique_id: str) -> bool:
        """Whether a node itself can give other data than in production, its inputs aside."""
        if unique_id not in self._found:
            self._found[unique_id] = self._differs(unique_id)
        return self._found[unique_id]

    def only_grows(self, unique_id: str) -> bool:
        """Whether its code is the same, and its data depends on what was there before."""
        node = self._review.nodes[unique_id]
        is_known = unique_id in self._production.nodes and unique_id in self._review.results
        return is_known and grows(node) and not changed_files(self._production, self._review, unique_id)

    def _differs(self, unique_id: str) -> bool:
        before, node = self._production.nodes.get(unique_id), self._review.nodes[unique_id]
        if before is None or before.config != node.config:
            return True
        if node.resource_type == "source":
            return before.relation_name != node.relation_name
        if unique_id not in self._review.results:
            # It was not selected, so it was not compiled, and its children read production's.
            return before.checksum != node.checksum
        result = self._production.results.get(unique_id)
        # The code of a table that production's last build did not make is unknown; that of one that grows depends on what was there.
        if result is None or result.status != "success" or grows(node):
            return True
        if node.resource_type == "seed":
            return node.checksum is None or before.checksum != node.checksum
        return self.is_recompiled(unique_id)

    def is_recompiled(self, unique_id: str) -> bool:
        """Whether the compiled code of a node of both builds differs, or is unknown."""
        theirs, ours = (self._code(build.nodes[unique_id]) for build in (self._production, self._review))
        return theirs is None or ours is None or (theirs != ours and self._words(theirs) != self._words(ours))

    def _code(self, node: CompiledNode) -> str | None:
        if node.code is None or self._pattern is None:
            return node.code
        return self._pattern.sub(lambda match: self._named[match[0]], node.code)

    def _words(self, code: str) -> list[tuple[object, str]] | str:
        """The code without comments and spaces; as it is where sqlglot cannot split it."""
        from sqlglot import tokenize
        from sqlglot.errors import SqlglotError

        try:
            return [(token.token_type, token.text) for token in tokenize(code, dialect=self._dialect)]
        except (SqlglotError, ValueError):
            return code


def grows(node: CompiledNode | SelectedNode) -> bool:
    """Whether a node adds to the table that is there."""
    return node.resource_type == "snapshot" or node.materialization == "incremental"


def changed_files(production: Build, review: Build, unique_id: str) -> dict[str, str]:
    """What of a node's own code differs, as its files: the node's, those of its macros at any distance, of its description.

    Args:
        production: Production's build.
        review: The build to review.
        unique_id: A node of both.

    Returns:
        For each file what of it differs, such as ``macro cents_to_dollars``, those of packages below ``dbt_packages``; macros of dbt
        itself, and ephemeral models that the node's code holds, are among them.
    """
    before, node = production.nodes.get(unique_id), review.nodes[unique_id]
    if before is None:
        return {node.path or unique_id: "new"}
    found: dict[str, str] = {}
    for parent in node.parents:
        if (inner := review.nodes.get(parent)) and inner.materialization == "ephemeral":
            found |= dict.fromkeys(changed_files(production, review, parent), f"ephemeral {inner.name}")
    if node.path and (before.checksum != node.checksum or node.checksum is None):
        found[_place(review, node, node.path)] = "its file"
    for macro in sorted(_macros_of(review, node) | _macros_of(production, before)):
        theirs, ours = production.nodes.get(macro), review.nodes.get(macro)
        either = ours or theirs
        if either and either.path and (theirs is None or ours is None or theirs.code != ours.code):
            found.setdefault(_place(review, either, either.path), f"macro {either.name}")
    if before.config != node.config:
        # dbt does not record which of them has it.
        for path in filter(None, (node.patch_path, before.patch_path, node.path, "dbt_project.yml")):
            found.setdefault(path if path == "dbt_project.yml" else _place(review, node, path), "its configuration")
    return found


def _place(build: Build, node: CompiledNode, path: str) -> str:
    """A file's path in the project; dbt records that of a package's file relative to the package."""
    package = node.unique_id.split(".")[1]
    return path if build.project in (None, package) else f"{PACKAGES}{package}/{path}"


def _macros_of(build: Build, node: CompiledNode) -> set[str]:
    pending, seen = list(node.macros), set(node.macros)
    while pending:
        macro = build.nodes.get(pending.pop())
        new = set(macro.macros) - seen if macro else set()
        seen |= new
        pending += new
    return seen


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
