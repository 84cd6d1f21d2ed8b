"""The seed observed_tables.csv: which tables of which projects are copied after a build."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from offdag.config_folder import ConfigFolder, seed_lines
from offdag.errors import UsageError
from offdag.history.history import History
from offdag.history.schemas import TYPE_WORDS, arrow_schema

_log = logging.getLogger(__name__)

# Columns that record the origin of a row, before the table's own columns.
_ORIGIN_COLUMNS = {
    "_project": "string",
    "_environment": "string",
    "_content_hash": "string",
    "_observed_at": "timestamp",
    "_row_number": "int64",
}


@dataclass(frozen=True)
class ObservedTable:
    """A line of the seed observed_tables.csv.

    Attributes:
        name: The history table is ``observed_<name>``.
        project: dbt project that holds the node.
        unique_id: The node.
        columns: Type word by column; only these are copied.
        max_rows: More rows are cut, and the verdict records it.
    """

    name: str
    project: str
    unique_id: str
    columns: dict[str, str]
    max_rows: int

    @property
    def history_table(self) -> str:
        """Name of the history table."""
        return f"observed_{self.name}"

    @property
    def schema(self) -> pa.Schema:
        """Arrow schema of the history table."""
        return arrow_schema({**_ORIGIN_COLUMNS, **self.columns})


def read_observed_tables(config: ConfigFolder) -> list[ObservedTable]:
    """The tables of the seed; none where there is no such seed.

    Raises:
        UsageError: A line cannot be used.
    """
    tables = []
    for line in _lines(config.seed("observed_tables")):
        if isinstance(line, UsageError):
            raise line
        tables.append(line)
    return tables


def declare_observed_tables(history: History, config: ConfigFolder) -> list[ObservedTable]:
    """Declare the observed tables in the history, so that the monitor's models find them before their first rows.

    A line that cannot be used is logged: it stops observing, and nothing else.

    Returns:
        Those that can be used.
    """
    declared = []
    for line in _lines(config.seed("observed_tables")):
        if isinstance(line, UsageError):
            _log.warning("%s", line)
        else:
            history.declare(line.history_table, line.schema)
            declared.append(line)
    return declared


def _lines(path: Path) -> Iterator[ObservedTable | UsageError]:
    """Each line of the seed as a table, or as the reason why it is none."""
    if not path.is_file():
        return
    try:
        lines = seed_lines(path)
    except UsageError as error:
        yield error
        return
    for number, line in lines:
        try:
            columns = dict(pair.strip().split(":", 1) for pair in line["columns"].split("|"))
            unknown = set(columns.values()) - set(TYPE_WORDS)
            if unknown or not line["observed_table"].isidentifier():
                raise ValueError(
                    f"unknown type {', '.join(unknown)}" if unknown else "observed_table is not a plain name"
                )
            yield ObservedTable(
                line["observed_table"], line["project"], line["unique_id"], columns, int(line["max_rows"])
            )
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            yield UsageError(
                f"a line of the observed tables cannot be used: {error}",
                f"{path}, line {number}",
                "offdag observe    # after a line like: stock,shop,model.shop.stock,id:string|count:int64,10000,why",
            )
