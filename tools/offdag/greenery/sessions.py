"""Who viewed, put into the cart and ordered what, and when: the shop's sessions, solved from its published totals."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum

from offdag.greenery import facts


class Kind(Enum):
    """How far a session goes."""

    VIEW = "only views"
    CART = "fills a cart"
    CHECKOUT = "orders, not shipped yet"
    SHIPPED = "orders and is shipped"

    @property
    def has_order(self) -> bool:
        return self in (Kind.CHECKOUT, Kind.SHIPPED)


# Sessions by the day on which they begin (0 is 2021-02-09) and by kind. The sums are the published 578 sessions:
# 111 view, 106 cart, 26 order, 335 are shipped. Per day they make 2 + 177 + 442 + 46 active sessions.
_SESSIONS_BY_DAY: Mapping[int, Mapping[Kind, int]] = {
    0: {Kind.SHIPPED: 2},
    1: {Kind.SHIPPED: 101, Kind.CHECKOUT: 8, Kind.CART: 32, Kind.VIEW: 34},
    2: {Kind.SHIPPED: 232, Kind.CHECKOUT: 18, Kind.CART: 74, Kind.VIEW: 77},
}
# Of the shipped ones, those whose parcel leaves on the day after.
_SHIPPED_NEXT_DAY = {1: 41, 2: 46}
_LONGEST_PACKING_HOURS = 9


@dataclass
class Session:
    """One visit, with the products it touched.

    Attributes:
        kind: How far it goes.
        hour: Hours since the first day's midnight in which browsing ends, and the order is placed.
        shipping_hour: The same for the parcel; None where nothing is shipped.
        straddles: Browsing begins in the hour before.
        ordered: Indexes of ordered products.
        carted: Indexes of products that were put into the cart.
        viewed: Indexes of viewed products.
        begins_at: Where given, the instant of the first event.
        ends_at: Where given, the instant of the order.
        ships_at: Where given, the instant at which the parcel leaves.
    """

    kind: Kind
    hour: int
    shipping_hour: int | None = None
    straddles: bool = False
    ordered: list[int] = field(default_factory=list)
    carted: list[int] = field(default_factory=list)
    viewed: list[int] = field(default_factory=list)
    begins_at: datetime | None = None
    ends_at: datetime | None = None
    ships_at: datetime | None = None


@dataclass(frozen=True)
class Click:
    """One event.

    Attributes:
        event_type: Such as page_view.
        created_at: Naive UTC.
        product: Index into facts.PRODUCTS; None for checkout and package_shipped.
    """

    event_type: str
    created_at: datetime
    product: int | None


def build_sessions(rng: random.Random) -> list[Session]:
    """All 578 sessions with their hours and products; the first and the last one are the published extremes."""
    sessions = _schedule(rng)
    _fill_with_products(sessions, rng)
    inner = [s for s in sessions[1:-1] if s.hour > 24 and s.hour % 24 > 0 and len(s.viewed) > 2]
    early = [s for s in sessions if s.hour == 24 and s.straddles]
    for session in rng.sample(inner, facts.HOUR_STRADDLING_SESSIONS - len(early)):
        session.straddles = True
    return sessions


def clicks(session: Session, repeats: Sequence[tuple[str, int]], rng: random.Random) -> list[Click]:
    """The events of one session in order of time.

    Args:
        session: The session.
        repeats: (event_type, product) pairs that happen once more than needed.
        rng: The source of the seconds.
    """
    steps: list[tuple[str, int | None]] = []
    for product in rng.sample(session.viewed, len(session.viewed)):
        for event_type, products in (("page_view", session.viewed), ("add_to_cart", session.carted)):
            if product in products:
                steps += [(event_type, product)] * (1 + repeats.count((event_type, product)))
    if session.kind.has_order:
        steps.append(("checkout", None))
    out = [
        Click(kind, at, product)
        for (kind, product), at in zip(steps, _browsing_times(session, len(steps), rng), strict=True)
    ]
    if session.shipping_hour is not None:
        out.append(Click("package_shipped", _shipping_time(session, out[-1].created_at, rng), None))
    return out


def _schedule(rng: random.Random) -> list[Session]:
    """Give each session its hours, so that every hour of the span sees a session and every hour of 48 an order."""
    sessions: list[Session] = []
    for day, counts in _SESSIONS_BY_DAY.items():
        if day == 0:
            # Both begin just before midnight and order just after it.
            sessions += [
                Session(Kind.SHIPPED, 24, 24 + rng.randint(1, 8), straddles=True) for _ in range(counts[Kind.SHIPPED])
            ]
            continue
        midnight = 24 * day
        next_day = _SHIPPED_NEXT_DAY[day]
        for i in range(counts[Kind.SHIPPED] - next_day):
            hour = i % 23 if i < 46 else rng.randrange(23)
            shipping = rng.randint(hour + 1, min(hour + _LONGEST_PACKING_HOURS, 23))
            sessions.append(Session(Kind.SHIPPED, midnight + hour, midnight + shipping))
        for kind in (Kind.CHECKOUT, Kind.CART, Kind.VIEW):
            sessions += [Session(kind, midnight + rng.randrange(24)) for _ in range(counts[kind])]
        for i in reversed(range(next_day)):
            shipping = i % _LONGEST_PACKING_HOURS
            hour = rng.randint(24 - _LONGEST_PACKING_HOURS + shipping, 23)
            sessions.append(Session(Kind.SHIPPED, midnight + hour, midnight + 24 + shipping))
    # The published last order leaves in the last hour of all: put such a session last.
    last = next(s for s in sessions if s.shipping_hour == 3 * 24 + _LONGEST_PACKING_HOURS - 1)
    sessions.remove(last)
    first = sessions[0]
    first.begins_at, first.ends_at = facts.FIRST_EVENT, facts.FIRST_ORDER
    last.ends_at, last.ships_at = facts.LAST_ORDER, facts.LAST_EVENT
    return [*sessions, last]


def _fill_with_products(sessions: list[Session], rng: random.Random) -> None:
    """Distribute products so that each one's published counts of distinct sessions come out."""
    ordering = [s for s in sessions if s.kind.has_order]
    carting = [s for s in sessions if s.kind is Kind.CART]
    products = facts.PRODUCTS
    sizes = _sizes(len(ordering), sum(p.ordered for p in products), 1, 7, rng)
    for session, items in zip(ordering, _assign([p.ordered for p in products], sizes, rng), strict=True):
        session.ordered = sorted(items)
    sizes = _sizes(len(carting), sum(p.carted - p.ordered for p in products), 1, 2, rng)
    for session, items in zip(carting, _assign([p.carted - p.ordered for p in products], sizes, rng), strict=True):
        session.carted = sorted(items)
    for session in ordering:
        session.carted = list(session.ordered)
    view_sizes = {
        id(s): size
        for kind_sessions, size_of_all in _view_budget(sessions)
        for s, size in zip(
            kind_sessions,
            _sizes(len(kind_sessions), size_of_all, kind_sessions[0].kind is Kind.VIEW, 8, rng),
            strict=True,
        )
    }
    extra = _assign(
        [p.viewed - p.carted for p in products],
        [view_sizes[id(s)] for s in sessions],
        rng,
        taken=[set(s.carted) for s in sessions],
    )
    for session, items in zip(sessions, extra, strict=True):
        session.viewed = sorted({*session.carted, *items})


