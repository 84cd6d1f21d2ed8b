"""The rules of both dbt projects: names, grain sentences, keys, descriptions, and the layers' order."""

from __future__ import annotations

import json
import re
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
import yaml

from offdag.collect.observed_tables import read_observed_tables
from offdag.history.schemas import TABLES, arrow_schema
from offdag.monitor.project import assembled_project
from offdag.monitor.rows import MartRow
from support.command import ROOT, environ, run
from support.projects import SHOP

PROJECTS = ("inventory", "monitor")


@cache
def manifest(project: str) -> dict[str, Any]:
    import tempfile

    home = Path(tempfile.mkdtemp())
    folder, more = ROOT / f"{project}_project", {}
    if project == "monitor":
        # As the shop is monitored: with its business checks, and what is about its observed tables.
        observed = read_observed_tables(SHOP)
        folder = assembled_project(SHOP, observed, home / "project")
        more = {"OFFDAG_OBSERVED_TABLES": "|".join(table.name for table in observed)}
    parsed = run(["dbt", "parse", "--profiles-dir", str(folder)], environ(home, more), cwd=folder)
    assert parsed.code == 0, parsed
    found: dict[str, Any] = json.loads((home / "shop_target" / "manifest.json").read_text())
    return found


def nodes(project: str, *types: str) -> list[dict[str, Any]]:
    return [
        n for n in manifest(project)["nodes"].values() if n["resource_type"] in types and n["package_name"] == project
    ]


def _layer(node: dict[str, Any]) -> str:
    """The folder of the node; in a folder of models/business, which has all layers, the one that its name begins with."""
    if node["fqn"][1] != "business":
        return str(node["fqn"][1])
    return {"stg": "staging", "signal": "signals"}.get(node["name"].split("_")[0], "marts")


@pytest.mark.parametrize("project", PROJECTS)
def test_folder_and_prefix_agree(project: str) -> None:
    # The funnel's name is the published one.
    rules = {
        "staging": r"stg_[a-z]+__[a-z_]+",
        "marts": r"(dim|fct|int)_[a-z_]+|f_product_weekly_funnel",
        "signals": r"signal_[a-z_]+",
        "incidents": r"(dim|fct|int)_[a-z_]+",
        "health": r"(fct|int)_[a-z_]+",
        "report": r"report_[a-z_]+",
        "proposals": r"proposed_[a-z_]+",
        "backtest": r"backtest_[a-z_]+",
    }
    for node in nodes(project, "model"):
        layer = _layer(node)
        assert re.fullmatch(rules[layer], node["name"]), node["original_file_path"]


@pytest.mark.parametrize("project", PROJECTS)
def test_every_model_begins_with_its_grain(project: str) -> None:
    for node in nodes(project, "model", "snapshot", "seed"):
        assert node["description"].startswith("One row per "), node["name"]


@pytest.mark.parametrize("project", PROJECTS)
def test_every_column_is_described(project: str) -> None:
    described = [*nodes(project, "model", "snapshot", "seed")]
    if project == "monitor":
        described += manifest(project)["sources"].values()
    for node in described:
        assert node["columns"], node["name"]
        for column in node["columns"].values():
            assert len(column["description"]) > 8, f"{node['name']}.{column['name']}"
            # Also not a restatement of its name.
            assert column["description"].lower().rstrip(".") != column["name"].replace("_", " "), (
                f"{node['name']}.{column['name']}"
            )


@pytest.mark.parametrize("project", PROJECTS)
def test_every_model_has_a_key_test(project: str) -> None:
    keyed = {
        test["attached_node"]
        for test in nodes(project, "test")
        if (test.get("test_metadata") or {}).get("name") in ("unique", "unique_combination")
    }
    # Order items have a key of two columns that the bad load must not hide behind: its relations are tested instead.
    exempt = {"stg_greenery__order_items"}
    assert {n["name"] for n in nodes(project, "model", "snapshot") if n["unique_id"] not in keyed} <= exempt


@pytest.mark.parametrize("project", PROJECTS)
def test_layers_read_only_earlier_layers(project: str) -> None:
    order = {"source": 0, "seed": 0, "staging": 1, "snapshots": 2, "marts": 2, "signals": 3, "incidents": 4}
    order |= {"health": 5, "report": 6, "proposals": 6, "backtest": 6}
    for node in nodes(project, "model"):
        for parent in node["depends_on"]["nodes"]:
            kind = parent.split(".")[0]
            layer = kind if kind in order else _layer(manifest(project)["nodes"][parent])
            allowed = order[_layer(node)] >= order.get(layer, 2)
            assert allowed, f"{node['name']} reads {parent}"
            if _layer(node) != "staging":
                may = ("fct_node_executions", "signal_business_check")
                assert kind != "source" or node["name"] in may, f"{node['name']} reads a source"


