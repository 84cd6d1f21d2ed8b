"""Messages to Slack's Block Kit and to plain text. Pure functions; every text from data is escaped here."""

from __future__ import annotations

import re
from typing import Any

from offdag.notify.message import Message, Problem

# Slack's limits: docs.slack.dev, reference/block-kit/blocks; a message has at most 50 blocks.
_HEADER_LENGTH = 150
_TEXT_LENGTH = 3000
# Problems that one message shows with their facts, each in two blocks, or only by a line: fewer than 50 blocks. The rest is counted.
MOST_PROBLEMS = 20
MOST_LINES = 15
_LINE_LENGTH = 300

_USER_ID, _GROUP_ID = re.compile(r"[UW][A-Z0-9]{1,20}"), re.compile(r"S[A-Z0-9]{0,20}")
_BROADCASTS = frozenset({"here", "channel", "everyone"})
# For what would format a text in mrkdwn.
LOOK_ALIKES = str.maketrans({"*": "\u2217", "~": "\u223c", "`": "'"})
# Links in messages get no previews.
QUIET = {"unfurl_links": False, "unfurl_media": False}
REPEAT = "Possible repeat: an earlier attempt to send this may have arrived."

Blocks = list[dict[str, Any]]


def whole(message: Message) -> dict[str, Any]:
    """``text`` and ``blocks`` with every problem and its facts, where there is no thread for them."""
    blocks = [_header(message)]
    for problem in message.problems[:MOST_PROBLEMS]:
        blocks += _with_facts(problem)
    return _payload(message, blocks, len(message.problems) - MOST_PROBLEMS, "offdag incidents")


def lines(message: Message) -> dict[str, Any]:
    """``text`` and ``blocks`` with one line for each problem; ``details`` has the rest."""
    blocks = [_header(message)]
    for problem in message.problems[:MOST_LINES]:
        brief = problem.brief.splitlines()[0] if problem.brief else ""
        text = _headline(problem) + (f"\n{escape(cut(brief, _LINE_LENGTH))}" if brief else "")
        blocks.append(_section(text))
    return _payload(message, blocks, len(message.problems) - MOST_LINES, "in the thread")


def details(message: Message) -> list[dict[str, Any]]:
    """``text`` and ``blocks`` of the posts that follow ``lines`` in its thread: every problem with its facts."""
    parts = []
    for start in range(0, len(message.problems), MOST_PROBLEMS):
        shown = message.problems[start : start + MOST_PROBLEMS]
        blocks = [block for problem in shown for block in _with_facts(problem, is_mentioned=False)]
        parts.append({"text": escape(cut(f"Details: {message.heading}", _TEXT_LENGTH // 2)), "blocks": blocks})
    return parts


def document(message: Message) -> dict[str, Any]:
    """A message as data."""
    return {
        "heading": _printable(message.heading),
        "problems": [
            {
                "state": problem.state,
                "title": _printable(problem.title),
                "facts": {label.lower(): _printable(text) for label, text in problem.facts},
                "severity": problem.severity,
                "is_ended": problem.is_ended,
                "signal_keys": list(problem.signal_keys),
                **({"report": problem.link} if problem.link else {}),
            }
            for problem in message.problems
        ],
    }


def plain_text(message: Message) -> str:
    """A message for a terminal, without control characters from data."""
    shown = [_printable(message.heading)]
    for problem in message.problems[:MOST_PROBLEMS]:
        shown.append(f"  {problem.state}  {_printable(problem.title)}")
        shown += [f"      {label}: {_printable(text)}" for label, text in problem.facts]
        shown += [f"      Report: {problem.link}"] if problem.link else []
    hidden = len(message.problems) - MOST_PROBLEMS
    return "\n".join(shown + ([f"  {_hidden(hidden, 'offdag incidents')}"] if hidden > 0 else []))


def marked_as_repeat(payload: dict[str, Any]) -> dict[str, Any]:
    """A payload of any of these forms, marked as a possible repeat."""
    if "blocks" in payload:
        return {**payload, "blocks": [*payload["blocks"], _remark(REPEAT)]}
    if "message" in payload:
        return {**payload, "is_possible_repeat": True}
    return {**payload, "text": f"{payload['text']}\n  {REPEAT}"}


def escape(text: str) -> str:
    """A text for mrkdwn that can neither mention nor link; what would format it is replaced by look-alikes."""
    return _printable(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").translate(LOOK_ALIKES)


def _headline(problem: Problem, is_mentioned: bool = True) -> str:
    mention = f" {_mention(problem.mention)}" if problem.mention and is_mentioned else ""
    title = escape(problem.title)
    shown = f"<{_link_target(problem.link)}|{title}>" if problem.link else title
    # The state of a signal of the user's own is its kind.
    return f"*{escape(problem.state)}*  {shown}{mention}"


def _link_target(url: str) -> str:
    """A URL that cannot end its link."""
    return url.replace("&", "&amp;").replace("<", "%3C").replace(">", "%3E").replace("|", "%7C")


def _mention(text: str) -> str:
    """A user's or a group's id, or here, channel or everyone, as Slack notifies them; anything else as plain text."""
    word = text.strip(" ").lstrip("@!")
    if word.lower() in _BROADCASTS:
        return f"<!{word.lower()}>"
    if _USER_ID.fullmatch(word):
        return f"<@{word}>"
    if _GROUP_ID.fullmatch(word):
        return f"<!subteam^{word}>"
    return escape(text)


def _header(message: Message) -> dict[str, Any]:
    text = {"type": "plain_text", "text": cut(_printable(message.heading), _HEADER_LENGTH), "emoji": False}
    return {"type": "header", "text": text}


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": cut(text, _TEXT_LENGTH), "verbatim": True}}


def _with_facts(problem: Problem, is_mentioned: bool = True) -> Blocks:
    blocks = [_section(_headline(problem, is_mentioned))]
    if problem.facts:
        # Plain text: nothing in it can mention, link or format.
        text = "\n".join(f"{label}: {_printable(text)}" for label, text in problem.facts)
        element = {"type": "plain_text", "text": cut(text, _TEXT_LENGTH), "emoji": False}
        blocks.append({"type": "context", "elements": [element]})
    return blocks


def _payload(message: Message, blocks: Blocks, hidden: int, where: str) -> dict[str, Any]:
    if hidden > 0:
        blocks.append(_remark(_hidden(hidden, where)))
    # The text is the fallback and the phone's notification.
    return {"text": escape(cut(message.heading, _TEXT_LENGTH // 2)), "blocks": blocks}


def _remark(text: str) -> dict[str, Any]:
    return {"type": "context", "elements": [{"type": "mrkdwn", "text": text}]}


def _hidden(count: int, where: str) -> str:
    return f"and {count} more: {where}"


def cut(text: str, length: int) -> str:
    """At most ``length`` characters; a cut is visible, and falls on a line's end where there is one in its last half."""
    if len(text) <= length:
        return text
    head = text[: length - 4]
    at = head.rfind("\n")
    # Never inside an escaped character.
    head = head[:at] if at > length // 2 else head[: head.rfind("&")] if "&" in head[-5:] else head
    return f"{head} ..."


def _printable(text: str) -> str:
    """On one line, without control characters and without those that change the direction of text."""
    return "".join(c if c.isprintable() else " " for c in text)