def _view_budget(sessions: list[Session]) -> list[tuple[list[Session], int]]:
    """Split the views that lead to no cart: three for a session that only views, the rest for all others."""
    looking = [s for s in sessions if s.kind is Kind.VIEW]
    others = [s for s in sessions if s.kind is not Kind.VIEW]
    total = sum(p.viewed - p.carted for p in facts.PRODUCTS)
    return [(looking, 3 * len(looking)), (others, total - 3 * len(looking))]


def _sizes(count: int, total: int, least: int, most: int, rng: random.Random) -> list[int]:
    """``count`` random sizes between ``least`` and ``most`` that sum to ``total``."""
    sizes = [least] * count
    open_places = list(range(count))
    for _ in range(total - least * count):
        i = rng.randrange(len(open_places))
        place = open_places[i]
        sizes[place] += 1
        if sizes[place] == most:
            open_places[i] = open_places[-1]
            open_places.pop()
    return sizes


def _assign(
    degrees: Sequence[int], sizes: Sequence[int], rng: random.Random, taken: Sequence[set[int]] | None = None
) -> list[set[int]]:
    """A random bipartite graph: product p is in ``degrees[p]`` baskets, basket b holds ``sizes[b]`` products.

    The greedy rule of Gale and Ryser (fill the emptiest baskets first) always finds one where one exists. Pairs in ``taken``
    are not used; where they leave a product without room, another product moves over to make some.
    """
    room = list(sizes)
    barred = taken or [set() for _ in sizes]
    baskets: list[set[int]] = [set() for _ in sizes]
    for product in sorted(range(len(degrees)), key=lambda p: (-degrees[p], p)):
        free = [b for b in range(len(sizes)) if room[b] > 0 and product not in barred[b]]
        rng.shuffle(free)
        free.sort(key=lambda b: -room[b])
        chosen = free[: degrees[product]]
        for b in chosen:
            baskets[b].add(product)
            room[b] -= 1
        for _ in range(degrees[product] - len(chosen)):
            _make_room(product, baskets, room, barred)
    return baskets


def _make_room(product: int, baskets: list[set[int]], room: list[int], barred: Sequence[set[int]]) -> None:
    """Put the product into a full basket, by moving one of that basket's products to a basket with room."""
    for full, basket in enumerate(baskets):
        if room[full] > 0 or product in basket | barred[full]:
            continue
        for spare in range(len(baskets)):
            movable = basket - baskets[spare] - barred[spare]
            if room[spare] > 0 and movable:
                moved = min(movable)
                basket.remove(moved)
                basket.add(product)
                baskets[spare].add(moved)
                room[spare] -= 1
                return
    raise ValueError(f"no place left for product {product}")


def _browsing_times(session: Session, count: int, rng: random.Random) -> list[datetime]:
    start = datetime.combine(facts.FIRST_DAY, datetime.min.time()) + timedelta(hours=session.hour)
    if session.straddles:
        # The two sessions of the first evening do nothing but order after midnight.
        before = count // 2 if session.hour > 24 else count - 1
        seconds = sorted(rng.sample(range(-170, 0), before)) + sorted(rng.sample(range(60, 600), count - before))
    else:
        end = rng.randint(1500, 3299)
        seconds = [*sorted(rng.sample(range(end - 1200, end), count - 1)), end]
    times = [start + timedelta(seconds=s) for s in seconds]
    if session.begins_at is not None:
        times[0] = session.begins_at
    if session.ends_at is not None:
        times[-1] = session.ends_at
    return times


def _shipping_time(session: Session, ordered_at: datetime, rng: random.Random) -> datetime:
    if session.ships_at is not None:
        return session.ships_at
    assert session.shipping_hour is not None, "only a session with a parcel has a shipping time"
    start = datetime.combine(facts.FIRST_DAY, datetime.min.time()) + timedelta(hours=session.shipping_hour)
    return max(start + timedelta(seconds=rng.randrange(3300)), ordered_at + timedelta(minutes=1))
