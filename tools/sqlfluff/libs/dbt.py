"""Stand-ins for dbt's cross-database macros, so that sqlfluff renders the models without dbt or a database."""

from __future__ import annotations


def date_trunc(part: str, column: str) -> str:
    return f"date_trunc('{part}', {column})"


def datediff(first: str, second: str, part: str) -> str:
    return f"date_diff('{part}', {first}, {second})"


def dateadd(part: str, interval: object, column: str) -> str:
    return f"{column} + to_{part}s({interval})"


def split_part(text: str, delimiter: str, number: int) -> str:
    return f"split_part({text}, {delimiter}, {number})"


def listagg(column: str, delimiter: str, order_by: str) -> str:
    return f"string_agg({column}, {delimiter} {order_by})"


def hash(column: str) -> str:
    return f"md5({column})"


def type_timestamp() -> str:
    return "timestamp"


def type_string() -> str:
    return "varchar"


def type_float() -> str:
    return "float"
