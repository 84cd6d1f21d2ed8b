"""The user's folder is laid over the packaged monitor project, and nothing of it is overwritten."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from offdag.collect.observed_tables import ObservedTable, read_observed_tables
from offdag.config_folder import ConfigFolder
from offdag.errors import UsageError
from offdag.monitor.project import assembled_project
from support.command import ROOT

PACKAGED = ROOT / "monitor_project"
ORDERS = ObservedTable("orders", "shop", "model.shop.orders", {"order_id": "string", "amount": "int64"}, 100)


@pytest.fixture
def config(tmp_path: Path) -> ConfigFolder:
    for name in ("seeds", "models", "macros"):
        (tmp_path / "offdag" / name).mkdir(parents=True)
    return ConfigFolder(tmp_path / "offdag", PACKAGED)


def assembled(config: ConfigFolder) -> Path:
    assert config.own
    return assembled_project(config, [ORDERS], config.own.parent / "project")


def write(config: ConfigFolder, path: str, text: str) -> Path:
    assert config.own
    file = config.own / path
    file.write_text(text, encoding="utf-8")
    return file


def test_without_a_folder_the_packaged_project_is_used(tmp_path: Path) -> None:
    assert assembled_project(ConfigFolder(None, PACKAGED), [], tmp_path) == PACKAGED
    assert not list(tmp_path.iterdir())


def test_a_folder_is_found_by_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "offdag").mkdir()
    assert ConfigFolder.found(None, PACKAGED).own is None
    (tmp_path / "offdag" / "dbt_project.yml").write_text("name: offdag\n")
    assert ConfigFolder.found(None, PACKAGED).own == Path("offdag")
    assert ConfigFolder.found("elsewhere", PACKAGED).own == Path("elsewhere")


def test_all_of_the_packaged_project_is_there(config: ConfigFolder) -> None:
    project = assembled(config)
    for path in PACKAGED.rglob("*.sql"):
        assert (project / path.relative_to(PACKAGED)).read_bytes() == path.read_bytes()
    assert (project / "profiles.yml").is_file()
    assert (project / "seeds" / "alert_routes.csv").read_bytes() == (
        PACKAGED / "seeds" / "alert_routes.csv"
    ).read_bytes()


def test_seeds_of_an_older_offdag_get_the_columns_that_were_added(config: ConfigFolder) -> None:
    write(config, "seeds/alert_routes.csv", "priority,channel,kind\n5,#shop,stockout\n")
    lines = (assembled(config) / "seeds" / "alert_routes.csv").read_text().splitlines()
    assert lines[0] == (PACKAGED / "seeds" / "alert_routes.csv").read_text().splitlines()[0]
    assert lines[1:] == ["5,stockout,,,,,,,#shop,,,,,,,,,,,,"]


def test_vars_replace_the_defaults(config: ConfigFolder) -> None:
    write(config, "dbt_project.yml", "name: offdag\nvars: {alerting_environments: [live], baseline_runs: 7}\n")
    found = yaml.safe_load((assembled(config) / "dbt_project.yml").read_text())["vars"]
    default = yaml.safe_load((PACKAGED / "dbt_project.yml").read_text())["vars"]
    changed = {name for name in default if found[name] != default[name]}
    assert (changed, found["baseline_runs"]) == ({"alerting_environments", "baseline_runs"}, 7)


def test_own_models_are_laid_beside_the_rules(config: ConfigFolder) -> None:
    write(config, "models/signal_orders_low.sql", "select 1")
    write(config, "models/notes.txt", "not dbt's")
    project = assembled(config)
    assert (project / "models" / "own" / "signal_orders_low.sql").read_text() == "select 1"
    assert yaml.safe_load((project / "dbt_project.yml").read_text())["vars"]["own_signal_kinds"] == ["orders_low"]
    assert not list(project.rglob("notes.txt"))


def test_what_is_removed_from_the_folder_leaves_the_project(config: ConfigFolder) -> None:
    own = write(config, "models/signal_orders_low.sql", "select 1")
    project = assembled(config)
    unchanged = project / "macros" / "bounded.sql"
    before = unchanged.stat().st_mtime_ns
    own.unlink()
    assembled(config)
    assert not (project / "models" / "own" / "signal_orders_low.sql").exists()
    assert unchanged.stat().st_mtime_ns == before


def test_each_observed_table_is_a_source(config: ConfigFolder) -> None:
    [source] = yaml.safe_load((assembled(config) / "models" / "own" / "_observed__sources.yml").read_text())["sources"]
    assert source["name"] == "history"
    [table] = source["tables"]
    assert table["name"] == "observed_orders"
    assert [column["name"] for column in table["columns"]] == ORDERS.schema.names


def test_the_lines_of_business_checks_reach_the_models(config: ConfigFolder) -> None:
    write(
        config,
        "seeds/business_checks.csv",
        "check_name,observed_table,key_columns,condition,title\n"
        "twice,orders,order_id,count(*) > 1,It's {order_id}\nlow,orders,,sum(amount) < 5,\n",
    )
    twice, low = yaml.safe_load((assembled(config) / "dbt_project.yml").read_text())["vars"]["business_checks"]
    assert (twice["key_columns"], twice["severity"], twice["node_id"]) == (["order_id"], "error", "model.shop.orders")
    assert (low["key_columns"], low["title"]) == ([], "low")


def _write(path: str, text: str) -> Callable[[ConfigFolder], object]:
    return lambda config: write(config, path, text)


CHECKS = "check_name,observed_table,key_columns,condition,severity\n"


@pytest.mark.parametrize(
    ("mistake", "what", "where"),
    [
        (_write("seeds/alert_routes.csv", "priority,chanel\n1,#a\n"), "no column chanel", "alert_routes.csv"),
        (_write("seeds/alert_routes.csv", "priority\n1,2\n"), "more cells than the header", "line 2"),
        (_write("dbt_project.yml", "name: o\nmodels: {}\n"), "only vars are read", "dbt_project.yml"),
        (_write("dbt_project.yml", "vars: {baselin_runs: 5}\n"), "no var baselin_runs", "dbt_project.yml"),
        (_write("dbt_project.yml", "vars: [1]\n"), "vars is not a mapping", "dbt_project.yml"),
        (_write("dbt_project.yml", "vars: [\n"), "cannot be read", "dbt_project.yml"),
        (_write("models/signal_Bad-Name.sql", "select 1"), "not a plain name", "offdag"),
        (_write("models/fct_incidents.sql", "select 1"), "has a model fct_incidents", "fct_incidents.sql"),
        (_write("seeds/business_checks.csv", f"{CHECKS}a b,orders,,true,\n"), "'a b' is not a plain name", "line 2"),
        (
            _write("seeds/business_checks.csv", f"{CHECKS}stockout,orders,,true,\n"),
            "not a plain name of its own",
            "line 2",
        ),
        (_write("seeds/business_checks.csv", f"{CHECKS}a,orders,,true,\na,orders,,true,\n"), "of its own", "line 3"),
        (_write("seeds/business_checks.csv", f"{CHECKS}a,order,,true,\n"), "no observed_table 'order'", "line 2"),
        (_write("seeds/business_checks.csv", f"{CHECKS}a,orders,id,true,\n"), "no column id", "line 2"),
        (_write("seeds/business_checks.csv", f"{CHECKS}a,orders,, ,\n"), "the condition is empty", "line 2"),
        (_write("seeds/business_checks.csv", f"{CHECKS}a,orders,,true,bad\n"), "neither error nor warning", "line 2"),
    ],
)
def test_a_mistake_names_the_file(
    config: ConfigFolder, mistake: Callable[[ConfigFolder], object], what: str, where: str
) -> None:
    mistake(config)
    with pytest.raises(UsageError) as caught:
        assembled(config)
    assert what in caught.value.what
    assert where in caught.value.where


def test_a_var_of_an_own_model_is_known(config: ConfigFolder) -> None:
    write(config, "models/signal_orders_low.sql", "select {{ var('least_orders') }}")
    write(config, "dbt_project.yml", "vars: {least_orders: 5}\n")
    assert yaml.safe_load((assembled(config) / "dbt_project.yml").read_text())["vars"]["least_orders"] == 5


def test_a_folder_that_a_setting_names_has_to_exist(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no such folder"):
        read_observed_tables(ConfigFolder(tmp_path / "nowhere", PACKAGED))
