"""Due notifications, for messages and deliveries."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import msgspec

from offdag.monitor.rows import DueNotification

_DUE: dict[str, Any] = {
    "notification_id": "n1",
    "sink": "slack",
    "channel": "#data-alerts",
    "mention": None,
    "event": "opened",
    "is_first_report": False,
    "signal_key": "k1",
    "kind": "test_failed",
    "project": "shop",
    "environment": "prod",
    "severity": "error",
    "title": "test unique on orders.id fails",
    "detail": "5 rows fail",
    "node_id": "test.shop.unique_orders_id",
    "owner": "@data",
    "evidence": json.dumps({"path": "models/orders.sql", "skipped_models": 6, "exposures": "weekly_funnel"}),
    "closed_reason": None,
    "started_at": datetime(2026, 1, 31, 6),
    "last_bad_at": datetime(2026, 1, 31, 6),
    "ended_at": None,
    "bad_count": 1,
    "compiled_path": "target/compiled/shop/models/orders.yml/unique_orders_id.sql",
    "git_sha": None,
    "prior_git_sha": None,
    "ci_url": None,
    "last_success_git_sha": None,
    "change_count": None,
    "changes": None,
    "storm_cause": None,
    "opened_message_channel": None,
    "opened_message_ts": None,
}


def due(**more: Any) -> DueNotification:
    """A row of fct_notifications_due: a failed test, but for what is given."""
    return msgspec.convert({**_DUE, **more}, DueNotification)
