"""Stock of products, from the counts that were observed."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from support.generated import Project


class Count(NamedTuple):
    """One count that differs from the one before it; days left at the mean of the last three decreases a day."""

    inventory: int
    prior: int | None
    mean_daily_fall: float | None
    days_left: float | None


def counts(project: Project, begin: datetime) -> dict[tuple[str, datetime], Count]:
    """fct_stock_counts and fct_stock_forecasts, by product and time of the count."""
    found: dict[tuple[str, datetime], Count] = {}
    for product in {product for held in project.stock.values() for product in held}:
        prior: int | None = None
        prior_at = begin
        falls: list[float] = []
        for day, held in project.stock.items():
            at, inventory = begin + timedelta(days=day), held[product]
            if inventory == prior:
                continue
            if prior is not None and inventory < prior:
                falls.append((prior - inventory) / ((at - prior_at) / timedelta(days=1)))
            mean = sum(falls[-3:]) / len(falls[-3:]) if falls else None
            left = 0.0 if inventory <= 0 else inventory / mean if mean else None
            found[product, at] = Count(inventory, prior, mean, left)
            prior, prior_at = inventory, at
    return found


def products(project: Project, begin: datetime) -> dict[str, tuple[int, datetime | None]]:
    """dim_product_stock: the newest count, and since when the product is out of stock."""
    found: dict[str, tuple[int, datetime | None]] = {}
    for (product, at), count in sorted(counts(project, begin).items()):
        found[product] = (count.inventory, at if count.inventory <= 0 else None)
    return found


def observations(project: Project, begin: datetime) -> dict[datetime, bool]:
    """fct_observations: when the table was observed, and which time is the newest."""
    return {begin + timedelta(days=day): day == max(project.stock) for day in project.stock}
