"""The generator: seven CSV files for one week of the shop, the same for the same arguments."""

from __future__ import annotations

import csv
import random
import uuid
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any

from offdag.greenery import facts, raw
from offdag.greenery.sessions import Session, build_sessions, clicks

Row = dict[str, Any]
Tables = dict[str, list[Row]]

_FIRST_NAMES = [
    "Ada",
    "Ben",
    "Cleo",
    "Dan",
    "Eva",
    "Finn",
    "Gia",
    "Hugo",
    "Ida",
    "Jon",
    "Kim",
    "Leo",
    "Mia",
    "Ned",
    "Ola",
    "Pia",
    "Quin",
    "Rae",
    "Sam",
    "Tia",
    "Uma",
    "Vic",
    "Wes",
    "Xia",
    "Yan",
    "Zoe",
]
_LAST_NAMES = [
    "Ash",
    "Birch",
    "Cedar",
    "Dale",
    "Elm",
    "Fern",
    "Grove",
    "Hazel",
    "Ivy",
    "Juniper",
    "Lake",
    "Moss",
    "Nettle",
    "Oak",
    "Pine",
    "Reed",
    "Sage",
    "Thorn",
    "Vine",
    "Wood",
]
_STREETS = ["Acorn", "Bramble", "Clover", "Dogwood", "Elder", "Foxglove", "Heather", "Laurel", "Maple", "Willow"]
_STATES = ["California", "Texas", "Florida", "Ohio", "Georgia", "Utah", "Oregon", "Nevada", "Kansas", "Maine"]
_SITE = "https://greenary.com"  # the published spelling


class BadRows(Enum):
    """Faults that a load can be asked to carry."""

    DUPLICATES = "duplicates"
    ORPHANS = "orphans"


def week_tables(
    week: int, as_of: date | None = None, scale: int = 1, seed: int = 1, bad_rows: Iterable[BadRows] = ()
) -> Tables:
    """The raw tables after one week's inventory count.

    Args:
        week: 1 to 4; only the inventory differs between weeks.
        as_of: The day of week 4's count, see :func:`facts.counted_at`.
        scale: How many copies of the shop's customers and their doings; products and promos stay.
        seed: Chooses everything that the published facts leave open.
        bad_rows: Faults to add.
    """
    tables: Tables = {table: [] for table in raw.TABLES}
    tables["products"] = _products(week, as_of)
    tables["promos"] = [
        {"promo_id": promo_id, "discount": discount, "status": status} for promo_id, discount, status in facts.PROMOS
    ]
    for copy in range(scale):
        for table, rows in _customers(random.Random(f"{seed}/{copy}")).items():
            tables[table] += rows
    tables["events"].sort(key=lambda event: (event["created_at"], event["event_id"]))
    faults = set(bad_rows)
    if BadRows.DUPLICATES in faults:
        tables["orders"] += tables["orders"][:5]
    if BadRows.ORPHANS in faults:
        orphan = str(uuid.UUID(int=0))
        tables["order_items"] += [
            {"order_id": order["order_id"], "product_id": orphan, "quantity": 1} for order in tables["orders"][:3]
        ]
    return tables


