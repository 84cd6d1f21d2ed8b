"""Removes credentials and data values from texts of dbt, databases and users before they are kept or shown.

Every pattern is linear in the length of the text: a keyword is searched first, and what surrounds it is bounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

HIDDEN = "***"

# Words that name a credential. `pass` alone is dbt's word for a test that passed, so it needs a value that is not a count.
_NAMES = (
    r"(?:pass(?:word|wd|phrase|code)|pwd|secret|(?<!expected )(?<!near )token|credentials?|api[_-]?key|account[_-]?key|"
    r"access[_-]?key(?:[_-]?id)?|private[_-]?key|client[_-]?secret|sas[_-]?token|authorization)"
)
_ABBREVIATED = r"(?<![A-Za-z])pass"
# A value in quotes or braces, up to the next space or separator, or behind a quote that is cut off.
_VALUE = (
    r"""(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|\{[^{}\n]{1,200}\}|(?:Bearer|Basic|Token)\s+[^\s,;&"']+|"""
    r"""[^\s,;&)\]}"']+|["'][^"'\n]+)"""
)
_SECRETS = (
    # name=value, name: value, "name": "value", name => value
    re.compile(rf"""(?i)({_NAMES}[\w.-]{{0,40}}["']?\s{{0,3}}(?:=>|=|:)\s{{0,3}})(?!\d{{1,3}}\b){_VALUE}"""),
    re.compile(rf"""(?i)({_ABBREVIATED}["']?\s{{0,3}}[=:]\s{{0,3}})(?!\d+\b){_VALUE}"""),
    re.compile(rf"(?i)(\bsig(?:nature)?=){_VALUE}"),
    # --name value
    re.compile(rf"(?i)(--?[\w-]{{0,40}}(?:{_NAMES}|{_ABBREVIATED})[\w-]{{0,40}}\s+){_VALUE}"),
    # password 'value', as in SQL; identified by value
    re.compile(r"""(?i)(\bpassword\s+)(?:"[^"\n]*"|'[^'\n]*')"""),
    re.compile(rf"(?i)(\bidentified\s+by\s+(?:values\s+)?){_VALUE}"),
    re.compile(r"(?i)(\b(?:bearer|basic)\s+)[\w.~+/=-]{6,}"),
    # user:password@, or only a token, in a URL
    re.compile(r"""(://[^\s/:@"'<>]{0,128}:)(?!\d{1,5}/)[^\s"'<>]{1,256}(?=@)"""),
    re.compile(r"""(://)[^\s/:@"'<>]{1,256}(?=@)"""),
    # tokens that are known by their form: Slack, GitHub, AWS, JSON web tokens, keys in PEM
    re.compile(r"()\bxox[abeoprs]-[\w-]{6,}"),
    re.compile(r"(hooks\.slack\.com/(?:services|workflows|triggers)/)[\w/-]+"),
    re.compile(r"()\b(?:gh[opsu]_|github_pat_|glpat-|dapi)\w{16,}"),
    re.compile(r"()\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    re.compile(r"()\beyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?"),
    re.compile(r"(-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----)(?:(?!-----END)[\s\S]){1,8192}"),
)
# Values of a row that databases quote: BigQuery, Postgres and Redshift, Snowflake, DuckDB, Spark.
_VALUES = (
    re.compile(r"(?i)(\bBad \w+ value: )[^\n]+"),
    re.compile(r"(?i)(\binvalid input (?:syntax|value) for (?:type |enum )?[\w ]{1,40}: )\"[^\"\n]*\""),
    re.compile(r"(?i)(\bKey \([^)\n]{1,200}\)=)\([^\n]*?\)(?= |$)"),
    re.compile(r"(?i)(\bFailing row contains )\([^\n]*\)"),
    # A value may hold a quote itself.
    re.compile(r"(?i)(\b(?:Numeric|Date|Timestamp|Boolean|Time) value )'[^\n]{0,400}?'(?=\s\w|$)"),
    re.compile(r"(?i)(\bCould not (?:convert|cast) (?:string|value) )(?:'[^'\n]*'|\"[^\"\n]*\")"),
    re.compile(r"(?i)(\bDuplicate key )\"[^\"\n]*\""),
    re.compile(r"(?i)(\bThe value )'[^'\n]*'(?= of the type)"),
    re.compile(r"(?i)(\bfailed to (?:cast|parse) )'[^'\n]*'"),
)
# Quoted text behind these words is a name of something, if it looks like one; behind others it can be a value of a row.
_NAME_WORDS = re.compile(
    r"(?i)(?:\b(?:(?:alias|as|catalog|column|constraint|database|dataset|field|file|from|function|identifier|index|join|macro|mean|model|"
    r"named?|at or near|node|object|operator|or|project|reference|relation|role|schema|seed|snapshot|source|table|test|type|use|user|"
    r"view)s?|(?:bindings|entries|use):)|[,.(])\s{0,3}$"
)
_QUOTED_NAME = re.compile(r"""(["'`])[A-Za-z_][\w$.,() -]{0,120}\1(?!\w)""")
_QUOTE = re.compile(r"""(?<!\w)["'`]""")
# From here on a message of a database gives values, whatever quotes they have.
_VALUES_BEGIN = re.compile(
    r"\bInvalid Input Error: |\bindex (?=\d)|(?:^|\s)(?:CONTEXT|DETAIL|Input|Original Line|Possible (?:fixes|solutions)|Row Values): ?"
    r"|\b[Vv]alues?:? (?=[-\d.\[(])|\bout of range: |\b[Ii]nvalid [A-Z]\w* value: |\bdivision by zero: |\boverflow: |\berror\("
    r"|\b[A-Z]+\d+ \("
)
_LONG_NUMBERS = re.compile(r"\b\d{4}-\d{1,2}-\d{1,2}\b|\b\d[\d.,_]{4,}\w*")
_POINTED_AT = re.compile(r"\n(?! *LINE \d+:)[^\n]*\n *\^[^\n]*")
_NAMED = re.compile(rf"(?i)[\w.-]{{0,80}}(?:{_NAMES}|{_ABBREVIATED})[\w.-]{{0,80}}")
# TOKEN_TYPE or SECRETS_ENV describe a secret, and their values are words that messages need.
_DESCRIBES = re.compile(
    r"(?i).*_(type|env|environment|name|user|path|file|dir|host|url|expir\w*|ttl|enabled|algorithm)"
)
_LEAST_LENGTH = 6


def redacted(text: str, secrets: Iterable[str] = ()) -> str:
    """A text without credentials and without values of rows; what failed stays readable.

    Args:
        text: Of an artifact, a log, a command line or a driver.
        secrets: Values that must not appear, whatever surrounds them; see :func:`secret_values`.
    """
    for secret in secrets:
        text = text.replace(secret, HIDDEN)
    for pattern in (*_SECRETS, *_VALUES):
        text = pattern.sub(rf"\1{HIDDEN}", text)
    return text


def without_values(text: str) -> str:
    """A database's message for readers who may not see its rows: up to the first text or number that can be a value of a row.

    Where a value ends cannot be known, since it may hold quotes and line breaks. Names of columns, tables and models stay.
    """
    short = _POINTED_AT.sub("", text)
    ends = [match.end() for match in [_VALUES_BEGIN.search(short)] if match]
    at = 0
    while quote := _QUOTE.search(short, at):
        name = _QUOTED_NAME.match(short, quote.start())
        if name is None or not _NAME_WORDS.search(short, max(0, quote.start() - 40), quote.start()):
            ends.append(quote.start())
            break
        at = name.end()
    if ends:
        short = f"{short[: min(ends)]}{HIDDEN}"
    return _LONG_NUMBERS.sub(HIDDEN, redacted(short))


def secret_values(environ: Mapping[str, str], *others: str) -> tuple[str, ...]:
    """The values of variables whose names mark them as secret, and others, the longest first; the short ones are left out."""
    found = {
        value
        for name, value in environ.items()
        if len(value) >= _LEAST_LENGTH
        and ((_NAMED.fullmatch(name) and not _DESCRIBES.fullmatch(name)) or name.startswith("DBT_ENV_SECRET"))
    }
    found.update(others)
    return tuple(sorted(found, key=lambda value: (-len(value), value)))
