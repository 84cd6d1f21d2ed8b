"""manifest.json for reviews: each node with its compiled code, relation, parents and key. The history's tables do not hold the code."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec

from offdag.artifacts.document import NOT_JSON, Document
from offdag.artifacts.manifest import manifest_sections
from offdag.artifacts.values import Row, items, mapping, text

# Config that does not change a node's data: the location of its relation, documentation, settings of tests.
_NO_DATA = (
    "database", "schema", "alias", "enabled", "tags", "meta", "docs", "group", "access", "description",
    "severity", "store_failures", "warn_if", "error_if", "freshness", "persist_docs", "grants",
)  # fmt: skip


@dataclass(frozen=True)
class CompiledNode:
    """One node of a manifest.

    Attributes:
        unique_id: dbt's id of the node.
        name: Its name, with the version of a versioned model.
        resource_type: Such as model.
        path: Path of its file, relative to the project; None where the manifest has none.
        materialization: Such as table; None where it has none.
        database: Of its relation.
        schema: Of its relation.
        alias: Name of its relation.
        relation_name: As written in compiled code; None for nodes without a relation, such as ephemeral models.
        code: Compiled code, of a macro its text; None where dbt did not compile the node.
        checksum: Checksum of its file; None where dbt did not read it, as for large seeds.
        config: Configuration as JSON, without settings that do not change the data.
        columns: Names of the documented columns.
        parents: unique_ids of the nodes that it refers to.
        key: Columns that identify a row; empty where unknown.
        key_origin: Where the key was found, such as ``unique test``.
        attached_node: unique_id of the node that a test checks.
        column_name: Column that a test checks.
        macros: unique_ids of the macros that it calls itself.
        patch_path: Path of the .yml file that describes it, relative to its project; None where none does.
        private_columns: Columns that ``meta.pii`` marks, in lower case.
        data_types: Types that a contract promises, by column; empty without an enforced contract.
        access: Who may refer to it, such as public; None where it has none.
        description: Empty where it has none.
        owner: Who owns an exposure: a name, else an address; None where it has none.
        url: Page of an exposure; None where it has none.
        measures: Of a semantic model its measures with the SQL of each; of a metric the measures that it uses, with empty SQL.
    """

    unique_id: str
    name: str
    resource_type: str
    path: str | None
    materialization: str | None
    database: str | None
    schema: str | None
    alias: str | None
    relation_name: str | None
    code: str | None
    checksum: str | None
    config: str
    columns: tuple[str, ...]
    parents: tuple[str, ...]
    key: tuple[str, ...]
    key_origin: str | None
    attached_node: str | None
    column_name: str | None
    macros: tuple[str, ...] = ()
    patch_path: str | None = None
    private_columns: frozenset[str] = frozenset()
    data_types: tuple[tuple[str, str], ...] = ()
    access: str | None = None
    description: str = ""
    owner: str | None = None
    url: str | None = None
    measures: tuple[tuple[str, str], ...] = ()


class _Node(msgspec.Struct):
    """Each field accepts any type and is checked where it is used."""

    name: Any = None
    version: Any = None
    label: Any = None
    resource_type: Any = None
    original_file_path: Any = None
    database: Any = None
    schema: Any = None
    alias: Any = None
    identifier: Any = None
    relation_name: Any = None
    # compiled_sql before dbt 1.3
    compiled_code: Any = None
    compiled_sql: Any = None
    checksum: Any = None
    config: Any = None
    meta: Any = None
    columns: Any = None
    constraints: Any = None
    depends_on: Any = None
    test_metadata: Any = None
    attached_node: Any = None
    column_name: Any = None
    patch_path: Any = None
    access: Any = None
    description: Any = None
    owner: Any = None
    url: Any = None
    entities: Any = None
    measures: Any = None
    type_params: Any = None
    macro_sql: Any = None


_node_decoder = msgspec.json.Decoder(_Node)


def read_compiled(document: Document) -> dict[str, CompiledNode]:
    """Every node of a manifest by unique_id; nodes that cannot be read are left out.

    Raises:
        UnreadableArtifact: The sections of the file are not what a manifest holds.
    """
    sections = manifest_sections(document)
    nodes: dict[str, _Node] = {}
    for name in sections.__struct_fields__:
        for unique_id, content in getattr(sections, name).items():
            if isinstance(content, msgspec.Raw):
                try:
                    nodes[unique_id] = _node_decoder.decode(content)
                except NOT_JSON:
                    continue
    tested, entities = _tested_keys(nodes), _entity_keys(nodes.values())
    return {
        unique_id: _compiled(unique_id, node, tested.get(unique_id, ()), entities.get(unique_id, ()))
        for unique_id, node in nodes.items()
    }


def _compiled(unique_id: str, node: _Node, tested_key: tuple[str, ...], entity_key: tuple[str, ...]) -> CompiledNode:
    config = mapping(node.config)
    materialization = text(config.get("materialized"))
    key, origin = _key(node, config, tested_key, entity_key)
    checksum = mapping(node.checksum)
    name = text(node.label) or text(node.name) or unique_id.rsplit(".", 1)[-1]
    return CompiledNode(
        unique_id=unique_id,
        name=name if node.version is None else f"{name}.v{node.version}",
        resource_type=text(node.resource_type) or unique_id.split(".", 1)[0],
        path=text(node.original_file_path),
        materialization=materialization,
        database=text(node.database),
        schema=text(node.schema),
        alias=text(node.alias) or text(node.identifier),
        relation_name=None if materialization == "ephemeral" else text(node.relation_name),
        code=text(node.compiled_code) or text(node.compiled_sql) or text(node.macro_sql),
        checksum=text(checksum.get("checksum")) if checksum.get("name") not in ("path", "none") else None,
        config=json.dumps({k: v for k, v in config.items() if k not in _NO_DATA}, sort_keys=True, default=str),
        columns=tuple(map(str, mapping(node.columns))),
        parents=_texts(mapping(node.depends_on).get("nodes")),
        key=key,
        key_origin=origin,
        attached_node=_attached(unique_id, node),
        column_name=text(node.column_name) or text(_kwargs(node).get("column_name")),
        macros=_texts(mapping(node.depends_on).get("macros")),
        # It begins with the package's name: project://models/schema.yml.
        patch_path=(text(node.patch_path) or "").partition("://")[2] or None,
        private_columns=frozenset(str(name).lower() for name, c in mapping(node.columns).items() if _is_private(c)),
        data_types=_promised_types(node, config),
        access=text(node.access) or text(config.get("access")),
        description=text(node.description) or "",
        owner=text(mapping(node.owner).get("name")) or text(mapping(node.owner).get("email")),
        url=text(node.url),
        measures=_measures(node),
    )


def _is_private(column: object) -> bool:
    """Whether ``meta: {pii: true}`` stands at a column, since dbt 1.10 below its config."""
    found = mapping(column)
    return bool({**mapping(found.get("meta")), **mapping(mapping(found.get("config")).get("meta"))}.get("pii"))


def _measures(node: _Node) -> tuple[tuple[str, str], ...]:
    own = (
        (text(m.get("name")), text(m.get("expr")) or text(m.get("name"))) for m in map(mapping, items(node.measures))
    )
    used = ((text(mapping(m).get("name")), "") for m in items(mapping(node.type_params).get("input_measures")))
    return tuple((name, sql or "") for name, sql in (*own, *used) if name)


def _promised_types(node: _Node, config: Row) -> tuple[tuple[str, str], ...]:
    if not mapping(config.get("contract")).get("enforced"):
        return ()
    return tuple((str(n), str(mapping(c).get("data_type") or "")) for n, c in mapping(node.columns).items())


def _key(
    node: _Node, config: Row, tested_key: tuple[str, ...], entity_key: tuple[str, ...]
) -> tuple[tuple[str, ...], str | None]:
    """The first key found: the project's meta for reviews, the primary key, the key that dbt merges by, a unique test, an entity."""
    meta = {**mapping(node.meta), **mapping(config.get("meta"))}
    found = {
        "meta.diff_key": _texts(meta.get("diff_key")),
        "primary key": _primary_key(node),
        "unique_key": _texts(config.get("unique_key")),
        "unique test": tested_key,
        "primary entity": entity_key,
    }
    return next(((key, origin) for origin, key in found.items() if key), ((), None))


