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
    r"access[_-]?key(?:[_-]?id)?|private[_-]?key|client[_-]?secret|sas[_-]?token|signature|authorization)"
)
# A value in quotes, or up to the next space or separator.
_VALUE = r"""(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|(?:Bearer|Basic|Token)\s+[^\s,;&"']+|[^\s,;&)\]}"']+)"""
_SECRETS = (
    # name=value, name: value, "name": "value", name => value
    re.compile(rf"""(?i)({_NAMES}[\w.-]{{0,40}}["']?\s{{0,3}}(?:=>|=|:)\s{{0,3}}){_VALUE}"""),
    re.compile(rf"(?i)(\bpass\s{{0,3}}[=:]\s{{0,3}})(?!\d+\b){_VALUE}"),
    # --name value
    re.compile(rf"(?i)(--?[\w-]{{0,40}}{_NAMES}[\w-]{{0,40}}\s+){_VALUE}"),
    # password 'value', as in SQL; identified by 'value'
    re.compile(r"""(?i)(\b(?:password|identified\s+by)\s+)(?:"[^"\n]*"|'[^'\n]*')"""),
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
    re.compile(r"(?i)(\b(?:Numeric|Date|Timestamp|Boolean|Time) value )'[^'\n]*'"),
    re.compile(r"(?i)(\bCould not (?:convert|cast) (?:string|value) )(?:'[^'\n]*'|\"[^\"\n]*\")"),
    re.compile(r"(?i)(\bDuplicate key )\"[^\"\n]*\""),
    re.compile(r"(?i)(\bThe value )'[^'\n]*'(?= of the type)"),
    re.compile(r"(?i)(\bfailed to (?:cast|parse) )'[^'\n]*'"),
)
_NAMED = re.compile(rf"(?i)[\w.-]{{0,80}}{_NAMES}[\w.-]{{0,80}}")


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


def secret_values(environ: Mapping[str, str]) -> tuple[str, ...]:
    """The values of variables whose names mark them as secret, the longest first; the very short ones are left out."""
    found = {
        value
        for name, value in environ.items()
        if len(value) > 3 and (_NAMED.fullmatch(name) or name.startswith("DBT_ENV_SECRET"))
    }
    return tuple(sorted(found, key=lambda value: (-len(value), value)))
