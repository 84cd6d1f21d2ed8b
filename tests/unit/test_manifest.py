from __future__ import annotations

import hashlib
import json
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from offdag.artifacts.code import definitions_of, tokens_of
from offdag.artifacts.document import parse_document
from offdag.artifacts.manifest import Manifest, read_manifest
from sim import artifacts


def read(document: dict[str, Any], project: str | None = None) -> Manifest:
    return read_manifest(parse_document(Path("manifest.json"), json.dumps(document).encode()), project)


def nodes() -> list[dict[str, Any]]:
    return [artifacts.node("model.p.a"), artifacts.node("model.p.b", ("model.p.a",))]


def test_the_hash_names_what_the_project_holds() -> None:
    first = read(artifacts.manifest(nodes()))
    later = artifacts.manifest(list(reversed(nodes())), artifacts.NOW + timedelta(days=1))
    later["nodes"]["model.p.a"]["created_at"] = 99.0
    assert read(later).manifest_hash == first.manifest_hash
    later["nodes"]["model.p.a"]["checksum"]["checksum"] = "changed"
    changed = read(later)
    assert changed.manifest_hash != first.manifest_hash
    hashes = {row["unique_id"]: row["node_hash"] for row in first.nodes}
    assert {row["unique_id"] for row in changed.nodes if hashes[row["unique_id"]] != row["node_hash"]} == {"model.p.a"}


def test_equal_nodes_of_two_projects_stay_apart() -> None:
    one, other = read(artifacts.manifest(nodes()), "one"), read(artifacts.manifest(nodes()), "other")
    assert not {row["node_hash"] for row in one.nodes} & {row["node_hash"] for row in other.nodes}


def test_a_tests_stable_key_outlives_its_arguments() -> None:
    def values(unique_id: str, allowed: list[str]) -> dict[str, Any]:
        kwargs = {"column_name": "status", "values": allowed}
        return artifacts.node(
            unique_id, test_metadata={"name": "accepted_values", "kwargs": kwargs}, attached_node="model.p.a"
        )

    found = read(artifacts.manifest([values("test.p.values.1", ["a"]), values("test.p.values.2", ["a", "b"])]))
    assert len({row["stable_key"] for row in found.nodes}) == 1


def test_hashes_name_what_changed_in_a_node() -> None:
    def document(macro: str = "select 1", called: str = "1", dbts: str = "x", **config: Any) -> dict[str, Any]:
        found = artifacts.manifest(
            [
                artifacts.node(
                    "model.p.a", config=config, depends_on={"macros": ["macro.p.used", "macro.dbt.run_query"]}
                ),
                artifacts.node("model.p.b", config={"enabled": True}, depends_on={"macros": ["macro.dbt.run_query"]}),
            ]
        )
        found["macros"] = {
            "macro.p.used": {"package_name": "p", "macro_sql": macro, "depends_on": {"macros": ["macro.p.called"]}},
            "macro.p.called": {"package_name": "p", "macro_sql": called, "depends_on": {"macros": ["macro.p.used"]}},
            "macro.dbt.run_query": {"package_name": "dbt", "macro_sql": dbts},
        }
        return found

    def hashes(found: dict[str, Any]) -> tuple[Any, Any]:
        rows = {row["unique_id"]: row for row in read(found).nodes}
        assert rows["model.p.b"]["macros_hash"] is None
        return rows["model.p.a"]["macros_hash"], rows["model.p.a"]["config_hash"]

    macros, config = hashes(document(materialized="table"))
    assert macros is not None
    assert config is not None
    assert hashes(document(materialized="table", dbts="y", meta={"owner": "b"}, tags=["c"])) == (macros, config)
    assert hashes(document(materialized="view")) == (macros, hashes(document(materialized="view"))[1])
    assert hashes(document(materialized="view"))[1] != config
    assert hashes(document(macro="select 2", materialized="table"))[0] != macros
    # A macro that is called by one that the node uses.
    assert hashes(document(called="2", materialized="table"))[0] != macros


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        (
            "select a,b from {{ ref('x') }}",
            "SELECT\n  a, b -- both\nfrom {{ref('x')}} /* all\nrows */ {# of x #}",
            True,
        ),
        ("select '-- no comment' as a", "select '-- no comment' as  a", True),
        ("select 'a  b'", "select 'a b'", False),
        ("select 'A'", "select 'a'", False),
        ("select a - b", "select b - a", False),
        ("select 1", "select 10", False),
        ("select 'it''s -- here', a", "select 'it''s -- here', b", False),
    ],
)
def test_codes_that_differ_in_layout_alone_have_the_same_tokens(one: str, other: str, is_same: bool) -> None:
    assert (tokens_of(one) == tokens_of(other)) is is_same


