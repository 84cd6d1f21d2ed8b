"""The published facts of the shop that the generated data reproduces exactly."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal


@dataclass(frozen=True)
class Product:
    """One product with its counts of distinct sessions and its units sold.

    Attributes:
        name: Name of the plant.
        product_id: Key of the product.
        price: US dollars.
        week1_inventory: Units in stock at the first weekly count.
        viewed: Distinct sessions with a page view of it.
        carted: Distinct sessions that put it in the cart.
        ordered: Distinct sessions, and so orders, that bought it.
        units: Units over all its orders.
    """

    name: str
    product_id: str
    price: Decimal
    week1_inventory: int
    viewed: int
    carted: int
    ordered: int
    units: int


PRODUCTS = (
    Product("String of pearls", "fb0e8be7-5ac4-4a76-a1fa-2cc4bf0b2d80", Decimal("80.50"), 58, 64, 44, 39, 107),
    Product("Arrow Head", "74aeb414-e3dd-4e8a-beef-0fa45225214d", Decimal("30.95"), 100, 63, 39, 35, 87),
    Product("Cactus", "c17e63f7-0d28-4a95-8248-b01ea354840e", Decimal("15.00"), 81, 55, 32, 30, 63),
    Product("ZZ Plant", "b66a7143-c18a-43bb-b5dc-06bb5d1d3160", Decimal("25.00"), 89, 63, 35, 34, 86),
    Product("Bamboo", "689fb64e-a4a2-45c5-b9f2-480c2155624d", Decimal("15.25"), 56, 67, 42, 36, 95),
    Product("Rubber Plant", "579f4cd0-1f45-49d2-af55-9ab2b72c3b35", Decimal("20.50"), 92, 54, 32, 28, 73),
    Product("Monstera", "be49171b-9f72-4fc9-bf7a-9a52e259836b", Decimal("50.75"), 77, 49, 26, 25, 61),
    Product("Calathea Makoyana", "b86ae24b-6f59-47e8-8adc-b17d88cbd367", Decimal("40.25"), 94, 53, 32, 27, 72),
    Product("Fiddle Leaf Fig", "e706ab70-b396-4d30-a6b2-a1ccf3625b52", Decimal("85.50"), 82, 56, 30, 28, 69),
    Product("Majesty Palm", "5ceddd13-cf00-481f-9285-8340ab95d06d", Decimal("70.00"), 74, 67, 38, 33, 83),
    Product("Aloe Vera", "615695d3-8ffd-4850-bcf7-944cf6d3685b", Decimal("15.00"), 47, 65, 36, 32, 79),
    Product("Devil's Ivy", "35550082-a52d-4301-8f06-05b30f6f3616", Decimal("15.25"), 88, 45, 24, 22, 62),
    Product("Philodendron", "55c6a062-5f4a-4a8b-a8e5-05ea5e6715a3", Decimal("45.00"), 51, 62, 32, 30, 86),
    Product("Jade Plant", "a88a23ef-679c-4743-b151-dc7722040d8c", Decimal("15.00"), 94, 46, 24, 22, 63),
    Product("Pilea Peperomioides", "5b50b820-1d0a-4231-9422-75e7f6b0cecf", Decimal("20.50"), 85, 59, 31, 28, 63),
    Product("Spider Plant", "64d39754-03e4-4fa0-b1ea-5f4293315f67", Decimal("15.00"), 67, 59, 30, 28, 78),
    Product("Dragon Tree", "37e0062f-bd15-4c3e-b272-558a86d90598", Decimal("50.25"), 73, 62, 34, 29, 73),
    Product("Money Tree", "d3e228db-8ca5-42ad-bb0a-2148e876cc59", Decimal("30.50"), 59, 56, 26, 26, 67),
    Product("Orchid", "c7050c3b-a898-424d-8d98-ab0aaad7bef4", Decimal("50.75"), 58, 75, 37, 34, 86),
    Product("Bird of Paradise", "05df0866-1a66-41d8-9ed7-e2bbcddd6a3d", Decimal("65.00"), 97, 60, 33, 27, 71),
    Product("Ficus", "843b6553-dc6a-4fc4-bceb-02cd39af0168", Decimal("20.25"), 44, 68, 35, 29, 69),
    Product("Birds Nest Fern", "bb19d194-e1bd-4358-819e-cd1f1b401c0c", Decimal("15.50"), 49, 78, 40, 33, 80),
    Product("Pink Anthurium", "80eda933-749d-4fc6-91d5-613d29eb126f", Decimal("60.95"), 95, 74, 37, 31, 70),
    Product("Boston Fern", "e2e78dfc-f25c-4fec-a002-8e280d61a2f2", Decimal("20.00"), 77, 63, 34, 26, 62),
    Product("Alocasia Polly", "6f3a3072-a24d-4d11-9cef-25b0b5f8a4af", Decimal("95.00"), 83, 51, 27, 21, 53),
    Product("Peace Lily", "e5ee99b6-519f-4218-8b41-62f48f59f700", Decimal("60.50"), 99, 66, 35, 27, 53),
    Product("Ponytail Palm", "e18f33a6-b89a-4fbc-82ad-ccba5bb261cc", Decimal("80.75"), 93, 70, 30, 28, 75),
    Product("Snake Plant", "e8b6528e-a830-4d03-a027-473b411c7f02", Decimal("25.50"), 48, 73, 34, 29, 75),
    Product("Angel Wings Begonia", "58b575f2-2192-4a53-9d21-df9a0c14fc25", Decimal("95.00"), 65, 61, 32, 24, 49),
    Product("Pothos", "4cda01b9-62e2-46c5-830f-b7f262a58fb1", Decimal("30.50"), 40, 61, 24, 21, 55),
)

# Units in stock in weeks 1 to 4. The other products never change.
WEEKLY_INVENTORY = {
    "String of pearls": (58, 10, 0, 10),
    "Pothos": (40, 20, 0, 20),
    "Philodendron": (51, 25, 15, 30),
    "ZZ Plant": (89, 89, 53, 41),
    "Monstera": (77, 64, 50, 31),
    "Bamboo": (56, 56, 44, 23),
}
WEEKS = 4

# promo_id, discount in US dollars, status
PROMOS = (
    ("task-force", 2, "inactive"),
    ("instruction set", 13, "inactive"),
    ("leverage", 10, "active"),
    ("Optional", 17, "inactive"),
    ("Mandatory", 20, "inactive"),
    ("Digitized", 11, "inactive"),
)

USERS = 130
ADDRESSES = 150
# The number of users who placed exactly n orders, by n. The other users have no session either.
USERS_BY_ORDERS = {1: 25, 2: 28, 3: 34, 4: 20, 5: 10, 6: 2, 7: 4, 8: 1}
SHIPPING_SERVICES = {"ups": 169, "fedex": 96, "usps": 60, "dhl": 10}
DELIVERED_ORDERS = 305
DELIVERY_DAYS = 1187  # summed over the delivered orders: 3.89 days on average
PROMO_ORDERS = 40
REPEATED_PAGE_VIEWS = 26
REPEATED_CART_ADDS = 1

# The events fall on four days of one ISO week.
FIRST_DAY = date(2021, 2, 9)
FIRST_EVENT = datetime(2021, 2, 9, 23, 55, 8)
FIRST_ORDER = datetime(2021, 2, 10, 0, 0, 5)
LAST_ORDER = datetime(2021, 2, 11, 23, 55, 36)
LAST_EVENT = datetime(2021, 2, 12, 8, 55, 36)
# Sessions that browse on both sides of a full hour: makes 947 pairs of session and hour, 16.33 an hour.
HOUR_STRADDLING_SESSIONS = 34

# The shop counts its stock at this time of day (UTC). Week 3 of the published data is 2023-05-01.
COUNTED_TIME = time(1, 1, 20, 448000)


def counted_at(week: int, as_of: date | None = None) -> datetime:
    """The moment of a week's stock count: naive UTC.

    Args:
        week: 1 to 4.
        as_of: The day of week 4's count; by default the latest day whose count time has passed.
            ``date(2023, 5, 8)`` reproduces the published week 3.
    """
    if as_of is None:
        now = datetime.now(timezone.utc).replace(tzinfo=None)
        as_of = now.date() if now.time() >= COUNTED_TIME else now.date() - timedelta(days=1)
    return datetime.combine(as_of, COUNTED_TIME) - timedelta(days=7 * (WEEKS - week))
