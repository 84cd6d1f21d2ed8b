"""Markdown for GitHub and GitLab, in which text from data stays text."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

_MOST_LINES = 40


def table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A section with a table, cut visibly; none without rows."""
    if not rows:
        return []
    shown = rows[:_MOST_LINES]
    more = [f"- and {len(rows) - len(shown)} more"] if len(rows) > len(shown) else []
    return [f"### {title}", "", *table_lines(header, shown), "", *more]


def table_lines(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a table alone."""
    return [f"| {' | '.join(row)} |" for row in (header, ["---"] * len(header), *rows)]


def folded(title: str, lines: Sequence[str]) -> list[str]:
    """Lines that a click shows; none without lines.

    Args:
        title: HTML.
        lines: Markdown.
    """
    return [f"<details><summary>{title}</summary>", "", *lines, "", "</details>", ""] if lines else []


def code(text: str) -> str:
    """Text from data: in a code span nothing is a link, a mention, HTML or a cell's end."""
    plain = _one_line(text).replace("`", "'").replace("|", "\\|")
    return f"`{plain or ' '}`"


def code_html(text: str) -> str:
    """Text from data within HTML."""
    return f"<code>{escape(_one_line(text))}</code>".replace("@", "@\u200b")


def code_block(text: str, language: str = "") -> list[str]:
    """Lines of data or SQL to copy; a fence within it is broken."""
    lines = ["".join(c if c.isprintable() else " " for c in line) for line in text.splitlines()]
    return [f"```{language}", *(line.replace("```", "'''") for line in lines), "```"]


def plain(text: str) -> str:
    """Words of our own around names from data."""
    return "".join(f"\\{c}" if c in "\\`*_[]<>|#~" else c for c in _one_line(text)).replace("@", "@\u200b")


def link(text: str, url: str | None) -> str:
    """A link where there is a web address, else only the text."""
    is_web = url is not None and url.startswith(("https://", "http://")) and not set(url) & set(" <>()[]\"'`|\\\n")
    return f"[{plain(text)}]({url})" if is_web else code(text)


def listed(names: Sequence[str], most: int = 12) -> str:
    """Names from data in one line, cut visibly."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(code(name) for name in names[:most]) + more


def _one_line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
