"""Messages to Slack's Block Kit and to plain text. Pure functions; every text from data is escaped here."""

from __future__ import annotations

from typing import Any

from offdag.notify.message import Message, Problem

# Slack's limits: docs.slack.dev, reference/block-kit/blocks.
MOST_BLOCKS = 50
_HEADER_LENGTH = 150
_TEXT_LENGTH = 3000

_LOOK_ALIKES = str.maketrans({"*": "\u2217", "~": "\u223c", "`": "'"})
_REPEAT = "Possible repeat: an earlier attempt to send this may have arrived."


def block_kit(message: Message) -> dict[str, Any]:
    """The ``text`` and ``blocks`` arguments of chat.postMessage; ``text`` is the fallback and the phone's notification."""
    blocks: list[dict[str, Any]] = [
        {
            "type": "header",
            "text": {"type": "plain_text", "text": _cut(message.heading, _HEADER_LENGTH), "emoji": False},
        }
    ]
    for problem in message.problems:
        headline = {"type": "mrkdwn", "text": _cut(_headline(problem), _TEXT_LENGTH), "verbatim": True}
        blocks.append({"type": "section", "text": headline})
        if problem.facts:
            # Plain text: nothing in it can mention, link or format.
            lines = "\n".join(f"{label}: {text}" for label, text in problem.facts)
            element = {"type": "plain_text", "text": _cut(lines, _TEXT_LENGTH), "emoji": False}
            blocks.append({"type": "context", "elements": [element]})
    remarks = [_hidden(message)] if message.hidden_count else []
    remarks += [_REPEAT] if message.is_possible_repeat else []
    if remarks:
        blocks.append({"type": "context", "elements": [{"type": "mrkdwn", "text": " ".join(remarks)}]})
    return {"text": escape(_cut(message.heading, _TEXT_LENGTH // 2)), "blocks": blocks[:MOST_BLOCKS]}


def plain_text(message: Message) -> str:
    """The same for a terminal: control characters of data do not get through."""
    lines = [_printable(message.heading)]
    for problem in message.problems:
        lines.append(f"  {problem.state}  {_printable(problem.title)}")
        lines += [f"      {label}: {_printable(text)}" for label, text in problem.facts]
    if message.hidden_count:
        lines.append(f"  {_hidden(message)}")
    if message.is_possible_repeat:
        lines.append(f"  {_REPEAT}")
    return "\n".join(lines)


def escape(text: str) -> str:
    """A text for mrkdwn that can neither mention nor link; what would format it is replaced by look-alikes."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").translate(_LOOK_ALIKES)


def _headline(problem: Problem) -> str:
    mention = ""
    if problem.mention:
        mention = (
            f" <!subteam^{escape(problem.mention)}>"
            if problem.mention.startswith("S")
            else f" <@{escape(problem.mention)}>"
        )
    return f"*{problem.state}*  {escape(problem.title)}{mention}"


def _hidden(message: Message) -> str:
    return f"and {message.hidden_count} more: offdag incidents"


def _cut(text: str, length: int) -> str:
    """At most ``length`` characters; a cut is visible, and falls on a line's end where there is one in its last half."""
    if len(text) <= length:
        return text
    head = text[: length - 4]
    at = head.rfind("\n")
    # Never inside an escaped character.
    head = head[:at] if at > length // 2 else head[: head.rfind("&")] if "&" in head[-5:] else head
    return f"{head} ..."


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)
