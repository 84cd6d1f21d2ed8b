"""manifest.json to rows, through a msgspec projection of the fields that offdag keeps.

A full model of a large manifest costs twenty times as much, and fails on the first field that a new dbt version adds.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec

from offdag.artifacts.code import definitions_of, tokens_of
from offdag.artifacts.document import NOT_JSON, Document, UnreadableArtifact, Verdict
from offdag.artifacts.values import Row, items, mapping, text, threshold_seconds


@dataclass(frozen=True)
class Manifest:
    """The rows of one manifest.

    Attributes:
        manifest_hash: Hash of the nodes: the same for manifests that differ only in metadata and order.
        project: The root project's name; None where the manifest does not name it.
        adapter_type: Such as duckdb.
        invocation_id: The dbt command that wrote it.
        nodes: ``nodes`` rows: models, tests, seeds, snapshots, sources, exposures, unit tests and the rest.
        dependencies: ``node_dependencies`` rows.
        exposures: ``exposures`` rows.
        tolerated: Nodes that could not be read and are left out.
    """

    manifest_hash: str
    project: str | None
    adapter_type: str | None
    invocation_id: str
    nodes: list[Row]
    dependencies: list[Row]
    exposures: list[Row]
    tolerated: int


class _Node(msgspec.Struct):
    """The fields that are kept. Each accepts any type and is checked where it is used, so one odd value affects one field."""

    unique_id: Any = None
    name: Any = None
    resource_type: Any = None
    package_name: Any = None
    original_file_path: Any = None
    database: Any = None
    schema: Any = None
    alias: Any = None
    identifier: Any = None
    relation_name: Any = None
    checksum: Any = None
    latest_version: Any = None
    language: Any = None
    raw_code: Any = None
    raw_sql: Any = None
    config: Any = None
    tags: Any = None
    description: Any = None
    meta: Any = None
    group: Any = None
    columns: Any = None
    depends_on: Any = None
    test_metadata: Any = None
    column_name: Any = None
    attached_node: Any = None
    loaded_at_field: Any = None
    loaded_at_query: Any = None
    freshness: Any = None
    owner: Any = None
    type: Any = None
    url: Any = None
    maturity: Any = None
    label: Any = None


class Sections(msgspec.Struct):
    """The sections of a manifest that hold nodes, by unique_id; nodes are not decoded yet.

    Attributes:
        nodes: Models, tests, seeds, snapshots, analyses and operations.
        macros: Macros of the project, of its packages and of dbt.
        sources: Source tables.
        exposures: Exposures.
        unit_tests: Unit tests.
        groups: Groups, decoded.
        metrics: Metrics.
        semantic_models: Semantic models.
        saved_queries: Saved queries.
    """

    nodes: dict[str, msgspec.Raw] = {}
    macros: dict[str, msgspec.Raw] = {}
    sources: dict[str, msgspec.Raw] = {}
    exposures: dict[str, msgspec.Raw] = {}
    unit_tests: dict[str, msgspec.Raw] = {}
    groups: dict[str, Any] = {}
    metrics: dict[str, msgspec.Raw] = {}
    semantic_models: dict[str, msgspec.Raw] = {}
    saved_queries: dict[str, msgspec.Raw] = {}


class _Macro(msgspec.Struct):
    package_name: Any = None
    macro_sql: Any = None
    depends_on: Any = None


class _Macros:
    """The code of macros, for the nodes that use them; dbt's own are left out, since they change only with dbt's version.

    Args:
        raw: The manifest's section.
        adapter_type: Such as duckdb: its macros belong to dbt.
    """

    def __init__(self, raw: dict[str, msgspec.Raw], adapter_type: str | None) -> None:
        self._raw = raw
        self._adapter_type = adapter_type
        self._of_dbt = {"dbt", f"dbt_{adapter_type}"}
        self._found: dict[frozenset[str], tuple[str | None, str | None]] = {}
        self._parts: dict[str, tuple[str | None, list[str]]] = {}

    def hash_and_tokens(self, names: Iterable[str]) -> tuple[str | None, str | None]:
        """Hash and tokens of the code of these macros and of those that they call; None where all are dbt's own."""
        direct = frozenset(names)
        if direct not in self._found:
            found: dict[str, str] = {}
            seen, waiting = set(direct), list(direct)
            while waiting:
                name = waiting.pop()
                code, called = self._part(name)
                if code is not None:
                    found[name] = code
                waiting += [c for c in called if c not in seen]
                seen.update(called)
            by_name = sorted(found.items())
            self._found[direct] = (
                (_hash(by_name), tokens_of("\n".join(code for _, code in by_name), self._adapter_type))
                if found
                else (None, None)
            )
        return self._found[direct]

    def _part(self, name: str) -> tuple[str | None, list[str]]:
        """Code of a macro, and the names of those that it calls; nothing of dbt's own macros."""
        if name not in self._parts:
            self._parts[name] = (None, [])
            try:
                macro = _macro_decoder.decode(self._raw[name])
            except (KeyError, *NOT_JSON):
                return self._parts[name]
            if macro.package_name not in self._of_dbt and isinstance(macro.macro_sql, str):
                self._parts[name] = (macro.macro_sql, _names(macro.depends_on, "macros"))
        return self._parts[name]