def test_monitor_marts_and_signals_have_enforced_contracts() -> None:
    for node in nodes("monitor", "model"):
        if _layer(node) != "staging":
            assert node["config"]["contract"]["enforced"], node["name"]
            assert all(c["data_type"] for c in node["columns"].values()), node["name"]


def test_all_signals_share_one_contract_and_become_incidents() -> None:
    signals = [n for n in nodes("monitor", "model") if n["name"].startswith("signal_")]
    assert len({tuple((c["name"], c["data_type"]) for c in n["columns"].values()) for n in signals}) == 1
    declared = yaml.safe_load((ROOT / "monitor_project" / "dbt_project.yml").read_text())["vars"]
    kinds = [*declared["signal_kinds"], *declared["business_signal_kinds"], "business_check"]
    assert sorted(n["name"] for n in signals) == sorted(f"signal_{kind}" for kind in kinds)


PYTHON_TYPES = {
    "varchar": str,
    "bigint": int,
    "double": float,
    "boolean": bool,
    "timestamp": datetime,
    "date": date,
}


@pytest.mark.parametrize("kind", MartRow.__subclasses__(), ids=lambda kind: kind.__name__)
def test_typed_rows_match_the_contracts(kind: type[MartRow]) -> None:
    [model] = [n for n in nodes("monitor", "model") if n["name"] == kind.mart]
    for name, annotation in get_type_hints(kind).items():
        if name == "mart":
            continue
        assert name in model["columns"], f"{kind.mart} has no column {name}"
        expected = PYTHON_TYPES[model["columns"][name]["data_type"]]
        assert expected in (annotation, *get_args(annotation)), f"{kind.mart}.{name}"


def test_every_rule_has_a_unit_test() -> None:
    tested = {t["model"] for t in manifest("monitor")["unit_tests"].values()}
    # Staging models rename, and the union of all signals has no rule.
    judging = {n["name"] for n in nodes("monitor", "model") if _layer(n) != "staging"} - {"int_signals_unioned"}
    assert judging - tested == set()


def test_the_monitors_sources_are_the_historys_schemas() -> None:
    observed = {f"observed_{t.name}": t.schema for t in read_observed_tables(SHOP)}
    expected = {**TABLES, **observed}
    sources = {s["name"]: list(s["columns"]) for s in manifest("monitor")["sources"].values()}
    assert sources == {table: [*schema.names, "run_date"] for table, schema in expected.items()}


def test_a_scheduled_run_has_at_most_120_nodes_and_tests() -> None:
    """Views of the report, of init and of backtest are not counted: they are made only where their SQL changed."""
    scheduled = [n for n in nodes("monitor", "model", "seed", "test") if "all_tests" not in n["config"]["tags"]]
    assert len([n for n in scheduled if n["fqn"][1] not in ("report", "proposals", "backtest")]) <= 120


def test_views_hold_no_instant() -> None:
    """Their readers have no as_of, and a plan does not make them again."""
    views = [n for n in nodes("monitor", "model") if n["config"]["materialized"] == "view"]
    assert views
    assert not [n["name"] for n in views if "macro.monitor.as_of" in n["depends_on"]["macros"]]


def test_no_adapters_dialect_outside_macros() -> None:
    duckdb_only = re.compile(
        r"\b(qualify|arg_max|arg_min|list_\w+|struct_pack|read_parquet|epoch_\w+|strptime|to_timestamp|date_diff)\s*\(|::",
        re.I,
    )
    for path in (ROOT / "monitor_project" / "models").rglob("*.sql"):
        assert not duckdb_only.search(path.read_text()), path.name


def test_the_overview_names_every_mart_and_no_other() -> None:
    overview = manifest("monitor")["docs"]["doc.monitor.__overview__"]["block_contents"]
    named = set(re.findall(r"`((?:fct|dim)_\w+)`", overview))
    assert named == {n["name"] for n in nodes("monitor", "model") if n["name"].startswith(("fct_", "dim_"))}


def test_only_every_known_type_word_is_used() -> None:
    with pytest.raises(KeyError):
        arrow_schema({"column": "money"})
