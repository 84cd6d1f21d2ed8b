"""One dbt build as its artifacts show it: nodes with their code, and results."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path

from offdag.artifacts.compiled import CompiledNode, read_compiled
from offdag.artifacts.document import Document, Kind, UnreadableArtifact, parse_document
from offdag.artifacts.results import read_results
from offdag.dbt.captured import without_colors
from offdag.dbt.redaction import redacted, without_values
from offdag.environment import resolve_environment
from offdag.errors import UsageError

_FAILED = ("error", "fail", "runtime error", "partial success")
_LONGEST_MESSAGE = 300
# Errors that dbt finds before a database gets the query.
_OF_DBT = ("Compilation Error", "Parsing Error", "Dependency Error")


@dataclass(frozen=True)
class Result:
    """dbt's result for one node.

    Attributes:
        unique_id: The node.
        status: dbt's own word.
        message: dbt's or the database's message.
        failures: Number of failing rows of a test.
        seconds: Time of execution; None where it is unknown.
        bytes: Bytes that were processed; None where the warehouse does not report them.
    """

    unique_id: str
    status: str | None
    message: str | None
    failures: int | None
    seconds: float | None
    bytes: int | None = None

    @property
    def is_failed(self) -> bool:
        return self.status in _FAILED

    @property
    def brief(self) -> str:
        """The message on one line, cut; of a unit test without the rows that differ."""
        text = (self.message or "no message").strip()
        if self.unique_id.startswith("unit_test."):
            # In colour where dbt writes to a terminal.
            text = without_colors(text).partition("actual differs from expected")[0].strip()
            text = text or "actual differs from expected"
        # dbt's own errors hold names only, and those of a database values of rows.
        text = redacted(text) if text.startswith(_OF_DBT) else without_values(text)
        text = " ".join(text.split())
        return text if len(text) <= _LONGEST_MESSAGE else f"{text[: _LONGEST_MESSAGE - 3]}..."


@dataclass(frozen=True)
class Build:
    """The manifest and run_results of one folder.

    Attributes:
        nodes: Every node of the project, by unique_id.
        results: Those that ran or were skipped, by unique_id.
        command: dbt's own, such as build; None where it is unknown.
        environment: As ``offdag run`` handed it to dbt, else the target; ``unknown`` where neither is known.
        adapter_type: Such as duckdb.
        generated_at: End of the build, naive UTC.
        elapsed_seconds: As dbt measured it, without parsing.
        project: Name of the root project; None before manifest v12.
    """

    nodes: dict[str, CompiledNode]
    results: dict[str, Result]
    command: str | None
    environment: str
    adapter_type: str | None
    generated_at: datetime
    elapsed_seconds: float | None
    project: str | None = None

    @classmethod
    def read(cls, folder: Path) -> Build:
        """Read the artifacts of a target folder, or of a state.

        Raises:
            UsageError: One of them is missing or cannot be read.
        """
        manifest, run_results = (_document(folder, kind) for kind in (Kind.MANIFEST, Kind.RUN_RESULTS))
        try:
            nodes = read_compiled(manifest)
            found = read_results(run_results)
        except UnreadableArtifact as problem:
            raise _unreadable(folder, problem) from problem
        columns = found.columns
        results = map(
            Result,
            *(
                columns[name]
                for name in ("unique_id", "status", "message", "failures", "execution_seconds", "bytes_processed")
            ),
        )
        return cls(
            nodes=nodes,
            results={result.unique_id: result for result in results},
            command=found.invocation["command"],
            environment=resolve_environment(
                None, run_results.env.get("OFFDAG_ENVIRONMENT"), found.invocation["target"]
            ),
            adapter_type=manifest.adapter_type,
            generated_at=run_results.generated_at,
            elapsed_seconds=found.invocation["elapsed_seconds"],
            project=manifest.project_name,
        )

    def kind_of(self, unique_id: str) -> str:
        """A node's resource type."""
        node = self.nodes.get(unique_id)
        return node.resource_type if node else unique_id.partition(".")[0]

    def with_results(self, other: Build) -> Build:
        """The same with the results of a later command of the same project."""
        return replace(self, results={**self.results, **other.results})

    def ordered(self, unique_ids: Iterable[str]) -> list[str]:
        """Nodes of the project, parents before children, else by name."""
        from graphlib import TopologicalSorter

        wanted = set(unique_ids)
        graph = {i: sorted(p for p in self.nodes[i].parents if p in self.nodes) for i in sorted(self.nodes)}
        return [unique_id for unique_id in TopologicalSorter(graph).static_order() if unique_id in wanted]

    @cached_property
    def children(self) -> dict[str, list[str]]:
        """unique_ids that refer to a node, tests and exposures among them."""
        found: dict[str, list[str]] = {}
        for node in self.nodes.values():
            for parent in node.parents:
                found.setdefault(parent, []).append(node.unique_id)
        return found

    def downstream(self, starts: Iterable[str]) -> list[str]:
        """Everything that depends on one of the nodes, parents before children."""
        reached: set[str] = set()
        pending = list(starts)
        while pending:
            new = [child for child in self.children.get(pending.pop(), ()) if child not in reached]
            reached |= set(new)
            pending += new
        ordered: dict[str, None] = {}

        def visit(unique_id: str) -> None:
            stack = [(unique_id, iter(self.nodes[unique_id].parents))]
            while stack:
                at, parents = stack[-1]
                parent = next((p for p in parents if p in reached and p not in ordered), None)
                if parent is None:
                    ordered[at] = None
                    stack.pop()
                else:
                    stack.append((parent, iter(self.nodes[parent].parents)))

        for unique_id in sorted(reached):
            if unique_id not in ordered:
                visit(unique_id)
        return list(ordered)


def _document(folder: Path, kind: Kind) -> Document:
    path = folder / f"{kind.value}.json"
    try:
        return parse_document(str(path), path.read_bytes())
    except UnreadableArtifact as problem:
        raise _unreadable(path, problem) from problem
    except OSError as error:
        raise UsageError(f"there is no {path.name}: {error.strerror}", str(path), "dbt build --target ci") from error


def _unreadable(path: Path, problem: UnreadableArtifact) -> UsageError:
    return UsageError(f"an artifact {problem.reason}", str(path), "dbt build --target ci")
