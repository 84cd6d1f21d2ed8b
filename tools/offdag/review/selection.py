"""What a build will make, by the user's own `dbt ls`, before anything is built: which relations, and whether they are production's."""

from __future__ import annotations

import fnmatch
import json
import re
import subprocess
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from offdag.artifacts.values import items, mapping, text
from offdag.dbt.captured import copy_parsed, own_folder, run_captured, without_colors
from offdag.dbt.command import DbtInvocation, dbt_words, list_command, plain_command
from offdag.dbt.redaction import redacted, secret_values
from offdag.errors import UsageError
from offdag.review.build import Build

# Database, schema and name, in lower case.
Relation = tuple[str, str, str]

# Seconds.
_LONGEST = 1800
_KEYS = (
    "unique_id", "name", "resource_type", "database", "schema", "alias", "relation_name", "config", "depends_on", "fqn",
)  # fmt: skip
# What the verbs other than build make.
_MADE_BY = {"run": ["model"], "seed": ["seed"], "snapshot": ["snapshot"], "test": ["test", "unit_test"]}
_MOST_SHOWN = 8
_LONGEST_REASON = 250


class DbtRefused(Exception):
    """dbt could not read the project.

    Attributes:
        message: dbt's own words, some lines.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    @property
    def what(self) -> str:
        """The message on one line, cut; as offdag's own errors have it."""
        return " ".join(self.message.split())[:_LONGEST_REASON]


@dataclass(frozen=True)
class SelectedNode:
    """One node that the build will make or test.

    Attributes:
        unique_id: dbt's id.
        name: Its name.
        resource_type: Such as model.
        materialization: Such as incremental; None where it has none.
        relation: Its relation as (database, schema, name) in lower case, to be compared with others; None where it makes none.
        parents: unique_ids of the nodes that it refers to.
        relation_name: The relation as code writes it, to address it; None where it makes none.
        selector: Selects this node.
        ignores_full_refresh: Whether it keeps its table under ``--full-refresh``.
    """

    unique_id: str
    name: str
    resource_type: str
    materialization: str | None
    relation: Relation | None
    parents: tuple[str, ...]
    relation_name: str | None = None
    selector: str = ""
    ignores_full_refresh: bool = False


