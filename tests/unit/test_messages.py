from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest
from msgspec.structs import replace
from slack_sdk.models.blocks import Block

from offdag.notify.formats import MOST_LINES, MOST_PROBLEMS, details, document, escape, lines, plain_text, whole
from offdag.notify.message import build_message
from sim.notifications import due
from support import golden


def test_the_state_comes_first_and_empty_facts_are_dropped() -> None:
    text = plain_text(build_message([due(owner=None, evidence="{}", compiled_path=None)]))
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
    assert [p.title for p in problems] == ["broken", "late", "ended: recovered after 2 hours 5 minutes"]
    assert problems[0].mention is None


def test_closed_never_reads_as_recovered() -> None:
    row = due(event="closed", closed_reason="removed", ended_at=datetime(2026, 2, 1))
    text = plain_text(build_message([row]))
    assert "no longer checked: it was removed" in text
    assert "RESOLVED" not in text
    assert "recovered" not in text


def test_the_first_report_of_a_project_is_marked() -> None:
    assert build_message([due(is_first_report=True)]).heading.startswith("First report: FAILED in shop (prod)")


def check_blocks(payload: dict[str, Any]) -> None:
    """By slack-sdk's own models."""
    assert 0 < len(payload["blocks"]) <= 50
    for block in Block.parse_all(payload["blocks"]):
        block.validate_json()


def test_two_hundred_problems_are_cut_visibly_and_are_all_in_the_thread() -> None:
    rows = [due(notification_id=str(i), title=f"test {i} fails" + "x" * 100, detail="y" * 4000) for i in range(200)]
    message = build_message(rows)
    first, parts = lines(message), details(message)
    for payload in (first, whole(message), *parts):
        check_blocks(payload)
    assert f"and {200 - MOST_LINES} more: in the thread" in json.dumps(first)
    assert f"and {200 - MOST_PROBLEMS} more: offdag incidents" in json.dumps(whole(message))
    assert len(parts) == 200 / MOST_PROBLEMS
    assert all(f"test {i} fails" in json.dumps(parts) for i in range(200))


def test_a_storm_is_one_problem_that_names_the_common_cause() -> None:
    rows = [
        due(
            notification_id=str(i),
            title=f"model m{i:03} failed",
            storm_cause="IO Error: no connection",
            owner=f"@{i % 2}",
        )
        for i in range(300)
    ]
    message = build_message([*rows, due(notification_id="own", title="test t fails")])
    assert message.heading == "301 FAILED in shop (prod)"
    [storm, own] = sorted(message.problems, key=lambda p: -len(p.signal_keys))
    assert (storm.title, storm.brief) == ("300 nodes fail for one reason", "IO Error: no connection")
    facts = dict(storm.facts)
    assert facts["Which"].startswith("model m000 failed, model m001 failed")
    assert facts["Which"].endswith("and 290 more")
    assert facts["Owner"] == "@0, @1"
    assert own.title == "test t fails"
    ended = [replace(row, event="resolved", ended_at=datetime(2026, 1, 31, 7)) for row in rows]
    assert build_message(ended).problems[0].title == "300 nodes failed for one reason: recovered"


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, None),
        ({"change_count": 0}, "no code, configuration or macro since its last success"),
        (
            {
                "change_count": 2,
                "changes": "its own code, macros of b",
                "git_sha": "b" * 40,
                "last_success_git_sha": "a" * 40,
            },
            "its own code, macros of b, since its last success (aaaaaaaa to bbbbbbbb)",
        ),
        (
            {"change_count": 1, "changes": "new node a", "git_sha": "b" * 40},
            "new node a, since its last success (bbbbbbbb)",
        ),
    ],
)
def test_what_changed_is_shown_where_it_is_known(more: dict[str, Any], expected: str | None) -> None:
    assert dict(build_message([due(**more)]).problems[0].facts).get("Changed") == expected


def test_details_do_not_mention_again() -> None:
    message = build_message([due(mention="U123")])
    assert "U123" in json.dumps(lines(message))
    assert "U123" not in json.dumps(details(message))


def test_the_document_has_the_content_of_the_message() -> None:
    content = document(build_message([due()]))
    assert content["problems"][0]["state"] == "FAILED"
    assert content["problems"][0]["facts"]["what"] == "5 rows fail"
    assert content["problems"][0]["signal_keys"] == ["k1"]


