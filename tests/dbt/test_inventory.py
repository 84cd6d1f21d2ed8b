"""The shop built by dbt: every published figure, the snapshot's three questions, replays, and that bad rows are caught."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import duckdb
import pytest

from offdag.greenery import facts
from support.command import ROOT, CommandResult, environ, greenery, run

PROJECT = ROOT / "inventory_project"
SNAPSHOT_ALONE = (
    "--select",
    "stg_greenery__products",
    "product_inventory_snapshot",
    "--indirect-selection",
    "cautious",
)


class Shop:
    """A prod database in its own folder."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.database = home / "shop" / "inventory_prod.duckdb"
        self.env = environ(home)
        for arguments in (
            ["--as-of", "2023-05-08"],
            ["--week", "2", "--as-of", "2023-05-08", "--bad", "duplicates", "--bad", "orphans"],
        ):
            folder = home / ("bad" if "--bad" in arguments else "raw")
            made = greenery(home, "generate", "--out", str(folder), *arguments)
            assert made.code == 0, made

    def load(self, week: int, folder: str = "raw") -> None:
        loaded = greenery(self.home, "load", str(self.home / folder / f"week={week}"), "--database", str(self.database))
        assert loaded.code == 0, loaded

    def dbt(self, *arguments: str) -> CommandResult:
        return run(["dbt", *arguments, "--target", "prod"], self.env, cwd=PROJECT)

    def build(self, *arguments: str) -> None:
        built = self.dbt("build", *arguments)
        assert built.code == 0, built

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.database), read_only=True) as connection:
            return connection.execute(query).fetchall()

    def analysis(self, name: str) -> list[tuple[Any, ...]]:
        return self.rows(
            (self.home / "shop_target" / "compiled" / "inventory" / "analyses" / f"{name}.sql").read_text()
        )


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """Four weeks, loaded and built in order."""
    shop = Shop(tmp_path_factory.mktemp("shop"))
    for week in range(1, 5):
        shop.load(week)
        shop.build(*(() if week == 4 else SNAPSHOT_ALONE))
    assert shop.dbt("compile").code == 0
    return shop


def test_the_funnel_has_the_published_columns_and_values(shop: Shop) -> None:
    with duckdb.connect(str(shop.database), read_only=True) as connection:
        cursor = connection.execute("select * from marts.f_product_weekly_funnel")
        assert [c[0] for c in cursor.description or []] == [
            "wk",
            "n_sessions",
            "n_page_view_sessions",
            "n_add_to_cart_sessions",
            "add_to_cart_dropoff",
            "n_checkout_sessions",
            "checkout_dropoff",
        ]
        [(week, *values)] = cursor.fetchall()
    assert str(week) == "2021-02-08"
    assert values == [578, 578, 467, 0.1920415225, 361, 0.2269807281]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (
            "select round(100.0 * sum(n_checkout_sessions) / sum(n_sessions), 3) from marts.f_product_weekly_funnel",
            62.457,
        ),
        ("select count(*) from marts.dim_users", 130),
        ("select round(avg(order_count), 2) from marts.fct_hourly_activity where order_count > 0", 7.52),
        ("select round(avg(session_count), 2) from marts.fct_hourly_activity", 16.33),
        ("select round(avg(delivery_days), 2) from marts.fct_orders", 3.89),
        (
            "select round(100.0 * count(*) filter (is_repeat_buyer) / count(*) filter (is_buyer), 2) from marts.dim_users",
            79.84,
        ),
        ("select count(*) filter (is_repeat_buyer) from marts.dim_users", 99),
        ("select count(*) filter (is_buyer) from marts.dim_users", 124),
    ],
)
def test_the_published_figures(shop: Shop, query: str, expected: float) -> None:
    assert shop.rows(query) == [(expected,)]


def test_users_by_number_of_orders(shop: Shop) -> None:
    assert (
        dict(shop.rows("select order_count, count(*) from marts.dim_users where is_buyer group by 1"))
        == facts.USERS_BY_ORDERS
    )


def test_every_products_figures(shop: Shop) -> None:
    found = shop.rows(
        "select product_id, product_name, page_view_session_count, add_to_cart_session_count, checkout_session_count, sold_unit_count,"
        " round(100 * conversion_rate, 2) from marts.fct_product_conversion"
    )
    expected = [
        (p.product_id, p.name, p.viewed, p.carted, p.ordered, p.units, round(100 * p.ordered / p.viewed, 2))
        for p in facts.PRODUCTS
    ]
    assert sorted(found) == sorted(expected)


