"""A node's code as its tokens: two codes with the same tokens differ in layout, letter case, comments or configuration alone."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

# A longer code is not kept: it is compared by its checksum.
_LONGEST = 50_000
_COMMENT = r"--[^\n]*|/\*.*?\*/|\{\#.*?\#\}"
# Configuration is compared by itself.
_CONFIG = r"\{\{-?\s*config\s*\(.*?\)\s*-?\}\}"
_QUOTED = r"'(?:[^']|'')*'|\"[^\"]*\""
_TOKEN = re.compile(rf"(?P<left_out>{_COMMENT}|{_CONFIG})|(?P<quoted>{_QUOTED})|\w+|[^\s\w]", re.DOTALL)
_NAME = re.compile(r"[a-z_]\w{2,}")
# Where an expression begins, going backwards. What stands behind from or join is a table, and no expression.
_BEFORE_EXPRESSION = frozenset((",", "select", "distinct"))
_BEFORE_TABLE = frozenset(("from", "join"))


def tokens_of(code: str | None) -> str | None:
    """The tokens of SQL or Jinja with a space between them, lower-case outside quotes, without comments and config(); None without code."""
    if not code or len(code) > _LONGEST:
        return None
    found = []
    for match in _TOKEN.finditer(code):
        if match["quoted"]:
            # A space is between tokens alone.
            found.append(re.sub(r"\s", "_", match["quoted"]))
        elif not match["left_out"]:
            found.append(match[0].lower())
    return " ".join(found) or None


def definitions_of(tokens: str | None) -> str | None:
    """What the names that `as` gives are made of: `name=word` for each word, with spaces between; None without one.

    Args:
        tokens: Of :func:`tokens_of`.
    """
    words = (tokens or "").split(" ")
    found = {
        f"{words[place + 1]}={word}"
        for place, before in enumerate(words[:-1])
        if before == "as" and _NAME.fullmatch(words[place + 1])
        for word in _expression_before(words, place)
        if word != words[place + 1]
    }
    return " ".join(sorted(found)) or None


def _expression_before(words: Sequence[str], place: int) -> Iterator[str]:
    """Names in the expression that ends at a place, also those in the arguments of a macro; none where it is a table."""
    start, depth = place, 0
    while start and depth >= 0 and not (depth == 0 and words[start - 1] in _BEFORE_EXPRESSION | _BEFORE_TABLE):
        start -= 1
        depth += {")": 1, "(": -1}.get(words[start], 0)
    if not start or words[start - 1] not in _BEFORE_TABLE:
        for word in words[start:place]:
            yield from _NAME.findall(word.lower())
