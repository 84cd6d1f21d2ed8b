"""The figures that the models do not show; those of the marts are in tests/dbt/test_inventory.py."""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime
from pathlib import Path

import duckdb
import pytest

from offdag.greenery import facts, raw
from offdag.greenery.errors import GreeneryError
from offdag.greenery.generate import BadRows, Tables, week_tables, write_week
from offdag.greenery.load import load_folder

LOADED_AT = datetime(2026, 1, 31, 6)


@pytest.fixture(scope="module")
def tables() -> Tables:
    return week_tables(3, date(2023, 5, 8))


def test_row_counts(tables: Tables) -> None:
    assert {name: len(rows) for name, rows in tables.items()} == {
        "users": 130, "addresses": 150, "orders": 361, "order_items": 862, "products": 30, "promos": 6, "events": 3553,
    }  # fmt: skip


@pytest.mark.parametrize("seed", range(8))
def test_every_seed_gives_the_published_shape(seed: int) -> None:
    events = week_tables(1, date(2023, 5, 8), seed=seed)["events"]
    assert Counter(e["event_type"] for e in events) == {
        "page_view": 1871, "add_to_cart": 986, "checkout": 361, "package_shipped": 335,
    }  # fmt: skip
    by_day = {(e["created_at"].date(), e["session_id"]) for e in events}
    assert sorted(Counter(day for day, _ in by_day).values()) == [2, 46, 177, 442]
    assert len({(e["created_at"].replace(minute=0, second=0), e["session_id"]) for e in events}) == 947
    assert min(e["created_at"] for e in events) == facts.FIRST_EVENT
    assert max(e["created_at"] for e in events) == facts.LAST_EVENT


def test_sessions_by_how_far_they_go(tables: Tables) -> None:
    kinds: dict[str, set[str]] = {}
    for event in tables["events"]:
        kinds.setdefault(event["session_id"], set()).add(event["event_type"])
    assert Counter(len(steps) for steps in kinds.values()) == {1: 111, 2: 106, 3: 26, 4: 335}
    assert len({e["user_id"] for e in tables["events"]}) == 124


def test_repeats_within_a_session(tables: Tables) -> None:
    pairs = {(e["event_type"], e["session_id"], e["product_id"]) for e in tables["events"] if e["product_id"]}
    assert Counter(kind for kind, _, _ in pairs) == {"page_view": 1845, "add_to_cart": 985}


def test_every_key_resolves(tables: Tables) -> None:
    keys = {
        name: {row[f"{name[:-1]}_id"] for row in tables[name]} for name in ("users", "orders", "products", "promos")
    }
    keys["addresses"] = {row["address_id"] for row in tables["addresses"]}
    for child, column, parent in [
        ("users", "address_id", "addresses"), ("orders", "user_id", "users"), ("orders", "address_id", "addresses"),
        ("orders", "promo_id", "promos"), ("order_items", "order_id", "orders"), ("order_items", "product_id", "products"),
        ("events", "user_id", "users"), ("events", "order_id", "orders"), ("events", "product_id", "products"),
    ]:  # fmt: skip
        assert {row[column] for row in tables[child]} - {None} <= keys[parent], (child, column)


def test_shipping_and_promos(tables: Tables) -> None:
    orders = tables["orders"]
    assert Counter(o.get("shipping_service") for o in orders) == {
        "ups": 169,
        "fedex": 96,
        "usps": 60,
        "dhl": 10,
        None: 26,
    }
    assert Counter(o["status"] for o in orders) == {"delivered": 305, "shipped": 30, "preparing": 26}
    assert sum(o["promo_id"] is None for o in orders) == 321
    assert min(o["created_at"] for o in orders) == facts.FIRST_ORDER
    assert max(o["created_at"] for o in orders) == facts.LAST_ORDER


def test_week_3_is_counted_at_the_published_instant(tables: Tables) -> None:
    assert {row["counted_at"] for row in tables["products"]} == {datetime(2023, 5, 1, 1, 1, 20, 448000)}
    assert facts.counted_at(4) - facts.counted_at(3) == facts.counted_at(2) - facts.counted_at(1)


def test_the_same_arguments_give_the_same_files(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_week(week_tables(2, date(2023, 5, 8)), tmp_path / name)
    for table in raw.TABLES:
        assert (tmp_path / "a" / f"{table}.csv").read_bytes() == (tmp_path / "b" / f"{table}.csv").read_bytes()


def test_scale_multiplies_customers_and_keeps_products() -> None:
    big = week_tables(1, date(2023, 5, 8), scale=3)
    assert (len(big["users"]), len(big["events"]), len(big["products"])) == (390, 10659, 30)
    assert len({e["session_id"] for e in big["events"]}) == 3 * 578


@pytest.fixture
def csv_folder(tables: Tables, tmp_path: Path) -> Path:
    write_week(tables, tmp_path / "csv")
    return tmp_path / "csv"


def test_loading_types_the_columns_and_stamps_the_load(csv_folder: Path, tmp_path: Path) -> None:
    counts, remarks = load_folder(csv_folder, tmp_path / "shop.duckdb", LOADED_AT, stopped=["events"])
    assert (counts["events"], remarks) == (3553, [])
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as connection:
        loaded = connection.execute(
            "select distinct _loaded_at from raw.orders union select distinct _loaded_at from raw.events"
        )
        assert sorted(row[0] for row in loaded.fetchall()) == [datetime(2026, 1, 24, 6), LOADED_AT]
        assert connection.execute(
            "select typeof(created_at), typeof(order_cost) from raw.orders limit 1"
        ).fetchone() == (
            "TIMESTAMP",
            "DECIMAL(18,2)",
        )


def test_files_of_other_systems_load_without_counted_at(csv_folder: Path, tmp_path: Path) -> None:
    path = csv_folder / "products.csv"
    path.write_text("\n".join(line.rsplit(",", 1)[0] for line in path.read_text().splitlines()) + "\n")
    _, remarks = load_folder(csv_folder, tmp_path / "shop.duckdb", LOADED_AT)
    assert remarks == ["products.csv has no counted_at: the time of loading is taken"]


def test_a_load_that_fails_leaves_the_tables_as_they_were(csv_folder: Path, tmp_path: Path) -> None:
    load_folder(csv_folder, tmp_path / "shop.duckdb", LOADED_AT)
    events = csv_folder / "events.csv"
    events.write_text(events.read_text().replace("2021-02-09T23:55:08Z", "yesterday"))
    with pytest.raises(GreeneryError, match="wrong type"):
        load_folder(csv_folder, tmp_path / "shop.duckdb", datetime(2026, 2, 1))
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as connection:
        assert connection.execute("select distinct _loaded_at from raw.users").fetchall() == [(LOADED_AT,)]


def test_bad_rows_are_duplicates_and_orphans() -> None:
    good, bad = week_tables(2, date(2023, 5, 8)), week_tables(2, date(2023, 5, 8), bad_rows=list(BadRows))
    assert len(bad["orders"]) - len(good["orders"]) == 5
    products = {row["product_id"] for row in bad["products"]}
    assert sum(row["product_id"] not in products for row in bad["order_items"]) == 3
