"""The review of a dbt change: what was built, what differs from production, and what that touches."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from offdag.dbt.command import DbtInvocation
from offdag.duckdb_files import LockWait
from offdag.errors import OffdagError, UsageError
from offdag.review.build import Build
from offdag.review.changes import changed_nodes
from offdag.review.comparison import Comparison, compare
from offdag.review.databases import Databases, both_sides
from offdag.review.impact import Impact, trace_impact
from offdag.review.state import State, duckdb_path

_log = logging.getLogger(__name__)

_COMPARED = ("model", "seed")
_RELATIONS = (*_COMPARED, "snapshot")
# Keys of a dbt profile that identify a server, for all types.
_SERVER = ("type", "host", "server", "port", "account", "http_path", "endpoint", "dbname")


@dataclass(frozen=True)
class Request:
    """What is compared, and how.

    Attributes:
        production: Production's invocation, with its target.
        review: The review's invocation, with its target.
        decimals: Places up to which floating-point numbers have to agree.
        samples: Most sample rows of a kind.
        wait: How long to wait for a locked file.
    """

    production: DbtInvocation
    review: DbtInvocation
    decimals: int
    samples: int
    wait: LockWait


@dataclass(frozen=True)
class Review:
    """Everything that a summary shows, as data.

    Attributes:
        build: The build to review.
        production: Production's last build; None where the history has none.
        comparisons: Of the built models and seeds that can differ.
        unchanged: Built, with the same code and the same inputs: not compared.
        not_compared: Why a changed node was not compared, by unique_id.
        removed: Why relations of production are no longer made, by unique_id.
        impact: What is touched, by unique_id, the starts among them.
        remarks: What could not be done, and why.
        is_blind: Production could not be read, so what differs is unknown.
    """

    build: Build
    production: Build | None = None
    comparisons: tuple[Comparison, ...] = ()
    unchanged: tuple[str, ...] = ()
    not_compared: dict[str, str] = field(default_factory=dict)
    removed: dict[str, str] = field(default_factory=dict)
    impact: dict[str, Impact] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    is_blind: bool = False

    @property
    def has_schema_changes(self) -> bool:
        return bool(self.removed) or any(c.has_schema_changes for c in self.comparisons)

    @property
    def has_row_changes(self) -> bool:
        return any(c.has_row_changes for c in self.comparisons)

    @property
    def has_problems(self) -> bool:
        """Whether a table could not be compared, so that it is unknown."""
        return self.is_blind or any(c.problem for c in self.comparisons)


def review(request: Request, build: Build, state: State) -> Review:
    """Compare a build with production's, and follow what differs downstream.

    Args:
        request: What to compare, and how.
        build: What was built for the review.
        state: Production's artifacts.

    Raises:
        UsageError: The state cannot be read.
    """
    production = Build.read(state.folder)
    changed = changed_nodes(production, build)
    built = [build.nodes[i] for i, r in build.results.items() if i in build.nodes and r.status == "success"]
    relations = [node for node in built if node.resource_type in _RELATIONS and node.relation_name]
    not_compared = _not_compared(build, production, changed)
    pairs = [n for n in relations if n.unique_id in changed and n.unique_id not in not_compared]
    remarks: list[str] = []
    comparisons: list[Comparison] = []
    with ExitStack() as stack:
        databases = None
        try:
            if pairs:
                files, remark = _places(request, state)
                remarks += [remark] if remark else []
                databases = stack.enter_context(both_sides(request.review, files, request.wait))
        except OffdagError as problem:
            _log.warning("%s", problem)
            remarks.append(f"No table was compared: {problem.what} ({problem.where}).")
        for number, node in enumerate(sorted(pairs, key=lambda n: n.name), start=1):
            if databases:
                _log.info("comparing %s (%d of %d)", node.name, number, len(pairs))
                other = production.nodes[node.unique_id]
                comparisons.append(compare(databases, other, node, request.decimals, request.samples))
            else:
                not_compared[node.unique_id] = "there is no database of production to compare with"
        starts = _starts(build, production, comparisons, not_compared)
        impact = trace_impact(build, production, starts, _columns_of(databases, build, production))
    return Review(
        build=build,
        production=production,
        comparisons=tuple(comparisons),
        unchanged=tuple(n.unique_id for n in relations if n.unique_id not in changed),
        not_compared=not_compared,
        removed=_removed(build, production),
        impact=impact,
        remarks=tuple(remarks),
        is_blind=bool(pairs) and databases is None,
    )


def review_alone(build: Build, is_blind: bool) -> Review:
    """What a build shows without production: what failed, and what that touches.

    Args:
        build: What was built for the review.
        is_blind: There is a production, and it could not be read.
    """
    return Review(build, impact=trace_impact(build, None, _failing(build), lambda _: []), is_blind=is_blind)


def _places(request: Request, state: State) -> tuple[tuple[Path, Path] | None, str | None]:
    """Production's file and the review's, none on a server; and what a reader should know of them.

    Raises:
        UsageError: They cannot be compared.
    """
    ours = duckdb_path(request.review)
    if ours is None:
        return None, _same_server(request)
    theirs = duckdb_path(request.production)
    if theirs is not None and theirs.resolve() == ours.resolve():
        return (ours, ours), None
    if state.database is None:
        raise UsageError(
            "there is no copy of production's database", str(state.folder), "offdag state -e prod -o state"
        )
    return (state.database, ours), None


def _same_server(request: Request) -> str | None:
    """A remark where the profile does not show that both targets are on one server."""
    try:
        theirs = request.production.connection(*_SERVER)
    except UsageError:
        return f"The profile does not show where {request.production.target} is; it is assumed to be on the review's server."
    if theirs != request.review.connection(*_SERVER):
        raise UsageError(
            f"{request.production.target} and {request.review.target} are on different servers, or in different databases",
            "profiles.yml",
            "dbt debug --target ci    # with a schema in production's database, and rights to read production's",
        )
    return None


def _removed(build: Build, production: Build) -> dict[str, str]:
    lost = {}
    for unique_id, node in production.nodes.items():
        if node.resource_type in _RELATIONS and node.relation_name:
            ours = build.nodes.get(unique_id)
            if ours is None:
                lost[unique_id] = "is no longer in the project"
            elif not ours.relation_name:
                lost[unique_id] = f"no longer has a relation: it is {ours.materialization or 'not built'}"
    return lost


def _not_compared(build: Build, production: Build, changed: set[str]) -> dict[str, str]:
    reasons = {}
    for unique_id in changed:
        node, result = build.nodes.get(unique_id), build.results[unique_id]
        if node is None or node.resource_type not in _RELATIONS or not node.relation_name:
            continue
        if result.status != "success":
            reasons[unique_id] = f"was not built: {result.status or 'unknown status'}"
        elif unique_id not in production.nodes:
            reasons[unique_id] = "is new: production does not have it"
        elif node.resource_type == "snapshot":
            reasons[unique_id] = "is a snapshot: a new one has no past to compare"
    return reasons


def _failing(build: Build) -> dict[str, Impact]:
    """The columns that failed tests check, and the nodes that were not built."""
    found: dict[str, Impact] = {}
    for result in build.results.values():
        node = build.nodes.get(result.unique_id)
        if node is None or not result.is_failed:
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


def _starts(
    build: Build, production: Build, comparisons: Iterable[Comparison], not_compared: Iterable[str]
) -> dict[str, Impact]:
    starts = _failing(build)
    for c in comparisons:
        effect = starts.setdefault(c.unique_id, Impact())
        for words, names in (
            ("added", c.added_columns),
            ("removed", c.removed_columns),
            ("has another type", c.retyped_columns),
        ):
            effect.columns |= {name.lower(): words for name in names}
        effect.columns |= {name.lower(): f"differs in {rows:,} rows" for name, rows in c.columns.items()}
        if c.added or c.removed:
            effect.rows = f"{c.added:,} added, {c.removed:,} removed"
        if c.problem:
            effect.whole = "could not be compared"
        elif c.has_row_changes and not c.key:
            effect.whole = "rows differ; without a key it is unknown in which columns"
    for unique_id in not_compared:
        if unique_id in production.nodes and build.nodes[unique_id].resource_type != "snapshot":
            effect = starts.setdefault(unique_id, Impact())
            effect.whole = effect.whole or "changed, and was not compared"
    return {unique_id: effect for unique_id, effect in starts.items() if effect.is_any}


def _columns_of(databases: Databases | None, build: Build, production: Build) -> Callable[[str], list[str]]:
    def columns_of(unique_id: str) -> list[str]:
        # What was not built here is in production.
        ours, theirs = build.nodes.get(unique_id), production.nodes.get(unique_id)
        nodes = [ours, theirs] if unique_id in build.results else [theirs, ours]
        found = (databases.columns(node) for node in nodes if databases and node and node.relation_name)
        return next(filter(None, found), [])

    return columns_of
