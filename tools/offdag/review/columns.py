"""The columns that two tables share, each with the form in which its values can be compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlglot import exp

_WITH_ZONE = ("timestamptz", "timestampltz")
_WITHOUT_ZONE = ("timestamp", "timestampntz", "timestamp_s", "timestamp_ms", "timestamp_ns", "datetime", "date")
# Floats from here on have no decimal places, and their difference may overflow.
_LARGE = "1e22"


@dataclass(frozen=True)
class SharedColumn:
    """A column of both tables.

    Attributes:
        name: As both tables write it.
        alias: Its name within the queries of a comparison.
        before: Type in production.
        after: Type in the review.
        cast: Type in which both sides are compared; None where they are compared as they are.
        is_float: Whether it is compared to a number of decimal places.
    """

    name: str
    alias: str
    before: exp.DataType
    after: exp.DataType
    cast: str | None = None
    is_float: bool = False

    @property
    def is_retyped(self) -> bool:
        return self.before != self.after

    @property
    def is_number(self) -> bool:
        from sqlglot import exp

        return self.is_float or all(kind.is_type(*exp.DataType.NUMERIC_TYPES) for kind in (self.before, self.after))

    @property
    def is_time(self) -> bool:
        return self.cast == "timestamp" or (not self.is_retyped and self.before.is_type(*_WITH_ZONE, *_WITHOUT_ZONE))

    @property
    def is_text(self) -> bool:
        from sqlglot import exp

        return not self.cast and self.before.is_type(*exp.DataType.TEXT_TYPES)

    def value(self) -> exp.Expr:
        """The column of either table in the common form."""
        from sqlglot import exp

        column = exp.column(self.name, quoted=True)
        return exp.cast(column, self.cast) if self.cast else column

    def rounded(self, decimals: int) -> exp.Expr:
        """The same as text where it is a float: for rows that are grouped, which a tolerance cannot compare."""
        from sqlglot import exp

        if not self.is_float:
            return self.value()
        scale = 10**decimals
        nearest = exp.func("floor", self.value() * scale + exp.Literal.number("0.5")) / scale
        large = exp.func("abs", self.value()) >= exp.Literal.number(_LARGE)
        return exp.cast(exp.case().when(large, self.value()).else_(nearest), "text")

    def differs(self, decimals: int, before: str = "a", after: str = "b") -> exp.Expr:
        """Whether the values of two joined rows differ; nulls are equal to nulls.

        Args:
            decimals: Places to which floats have to agree.
            before: Alias of production's rows.
            after: Alias of the review's rows.
        """
        from sqlglot import exp

        one, other = exp.column(self.alias, table=before), exp.column(self.alias, table=after)
        distinct = exp.NullSafeNEQ(this=one, expression=other)
        if not self.is_float:
            return distinct
        large = exp.or_(
            *(exp.func("abs", value.copy()) >= exp.Literal.number(_LARGE) for value in (one, other)),
            one.copy().is_(exp.null()),
            other.copy().is_(exp.null()),
        )
        tolerance = exp.Literal.number(f"5e-{decimals + 1}")
        near = exp.paren(exp.func("abs", exp.paren(one.copy() - other.copy())) > tolerance)
        # NaN is larger than all numbers, and equal to itself.
        return exp.case().when(exp.Not(this=exp.paren(distinct)), exp.false()).when(large, exp.true()).else_(near)


def shared_columns(
    before: Mapping[str, exp.DataType], after: Mapping[str, exp.DataType]
) -> tuple[list[SharedColumn], dict[str, str]]:
    """The columns that can be compared, and of the other shared ones the reason.

    Args:
        before: Types of production's columns by name.
        after: Types of the review's.
    """
    shared: list[SharedColumn] = []
    unknown: dict[str, str] = {}
    for number, name in enumerate(name for name in before if name in after):
        kinds = before[name], after[name]
        problem = _why_unknown(*kinds)
        if problem:
            unknown[name] = problem
        else:
            cast = _common_type(*kinds)
            is_float = cast == "double" or (cast is None and _is_float(kinds[0]))
            shared.append(SharedColumn(name, f"c{number}", *kinds, cast=cast, is_float=is_float))
    return shared, unknown


def _why_unknown(before: exp.DataType, after: exp.DataType) -> str | None:
    """Why values of two types cannot be compared; None where they can."""
    from sqlglot import exp

    nested: tuple[Any, ...] = (*exp.DataType.NESTED_TYPES, "json", "xml")
    if before == after:
        return None
    if before.is_type(*nested) or after.is_type(*nested):
        return f"{_named(before)} and {_named(after)} have no common form"
    for one, other in ((before, after), (after, before)):
        if one.is_type(*_WITH_ZONE) and other.is_type(*_WITHOUT_ZONE):
            return "a time with a zone and one without are equal only in one zone"
    return None


def _common_type(before: exp.DataType, after: exp.DataType) -> str | None:
    """The type in which values of two types are compared; None for what they are."""
    from sqlglot import exp

    def both(*kinds: Any) -> bool:
        return before.is_type(*kinds) and after.is_type(*kinds)

    # Others have no equality everywhere.
    known: tuple[Any, ...] = (
        *exp.DataType.TEXT_TYPES, *exp.DataType.TEMPORAL_TYPES, *exp.DataType.NUMERIC_TYPES,
        "boolean", "uuid", "binary", "varbinary", "interval", "time",
    )  # fmt: skip
    if before == after and before.is_type(*known):
        return None
    if both(*exp.DataType.NUMERIC_TYPES):
        return "double" if _is_float(before) or _is_float(after) else None
    if both(*_WITHOUT_ZONE):
        return "timestamp"
    return "int" if both("boolean", *exp.DataType.INTEGER_TYPES) else "text"


def _is_float(kind: exp.DataType) -> bool:
    from sqlglot import exp

    return kind.is_type(*exp.DataType.FLOAT_TYPES)


def _named(kind: exp.DataType) -> str:
    return kind.this.value.lower() if hasattr(kind.this, "value") else str(kind)
