from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest
from slack_sdk.models.blocks import Block

from offdag.notify.formats import block_kit, escape, plain_text
from offdag.notify.message import MOST_PROBLEMS, build_message
from support import golden


def due(**more: Any) -> dict[str, Any]:
    """A row of fct_notifications_due."""
    return {
        "notification_id": "n1",
        "sink": "slack",
        "channel": "#data-alerts",
        "mention": None,
        "event": "opened",
        "is_first_look": False,
        "incident_id": "i1",
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
        "opened_message_channel": None,
        "opened_message_ts": None,
        **more,
    }


def test_the_state_comes_first_and_empty_facts_are_dropped() -> None:
    text = plain_text(build_message([due(owner=None, evidence="{}")]))
    assert text.splitlines()[1].strip().startswith("FAILED")
    assert "None" not in text
    assert "Owner" not in text


def test_the_worst_comes_first_and_what_ended_last() -> None:
    rows = [
        due(notification_id="a", title="ended", event="resolved", ended_at=datetime(2026, 1, 31, 8, 5)),
        due(notification_id="b", title="late", severity="warning", kind="source_stale"),
        due(notification_id="c", title="broken"),
    ]
    problems = build_message(rows).problems
    assert [p.title for p in problems] == ["broken", "late", "ended: over after 2 hours 5 minutes"]
    assert problems[0].mention is None


def test_closed_never_says_mended() -> None:
    row = due(event="closed", closed_reason="removed", ended_at=datetime(2026, 2, 1))
    text = plain_text(build_message([row]))
    assert "no longer checked, since it was removed" in text
    assert "RESOLVED" not in text
    assert "over after" not in text


def test_the_first_look_is_said_to_be_one() -> None:
    assert build_message([due(is_first_look=True)]).heading.startswith("First look: FAILED in shop (prod)")


def test_many_problems_are_cut_visibly_and_fit_slacks_limits() -> None:
    rows = [due(notification_id=str(i), title=f"test {i} fails" + "x" * 100, detail="y" * 4000) for i in range(200)]
    message = build_message(rows)
    assert (len(message.problems), message.hidden_count) == (MOST_PROBLEMS, 200 - MOST_PROBLEMS)
    payload = block_kit(message)
    assert len(payload["blocks"]) <= 50
    assert "and 180 more: offdag incidents" in json.dumps(payload)
    for block in Block.parse_all(payload["blocks"]):
        block.validate_json()


MISSING_RUN: dict[str, Any] = {
    "kind": "run_missing",
    "is_first_look": True,
    "title": "a build is missing",
    "evidence": "{}",
}
HOSTILE = '<!channel> & <@U1> <https://evil.example|click> *bold* "\u202e \x1b[31m'


def test_hostile_text_can_neither_mention_nor_link() -> None:
    row = due(
        title=HOSTILE,
        detail=HOSTILE,
        owner=HOSTILE,
        project=HOSTILE,
        evidence=json.dumps({"path": HOSTILE, "exposures": HOSTILE}),
    )
    payload = block_kit(build_message([row]))
    for block in payload["blocks"]:
        for text in [block["text"]] if "text" in block else block["elements"]:
            # Plain text shows everything as it is; mrkdwn must not hold what Slack reads.
            if text["type"] == "mrkdwn":
                assert not set("<>`~") & set(text["text"])
                assert text["text"].count("*") == 2
                assert text["verbatim"] is True
    assert "<" not in payload["text"]
    assert payload["blocks"][0]["text"]["type"] == "plain_text"
    assert "\x1b" not in plain_text(build_message([row]))


def test_a_cut_never_splits_an_escaped_character() -> None:
    row = due(title="&" * 3000)
    [section] = [b for b in block_kit(build_message([row]))["blocks"] if b["type"] == "section"]
    text = section["text"]["text"]
    assert len(text) <= 3000
    assert text.replace("&amp;", "").count("&") == 0


def test_mentions_come_from_the_route_alone() -> None:
    assert "<@U123>" in json.dumps(block_kit(build_message([due(mention="U123")])))
    assert "<!subteam^S123>" in json.dumps(block_kit(build_message([due(mention="S123")])))
    resolved = due(mention="U123", event="resolved", ended_at=datetime(2026, 1, 31, 7))
    assert "U123" not in json.dumps(block_kit(build_message([resolved])))


def test_escape() -> None:
    assert escape("a < b & c > d") == "a &lt; b &amp; c &gt; d"


@pytest.mark.golden
@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("one_test_failed", [due()]),
        ("hostile_text", [due(title=HOSTILE, detail=HOSTILE)]),
        ("storm_is_cut", [due(notification_id=str(i), signal_key=str(i), title=f"test {i:02d} fails") for i in range(25)]),
        ("reminder_with_mention", [due(event="reminder", mention="U1", bad_count=7)]),
        ("closed_replaced", [due(event="closed", closed_reason="replaced", ended_at=datetime(2026, 2, 1))]),
        ("first_look", [due(is_first_look=True), due(notification_id="n2", **MISSING_RUN)]),
    ],
)  # fmt: skip
def test_payloads(name: str, rows: list[dict[str, Any]]) -> None:
    golden.check(f"slack/{name}.json", block_kit(build_message(rows)))
