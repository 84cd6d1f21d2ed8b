"""The figures of a comparison, as data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class SampleRow:
    """One row that differs.

    Attributes:
        change: added, removed or changed.
        key: Values of the key by column; of all shared columns where there is no key.
        values: For a changed row, the value before and after of each column that differs.
    """

    change: str
    key: dict[str, str]
    values: dict[str, tuple[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Profile:
    """One side of a column, over all rows of the table.

    Attributes:
        rows: Number of rows.
        nulls: Rows without a value.
        distinct: Number of different values.
        least: Smallest number or time as text; None for other types, for hidden columns, and where there is none.
        greatest: Largest, as ``least``.
        mean: Of numbers, as ``least``.
    """

    rows: int
    nulls: int
    distinct: int
    least: str | None = None
    greatest: str | None = None
    mean: str | None = None


@dataclass(frozen=True)
class ColumnDetail:
    """How a column differs.

    Attributes:
        kinds: Rows by kind of change, such as ``became null``; their sum is the number of rows that differ.
        before: Production's profile.
        after: The review's.
        mapping: Value before, value after and number of rows, where few pairs explain all rows and values may be shown.
        query: Shows the rows that differ, to be run by hand.
    """

    kinds: dict[str, int]
    before: Profile
    after: Profile
    mapping: tuple[tuple[str, str, int], ...]
    query: str


@dataclass(frozen=True)
class Comparison:
    """What differs between production's table and the review's.

    Attributes:
        unique_id: The node.
        key: Columns by which rows were matched; empty where whole rows were counted.
        before: Rows in production; None where they could not be counted.
        after: Rows in the review.
        added: Rows that production does not have.
        removed: Rows that the review does not have.
        changed: Rows whose key is in both; None where there is no key: a changed row is then one added and one removed.
        columns: Rows that differ, by column, of those whose key is in both; without a key the values that one side has more often.
        unknown_columns: Why the values of a column could not be compared, by column.
        added_columns: Names and types.
        removed_columns: Names and types.
        retyped_columns: Type before and after, by name; their values are compared in a common type.
        renamed_columns: New name by old name: the old one is removed, and the new one holds the same values.
        details: A closer look at columns that differ, by column.
        samples: Some of the rows that differ.
        remarks: What a reader has to know to read the figures.
        problem: Why there are no figures; None where there are.
    """

    unique_id: str
    key: tuple[str, ...] = ()
    before: int | None = None
    after: int | None = None
    added: int | None = None
    removed: int | None = None
    changed: int | None = None
    columns: dict[str, int] = field(default_factory=dict)
    unknown_columns: dict[str, str] = field(default_factory=dict)
    added_columns: dict[str, str] = field(default_factory=dict)
    removed_columns: dict[str, str] = field(default_factory=dict)
    retyped_columns: dict[str, tuple[str, str]] = field(default_factory=dict)
    renamed_columns: dict[str, str] = field(default_factory=dict)
    details: dict[str, ColumnDetail] = field(default_factory=dict)
    samples: tuple[SampleRow, ...] = ()
    remarks: tuple[str, ...] = ()
    problem: str | None = None

    @property
    def has_schema_changes(self) -> bool:
        return bool(self.added_columns or self.removed_columns or self.retyped_columns)

    @property
    def has_row_changes(self) -> bool:
        return bool(self.added or self.removed or self.changed)

    @property
    def is_unknown(self) -> bool:
        """Whether something of it could not be compared."""
        return self.problem is not None or bool(self.unknown_columns)

    @property
    def is_equal(self) -> bool:
        """Whether it was proven to be the same as in production."""
        return not (self.is_unknown or self.has_row_changes or self.has_schema_changes)


@dataclass(frozen=True)
class Precision:
    """How exactly values are compared, and which may be shown.

    Attributes:
        decimals: Places to which floating-point numbers have to agree; other types have to be equal.
        samples: At most so many rows of each kind of change.
        hidden: Columns whose values are never shown, in lower case.
    """

    decimals: int = 6
    samples: int = 0
    hidden: frozenset[str] = frozenset()

    def shows(self, column: str) -> bool:
        return column.lower() not in self.hidden


def shown_value(value: Any) -> str:
    """A value as text, cut where it is long."""
    text = "null" if value is None else value.hex() if isinstance(value, bytes) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
