"""catalog.json to rows, through dbt-artifacts-parser's model of one relation."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import msgspec

from offdag.artifacts.document import NOT_JSON, Document, UnreadableArtifact, Verdict
from offdag.artifacts.models import msgspec_type, parser_module
from offdag.artifacts.values import Row, count


@dataclass(frozen=True)
class Catalog:
    """The rows of one catalog.

    Attributes:
        catalog_hash: Hash of the columns: the same for catalogs that differ only in metadata and statistics.
        columns: ``catalog_columns`` rows, one per column.
        tolerated: Relations that could not be read and are left out.
    """

    catalog_hash: str
    columns: list[Row]
    tolerated: int


class _Catalog(msgspec.Struct):
    nodes: dict[str, msgspec.Raw] = {}
    sources: dict[str, msgspec.Raw] = {}


_decoder = msgspec.json.Decoder(_Catalog)


def read_catalog(document: Document) -> Catalog:
    """Read every relation of a catalog document.

    Raises:
        UnreadableArtifact: Its sections are not what a catalog holds.
    """
    try:
        raw = _decoder.decode(document.readable)
    except NOT_JSON as error:
        raise UnreadableArtifact(Verdict.UNREADABLE, f"is not the JSON of a catalog: {error}"[:200]) from error
    # Sources have the same shape.
    decoder = msgspec.json.Decoder(msgspec_type(parser_module("catalog", 1).Nodes))
    columns: list[Row] = []
    tolerated = 0
    for unique_id, content in sorted({**raw.nodes, **raw.sources}.items()):
        try:
            relation = decoder.decode(content)
        except NOT_JSON:
            tolerated += 1
            continue
        columns += [
            {
                "unique_id": unique_id,
                "relation_type": relation.metadata.type,
                "column_name": name,
                "data_type": column.type,
                "position": count(column.index),
            }
            for name, column in relation.columns.items()
        ]
    digest = hashlib.sha256(msgspec.json.encode(columns)).hexdigest()
    return Catalog(digest[:32], columns, tolerated)
