"""Acknowledgements by a reaction to the message of an open incident, read when notifications are sent."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from datetime import datetime

from offdag.history.history import History
from offdag.monitor.acknowledgements import Acknowledgement, acknowledge
from offdag.monitor.rows import OpenMessage
from offdag.notify.sinks import PostedMessage, Refusal, UnknownOutcome
from offdag.notify.slack import SlackBot

_log = logging.getLogger(__name__)

# Names of Slack's emoji.
ACKNOWLEDGING = ("eyes", "white_check_mark", "ok_hand")
# Each is one request; older ones are acknowledged by `offdag ack`.
_MOST_MESSAGES = 20


def acknowledge_by_reactions(bot: SlackBot, history: History, messages: Sequence[OpenMessage], at: datetime) -> int:
    """Record an acknowledgement for each open incident to whose message somebody reacted.

    Args:
        bot: Reads the messages.
        history: Gets the acknowledgements.
        messages: Those of open incidents that nobody acknowledged.
        at: Naive UTC.

    Returns:
        Number of incidents.
    """
    incidents: dict[PostedMessage, list[OpenMessage]] = {}
    for row in sorted(messages, key=lambda row: row.message_ts, reverse=True):
        incidents.setdefault(PostedMessage(row.message_channel, row.message_ts), []).append(row)
    found = 0
    for posted in list(incidents)[:_MOST_MESSAGES]:
        try:
            reactions = bot.reactions(posted)
        except (Refusal, UnknownOutcome) as problem:
            _log.info("reactions are not read: %s", problem)
            break
        user, emoji = next(((user, emoji) for emoji, user in reactions if emoji in ACKNOWLEDGING), ("", ""))
        if not user:
            continue
        for row in incidents[posted]:
            given = Acknowledgement(f"Slack user {user}", f"reaction :{emoji}:", None)
            # The same again until the next monitor run: one row.
            identity = hashlib.sha256(f"{row.open_message_id}|{user}".encode()).hexdigest()[:32]
            acknowledge(history, row, given, at, identity)
            _log.info("acknowledged by Slack user %s: %s", user, row.title)
            found += 1
    return found