def _primary_key(node: _Node) -> tuple[str, ...]:
    """Columns of a primary key, declared for the model or at one column."""
    for constraint in map(mapping, items(node.constraints)):
        if constraint.get("type") == "primary_key":
            return _texts(constraint.get("columns"))
    return tuple(
        str(name)
        for name, column in mapping(node.columns).items()
        if any(mapping(c).get("type") == "primary_key" for c in items(mapping(column).get("constraints")))
    )


def _tested_keys(nodes: dict[str, _Node]) -> dict[str, tuple[str, ...]]:
    """Columns that a test proves to be unique, by node; of several keys the shortest, then the first by name."""
    found: dict[str, list[tuple[str, ...]]] = {}
    for unique_id, node in nodes.items():
        test, kwargs = mapping(node.test_metadata), _kwargs(node)
        if test.get("name") == "unique":
            columns = _texts(kwargs.get("column_name"))
        elif test.get("name") == "unique_combination_of_columns":
            columns = _texts(kwargs.get("combination_of_columns"))
        else:
            continue
        attached = _attached(unique_id, node)
        # A test with a where clause proves nothing about the other rows.
        if columns and attached and not mapping(node.config).get("where"):
            found.setdefault(attached, []).append(columns)
    return {attached: min(keys, key=lambda key: (len(key), key)) for attached, keys in found.items()}


def _entity_keys(nodes: Iterable[_Node]) -> dict[str, tuple[str, ...]]:
    """Columns of the primary entities of semantic models, by the model that they describe."""
    found: dict[str, tuple[str, ...]] = {}
    for node in nodes:
        for entity in map(mapping, items(node.entities)):
            column = text(entity.get("expr")) or text(entity.get("name"))
            # An expression is no column.
            if entity.get("type") == "primary" and column and column.isidentifier():
                found |= dict.fromkeys(_texts(mapping(node.depends_on).get("nodes"))[:1], (column,))
    return found


def _attached(unique_id: str, node: _Node) -> str | None:
    parents = _texts(mapping(node.depends_on).get("nodes"))
    is_test = unique_id.startswith(("test.", "unit_test."))
    return text(node.attached_node) or (parents[0] if is_test and len(parents) == 1 else None)


def _kwargs(node: _Node) -> Row:
    return mapping(mapping(node.test_metadata).get("kwargs"))


def _texts(value: object) -> tuple[str, ...]:
    """One text or a list of them."""
    return tuple(v for v in (items(value) or [value]) if isinstance(v, str) and v)