# Configuration that describes a node and changes nothing that it does.
_DESCRIBING = frozenset(("meta", "docs", "tags", "group"))

_macro_decoder = msgspec.json.Decoder(_Macro)
_sections_decoder = msgspec.json.Decoder(Sections)
_node_decoder = msgspec.json.Decoder(_Node)


def manifest_sections(document: Document) -> Sections:
    """Find the nodes of a manifest without reading them.

    Raises:
        UnreadableArtifact: The sections of the file are not what a manifest holds.
    """
    try:
        return _sections_decoder.decode(document.readable)
    except NOT_JSON as error:
        raise UnreadableArtifact(Verdict.UNREADABLE, f"is not the JSON of a manifest: {error}"[:200]) from error


def read_manifest(document: Document, project: str | None = None) -> Manifest:
    """Read every node of a manifest.

    Args:
        document: A manifest.
        project: Overrides the name in the metadata, as in every row.

    Raises:
        UnreadableArtifact: The sections of the file are not what a manifest holds.
    """
    raw = manifest_sections(document)
    project = project or document.project_name or _project_by_id(document.project_id, raw.nodes)
    group_owners = {k: _owner_name(mapping(g).get("owner")) for k, g in raw.groups.items()}
    macros = _Macros(raw.macros, document.adapter_type)
    nodes: dict[str, Row] = {}
    dependencies: list[Row] = []
    exposures: list[Row] = []
    tolerated = 0
    for section in (raw.nodes, raw.sources, raw.exposures, raw.unit_tests):
        for unique_id, content in section.items():
            try:
                node = _node_decoder.decode(content)
            except NOT_JSON:
                tolerated += 1
                continue
            parents = sorted(set(_names(node.depends_on, "nodes")))
            row = _node_row(unique_id, node, group_owners, document.adapter_type)
            row["macros_hash"], row["macros_tokens"] = macros.hash_and_tokens(_names(node.depends_on, "macros"))
            exposure = _exposure_row(unique_id, node) if row["resource_type"] == "exposure" else None
            row["node_hash"] = node_hash = _hash([project, row, parents, exposure])
            nodes[unique_id] = row
            dependencies += [{"node_hash": node_hash, "unique_id": unique_id, "parent_unique_id": p} for p in parents]
            if exposure:
                exposures.append({"node_hash": node_hash, **exposure})
    return Manifest(
        manifest_hash=_hash([project, sorted(row["node_hash"] for row in nodes.values())]),
        project=project,
        adapter_type=document.adapter_type,
        invocation_id=document.invocation_id,
        nodes=list(nodes.values()),
        dependencies=dependencies,
        exposures=exposures,
        tolerated=tolerated,
    )


def _project_by_id(project_id: str | None, unique_ids: Iterable[str]) -> str | None:
    """Manifests before v12 do not name their project, but hold the MD5 of its name."""
    packages = {unique_id.split(".")[1] for unique_id in unique_ids if unique_id.count(".") > 1}
    named = (p for p in sorted(packages) if hashlib.md5(p.encode(), usedforsecurity=False).hexdigest() == project_id)
    return next(named, None)


def _names(depends_on: object, kind: str) -> list[str]:
    return [name for name in items(mapping(depends_on).get(kind)) if isinstance(name, str)]


def _hash(content: object) -> str:
    return hashlib.sha256(msgspec.json.encode(content, order="sorted")).hexdigest()[:32]