def write_week(tables: Tables, folder: Path) -> dict[str, int]:
    """Write one CSV file per table; returns the number of rows by table."""
    folder.mkdir(parents=True, exist_ok=True)
    for table, rows in tables.items():
        with (folder / f"{table}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, raw.TABLES[table], lineterminator="\n")
            writer.writeheader()
            writer.writerows({column: _text(value) for column, value in row.items()} for row in rows)
    return {table: len(rows) for table, rows in tables.items()}


def _text(value: Any) -> Any:
    if isinstance(value, datetime):
        precision = "milliseconds" if value.microsecond else "seconds"
        return value.isoformat(timespec=precision) + "Z"
    return value


def _products(week: int, as_of: date | None) -> list[Row]:
    counted_at = facts.counted_at(week, as_of)
    return [
        {
            "product_id": product.product_id,
            "name": product.name,
            "price": product.price,
            "inventory": facts.WEEKLY_INVENTORY.get(product.name, (product.week1_inventory,) * facts.WEEKS)[week - 1],
            "counted_at": counted_at,
        }
        for product in facts.PRODUCTS
    ]


def _customers(rng: random.Random) -> Tables:
    addresses = [_address(rng) for _ in range(facts.ADDRESSES)]
    users = [_user(rng, addresses[i]["address_id"]) for i in range(facts.USERS)]
    sessions = build_sessions(rng)
    repeats = _repeats(sessions, rng)
    owners = _owners(sessions, users, rng)
    delivery_days = _delivery_days(sum(s.shipping_hour is not None for s in sessions), rng)
    services = [name for name, count in facts.SHIPPING_SERVICES.items() for _ in range(count)]
    rng.shuffle(services)
    orders: list[Row] = []
    items: list[Row] = []
    events: list[Row] = []
    for session, user, session_repeats in zip(sessions, owners, repeats, strict=True):
        session_id = _uuid(rng)
        order_id = _uuid(rng) if session.kind.has_order else None
        for click in clicks(session, session_repeats, rng):
            product_id = None if click.product is None else facts.PRODUCTS[click.product].product_id
            if click.event_type == "checkout":
                items += [
                    {"order_id": order_id, "product_id": facts.PRODUCTS[product].product_id, "quantity": 1}
                    for product in session.ordered
                ]
                orders.append(
                    {
                        "order_id": order_id,
                        "user_id": user["user_id"],
                        "promo_id": None,
                        "address_id": user["address_id"],
                        "created_at": click.created_at,
                        **(
                            _shipping(click.created_at, services.pop(), delivery_days.pop(), rng)
                            if session.shipping_hour is not None
                            else {"status": "preparing"}
                        ),
                    }
                )
            events.append(
                {
                    "event_id": _uuid(rng),
                    "session_id": session_id,
                    "user_id": user["user_id"],
                    "page_url": _page_url(click.event_type, product_id, order_id),
                    "created_at": click.created_at,
                    "event_type": click.event_type,
                    "order_id": None if product_id else order_id,
                    "product_id": product_id,
                }
            )
    _set_quantities(items, rng)
    _set_prices(orders, items, rng)
    return {"users": users, "addresses": addresses, "orders": orders, "order_items": items, "events": events}


def _uuid(rng: random.Random) -> str:
    return str(uuid.UUID(int=rng.getrandbits(128), version=4))


def _address(rng: random.Random) -> Row:
    return {
        "address_id": _uuid(rng),
        "address": f"{rng.randint(1, 999)} {rng.choice(_STREETS)} Street",
        "zipcode": rng.randint(10000, 99999),
        "state": rng.choice(_STATES),
        "country": "United States",
    }


def _user(rng: random.Random, address_id: str) -> Row:
    first, last = rng.choice(_FIRST_NAMES), rng.choice(_LAST_NAMES)
    created_at = datetime(2020, 1, 1) + timedelta(seconds=rng.randrange(360 * 86400))
    return {
        "user_id": _uuid(rng),
        "first_name": first,
        "last_name": last,
        "email": f"{first}.{last}.{rng.randrange(10**6):06d}@example.com".lower(),
        "phone_number": f"555-{rng.randrange(1000):03d}-{rng.randrange(10000):04d}",
        "created_at": created_at,
        "updated_at": created_at + timedelta(seconds=rng.randrange(30 * 86400)),
        "address_id": address_id,
    }


def _owners(sessions: list[Session], users: list[Row], rng: random.Random) -> list[Row]:
    """A user for each session, so that the published number of users placed n orders."""
    order_counts = [n for n, count in facts.USERS_BY_ORDERS.items() for _ in range(count)]
    shoppers = rng.sample(users, len(order_counts))
    with_order = [user for user, n in zip(shoppers, order_counts, strict=True) for _ in range(n)]
    rng.shuffle(with_order)
    return [with_order.pop() if session.kind.has_order else rng.choice(shoppers) for session in sessions]


def _repeats(sessions: list[Session], rng: random.Random) -> list[list[tuple[str, int]]]:
    """By session, the views and cart adds that happen once more for the same product."""
    repeats: list[list[tuple[str, int]]] = [[] for _ in sessions]
    pairs = [(i, product) for i, session in enumerate(sessions) for product in session.viewed]
    for i, product in rng.sample(pairs, facts.REPEATED_PAGE_VIEWS):
        repeats[i].append(("page_view", product))
    pairs = [(i, product) for i, session in enumerate(sessions) for product in session.carted]
    for i, product in rng.sample(pairs, facts.REPEATED_CART_ADDS):
        repeats[i].append(("add_to_cart", product))
    return repeats


def _page_url(event_type: str, product_id: str | None, order_id: str | None) -> str:
    page = {"checkout": "checkout", "package_shipped": "shipping"}.get(event_type, "product")
    return f"{_SITE}/{page}/{product_id or order_id}"


def _delivery_days(shipped: int, rng: random.Random) -> list[int | None]:
    """Days from order to delivery for each shipped order; None while it is on its way."""
    days: list[int | None] = [None] * (shipped - facts.DELIVERED_ORDERS)
    delivered = [1] * facts.DELIVERED_ORDERS
    for _ in range(facts.DELIVERY_DAYS - facts.DELIVERED_ORDERS):
        delivered[rng.randrange(len(delivered))] += 1
    days += delivered
    rng.shuffle(days)
    return days


def _shipping(created_at: datetime, service: str, days: int | None, rng: random.Random) -> Row:
    return {
        "tracking_id": _uuid(rng),
        "shipping_service": service,
        "estimated_delivery_at": created_at + timedelta(days=rng.randint(2, 8)),
        "delivered_at": None if days is None else created_at + timedelta(days=days),
        "status": "shipped" if days is None else "delivered",
    }


def _set_quantities(items: list[Row], rng: random.Random) -> None:
    """Raise quantities from one until each product's published units are sold."""
    lines: dict[str, list[Row]] = {}
    for item in items:
        lines.setdefault(item["product_id"], []).append(item)
    for product in facts.PRODUCTS:
        product_lines = lines[product.product_id]
        for _ in range(product.units - len(product_lines)):
            rng.choice(product_lines)["quantity"] += 1


def _set_prices(orders: list[Row], items: list[Row], rng: random.Random) -> None:
    prices = {product.product_id: product.price for product in facts.PRODUCTS}
    costs: dict[str, Decimal] = {}
    for item in items:
        costs[item["order_id"]] = (
            costs.get(item["order_id"], Decimal(0)) + item["quantity"] * prices[item["product_id"]]
        )
    discounts = {promo_id: Decimal(discount) for promo_id, discount, _ in facts.PROMOS}
    # A promo never exceeds what it is taken off.
    dear = [order["order_id"] for order in orders if costs[order["order_id"]] > max(discounts.values())]
    promos = {order_id: rng.choice(list(discounts)) for order_id in rng.sample(dear, facts.PROMO_ORDERS)}
    for order in orders:
        promo_id = promos.get(order["order_id"])
        order["promo_id"] = promo_id
        order["order_cost"] = costs[order["order_id"]]
        order["shipping_cost"] = Decimal(rng.randint(200, 999)) / 100
        order["order_total"] = order["order_cost"] + order["shipping_cost"] - discounts.get(promo_id or "", Decimal(0))
