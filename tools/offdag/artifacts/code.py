"""A node's code as its tokens: two codes with the same tokens differ in layout, letter case, comments or configuration alone."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Sequence
from functools import cache

# A longer code, or longer definitions, are not kept: it is compared by its checksum.
_LONGEST = 50_000
_LONGEST_DEFINITIONS = 200_000
# An expression or the condition of a join is followed so far.
_MOST_WORDS = 500
# Where a backslash escapes a quote, and where double quotes are around texts and # begins a comment.
_ESCAPING = frozenset(("bigquery", "databricks", "mysql", "snowflake", "spark"))
_DOUBLE_QUOTING = frozenset(("bigquery", "databricks", "mysql", "spark"))
_HASH_COMMENTS = frozenset(("bigquery", "mysql"))
# Configuration is compared by itself.
_CONFIG = r"\{\{-?\s*config\s*\((?:'[^']*'|\"[^\"]*\"|[^'\"}]|\}(?!\})){0,5000}?\)\s*-?\}\}"
_NAME = re.compile(r"[a-z_]\w{2,}")
_JINJA = re.compile(r"\{\{.*?\}\}", re.DOTALL)
# Texts in the arguments of Jinja are often names of columns, and then kept; those of these calls can be secret.
_ARGUMENT = re.compile(r"[A-Za-z_][\w.]*")
_SECRET_CALLS = frozenset(("env_var", "return"))
# Where an expression begins, going backwards. What stands behind from or join is a table, and no expression.
_BEFORE_EXPRESSION = frozenset((",", "select", "distinct"))
_BEFORE_TABLE = frozenset(("from", "join"))
_AFTER_KEY = frozenset(
    ("join", "left", "inner", "right", "full", "cross", "where", "group", "order", "qualify", "union", "{{", "{%", ")")
)
# Words whose expression means something else in another order.
_ORDERED = frozenset(("-", "/", "%", "<", ">", "|", "case", "lag", "lead", "{{"))


def tokens_of(code: str | None, adapter_type: str | None = None) -> str | None:
    """The tokens of SQL or Jinja with a space between them, lower-case outside quotes, without comments and config().

    A text may be data, or a secret: a hash of it is kept, but for names in the arguments of Jinja.

    Args:
        code: As it was written.
        adapter_type: Such as duckdb; says how texts are quoted.

    Returns:
        None without code, for a very long one, and for one with a quote that does not end.
    """
    if not code or len(code) > _LONGEST:
        return None
    found: list[str] = []
    jinja = call = ""
    for match in _token(adapter_type).finditer(code):
        token = match[0]
        if match["left_out"]:
            continue
        if token in ("'", '"'):
            return None
        if token in ("{{", "{%", "}}", "%}"):
            jinja = token if token in ("{{", "{%") else ""
        if found and token[0] == "(":
            call = found[-1]
        if not match["quoted"]:
            found.append(token.lower())
        elif jinja:
            found.append(_argument(token, jinja == "{{" and call not in _SECRET_CALLS))
        else:
            found += _text(token, adapter_type)
    return " ".join(found) or None


@cache
def _token(adapter_type: str | None) -> re.Pattern[str]:
    comment = r"--[^\n]*|/\*.*?(?:\*/|\Z)|\{\#.*?(?:\#\}|\Z)" + (r"|\#[^\n]*" if adapter_type in _HASH_COMMENTS else "")
    single = r"'(?:[^'\\]|\\.|'')*'" if adapter_type in _ESCAPING else r"'(?:[^']|'')*'"
    quoted = rf"{single}|\"(?:[^\"\\]|\\.)*\"|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$"
    jinja = r"\{\{|\}\}|\{%|%\}"
    return re.compile(rf"(?P<left_out>{comment}|{_CONFIG})|(?P<quoted>{quoted})|{jinja}|\w+|[^\s\w]", re.DOTALL)


def _argument(token: str, is_name: bool) -> str:
    """A text of Jinja, with single quotes."""
    return f"'{token[1:-1]}'" if is_name and _ARGUMENT.fullmatch(token[1:-1]) else _hashed(token)


def _text(token: str, adapter_type: str | None) -> Iterator[str]:
    """A quoted name of SQL, or the hash of a text and the tokens of the Jinja in it."""
    if token.startswith('"') and adapter_type not in _DOUBLE_QUOTING:
        # A space is between tokens alone.
        yield re.sub(r"\s", "_", token)
        return
    yield _hashed(token)
    for jinja in _JINJA.findall(token):
        yield from (tokens_of(jinja, adapter_type) or "").split()


def _hashed(token: str) -> str:
    return f"'#{zlib.crc32(token.encode()):08x}'"


def definitions_of(tokens: str | None) -> str | None:
    """What the names that `as` gives are made of, with spaces between.

    `name=word` for each name in its expression, `name=#hash` for the whole, `name=~` where the order of its words matters, and `on=word`
    for the names in the conditions of joins.

    Args:
        tokens: Of :func:`tokens_of`.

    Returns:
        None without one, and for very many.
    """
    words = (tokens or "").split(" ")
    found: set[str] = set()
    for place, before in enumerate(words[:-1]):
        name = words[place + 1]
        if before in ("on", "using"):
            found |= {f"on={word}" for word in _key_after(words, place + 1) if _NAME.fullmatch(word)}
        if before == "as" and _NAME.fullmatch(name):
            found |= _definition(name, _expression_before(words, place))
    definitions = " ".join(sorted(found))
    return definitions if 0 < len(definitions) <= _LONGEST_DEFINITIONS else None


def _definition(name: str, expression: Sequence[str]) -> set[str]:
    if not expression:
        return set()
    # Also the names in the arguments of a macro.
    parts = {part for word in expression for part in _NAME.findall(word.lower())} - {name}
    order = {f"{name}=~"} if not _ORDERED.isdisjoint(expression) else set()
    return {f"{name}={part}" for part in parts} | {f"{name}=#{zlib.crc32(' '.join(expression).encode()):08x}"} | order


def _key_after(words: Sequence[str], place: int) -> Sequence[str]:
    """The words of a join's condition."""
    end, depth = place, 0
    last = min(len(words), place + _MOST_WORDS)
    while end < last and not (depth == 0 and words[end] in _AFTER_KEY):
        depth += {"(": 1, ")": -1}.get(words[end], 0)
        end += 1
    return words[place:end]


def _expression_before(words: Sequence[str], place: int) -> Sequence[str]:
    """The words of the expression that ends at a place; none where it is a table."""
    start, depth = place, 0
    first = max(0, place - _MOST_WORDS)
    while start > first and depth >= 0 and not (depth == 0 and words[start - 1] in _BEFORE_EXPRESSION | _BEFORE_TABLE):
        start -= 1
        depth += {")": 1, "(": -1}.get(words[start], 0)
    return [] if start and words[start - 1] in _BEFORE_TABLE else words[start:place]