@pytest.mark.parametrize(
    ("code", "adapter_type"),
    [
        ("select 'hunter2' as a", "duckdb"),
        ('{{ config(post_hook="{{ grant_select(this) }}") }} select id, \'by hunter2\' as a, x as "B"', "duckdb"),
        (r"select 'it\'s hunter2' as a", "bigquery"),
        ('select "hunter2" as a', "databricks"),
        ("# it's hunter2\nselect 1 as a", "bigquery"),
        ("select $$ hunter2 $$ as a", "postgres"),
        ("select '''hunter2''' as a", "bigquery"),
        ("{{ env_var('X', 'hunter2') }} as a", "duckdb"),
        ("{% set k = 'hunter2' %} select 1 as a", "duckdb"),
        ("{{ return('hunter2') }} as a", "duckdb"),
        ("{{ call('sk-hunter2') }} as a", "duckdb"),
        ("select 'hunter2", "duckdb"),
    ],
)
def test_no_text_of_a_code_is_kept(code: str, adapter_type: str) -> None:
    assert "hunter2" not in (tokens_of(code, adapter_type) or "")
    assert "hunter2" not in (definitions_of(tokens_of(code, adapter_type)) or "")


def test_names_in_the_arguments_of_jinja_are_kept() -> None:
    assert tokens_of("{{ cents(\"price\", 'a.fee') }}") == "{{ cents ( 'price' , 'a.fee' ) }}"
    assert (tokens_of("select '{{ var(\"x\") }}' as a") or "").endswith("{{ var ( 'x' ) }} as a")
    assert tokens_of("{{ config(a=1) | trim }} select a from {{ ref('x') }}") == (
        "{{ config ( a = 1 ) | trim }} select a from {{ ref ( 'x' ) }}"
    )


@pytest.mark.parametrize(
    "piece", ["{#", "/*", "{{config(", "'", '"', "as n1 ", "on abc ", "as abc ", "-", "(" * 9, "$$"]
)
def test_odd_code_takes_no_time(piece: str) -> None:
    begin = time.process_time()
    definitions_of(tokens_of((piece * 50_000)[:50_000]))
    assert time.process_time() - begin < 5


def test_definitions_name_what_an_expression_is_made_of() -> None:
    code = """
        with steps as (select id, max(seen_at) as last_seen_at from {{ ref('scans') }} as scans group by id)
        select plain, round(fee + 1, 2) as total, {{ hours('a.started_at') }} as hours from steps
        left join zones on steps.zone_id = zones.id
    """
    found = (definitions_of(tokens_of(code)) or "").split(" ")
    named = [pair for pair in found if "#" not in pair and "~" not in pair]
    assert named == [
        *("hours=started_at", "last_seen_at=max", "last_seen_at=seen_at", "on=steps", "on=zone_id", "on=zones"),
        *("total=fee", "total=round"),
    ]
    other = (definitions_of(tokens_of(code.replace("fee + 1", "fee + 2"))) or "").split(" ")
    assert {pair.split("=")[0] for pair in {*found} ^ {*other}} == {"total"}
    assert [
        pair for pair in (definitions_of("select a - b as net , c + d as sum_of") or "").split(" ") if "~" in pair
    ] == ["net=~"]
    assert definitions_of(None) is definitions_of("select 1") is None


def test_a_very_long_code_has_no_tokens() -> None:
    assert tokens_of("x" * 50_001) is None
    assert tokens_of("") is tokens_of(None) is tokens_of(" -- nothing") is None


