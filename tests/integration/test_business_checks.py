"""The three checks of docs/business-checks.md, as a user writes them: each alerts, and recovers."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from offdag.clock import utc_now
from sim import artifacts
from support.command import ROOT, CommandResult, offdag


class Shop:
    """A shop with two tables and an exposure, and the folder of the docs."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.env = {"OFFDAG_CONFIG_DIR": str(home / "offdag"), "DBT_TARGET_PATH": str(home / "shop" / "target")}
        text = (ROOT / "docs" / "business-checks.md").read_text(encoding="utf-8")
        observed, checks = re.findall(r"```csv\n(.*?)```", text, re.S)
        [signal] = re.findall(r"```sql\n(.*?)```", text, re.S)
        for path, content in {
            "offdag/seeds/observed_tables.csv": observed,
            "offdag/seeds/business_checks.csv": checks,
            "offdag/models/signal_exposure_old.sql": signal,
            "shop/dbt_project.yml": "name: shop\nprofile: shop\n",
            "shop/profiles.yml": "shop: {target: prod, outputs: {prod: {type: duckdb, path: shop.duckdb}}}\n",
        }.items():
            (home / path).parent.mkdir(parents=True, exist_ok=True)
            (home / path).write_text(content, encoding="utf-8")

    def offdag(self, *arguments: str) -> CommandResult:
        done = offdag(self.home, *arguments, env=self.env)
        assert done.code == 0, done
        return done

    def build(self, hours_ago: float) -> None:
        """A build of the shop, and what it leaves."""
        at = utc_now() - timedelta(hours=hours_ago)
        nodes = [artifacts.node(f"model.shop.{name}", schema="main", alias=name) for name in ("daily_orders", "orders")]
        manifest = artifacts.manifest(nodes, at, "shop")
        manifest["exposures"] = {
            "exposure.shop.board": {
                "unique_id": "exposure.shop.board",
                "name": "board",
                "type": "dashboard",
                "depends_on": {"nodes": ["model.shop.orders"]},
            }
        }
        results = artifacts.run_results([artifacts.result(node["unique_id"], at=at) for node in nodes], at)
        artifacts.write(self.home / "shop" / "target", manifest=manifest, run_results=results)
        self.offdag("collect", "-e", "prod", str(self.home / "shop" / "target"))

    def load(self, today: int, orders: list[str]) -> None:
        """Fill the tables, and observe them."""
        with duckdb.connect(str(self.home / "shop" / "shop.duckdb")) as connection:
            connection.execute("create or replace table daily_orders (day date, order_count bigint)")
            connection.execute(
                "insert into daily_orders select current_date - cast(i as integer), 100 from range(1, 8) t(i)"
            )
            connection.execute("insert into daily_orders values (current_date, ?)", [today])
            connection.execute("create or replace table orders (order_id varchar, amount double)")
            for order in orders:
                connection.execute("insert into orders values (?, 1.0)", [order])
        self.offdag("observe", "--project-dir", str(self.home / "shop"), "-e", "prod")

    def incidents(self) -> dict[str, tuple[str, str]]:
        """Status and title by kind."""
        self.offdag("monitor")
        with duckdb.connect(str(self.home / "monitor.duckdb"), read_only=True) as connection:
            rows = connection.execute("select kind, incident_status, title from fct_incidents").fetchall()
        return {kind: (status, title) for kind, status, title in rows}


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def test_each_check_alerts_and_recovers(shop: Shop) -> None:
    shop.build(hours_ago=8)
    shop.load(today=30, orders=["a", "b", "b"])
    assert shop.incidents() == {
        "orders_low": ("open", "Only 30 orders today"),
        "order_twice": ("open", "Order b is there 2 times"),
        "exposure_old": ("open", "board reads orders, which is older than six hours"),
    }
    sent = shop.offdag("notify").out
    # The check names its channel; the others have that of the routes.
    assert re.search(r"#shop\n.*ORDERS LOW in shop \(prod\): Only 30 orders today", sent)
    assert "ORDER TWICE  Order b is there 2 times" in sent
    assert "What: The dashboard adds both" in sent
    shop.build(hours_ago=0)
    shop.load(today=90, orders=["a", "b"])
    assert {kind: status for kind, (status, _) in shop.incidents().items()} == {
        "orders_low": "resolved",
        "order_twice": "resolved",
        "exposure_old": "resolved",
    }
