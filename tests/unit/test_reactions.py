"""Reactions to messages of open incidents, as Slack gives them."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from offdag.history.history import History
from offdag.monitor.rows import OpenMessage
from offdag.notify.reactions import acknowledge_by_reactions
from offdag.notify.slack import SlackBot
from sim.slack import TOKEN, FakeSlack

AT = datetime(2026, 1, 31, 9)


def posted(slack: FakeSlack, *reactions: dict[str, Any]) -> dict[str, Any]:
    """A message in the channel, among others, with reactions."""
    for _ in range(2):
        slack._do("chat.postMessage", {"channel": "data-alerts", "text": "t"})
    message = slack.posted[-1]
    message["reactions"] = list(reactions)
    slack._do("chat.postMessage", {"channel": "data-alerts", "text": "t"})
    return message


def of(message: dict[str, Any], signal_key: str = "k1") -> OpenMessage:
    return OpenMessage(
        open_message_id=f"{signal_key}-{message['ts']}",
        signal_key=signal_key,
        project="shop",
        environment="prod",
        started_at=datetime(2026, 1, 31, 6),
        last_bad_at=datetime(2026, 1, 31, 6),
        title="test unique on orders.id fails",
        message_channel=message["channel"],
        message_ts=message["ts"],
    )


def acknowledged(slack: FakeSlack, history: History, *messages: OpenMessage) -> int:
    return acknowledge_by_reactions(SlackBot(TOKEN, f"{slack.url}/api/"), history, messages, AT)


def test_all_open_incidents_of_the_message_are_acknowledged_once(tmp_path: Path, slack: FakeSlack) -> None:
    message = posted(slack, {"name": "joy", "users": ["U1"]}, {"name": "eyes", "users": ["U2", "U3"], "count": 2})
    history = History(str(tmp_path / "history"))
    for _ in range(2):
        assert acknowledged(slack, history, of(message), of(message, "k2")) == 2
    rows = history.read("acknowledgements").to_pylist()
    assert sorted((row["signal_key"], row["acknowledged_by"], row["note"]) for row in rows) == [
        ("k1", "Slack user U2", "reaction :eyes:"),
        ("k2", "Slack user U2", "reaction :eyes:"),
    ]


def test_other_reactions_and_other_messages_acknowledge_nothing(tmp_path: Path, slack: FakeSlack) -> None:
    message = posted(slack, {"name": "joy", "users": ["U1"]})
    slack.posted[0]["reactions"] = [{"name": "eyes", "users": ["U1"]}]
    history = History(str(tmp_path / "history"))
    assert acknowledged(slack, history, of(message)) == 0
    assert "acknowledgements" not in history.tables() or history.read("acknowledgements").num_rows == 0


def test_a_bot_that_may_not_read_stops_nothing(tmp_path: Path, slack: FakeSlack) -> None:
    message = posted(slack, {"name": "eyes", "users": ["U1"]})
    slack.then("conversations.history", "error:missing_scope")
    assert acknowledged(slack, History(str(tmp_path / "history")), of(message)) == 0


def test_a_run_reads_at_most_twenty_messages(tmp_path: Path, slack: FakeSlack) -> None:
    messages = [of(posted(slack), f"k{number}") for number in range(25)]
    acknowledged(slack, History(str(tmp_path / "history")), *messages)
    read = [arguments["oldest"] for method, arguments in slack.calls if method == "conversations.history"]
    assert read == sorted((message.message_ts for message in messages), reverse=True)[:20]