@dataclass(frozen=True)
class Dbt:
    """How dbt is called besides the build itself.

    Attributes:
        command: The build.
        invocation: Its folders.
        environ: Variables of the child.
    """

    command: Sequence[str]
    invocation: DbtInvocation
    environ: Mapping[str, str]

    def run(self, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Run a dbt command to its end, with its output as text.

        Raises:
            DbtRefused: It cannot be started, or did not end.
        """
        try:
            return run_captured(command, self.invocation.cwd, self.environ, _LONGEST)
        except OSError as error:
            raise DbtRefused(f"{command[0]} cannot be started: {error.strerror}") from error
        except subprocess.TimeoutExpired as error:
            raise DbtRefused(f"dbt did not answer within {_LONGEST} s") from error

    def words_of(self, output: str) -> str:
        """The part of dbt's output that names what is wrong, without secrets."""
        return redacted(_reason(output), secret_values(self.environ))


def install_packages(dbt: Dbt) -> str | None:
    """Run ``dbt deps`` where the project asks for packages and has none; what was done, None where nothing had to be.

    Raises:
        DbtRefused: It failed.
    """
    folder = dbt.invocation.project_dir
    asks = any((folder / name).is_file() for name in ("packages.yml", "dependencies.yml"))
    installed = folder / (dbt.invocation.project.setting("packages-install-path") or "dbt_packages")
    if not asks or installed.is_dir():
        return None
    done = dbt.run(plain_command(dbt.command, "deps"))
    if done.returncode:
        raise DbtRefused(dbt.words_of(done.stdout))
    return "The packages were installed by dbt deps."


def selected_nodes(dbt: Dbt) -> list[SelectedNode]:
    """The nodes that the build will make or test.

    Raises:
        DbtRefused: dbt could not list them; the build would fail too.
    """
    verb = next((word for word in dbt_words(dbt.command) if word in _MADE_BY), None)
    with own_folder(dbt.invocation.target_path) as folder:
        done = dbt.run(list_command(dbt.command, _MADE_BY.get(verb or "", ()), _KEYS, folder))
        if done.returncode == 0:
            copy_parsed(folder / "target", dbt.invocation.target_path)
    if done.returncode:
        raise DbtRefused(dbt.words_of(done.stdout))
    return [_node(document) for document in _documents(done.stdout)]


def check_relations(
    selected: Iterable[SelectedNode], taken: Container[Relation], allowed: Sequence[str], next_command: str
) -> None:
    """Refuse a build that would write production's relations.

    Args:
        selected: What will be built.
        taken: Production's relations, its sources among them.
        allowed: Patterns of relations that may be written: database.schema.name, schema.name, or a node's name.
        next_command: To type next, without ``--allow-shared``.

    Raises:
        UsageError: With the relations.
    """
    shared = [node for node in selected if node.relation and node.relation in taken and not _is_allowed(node, allowed)]
    if shared:
        names = [".".join(filter(None, node.relation or ())) for node in shared]
        more = f" and {len(names) - _MOST_SHOWN} more" if len(names) > _MOST_SHOWN else ""
        flags = " ".join(f"--allow-shared {name}" for name in names[:_MOST_SHOWN])
        raise UsageError(
            f"nothing was built, since the build would write {len(names)} of production's relations: "
            f"{', '.join(names[:_MOST_SHOWN])}{more}",
            "the target in profiles.yml, generate_schema_name, or a fixed schema",
            f"{next_command} {flags}    # only if it may write them, or has another server; else give the target its own schema",
        )


def _is_allowed(node: SelectedNode, allowed: Sequence[str]) -> bool:
    parts = [part for part in node.relation or () if part]
    names = (".".join(parts), ".".join(parts[-2:]), node.name.lower())
    return any(fnmatch.fnmatchcase(name, pattern.lower()) for name in names for pattern in allowed)


def _documents(output: str) -> list[dict[str, Any]]:
    """Dbt's JSON lines, between lines of its log."""
    found = []
    for line in output.splitlines():
        at = line.find("{")
        try:
            document = json.loads(line[at:]) if at >= 0 else None
        except ValueError:
            continue
        if isinstance(document, dict) and "unique_id" in document:
            found.append(document)
    return found


def _node(document: dict[str, Any]) -> SelectedNode:
    has_relation = text(document.get("relation_name")) and document.get("resource_type") != "source"
    name = text(document.get("alias")) or text(document.get("name"))
    config = mapping(document.get("config"))
    return SelectedNode(
        unique_id=str(document["unique_id"]),
        name=text(document.get("name")) or str(document["unique_id"]),
        resource_type=text(document.get("resource_type")) or "",
        materialization=text(config.get("materialized")),
        relation=relation_of(text(document.get("database")), text(document.get("schema")), name)
        if has_relation
        else None,
        parents=tuple(map(str, items(mapping(document.get("depends_on")).get("nodes")))),
        relation_name=text(document.get("relation_name")) if has_relation else None,
        # A name may be that of a folder, of a tag or of a model in a package.
        selector=f"fqn:{'.'.join(map(str, items(document.get('fqn'))))},resource_type:{document.get('resource_type')}",
        ignores_full_refresh=document.get("resource_type") == "snapshot" or config.get("full_refresh") is False,
    )


def relation_of(database: str | None, schema: str | None, name: str | None) -> Relation:
    """A relation by its parts, without their case: most warehouses ignore it, and the others may have both spellings."""
    return (database or "").lower(), (schema or "").lower(), (name or "").lower()


def relations_of(build: Build) -> set[Relation]:
    """Every relation that a build's project makes or reads, its sources among them."""
    return {
        relation_of(node.database, node.schema, node.alias or node.name)
        for node in build.nodes.values()
        if node.relation_name
    }


def _reason(output: str) -> str:
    """From the line that names the error on; else the last lines."""
    lines = [line.rstrip() for line in output.splitlines() if line.strip()] or ["dbt printed nothing"]
    lines = [line for line in lines if not line.endswith("Encountered an error:")] or lines
    named = [number for number, line in enumerate(lines) if "Error" in line or "error:" in line.lower()]
    start = named[0] if named else max(0, len(lines) - 6)
    return "\n".join(_without_time(line) for line in lines[start : start + 8])


def _without_time(line: str) -> str:
    """Dbt begins its lines with the time of day, in colour."""
    return re.sub(r"^\d{2}:\d{2}:\d{2}(\.\d+)?\s{1,2}(\[\w+\s*\]\s*)?", "", without_colors(line))
