"""The forms in which dbt versions write instants, to naive UTC."""

from __future__ import annotations

import re
from datetime import datetime, timezone

_INSTANT = re.compile(r"^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.(\d+))?\s*(Z|UTC|[+-]\d\d(?::?\d\d)?)?$")

_DBT_LENGTH = len("2026-01-31T06:00:00.123456Z")


def parse_instant(text: object) -> datetime | None:
    """Naive UTC of an ISO instant; None for anything else.

    dbt writes microseconds with Z, ``+00:00`` for freshness, and nanoseconds from 2.0 on (cut to microseconds); exports of
    warehouses have ``UTC`` and ``+00`` too.
    """
    if isinstance(text, str) and len(text) == _DBT_LENGTH and text[-1] == "Z":
        # Nearly all instants have this form, and this is the fastest way to read it.
        try:
            return datetime.fromisoformat(text[:-1])
        except ValueError:
            return None
    match = _INSTANT.match(text.strip()) if isinstance(text, str) else None
    if match is None:
        return None
    day, clock, fraction, zone = match.groups()
    offset = "+00:00" if zone in (None, "Z", "UTC") else zone if ":" in zone else f"{zone[:3]}:{zone[3:] or '00'}"
    try:
        instant = datetime.fromisoformat(f"{day}T{clock}.{(fraction or '0')[:6]:0<6}{offset}")
        return instant.astimezone(timezone.utc).replace(tzinfo=None)
    except (ValueError, OverflowError):
        return None
