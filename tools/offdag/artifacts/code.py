"""A node's code as its tokens: two codes with the same tokens differ in layout, letter case, comments or configuration alone."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence

# A longer code is not kept: it is compared by its checksum.
_LONGEST = 50_000
_COMMENT = r"--[^\n]*|/\*.*?\*/|\{\#.*?\#\}"
# Configuration is compared by itself.
_CONFIG = r"\{\{-?\s*config\s*\(.*?\)\s*-?\}\}"
_QUOTED = r"'(?:[^']|'')*'|\"[^\"]*\""
_TOKEN = re.compile(
    rf"(?P<left_out>{_COMMENT}|{_CONFIG})|(?P<quoted>{_QUOTED})|\{{\{{|\}}\}}|\{{%|%\}}|\w+|[^\s\w]", re.DOTALL
)
_NAME = re.compile(r"[a-z_]\w{2,}")
# Where an expression begins, going backwards. What stands behind from or join is a table, and no expression.
_BEFORE_EXPRESSION = frozenset((",", "select", "distinct"))
_BEFORE_TABLE = frozenset(("from", "join"))
_AFTER_KEY = frozenset(
    ("join", "left", "inner", "right", "full", "cross", "where", "group", "order", "qualify", "union", "{{", "{%", ")")
)


def tokens_of(code: str | None) -> str | None:
    """The tokens of SQL or Jinja with a space between them, lower-case outside quotes, without comments and config(); None without code.

    A text of SQL may be data, or a secret: only a hash of it is kept.
    """
    if not code or len(code) > _LONGEST:
        return None
    found, is_jinja = [], False
    for match in _TOKEN.finditer(code):
        token = match[0]
        if match["left_out"]:
            continue
        if token in ("{{", "{%", "}}", "%}"):
            is_jinja = token in ("{{", "{%")
        if not match["quoted"]:
            found.append(token.lower())
        elif token.startswith("'") and not is_jinja:
            found.append(f"'#{zlib.crc32(token.encode()):08x}'")
        else:
            # A space is between tokens alone.
            found.append(re.sub(r"\s", "_", token))
    return " ".join(found) or None


def definitions_of(tokens: str | None) -> str | None:
    """What the names that `as` gives are made of: `name=word` for each word and `name=#hash` for the whole; `on=word` for join keys.

    Args:
        tokens: Of :func:`tokens_of`.
    """
    words = (tokens or "").split(" ")
    found: set[str] = set()
    for place, before in enumerate(words[:-1]):
        name = words[place + 1]
        if before in ("on", "using"):
            found |= {f"on={word}" for word in _key_after(words, place + 1) if _NAME.fullmatch(word)}
        if before == "as" and _NAME.fullmatch(name):
            expression = _expression_before(words, place)
            # Also the names in the arguments of a macro.
            parts = {part for word in expression for part in _NAME.findall(word.lower())} - {name}
            found |= {f"{name}={part}" for part in parts}
            if expression:
                found.add(f"{name}=#{zlib.crc32(' '.join(expression).encode()):08x}")
    return " ".join(sorted(found)) or None


def _key_after(words: Sequence[str], place: int) -> Sequence[str]:
    """The words of a join's condition."""
    end, depth = place, 0
    while end < len(words) and not (depth == 0 and words[end] in _AFTER_KEY):
        depth += {"(": 1, ")": -1}.get(words[end], 0)
        end += 1
    return words[place:end]


def _expression_before(words: Sequence[str], place: int) -> Sequence[str]:
    """The words of the expression that ends at a place; none where it is a table."""
    start, depth = place, 0
    while start and depth >= 0 and not (depth == 0 and words[start - 1] in _BEFORE_EXPRESSION | _BEFORE_TABLE):
        start -= 1
        depth += {")": 1, "(": -1}.get(words[start], 0)
    return [] if start and words[start - 1] in _BEFORE_TABLE else words[start:place]