def test_the_tokens_of_macros_are_those_of_their_code() -> None:
    def hashes(code: str) -> tuple[Any, Any]:
        found = artifacts.manifest([artifacts.node("model.p.a", depends_on={"macros": ["macro.p.m"]})])
        found["macros"] = {"macro.p.m": {"package_name": "p", "macro_sql": code}}
        [row] = read(found).nodes
        return row["macros_hash"], row["macros_tokens"]

    first, laid_out, edited = (
        hashes(code) for code in ("{{ x }} / 100", "{{x}}\n/ 100 {# percent #}", "{{ x }} / 1000")
    )
    assert first[0] != laid_out[0]
    assert first[1] == laid_out[1] != edited[1]


def test_a_unit_tests_checksum_is_its_code() -> None:
    document = artifacts.manifest(nodes())
    document["unit_tests"] = {"unit_test.p.a.t": artifacts.node("unit_test.p.a.t", checksum="abc")}
    assert {row["unique_id"]: row["code_hash"] for row in read(document).nodes}["unit_test.p.a.t"] == "abc"


def test_odd_nodes_of_real_files_are_tolerated() -> None:
    document = artifacts.manifest(
        [artifacts.node("model.p.a", depends_on={"macros": [None], "nodes": [None, "model.p.x"]})]
    )
    document["sources"] = {"source.p.s.t": artifacts.node("source.p.s.t", config={"enabled": "True and True"})}
    document["nodes"]["model.p.broken"] = "no mapping"
    found = read(document)
    assert {row["unique_id"] for row in found.nodes} == {"model.p.a", "source.p.s.t"}
    assert found.tolerated == 1
    assert [row["parent_unique_id"] for row in found.dependencies] == ["model.p.x"]


def test_owners_come_from_meta_then_group() -> None:
    document = artifacts.manifest(
        [
            artifacts.node("model.p.meta"),
            artifacts.node("model.p.group", config={"group": "money"}),
            artifacts.node("model.p.list", config={"meta": {"owner": ["@a", "@b"]}}),
            artifacts.node("model.p.none", config={}),
        ]
    )
    document["groups"] = {"group.p.money": {"owner": {"name": "Finance", "email": "f@example.com"}}}
    owners = {row["name"]: row["owner"] for row in read(document).nodes}
    assert owners == {"meta": "@team", "group": "Finance", "list": "@a, @b", "none": None}


def test_freshness_needs_a_threshold_and_a_way_to_find_the_load() -> None:
    document = artifacts.manifest([])
    warn = {"warn_after": {"count": 1, "period": "day"}, "error_after": {"count": None, "period": None}}
    document["sources"] = {
        key: artifacts.node(key, resource_type="source", **more)
        for key, more in {
            "source.p.s.checked": {"freshness": warn, "loaded_at_field": "at"},
            "source.p.s.no_field": {"freshness": warn},
            "source.p.s.no_threshold": {"loaded_at_field": "at"},
        }.items()
    }
    found = {row["unique_id"]: (row["has_freshness"], row["warn_after_seconds"]) for row in read(document).nodes}
    assert found == {
        "source.p.s.checked": (True, 86400),
        "source.p.s.no_field": (False, 86400),
        "source.p.s.no_threshold": (False, None),
    }


def test_exposures_keep_their_owner() -> None:
    document = artifacts.manifest([])
    exposure = artifacts.node(
        "exposure.p.board", ("model.p.a",), owner={"name": "Ann", "email": "a@example.com"}, type="dashboard"
    )
    document["exposures"] = {"exposure.p.board": exposure}
    [row] = read(document).exposures
    assert (row["owner_name"], row["owner_email"], row["exposure_type"]) == ("Ann", "a@example.com", "dashboard")


def test_a_manifest_before_v12_names_its_project_by_its_id() -> None:
    document = artifacts.manifest([artifacts.node("model.shop.a"), artifacts.node("model.package.b")])
    del document["metadata"]["project_name"]
    document["metadata"]["project_id"] = hashlib.md5(b"shop").hexdigest()
    assert read(document).project == "shop"
    document["metadata"]["project_id"] = "unknown"
    assert read(document).project is None
