from __future__ import annotations

import json
from typing import Any

import pytest

from offdag.artifacts.compiled import CompiledNode, read_compiled
from offdag.artifacts.document import parse_document
from sim import artifacts


def read(*nodes: dict[str, Any]) -> dict[str, CompiledNode]:
    return read_compiled(parse_document("manifest.json", json.dumps(artifacts.manifest(list(nodes))).encode()))


def unique(columns: object, name: str = "unique", **more: Any) -> dict[str, Any]:
    word = "column_name" if name == "unique" else "combination_of_columns"
    metadata = {"name": name, "kwargs": {word: columns}}
    return artifacts.node(
        f"test.p.{name}_{columns}", ("model.p.a",), test_metadata=metadata, attached_node="model.p.a", **more
    )


@pytest.mark.parametrize(
    ("model", "tests", "key", "origin"),
    [
        ({}, [], (), None),
        ({}, [unique("id")], ("id",), "unique test"),
        ({}, [unique("b"), unique("a")], ("a",), "unique test"),
        ({}, [unique(["x", "y"], "unique_combination_of_columns")], ("x", "y"), "unique test"),
        ({}, [unique(["x", "y"], "unique_combination_of_columns"), unique("z")], ("z",), "unique test"),
        ({}, [unique("id", config={"where": "id > 5"})], (), None),
        ({"config": {"unique_key": "id"}}, [unique("other")], ("id",), "unique_key"),
        ({"config": {"unique_key": ["a", "b"]}}, [], ("a", "b"), "unique_key"),
        ({"constraints": [{"type": "primary_key", "columns": ["a", "b"]}]}, [], ("a", "b"), "primary key"),
        ({"columns": {"a": {"constraints": [{"type": "primary_key"}]}}}, [], ("a",), "primary key"),
        ({"constraints": [{"type": "check"}], "config": {"meta": {"diff_key": "m"}}}, [unique("z")], ("m",), "meta.diff_key"),
        ({"constraints": "odd", "columns": [], "config": {"unique_key": 5, "meta": None}}, [], (), None),
    ],
)  # fmt: skip
def test_a_configured_key_comes_before_a_tested_one(
    model: dict[str, Any], tests: list[dict[str, Any]], key: tuple[str, ...], origin: str | None
) -> None:
    node = read(artifacts.node("model.p.a", **model), *tests)["model.p.a"]
    assert (node.key, node.key_origin) == (key, origin)


def test_an_ephemeral_model_has_no_relation_and_old_manifests_hold_compiled_sql() -> None:
    nodes = read(
        artifacts.node("model.p.a", relation_name='"d"."s"."a"', config={"materialized": "ephemeral"}),
        artifacts.node("model.p.b", relation_name='"d"."s"."b"', compiled_sql="select 1"),
    )
    assert nodes["model.p.a"].relation_name is None
    assert (nodes["model.p.b"].relation_name, nodes["model.p.b"].code) == ('"d"."s"."b"', "select 1")


def test_what_cannot_be_read_is_left_out() -> None:
    document = artifacts.manifest([artifacts.node("model.p.a")])
    document["nodes"]["model.p.b"] = [1]
    assert set(read_compiled(parse_document("manifest.json", json.dumps(document).encode()))) == {"model.p.a"}
