"""Why a table differs from production's: code, an input, the main branch, settings, data that arrived, a new build, or chance.

What the code does not show is measured: production's code runs a second time on the inputs of today, into a temporary table.
What is neither shown nor measured is unknown: a difference is left out as chance only where it is proven to be one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property

from offdag.artifacts.compiled import CompiledNode
from offdag.artifacts.values import mapping
from offdag.review.base import Base
from offdag.review.build import Build
from offdag.review.changes import Changes, changed_files, grows
from offdag.review.comparison import compare_relations
from offdag.review.databases import Databases
from offdag.review.figures import Comparison, Precision
from offdag.review.lineage import relations_read

# Seconds that a model may take in production, and its comparison here, to be built a second time.
_CHEAP_SECONDS = 20.0


class Cause(Enum):
    """The one reason that is shown."""

    CODE = "code changed"
    INPUT = "input changed"
    MAIN = "main moved"
    BEHIND = "branch is behind"
    SETTING = "target or variable"
    DATA = "data arrived since"
    REBUILT = "rebuilt"
    CHANCE = "not deterministic"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Explanation:
    """Why one table differs.

    Attributes:
        cause: The reason.
        detail: The files, inputs or measurement that show it.
        without_code: Rows that differ from production's table already with production's code; None where that was not measured.
    """

    cause: Cause
    detail: str
    without_code: int | None = None


@dataclass(frozen=True)
class Explainer:
    """What is known about both builds.

    Attributes:
        production: Production's build.
        review: The build to review.
        changes: How its nodes can differ.
        base: Whose changes there are.
        databases: The connection that reads both.
        cloned: Nodes that began with production's table.
        renamed: unique_id in production by the one in the review.
        precision: How values are compared.
        seconds: Time that the comparison of a node took.
    """

    production: Build
    review: Build
    changes: Changes
    base: Base
    databases: Databases
    cloned: frozenset[str]
    renamed: Mapping[str, str]
    precision: Precision
    seconds: Mapping[str, float] = field(default_factory=dict)

    def explain(self, comparisons: Iterable[Comparison]) -> dict[str, Explanation]:
        """The reason for each table that differs, by unique_id.

        Args:
            comparisons: Of all tables that were compared, parents before children.
        """
        measured = {comparison.unique_id: comparison for comparison in comparisons}
        found: dict[str, Explanation] = {}
        for unique_id, comparison in measured.items():
            if not comparison.is_equal and comparison.problem is None:
                found[unique_id] = self._explained(comparison, measured, found)
        return found

    def _explained(
        self, comparison: Comparison, measured: Mapping[str, Comparison], found: Mapping[str, Explanation]
    ) -> Explanation:
        unique_id = comparison.unique_id
        if unique_id in self.renamed:
            before = self.production.nodes[self.renamed[unique_id]]
            return Explanation(Cause.CODE, f"{self.review.nodes[unique_id].path}, which was {before.path}")
        if self.changes.has_own(unique_id):
            return self._own(unique_id, comparison)
        if unique_id in self.changes.growing and unique_id not in self.cloned:
            return Explanation(Cause.REBUILT, "built from nothing here, and grown in production")
        inputs = self._differing_inputs(unique_id, measured)
        if inputs:
            by_chance = [i for i in inputs if i in found and found[i].cause is Cause.CHANCE]
            more = f"; not deterministic: {self._names(by_chance)}" if by_chance else ""
            return Explanation(Cause.INPUT, self._names(inputs) + more)
        return self._by_measurement(comparison)

    def _own(self, unique_id: str, comparison: Comparison) -> Explanation:
        """Its own code: changed by the branch, or by the main branch since production's build."""
        result = self.production.results.get(unique_id)
        files = changed_files(self.production, self.review, unique_id)
        if not files:
            if result is None or result.status != "success":
                return Explanation(Cause.UNKNOWN, "production's last build did not make it")
            return self._other_relations(unique_id)
        before, node = self.production.nodes[unique_id], self.review.nodes[unique_id]
        without = _rows(self._again(before, node))
        if without:
            again = self._again(node, node)
            if again and again.has_row_changes:
                return self._by_chance_too(comparison, again, _listed(self.base.among(files, self.base.here) or files))
        return self._whose(files, without)

    def _whose(self, files: Mapping[str, str], without: int | None) -> Explanation:
        """Whether the branch changed the files, or the main branch, or neither."""
        base = self.base
        if base.here is None:
            # The summary reports why it is unknown whose changes these are.
            return Explanation(Cause.CODE, _listed(files), without)
        if here := base.among(files, base.here):
            return Explanation(Cause.CODE, _listed(here), without)
        if base.moved is None or base.theirs is None:
            detail = f"{_listed(files)} differs, and not by this branch: by the main branch, the target or a variable"
            return Explanation(Cause.UNKNOWN, detail)
        if moved := base.among(files, base.moved):
            return Explanation(Cause.MAIN, f"{_listed(moved)}; production's build is older", without)
        if theirs := base.among(files, base.theirs):
            return Explanation(
                Cause.BEHIND, f"{_listed(theirs)}; merge the commit that production was built from", without
            )
        return Explanation(Cause.SETTING, f"{_listed(files)} differs, and no commit changed it", without)

    def _by_chance_too(self, comparison: Comparison, again: Comparison, listed: str) -> Explanation:
        """The code changed, and gives other rows each time: what of it the change makes cannot be counted."""
        columns = ", ".join(again.columns)
        has_other_rows = again.added or again.removed or comparison.added or comparison.removed
        by_code = set(comparison.columns) - set(again.columns)
        if not has_other_rows and (by_code or comparison.has_schema_changes):
            return Explanation(Cause.CODE, f"{listed}; values of {columns} differ in each run")
        what = f"values of {columns} differ in each run" if columns else "the code gives other rows in each run"
        return Explanation(Cause.UNKNOWN, f"{listed} changed, and {what}")

    def _other_relations(self, unique_id: str) -> Explanation:
        """The same files with other compiled code: it reads other relations, or a variable has another value."""
        theirs, ours = ({n.unique_id: n for n in self._inputs(b, unique_id)} for b in (self.production, self.review))
        new = [ours[i] for i in ours if i not in theirs]
        if new:
            gone = ", ".join(sorted(theirs[i].name for i in theirs if i not in ours))
            detail = f"reads {', '.join(sorted(n.name for n in new))}" + (f" instead of {gone}" if gone else "")
            return Explanation(Cause.INPUT, detail)
        moved = [
            f"{node.name} is {node.relation_name} now, was {theirs[i].relation_name}"
            for i, node in ours.items()
            if node.resource_type == "source" and theirs[i].relation_name != node.relation_name
        ]
        if moved:
            return Explanation(Cause.INPUT, "; ".join(sorted(moved)))
        return Explanation(Cause.SETTING, "its compiled code differs, and its files do not")

    def _inputs(self, build: Build, unique_id: str) -> list[CompiledNode]:
        """What a node reads: its parents, and in place of ephemeral ones theirs."""
        found, pending, seen = [], [unique_id], {unique_id}
        while pending:
            at = build.nodes.get(pending.pop())
            for parent in at.parents if at else ():
                node = build.nodes.get(parent)
                if node is None or parent in seen:
                    continue
                seen.add(parent)
                if node.materialization == "ephemeral":
                    pending.append(parent)
                else:
                    found.append(node)
        return found

    def _differing_inputs(self, unique_id: str, measured: Mapping[str, Comparison]) -> list[str]:
        """Its inputs that were found to differ, or are supposed to."""
        differing = []
        for node in self._inputs(self.review, unique_id):
            comparison, before = measured.get(node.unique_id), self.production.nodes.get(node.unique_id)
            if comparison is not None:
                is_other = not comparison.is_equal
            elif node.resource_type == "source":
                is_other = before is None or before.relation_name != node.relation_name
            else:
                is_other = node.unique_id in self.changes.origins
            differing += [node.unique_id] if is_other else []
        return differing

    def _by_measurement(self, comparison: Comparison) -> Explanation:
        """Same code and same models as inputs: either what it reads has more data, or the code gives other rows each time."""
        node = self.review.nodes[comparison.unique_id]
        again = self._again(node, node)
        if again is not None and again.has_row_changes:
            if _is_as_large(comparison, again):
                return Explanation(Cause.CHANCE, "the same code gave other rows when it ran a second time")
            what = f"values of {', '.join(again.columns)}" if again.columns else "rows"
            return Explanation(Cause.UNKNOWN, f"{what} differ in each run, and it is not known what else differs")
        read = self._read_from_outside(node)
        if not read:
            return Explanation(Cause.UNKNOWN, "same code; which inputs production's table was built from is not known")
        if again is None and (not grows(node) or node.unique_id in self.changes.recompiled):
            return Explanation(
                Cause.UNKNOWN,
                f"newer rows of {', '.join(read)}, other variables, or code that gives other rows in each run: not measured",
            )
        return Explanation(Cause.DATA, f"production's last build read older rows of {', '.join(read)}")

    def _read_from_outside(self, node: CompiledNode) -> list[str]:
        """Names of what dbt does not build and the node reads, at any distance: an input that is equal today may have been another one."""
        found, pending, seen = set(), [node.unique_id], {node.unique_id}
        while pending:
            at = self.review.nodes.get(pending.pop())
            if at is not None:
                found |= {at.name} if at.resource_type == "source" else set()
                new = set(at.parents) - seen
                seen |= new
                pending += new
        return sorted(found | self._unlisted(node))

    def _unlisted(self, node: CompiledNode) -> set[str]:
        """Relations that its code names without ref or source; none where the code cannot be read."""
        read = relations_read(node.code or "", self.databases.dialect) or set()
        known = {
            ((n.schema or "").lower(), (n.alias or n.name).lower())
            for build in (self.review, self.production)
            for n in (*self._inputs(build, node.unique_id), node)
        }
        return {".".join(filter(None, relation)) for relation in read if relation not in known}

    def _again(self, made_by: CompiledNode, compared: CompiledNode) -> Comparison | None:
        """A node's code run a second time, against the table that it made; None where that is not cheap, or failed.

        Args:
            made_by: Production's node or the review's: its code and its table.
            compared: The review's node, with the key.
        """
        result = self.production.results.get(compared.unique_id)
        # A view takes its time when it is read.
        seconds = self.seconds.get(compared.unique_id, 0.0) + (result.seconds or 0.0 if result else 0.0)
        is_cheap = result is not None and result.seconds is not None and seconds <= _CHEAP_SECONDS
        if made_by.code is None or not is_cheap or self._has_start_hooks or not _is_its_query(made_by):
            return None
        again = self.databases.temporary(made_by.code)
        if again is None:
            return None
        tables = (self.databases.table(made_by), again)
        found, _ = compare_relations(self.databases, tables, compared, self.precision)
        return None if found.problem else found

    @cached_property
    def _has_start_hooks(self) -> bool:
        """Whether statements run before the models, which set what a second run lacks."""
        return any(i.startswith("operation.") and "on-run-start" in i for i in self.review.nodes)

    def _names(self, unique_ids: Iterable[str]) -> str:
        nodes = (self.review.nodes.get(unique_id) for unique_id in unique_ids)
        return ", ".join(sorted(node.name for node in nodes if node))