def test_which_products_changed_from_week_3_to_week_4(shop: Shop) -> None:
    changed = {row[1] for row in shop.analysis("inventory_changed_in_latest_week")}
    assert changed == {"Bamboo", "String of pearls", "ZZ Plant", "Philodendron", "Pothos", "Monstera"}


def test_which_products_fluctuated_most(shop: Shop) -> None:
    assert [(name, moved) for _, name, moved in shop.analysis("inventory_fluctuation")] == [
        ("String of pearls", 68),
        ("Pothos", 60),
        ("Philodendron", 51),
        ("ZZ Plant", 48),
        ("Monstera", 46),
        ("Bamboo", 33),
    ]


def test_which_products_went_out_of_stock(shop: Shop) -> None:
    found = [(name, prior, now, after, str(at)) for _, name, prior, now, after, at in shop.analysis("out_of_stock")]
    assert found == [
        ("Pothos", 20, 0, 20, "2023-05-01 01:01:20.448000"),
        ("String of pearls", 10, 0, 10, "2023-05-01 01:01:20.448000"),
    ]


def published(name: str) -> str:
    return (Path(__file__).parent / "published" / f"{name}.sql").read_text()


def test_the_published_queries_run_word_for_word(shop: Shop, tmp_path: Path) -> None:
    copy = tmp_path / "inventory_prod.duckdb"
    shutil.copy(shop.database, copy)
    with duckdb.connect(str(copy)) as connection:
        connection.execute("use snapshots")
        assert connection.execute(published("fluctuation")).fetchall() == [
            ("String of pearls", 68),
            ("Pothos", 60),
            ("Philodendron", 51),
            ("ZZ Plant", 48),
            ("Monstera", 46),
            ("Bamboo", 33),
        ]
        out = connection.execute(published("out_of_stock")).fetchall()
        assert sorted((name, str(at), *counts) for name, at, *counts in out) == [
            ("Pothos", "2023-05-01 01:01:20.448000", 20, 0, 20),
            ("String of pearls", "2023-05-01 01:01:20.448000", 10, 0, 10),
        ]
        # The third one answers right after week 4 was counted: as if that were tomorrow.
        connection.execute(
            """
            update product_inventory_snapshot set dbt_valid_to = current_date + interval 1 day
            where dbt_valid_to = (select max(dbt_valid_from) from product_inventory_snapshot)
            """
        )
        changed = connection.execute(published("changed_in_latest_week")).fetchall()
        assert sorted(changed) == [
            ("Bamboo",),
            ("Monstera",),
            ("Philodendron",),
            ("Pothos",),
            ("String of pearls",),
            ("ZZ Plant",),
        ]


def test_replaying_weeks_in_any_order_gives_the_same_snapshot(shop: Shop) -> None:
    query = "select * from snapshots.product_inventory_snapshot order by all"
    before = shop.rows(query)
    assert len(before) == 30 + 6 + 6 + 4
    for week in (4, 2, 3):
        shop.load(week)
        shop.build(*SNAPSHOT_ALONE)
        assert shop.rows(query) == before
    shop.load(4)


def test_duplicates_and_orphans_are_caught_and_skip_what_is_downstream(shop: Shop) -> None:
    shop.load(2, "bad")
    try:
        assert shop.dbt("build").code == 1
        results = json.loads((shop.home / "shop_target" / "run_results.json").read_text())["results"]
        failed = sorted(r["unique_id"].split(".")[2] for r in results if r["status"] == "fail")
        assert [name.split("_stg_")[0] for name in failed] == ["relationships", "unique"]
        assert "model.inventory.fct_orders" in {r["unique_id"] for r in results if r["status"] == "skipped"}
    finally:
        shop.load(4)
        shop.build()


def test_a_price_that_changes_fails_no_order_before(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.load(1)
    with duckdb.connect(str(shop.database)) as connection:
        connection.execute("update raw.products set price = price + 1")
    built = shop.dbt("build", "--select", "+fct_orders", "--indirect-selection", "cautious")
    assert built.code == 0, built


def test_the_exposure_names_its_owner_and_rests_on_the_mart(shop: Shop) -> None:
    [exposure] = json.loads((shop.home / "shop_target" / "manifest.json").read_text())["exposures"].values()
    assert exposure["depends_on"]["nodes"] == ["model.inventory.f_product_weekly_funnel"]
    assert exposure["owner"]["email"]
    assert exposure["maturity"]
    assert exposure["url"]