MISSING_RUN: dict[str, Any] = {
    "kind": "run_missing",
    "is_first_report": True,
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
    payload = whole(build_message([row]))
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
    [section] = [b for b in whole(build_message([row]))["blocks"] if b["type"] == "section"]
    text = section["text"]["text"]
    assert len(text) <= 3000
    assert text.replace("&amp;", "").count("&") == 0


def test_mentions_come_from_the_route_alone() -> None:
    assert "<@U123>" in json.dumps(whole(build_message([due(mention="U123")])))
    assert "<!here>" in json.dumps(whole(build_message([due(mention="@here")])))
    odd = json.dumps(whole(build_message([due(mention="!channel> <!everyone")])))
    assert "<!" not in odd
    assert "<!subteam^S123>" in json.dumps(whole(build_message([due(mention="S123")])))
    resolved = due(mention="U123", event="resolved", ended_at=datetime(2026, 1, 31, 7))
    assert "U123" not in json.dumps(whole(build_message([resolved])))


def test_escape() -> None:
    assert escape("a < b & c > d") == "a &lt; b &amp; c &gt; d"


STOCKOUT: dict[str, Any] = {
    "kind": "stockout",
    "title": "Pothos is out of stock",
    "detail": "20 at the count before, now 0",
    "node_id": None,
    "owner": None,
    "compiled_path": None,
    "evidence": json.dumps({"product_id": "p1", "inventory_count": 0, "prior_inventory_count": 20}),
}
CHANGED: dict[str, Any] = {
    "change_count": 2,
    "changes": "its own code, macros of stg_orders",
    "likely_cause": "the code of stg_orders changed",
    "seen_before_count": 3,
    "seen_since": datetime(2026, 1, 5),
    "last_recovery_seconds": 9000,
    "git_sha": "4f5e6a7b8c9d",
    "last_success_git_sha": "0a1b2c3d4e5f",
    "repository_url": "https://git.example/acme/shop",
    "ci_url": "https://ci.example/runs/7",
}
STORM: dict[str, Any] = {"kind": "node_failed", "storm_cause": "IO Error: no connection"}
DIGEST: dict[str, Any] = {
    "event": "digest",
    "kind": "weekly_digest",
    "project": "",
    "environment": "",
    "severity": "warning",
    "title": "week to 2026-01-12: 3 new, 1 still open, 2 recovered",
    "detail": None,
    "node_id": None,
    "owner": None,
    "compiled_path": None,
    "evidence": json.dumps(
        {
            "flaky": 1,
            "slow": 0,
            "owners": "@data: 3 new, 1 open, 2 recovered",
            "oldest_open": "model a failed",
            "cost": 12.5,
        }
    ),
}
OVER: dict[str, Any] = {"event": "resolved", "ended_at": datetime(2026, 1, 31, 8, 5)}


@pytest.mark.golden
@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("one_test_failed", [due()]),
        ("code_changed", [due(**CHANGED)]),
        ("hostile_text", [due(title=HOSTILE, detail=HOSTILE)]),
        ("many_are_cut", [due(notification_id=str(i), signal_key=str(i), title=f"test {i:02d} fails") for i in range(25)]),
        ("storm_of_one_cause", [due(**STORM, notification_id=str(i), title=f"model m{i:02d} failed") for i in range(40)]),
        ("stockout", [due(**STOCKOUT, mention="S1")]),
        ("reminder_with_mention", [due(event="reminder", mention="U1", bad_count=7)]),
        ("resolved", [due(**OVER)]),
        ("weekly_digest", [due(**DIGEST)]),
        ("closed_replaced", [due(event="closed", closed_reason="replaced", ended_at=datetime(2026, 2, 1))]),
        ("first_report", [due(is_first_report=True), due(notification_id="n2", **MISSING_RUN)]),
    ],
)  # fmt: skip
def test_payloads(name: str, rows: list[dict[str, Any]]) -> None:
    message = build_message(rows)
    forms = {"lines": lines(message), "details": details(message), "whole": whole(message)}
    for payload in (forms["lines"], forms["whole"], *forms["details"]):
        check_blocks(payload)
    golden.check(f"slack/{name}.json", forms)


@pytest.mark.parametrize("character", ["\x1b[31m", "\u202e", "\u2066", "\x07", "\r", "\n"])
def test_control_and_direction_characters_reach_no_sink(character: str) -> None:
    odd = f"before{character}after"
    message = build_message([due(title=odd, detail=odd, owner=odd)])
    for form in (whole(message), lines(message), details(message), document(message)):
        text = json.dumps(form, ensure_ascii=False).replace("\\n", "")
        assert character not in text
    assert odd not in plain_text(message)


@pytest.mark.parametrize(
    ("kind", "severity", "command"),
    [
        ("node_failed", "error", "dbt build --select orders+ --target 'my prod'"),
        # It keeps the target by itself.
        ("test_failed", "error", "dbt retry"),
        ("test_failed", "warning", "dbt test --select orders --target 'my prod'"),
        ("run_missing", "error", "offdag run -e prod -- dbt build"),
    ],
)
def test_the_next_command_keeps_the_target(kind: str, severity: str, command: str) -> None:
    row = due(kind=kind, severity=severity, node_id="model.shop.orders", target="my prod")
    [problem] = build_message([row]).problems
    assert dict(problem.facts)["Next"] == command


def test_problems_link_to_the_report_where_it_has_an_address() -> None:
    url = "https://reports.example.com/offdag/report.html?a=1&b=2#old"
    message = build_message([due(incident_id="0a1b", title="a <b> | c fails")], url)
    [section] = [b for b in whole(message)["blocks"] if b["type"] == "section"]
    link = "https://reports.example.com/offdag/report.html?a=1&amp;b=2#incident-0a1b"
    assert f"<{link}|a &lt;b&gt; | c fails>" in section["text"]["text"]
    assert f"Report: {link.replace('&amp;', '&')}" in plain_text(message)
    assert document(message)["problems"][0]["report"].endswith("#incident-0a1b")
    odd = build_message([due(incident_id="0a1b")], "https://example.com/a|b>c")
    assert "<https://example.com/a%7Cb%3Ec#incident-0a1b|" in json.dumps(whole(odd))


def test_a_problem_of_several_incidents_links_to_the_list() -> None:
    rows = [due(notification_id=str(n), incident_id=str(n), storm_cause="no disk") for n in range(5)]
    [problem] = build_message(rows, "https://example.com/r.html").problems
    assert problem.link == "https://example.com/r.html#incidents"
    assert build_message(rows).problems[0].link is None