def _node_row(unique_id: str, node: _Node, group_owners: dict[str, str | None], adapter_type: str | None) -> Row:
    config = mapping(node.config)
    meta = {**mapping(node.meta), **mapping(config.get("meta"))}
    group = text(node.group) or text(config.get("group"))
    test = mapping(node.test_metadata)
    kwargs = mapping(test.get("kwargs"))
    parents = _names(node.depends_on, "nodes")
    freshness = mapping(node.freshness) or mapping(config.get("freshness"))
    resource_type = text(node.resource_type) or unique_id.split(".", 1)[0]
    is_test = resource_type in ("test", "unit_test")
    # Tests of sources have no attached_node; a unit test's one parent is its model.
    has_one = bool(test) or resource_type == "unit_test" or len(parents) == 1
    attached = text(node.attached_node) or (parents[0] if is_test and parents and has_one else None)
    # Of Python, quotes do not distinguish texts from names.
    tokens = None if node.language == "python" else tokens_of(text(node.raw_code) or text(node.raw_sql), adapter_type)
    column = text(node.column_name) or text(kwargs.get("column_name"))
    return {
        "unique_id": unique_id,
        "name": text(node.name) or unique_id.rsplit(".", 1)[-1],
        "resource_type": resource_type,
        "package_name": text(node.package_name),
        "path": text(node.original_file_path),
        "database_name": text(node.database),
        "schema_name": text(node.schema),
        "alias": text(node.alias) or text(node.identifier),
        "relation_name": text(node.relation_name),
        "materialization": text(config.get("materialized")),
        # A unit test has its checksum as a text.
        "code_tokens": tokens,
        "definitions": definitions_of(tokens),
        "code_hash": text(mapping(node.checksum).get("checksum")) or text(node.checksum),
        "config_hash": _hash({k: v for k, v in config.items() if k not in _DESCRIBING}) if config else None,
        "latest_version": None if node.latest_version is None else str(node.latest_version),
        "description": text(node.description),
        "owner": _owner_name(meta.get("owner"))
        or _owner_name(node.owner)
        or group_owners.get(f"group.{node.package_name}.{group}"),
        "group_name": group,
        "tags": json.dumps(sorted({t for t in (*items(node.tags), *items(config.get("tags"))) if isinstance(t, str)})),
        "columns": json.dumps({str(k): text(mapping(c).get("data_type")) for k, c in mapping(node.columns).items()}),
        "meta_alerts": json.dumps(meta["alerts"], sort_keys=True, default=str) if "alerts" in meta else None,
        "test_name": text(test.get("name")),
        "column_name": column,
        "attached_node_id": attached,
        # A test's unique_id changes with its arguments; this does not.
        "stable_key": ".".join(str(x or "") for x in (attached, column, test.get("namespace"), test.get("name")))
        if test
        else unique_id,
        "has_freshness": resource_type == "source" and _has_freshness(node, config, freshness),
        "warn_after_seconds": threshold_seconds(freshness.get("warn_after")),
        "error_after_seconds": threshold_seconds(freshness.get("error_after")),
        "has_contract": mapping(config.get("contract")).get("enforced") is True,
    }


def _has_freshness(node: _Node, config: Row, freshness: Row) -> bool:
    """Whether `dbt source freshness` checks the source: it has a threshold and a way to find its last load."""
    finds_load = any(
        (node.loaded_at_field, node.loaded_at_query, config.get("loaded_at_field"), config.get("loaded_at_query"))
    )
    return finds_load and any(threshold_seconds(freshness.get(k)) is not None for k in ("warn_after", "error_after"))


def _exposure_row(unique_id: str, node: _Node) -> Row:
    owner = mapping(node.owner)
    return {
        "unique_id": unique_id,
        "name": text(node.label) or text(node.name),
        "exposure_type": text(node.type),
        "owner_name": text(owner.get("name")),
        "owner_email": text(owner.get("email")),
        "maturity": text(node.maturity),
        "url": text(node.url),
    }


def _owner_name(owner: object) -> str | None:
    """An owner as one text: meta.owner may be a text, a list of texts, or a mapping with a name and an email."""
    if isinstance(owner, dict):
        return text(owner.get("name")) or text(owner.get("email"))
    if isinstance(owner, list):
        return ", ".join(o for o in owner if isinstance(o, str)) or None
    return text(owner)