def _listed(files: Mapping[str, str]) -> str:
    return ", ".join(f"{path} ({what})" if what != "its file" else path for path, what in sorted(files.items()))


def _is_as_large(comparison: Comparison, again: Comparison) -> bool:
    """Whether all that differs from production's table are values of columns that differ in a second run of the same code too."""
    # With a key that differs in each run nothing else is compared.
    has_other_rows = comparison.key and any((comparison.added, comparison.removed, again.added, again.removed))
    is_alike = bool(comparison.columns) and set(comparison.columns) <= set(again.columns)
    return (
        is_alike and not has_other_rows and comparison.before == comparison.after and not comparison.has_schema_changes
    )


def _is_its_query(node: CompiledNode) -> bool:
    """Whether a node's table holds what its query gives: hooks change rows, and a contract casts them."""
    config = json.loads(node.config)
    is_more = mapping(config.get("contract")).get("enforced") or any(
        config.get(name) for name in ("pre-hook", "post-hook", "sql_header")
    )
    return node.resource_type == "model" and node.materialization in ("table", "view") and not is_more


def _rows(found: Comparison | None) -> int | None:
    """Rows that differ in any way; None where that is unknown."""
    if found is None or found.added is None or found.removed is None:
        return None
    return found.added + found.removed + (found.changed or 0)
