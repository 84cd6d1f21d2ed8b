"""The review of a dbt change: what was built, what differs from production, and what that touches."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import monotonic

from offdag.artifacts.compiled import CompiledNode
from offdag.dbt.command import DbtInvocation
from offdag.duckdb_files import LockWait
from offdag.errors import OffdagError, UsageError
from offdag.review.base import Base
from offdag.review.build import Build
from offdag.review.changes import Changes, changes_of
from offdag.review.comparison import compare, exp_count
from offdag.review.databases import Databases, both_sides, driver_message
from offdag.review.details import detailed
from offdag.review.explanation import Cause, Explainer, Explanation
from offdag.review.failing_rows import failing_rows
from offdag.review.figures import Comparison, Precision
from offdag.review.impact import Impact, trace_impact
from offdag.review.past import Past
from offdag.review.renames import RELATIONS, readers_of, removed_relations, renamed_models
from offdag.review.starts import failing_nodes, starting_points
from offdag.review.state import State, duckdb_path, is_same_file

_log = logging.getLogger(__name__)

# Keys of a dbt profile that identify a server, for all types; a database of Postgres and Redshift is one of its own.
_SERVER = ("type", "host", "server", "port", "account")
_OWN_DATABASES = ("postgres", "redshift")
_THIS_MACHINE = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Request:
    """What is compared, and how.

    Attributes:
        production: Production's invocation, with its target.
        review: The review's invocation, with its target.
        precision: How exactly, and what may be shown.
        wait: How long to wait for a locked file.
        failing_rows: Most rows that are read of a failed test.
    """

    production: DbtInvocation
    review: DbtInvocation
    precision: Precision
    wait: LockWait
    failing_rows: int = 0


@dataclass(frozen=True)
class Made:
    """A model that production does not have.

    Attributes:
        rows: Number of rows; None where they could not be counted.
        columns: Number of columns; None where they could not be listed.
    """

    rows: int | None
    columns: int | None


@dataclass(frozen=True)
class Review:
    """Everything that a summary shows, as data.

    Attributes:
        build: The build to review.
        production: Production's last build; None where the history has none.
        base: Whose changes there are.
        comparisons: Of the built relations that can differ, parents before children.
        explanations: Why a compared table differs, by unique_id.
        unchanged: Built, with the same code and the same inputs: not compared.
        not_compared: Why a changed node was not compared, by unique_id.
        made: Models that production does not have, by unique_id.
        renamed: unique_id in production, by unique_id in the review.
        removed: Why relations of production are no longer made, by unique_id.
        impact: What is touched, by unique_id, the starts among them.
        failing_rows: Rows of failed tests as text, by unique_id, the names of the columns first.
        past: What production's last builds show about the nodes that were built.
        cloned: Nodes that were built on a copy of production's table.
        remarks: What could not be done, and why.
        is_blind: Production could not be read, so what differs is unknown.
    """

    build: Build
    production: Build | None = None
    base: Base = field(default_factory=Base)
    comparisons: tuple[Comparison, ...] = ()
    explanations: dict[str, Explanation] = field(default_factory=dict)
    unchanged: tuple[str, ...] = ()
    not_compared: dict[str, str] = field(default_factory=dict)
    made: dict[str, Made] = field(default_factory=dict)
    renamed: dict[str, str] = field(default_factory=dict)
    removed: dict[str, str] = field(default_factory=dict)
    impact: dict[str, Impact] = field(default_factory=dict)
    failing_rows: dict[str, list[tuple[str, ...]]] = field(default_factory=dict)
    past: Past = field(default_factory=Past)
    cloned: frozenset[str] = frozenset()
    remarks: tuple[str, ...] = ()
    is_blind: bool = False

    def is_by_chance(self, comparison: Comparison) -> bool:
        """Whether a table differs only because its code gives other rows each time."""
        found = self.explanations.get(comparison.unique_id)
        return found is not None and found.cause is Cause.CHANCE

    @property
    def differing(self) -> list[Comparison]:
        """Tables whose columns or rows differ for a reason."""
        return [c for c in self.comparisons if (c.has_row_changes or c.has_schema_changes) and not self.is_by_chance(c)]

    @property
    def moved(self) -> list[tuple[str, str]]:
        """Compared nodes that have another table name or materialization than in production, as (unique_id, what)."""
        found = []
        for c in self.comparisons:
            if self.production is None or c.unique_id in self.renamed:
                continue
            before, node = self.production.nodes[c.unique_id], self.build.nodes[c.unique_id]
            if before.alias != node.alias:
                found.append((c.unique_id, f"its table is called {node.alias}, was {before.alias}"))
            if before.materialization != node.materialization:
                found.append((c.unique_id, f"is {node.materialization}, was {before.materialization}"))
        return found

    @property
    def breaking(self) -> list[tuple[str, str]]:
        """What others rely on and this change takes away, as (unique_id, what)."""
        found = []
        for c in self.comparisons:
            node = self.build.nodes[c.unique_id]
            reason = "under contract" if node.data_types else "public" if node.access == "public" else None
            consumers = [
                self.build.nodes[i].name for i in self.build.children.get(c.unique_id, ()) if i.startswith("exposure.")
            ]
            reason = reason or (f"read by {', '.join(sorted(consumers))}" if consumers else None)
            if reason:
                found += [(c.unique_id, f"{name} is gone; the model is {reason}") for name in c.removed_columns]
                found += [
                    (c.unique_id, f"{name} is {after}, was {before}; the model is {reason}")
                    for name, (before, after) in c.retyped_columns.items()
                ]
        found += [(unique_id, why) for unique_id, why in self.removed.items()]
        found += [(unique_id, what) for unique_id, what in self.moved if what.startswith("its table")]
        before = self.production.nodes if self.production else {}
        for unique_id, node in self.build.nodes.items():
            earlier = before.get(unique_id)
            if earlier and earlier.data_types and not node.data_types:
                found.append((unique_id, "is no longer under contract"))
            if earlier and earlier.access == "public" and node.access != "public":
                found.append((unique_id, f"is no longer public: its access is {node.access or 'unknown'}"))
        return found

    @property
    def has_schema_changes(self) -> bool:
        return bool(self.removed) or any(c.has_schema_changes for c in self.comparisons)

    @property
    def has_row_changes(self) -> bool:
        return any(c.has_row_changes for c in self.differing)

    @property
    def has_problems(self) -> bool:
        """Whether something could not be compared, so that it is unknown."""
        return self.is_blind or any(c.is_unknown for c in self.comparisons)


def review(
    request: Request,
    build: Build,
    state: State,
    base: Base,
    cloned: frozenset[str] = frozenset(),
    past: Past | None = None,
) -> Review:
    """Compare a build with production's, and follow what differs downstream.

    Args:
        request: What to compare, and how.
        build: What was built for the review.
        state: Production's artifacts.
        base: Whose changes there are.
        cloned: Nodes that began with production's table.
        past: What production's last builds show; None where nothing is known.

    Raises:
        UsageError: The state cannot be read.
    """
    production = state.build
    changes = changes_of(production, build)
    renamed = renamed_models(build, production)
    built = [build.nodes[i] for i, r in build.results.items() if i in build.nodes and r.status == "success"]
    relations = [node for node in built if node.resource_type in RELATIONS and node.relation_name]
    not_compared = _not_compared(build, production, changes, renamed)
    pairs = [n for n in relations if n.unique_id in changes.origins and n.unique_id not in not_compared]
    new = [n for n in relations if not _was_made(production, renamed.get(n.unique_id, n.unique_id))]
    remarks: list[str] = []
    comparisons: list[Comparison] = []
    explanations: dict[str, Explanation] = {}
    made: dict[str, Made] = {}
    failed = [build.nodes[i] for i, r in build.results.items() if r.status == "fail" and i in build.nodes]
    rows: dict[str, list[tuple[str, ...]]] = {}
    seconds: dict[str, float] = {}
    with ExitStack() as stack:
        databases = None
        try:
            if pairs or new or (failed and request.failing_rows):
                files, remark = places(request, state)
                remarks += [remark] if remark else []
                databases = stack.enter_context(both_sides(request.review, files, request.wait))
        except OffdagError as problem:
            _log.warning("%s", problem)
            remarks.append(f"No table was compared: {problem.what} ({problem.where}).")
        for number, unique_id in enumerate(build.ordered(node.unique_id for node in pairs), start=1):
            if databases:
                node = build.nodes[unique_id]
                _log.info("comparing %s (%d of %d)", node.name, number, len(pairs))
                before = production.nodes[renamed.get(unique_id, unique_id)]
                started = monotonic()
                comparisons.append(_compared(databases, before, node, request.precision))
                seconds[unique_id] = monotonic() - started
            else:
                not_compared[unique_id] = "there is no database of production to compare with"
        if databases:
            if request.failing_rows:
                most = request.failing_rows
                rows = {
                    node.unique_id: failing_rows(databases, (production, build), node, request.precision, most)
                    for node in failed
                }
            made = {node.unique_id: _made(databases, node) for node in new}
            explainer = Explainer(
                production, build, changes, base, databases, cloned, renamed, request.precision, seconds
            )
            explanations = explainer.explain(comparisons)
        chance = {i for i, found in explanations.items() if found.cause is Cause.CHANCE}
        starts = starting_points(build, production, [c for c in comparisons if c.unique_id not in chance], not_compared)
        unchanged = tuple(n.unique_id for n in relations if n.unique_id not in changes.origins)
        measured = {c.unique_id for c in comparisons if c.problem is None} | set(unchanged)
        impact = trace_impact(build, production, starts, _columns_of(databases, build, production), measured)
        removed = removed_relations(build, production, renamed)
        impact |= readers_of(removed, build, production, impact)
    return Review(
        build=build,
        production=production,
        base=base,
        comparisons=tuple(comparisons),
        explanations=explanations,
        unchanged=unchanged,
        not_compared=not_compared,
        made=made,
        renamed=renamed,
        removed=removed,
        impact=impact,
        failing_rows=rows,
        past=past or Past(),
        cloned=cloned,
        remarks=tuple(remarks),
        is_blind=bool(pairs) and databases is None,
    )


def _compared(databases: Databases, before: CompiledNode, node: CompiledNode, precision: Precision) -> Comparison:
    found, pair = compare(databases, before, node, precision)
    if pair is None or not (found.has_row_changes or found.columns):
        return found
    # Drivers raise many classes of errors; the figures are right without the details.
    try:
        return detailed(pair, found)
    except Exception as error:
        return replace(found, remarks=(*found.remarks, f"no details: {driver_message(error)}"))


def _made(databases: Databases, node: CompiledNode) -> Made:
    columns = databases.columns(node)
    try:
        rows = int(databases.row(exp_count(databases.table(node)))[0])
    except Exception:
        return Made(None, len(columns) or None)
    return Made(rows, len(columns) or None)


def review_alone(build: Build, is_blind: bool) -> Review:
    """What a build shows without production: what failed, and what that touches.

    Args:
        build: What was built for the review.
        is_blind: There is a production, and it could not be read.
    """
    return Review(build, impact=trace_impact(build, None, failing_nodes(build), lambda _: []), is_blind=is_blind)


def places(request: Request, state: State) -> tuple[tuple[Path, Path] | None, str | None]:
    """Production's file and the review's, none on a server; and what a reader should know of them.

    Raises:
        UsageError: They cannot be compared.
    """
    ours = duckdb_path(request.review)
    if ours is None:
        return None, _same_server(request)
    theirs = duckdb_path(request.production)
    if theirs is not None and is_same_file(theirs, ours):
        return (ours, ours), None
    if state.database is None:
        raise UsageError(
            "there is no copy of production's database", str(state.folder), "offdag state -e prod -o state"
        )
    return (state.database, ours), None


def _same_server(request: Request) -> str | None:
    """A remark where the profile does not show that both targets are on one server.

    Raises:
        UsageError: It shows that they are not, or that they are in different databases of one.
    """
    try:
        theirs = _server(request.production)
    except UsageError:
        return f"The profile does not show where {request.production.target} is; it is assumed to be on the review's server."
    if theirs != _server(request.review):
        raise UsageError(
            f"{request.production.target} and {request.review.target} are on different servers, or in different databases",
            "profiles.yml",
            "dbt debug --target ci    # with a schema in production's database, and rights to read production's",
        )
    return None


def _server(invocation: DbtInvocation) -> dict[str, str]:
    """The values that identify a server, each in one form: a port may be a number or a text."""
    found = {key: str(value).lower() for key, value in invocation.connection(*_SERVER).items()}
    if found.get("host") in _THIS_MACHINE:
        found["host"] = _THIS_MACHINE[0]
    if found.get("type") in _OWN_DATABASES:
        named = invocation.connection("dbname", "database")
        found["database"] = str(named.get("dbname") or named.get("database"))
        found.setdefault("port", "5432" if found["type"] == "postgres" else "5439")
    return found


def _not_compared(build: Build, production: Build, changes: Changes, renamed: Mapping[str, str]) -> dict[str, str]:
    reasons = {}
    for unique_id in changes.origins:
        node, result = build.nodes.get(unique_id), build.results[unique_id]
        if node is None or node.resource_type not in RELATIONS or not node.relation_name:
            continue
        before = production.nodes.get(renamed.get(unique_id, unique_id))
        if result.status != "success":
            reasons[unique_id] = f"was not built: {result.status or 'unknown status'}"
        elif before is None:
            reasons[unique_id] = "is new: production does not have it"
        elif before.relation_name is None:
            reasons[unique_id] = f"production has no table of it: it was {before.materialization or 'not built'}"
    return reasons


def _was_made(production: Build, unique_id: str) -> bool:
    before = production.nodes.get(unique_id)
    return before is not None and before.relation_name is not None


def _columns_of(databases: Databases | None, build: Build, production: Build) -> Callable[[str], list[str]]:
    def columns_of(unique_id: str) -> list[str]:
        # What was not built here is in production.
        ours, theirs = build.nodes.get(unique_id), production.nodes.get(unique_id)
        nodes = [ours, theirs] if unique_id in build.results else [theirs, ours]
        found = (databases.columns(node) for node in nodes if databases and node and node.relation_name)
        return next(filter(None, found), [])

    return columns_of
