"""What a changed or failing column touches downstream: columns, models, exposures."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass, field

from offdag.artifacts.compiled import CompiledNode
from offdag.review.build import Build
from offdag.review.lineage import ColumnOf, NoLineage, QueryLineage, Table, query_lineage, sqlglot_dialect

# They name what they use, and have no query.
_USING = ("exposure", "saved_query")
# A semantic model is no data: its metrics are followed.
_NOT_FOLLOWED = ("test", "unit_test", "analysis", "semantic_model")


@dataclass
class Impact:
    """What changed or can change in one node.

    Attributes:
        columns: What happened to each column, or what it comes from, by its name in lower case.
        rows: Why rows can appear or disappear; None where they cannot.
        whole: Why every column counts as touched; None where the columns are known.
    """

    columns: dict[str, str] = field(default_factory=dict)
    rows: str | None = None
    whole: str | None = None

    @property
    def is_any(self) -> bool:
        return bool(self.columns or self.rows or self.whole)


def trace_impact(
    review: Build,
    production: Build | None,
    starts: Mapping[str, Impact],
    columns_of: Callable[[str], list[str]],
    measured: Container[str] = (),
) -> dict[str, Impact]:
    """Follow touched columns through the code of what is downstream.

    Args:
        review: Has the nodes and their parents.
        production: Has the relations in deferred code, and the code of nodes that the review did not compile; None where unknown.
        starts: What changed or failed, by unique_id.
        columns_of: Names of a node's columns as the warehouse has them; empty where it has no such relation.
        measured: Nodes whose data was compared with production's: what differs in them is among the starts, and nothing else does.

    Returns:
        The starts and what they touch, by unique_id, parents before children. Exposures, and nodes whose code cannot be
        read column by column, are touched as a whole, with the reason.
    """
    return _Tracer(review, production, dict(starts), columns_of).trace(measured)


class _Tracer:
    def __init__(
        self,
        review: Build,
        production: Build | None,
        touched: dict[str, Impact],
        columns_of: Callable[[str], list[str]],
    ) -> None:
        self._review = review
        self._touched = touched
        self._columns_of = columns_of
        self._builds = [build for build in (production, review) if build]
        self._dialect = sqlglot_dialect(review.adapter_type)
        nodes = [node for build in self._builds for node in build.nodes.values() if node.relation_name]
        self._ids = {_table(node): node.unique_id for node in nodes}
        self._columns: dict[str, list[str]] = {}
        # Of the queries that were traced: for relations that the warehouse does not have.
        self._outputs: dict[str, list[str]] = {}

    def trace(self, measured: Container[str]) -> dict[str, Impact]:
        for unique_id in self._review.downstream(self._touched):
            node = self._review.nodes[unique_id]
            if unique_id in measured or node.resource_type in _NOT_FOLLOWED:
                continue
            effect = self._touched.get(unique_id, Impact())
            if node.resource_type == "metric":
                effect.whole = self._measured_from(node)
                self._touched |= {unique_id: effect} if effect.is_any else {}
                continue
            parents = [p for p in node.parents if p in self._touched]
            if not parents:
                continue
            names = ", ".join(sorted(self._review.nodes[p].name for p in parents))
            if node.resource_type in _USING:
                effect.whole = f"uses {names}"
            else:
                try:
                    self._follow(self._lineage(node), effect)
                except NoLineage as problem:
                    effect.whole = effect.whole or f"depends on {names}; by model alone, since {problem}"
            if effect.is_any:
                self._touched[unique_id] = effect
        return self._touched

    def _measured_from(self, metric: CompiledNode) -> str | None:
        """Which touched columns or rows a metric measures; None where it measures none."""
        names = {name for name, _ in metric.measures}
        found: set[str] = set()
        pending, seen = list(metric.parents), set(metric.parents)
        while pending:
            node = self._review.nodes.get(pending.pop())
            if node is None:
                continue
            if node.resource_type == "metric":
                new = set(node.parents) - seen
                seen |= new
                pending += new
            elif node.resource_type == "semantic_model":
                if not node.measures:
                    # Of another dbt: what it measures is unknown.
                    found |= {self._review.nodes[p].name for p in node.parents if p in self._touched}
                sql = " ".join(expression for name, expression in node.measures if name in names or not names)
                found |= {text for parent in node.parents for text in self._uses(parent, sql.lower())}
        return f"measures {', '.join(sorted(found))}" if found else None

    def _uses(self, unique_id: str, sql: str) -> Iterator[str]:
        touched, model = self._touched.get(unique_id), self._review.nodes.get(unique_id)
        if touched is None or model is None:
            return
        if touched.rows or touched.whole:
            yield f"rows of {model.name}"
        words = set(re.findall(r"[a-z_][a-z0-9_]*", sql))
        yield from (f"{model.name}.{column}" for column in touched.columns if column in words)

    def _lineage(self, node: CompiledNode) -> QueryLineage:
        nodes = (build.nodes.get(node.unique_id) for build in reversed(self._builds))
        code = next((found.code for found in nodes if found and found.code), None)
        if code is None:
            raise NoLineage("its code was not compiled")
        read = set(self._inputs(node))
        for unique_id in read - set(self._columns):
            documented = list(self._review.nodes[unique_id].columns)
            self._columns[unique_id] = self._columns_of(unique_id) or self._outputs.get(unique_id, documented)
        known = {table: self._columns[i] for table, i in self._ids.items() if i in read and self._columns[i]}
        lineage = query_lineage(code, self._dialect, known)
        self._outputs[node.unique_id] = list(lineage.columns)
        return lineage

    def _inputs(self, node: CompiledNode) -> Iterator[str]:
        """What the node's code reads: its parents, and the parents of ephemeral ones."""
        pending = list(node.parents)
        while pending:
            parent = self._review.nodes.get(pending.pop())
            if parent is not None:
                yield parent.unique_id
                pending += parent.parents if parent.materialization == "ephemeral" else ()

    def _follow(self, lineage: QueryLineage, effect: Impact) -> None:
        """Add to a node's effect what reaches it through its query."""
        for output, leaves in lineage.columns.items():
            sources = self._named(leaves)
            if sources:
                effect.columns.setdefault(output, f"from {sources}")
        deciding = self._named(lineage.rows)
        read = {self._ids.get(table, "") for table in lineage.tables}
        coming = sorted(self._review.nodes[i].name for i in read if (t := self._touched.get(i)) and (t.rows or t.whole))
        if effect.rows is None and deciding:
            effect.rows = f"filters, joins or groups by {deciding}"
        elif effect.rows is None and coming:
            effect.rows = f"reads rows of {', '.join(coming)}"

    def _named(self, leaves: set[ColumnOf]) -> str:
        """The touched columns among some, as text."""
        found = set()
        for table, column in leaves:
            touched = self._touched.get(self._ids.get(table, ""))
            if touched and (touched.whole or column in touched.columns):
                found.add(f"{self._review.nodes[self._ids[table]].name}.{column}")
        return ", ".join(sorted(found))


def _table(node: CompiledNode) -> Table:
    return (node.database or "").lower(), (node.schema or "").lower(), (node.alias or node.name).lower()
