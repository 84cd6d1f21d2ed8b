"""The build of a review: packages, what it will make, production's tables for what grows, dbt, and the unit tests that were edited."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from offdag.collect.places import fingerprints, has_new_results
from offdag.collect.run import run_and_collect
from offdag.dbt.command import DbtInvocation, has_flag, plain_command, runs_here, selects
from offdag.dbt.process import run_process
from offdag.dbt.signals import SignalRelay
from offdag.errors import OffdagError, UsageError
from offdag.review.build import Build
from offdag.review.changes import grows
from offdag.review.clones import CLONED_BY_DBT, clone_by_dbt, start_tables
from offdag.review.command import STATE_MODIFIED
from offdag.review.review import Request, places
from offdag.review.schemas import is_own_schema
from offdag.review.selection import (
    Dbt,
    DbtRefused,
    Relation,
    SelectedNode,
    check_relations,
    install_packages,
    relations_of,
    selected_nodes,
)
from offdag.review.state import State, duckdb_path, is_same_file
from offdag.settings import Settings

_log = logging.getLogger(__name__)

# dbt's exit code where it could not start.
_NOT_STARTED = 2


@dataclass(frozen=True)
class Built:
    """What came of the build.

    Attributes:
        exit_code: dbt's own; of several commands the first that is not 0.
        build: Nodes and results; None where dbt left none.
        cloned: Nodes that began with production's table.
        remarks: For the reviewers.
        why_not: dbt's own words where it could not start; None where it did.
        was_stopped: A signal ended it.
    """

    exit_code: int
    build: Build | None = None
    cloned: frozenset[str] = frozenset()
    remarks: tuple[str, ...] = ()
    why_not: str | None = None
    was_stopped: bool = False


@dataclass(frozen=True)
class _Taken:
    """Production's relations.

    Attributes:
        relations: As far as they are known.
        is_listed: Whether what the project makes for production's target is among them, as far as it matters.
        remark: What was not checked; None where all was.
    """

    relations: frozenset[Relation]
    is_listed: bool
    remark: str | None

    def is_apart(self, node: SelectedNode, production: Build) -> bool:
        """Whether production has the node, and nothing in the schema in which the review makes it."""
        schemas = {relation[:2] for relation in self.relations}
        return node.unique_id in production.nodes and node.relation is not None and node.relation[:2] not in schemas


@dataclass(frozen=True)
class Builder:
    """How the build runs.

    Attributes:
        settings: The run is recorded under the review's target.
        request: Both invocations.
        command: The build, with its target and its selection.
        state: Production's artifacts; None where there are none.
        is_blind: There is a production, and its state could not be read.
        allow_shared: Patterns of production's relations that may be written.
        full_refresh: Build what grows from nothing.
        collects: Record the run in the history.
    """

    settings: Settings
    request: Request
    command: Sequence[str]
    state: State | None
    is_blind: bool
    allow_shared: Sequence[str]
    full_refresh: bool
    collects: bool

    def run(self) -> Built:
        """Build.

        Raises:
            UsageError: The build would write production's relations, or dbt cannot be started.
        """
        command = [*self.command, *(["--full-refresh"] if self.full_refresh else [])]
        dbt = Dbt(command, self.request.review, self.settings.dbt_environ)
        remarks: list[str] = []
        selected: list[SelectedNode] = []
        if runs_here(command):
            try:
                remarks += [text for text in [install_packages(dbt)] if text]
                selected = selected_nodes(dbt)
            except DbtRefused as refusal:
                _log.error("dbt could not read the project:\n%s", refusal.message)
                return Built(_NOT_STARTED, remarks=tuple(remarks), why_not=refusal.message)
        else:
            remarks.append(
                "It was not checked before the build whether it writes production's relations: dbt does not run on this machine itself."
            )
        production = self.state.build if self.state else None
        cloned: frozenset[str] = frozenset()
        if selected:
            taken = self._taken(selected, production)
            remarks += [taken.remark] if taken.remark else []
            check_relations(selected, taken.relations, self.allow_shared, self._next_command)
            if production:
                # A relation of production that may be written is never removed or replaced, nor one that may be production's or another's.
                own = [n for n in selected if n.relation not in taken.relations]
                own = [
                    n for n in own if taken.is_listed or taken.is_apart(n, production) or self._is_of_pull_request(n)
                ]
                cloned, problems = self._start(own, production, command)
                remarks += problems
        return self._built(command, selected, cloned, tuple(remarks))

    def _taken(self, selected: Sequence[SelectedNode], production: Build | None) -> _Taken:
        """Production's relations: those of its last build, and for new nodes and nodes that grow what the project makes for its target.

        Two servers of the profile may be one under two names, so they are not distinguished.

        Raises:
            UsageError: Production exists, and they are unknown.
        """
        taken = relations_of(production) if production else set()
        remark, is_listed = None, True
        new = [n for n in selected if n.relation and (production is None or n.unique_id not in production.nodes)]
        if new or any(map(grows, selected)):
            try:
                taken |= self._relations_of_target()
            except (UsageError, DbtRefused) as problem:
                if self.is_blind and "*" not in self.allow_shared:
                    raise UsageError(
                        f"nothing was built, since it is unknown which relations are production's: {problem.what}",
                        f"the history, and the target {self.request.production.target}",
                        f"{self._next_command} --allow-shared '*'    # only if the build cannot write production's relations",
                    ) from problem
                what = "new models write" if production else "it writes"
                if new:
                    remark = (
                        f"It was not checked before the build whether {what} production's relations: {problem.what}."
                    )
                is_listed = False
        if self._is_other_file():
            # Two files may have catalogs of one name.
            own = duckdb_path(self.request.review)
            taken = {relation for relation in taken if own is None or relation[0] != own.stem.lower()}
        return _Taken(frozenset(taken), is_listed, remark)

    def _relations_of_target(self) -> set[Relation]:
        """What the same selection makes for production's target.

        Raises:
            UsageError: The profile has no such target.
            DbtRefused: dbt could not list it.
        """
        target = self.request.production.target
        words = [re.sub(r"^--target=.*", f"--target={target}", word) for word in self.command]
        for number, word in enumerate(words[:-1]):
            if word in ("--target", "-t"):
                words[number + 1] = str(target)
        self.request.production.connection("type")
        nodes = selected_nodes(Dbt(words, self.request.production, self.settings.dbt_environ))
        return {node.relation for node in nodes if node.relation}

    def _is_of_pull_request(self, node: SelectedNode) -> bool:
        own = self.settings.review_schema
        return bool(own and node.relation and is_own_schema(node.relation[1], own.lower()))

    def _is_other_file(self) -> bool:
        """Whether both targets are DuckDB files, and not the same one."""
        try:
            theirs, ours = (duckdb_path(i) for i in (self.request.production, self.request.review))
        except UsageError:
            return False
        return theirs is not None and ours is not None and not is_same_file(theirs, ours)

    @property
    def _next_command(self) -> str:
        return f"offdag ci --from {self.request.production.target} --to {self.request.review.target}"

    def _start(
        self, selected: Sequence[SelectedNode], production: Build, command: Sequence[str]
    ) -> tuple[frozenset[str], list[str]]:
        """Prepare the tables of nodes that grow; see :func:`offdag.review.clones.start_tables`."""
        assert self.state is not None
        if has_flag(command, "--empty"):
            return frozenset(), []
        growing = [node for node in selected if grows(node)]
        if has_flag(command, "--full-refresh", "-f"):
            # dbt builds the others from nothing itself.
            copied, removed = [], [node for node in growing if node.ignores_full_refresh]
        else:
            copied = [node for node in growing if node.unique_id in production.nodes]
            removed = [node for node in growing if node.unique_id not in production.nodes]
        by_dbt = copied if production.adapter_type in CLONED_BY_DBT else []
        try:
            files, _ = places(self.request, self.state)
        except OffdagError:
            # The comparison reports it.
            return frozenset(), []
        by_copy = [] if by_dbt else copied
        cloned, remarks = start_tables(by_copy, removed, production, self.request.review, files, self.request.wait)
        if by_dbt:
            dbt = Dbt(command, self.request.review, self.settings.dbt_environ)
            cloned, more = clone_by_dbt(dbt, by_dbt, self.state.folder)
            remarks += more
        return cloned, remarks

    def _built(
        self, command: Sequence[str], selected: Sequence[SelectedNode], cloned: frozenset[str], remarks: tuple[str, ...]
    ) -> Built:
        with SignalRelay() as relay:
            exit_code, folder = self._dbt(command, relay)
            build = Build.read(folder) if folder else None
            tests = edited_unit_tests(selected) if not selects(self.command) or self._is_slim else []
            if build and tests and not relay.stopped_by and self.state:
                # dbt builds unit tests with their models only.
                words = [part for name in tests for part in ("--select", f"unit_test:{name}")]
                defer = ["--defer", "--favor-state", "--state", str(self.state.folder.resolve())]
                code, folder = self._dbt(plain_command(command, "test", *words, *defer), relay)
                exit_code = exit_code or code
                build = build.with_results(Build.read(folder)) if folder else build
            return Built(exit_code, build, cloned, remarks, was_stopped=relay.stopped_by is not None)

    @property
    def _is_slim(self) -> bool:
        return STATE_MODIFIED in self.command

    def _dbt(self, command: Sequence[str], relay: SignalRelay) -> tuple[int, Path | None]:
        """Dbt's exit code, and the folder of its results where it left any."""
        cwd = self.request.review.cwd
        if self.collects:
            outcome = run_and_collect(self.settings, cwd, command, relay, observes=False)
            return outcome.exit_code, outcome.start.invocation.target_path if outcome.left_results else None
        folder = DbtInvocation.parse(command, cwd, self.settings.environ).target_path
        before = fingerprints(folder)
        end = run_process(command, cwd, self.settings.dbt_environ, relay)
        return end.exit_code, folder if has_new_results(folder, before) else None


def edited_unit_tests(selected: Iterable[SelectedNode]) -> list[str]:
    """Names of the unit tests that are selected without their model: dbt leaves them out of a build."""
    nodes = list(selected)
    models = {node.unique_id for node in nodes if node.resource_type == "model"}
    return sorted(
        node.name for node in nodes if node.resource_type == "unit_test" and not models.intersection(node.parents)
    )
