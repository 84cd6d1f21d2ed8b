"""Rows that failing tests stored (`store_failures`), where a route asks for them: five a test, and only the columns that it names."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from offdag.collect.dbt_show import DbtShow
from offdag.collect.observe import duckdb_file
from offdag.config_folder import ConfigFolder, seed_lines
from offdag.dbt.command import DbtInvocation
from offdag.errors import OffdagError, UsageError, error_text, first_line
from offdag.history.history import History

if TYPE_CHECKING:
    from offdag.duckdb_files import LockWait

_log = logging.getLogger(__name__)

_MOST_ROWS, _MOST_TESTS, _MOST_CHARACTERS = 5, 20, 100
# database.schema.table as dbt writes it: plain or quoted names without quotes in them.
_PART = r"""(?:[A-Za-z_][\w$-]*|"[\w $-]+"|`[\w $-]+`|\[[\w $-]+\])"""
_RELATION = re.compile(rf"{_PART}(?:\.{_PART}){{0,2}}")


def shown_columns(config: ConfigFolder) -> list[str]:
    """The columns that any route may show, in the order of the routes; none by default.

    Raises:
        UsageError: The routes cannot be read.
    """
    lines = [line for _, line in seed_lines(config.seed("alert_routes"))]
    names = [name.strip() for line in lines for name in (line.get("failing_rows") or "").split("|")]
    # One spelling of each: warehouses give names in their own case.
    return list({name.lower(): name for name in names if name}.values())


@dataclass(frozen=True)
class FailingRows:
    """Reads the rows of one build's failing tests.

    Attributes:
        history: Has the results, and gets the rows.
        invocation: Leads to the project's database.
        wait: How long to wait for a locked database.
        show: How dbt itself is asked, where the database is no DuckDB file that this DuckDB reads.
        columns: Those that may be read.
    """

    history: History
    invocation: DbtInvocation
    wait: LockWait
    show: DbtShow
    columns: Sequence[str]

    def keep(self, run: Mapping[str, Any]) -> int:
        """Write the rows of an ``invocations`` row's failing tests; returns how many tests have some.

        At the first trouble it stops, and logs it: it must neither change the result of a build nor hold it up.
        """
        rows, tests = [], 0
        for test in self._failed(run):
            try:
                found = self._read(str(test["relation_name"]))
            except OffdagError as error:
                _log.warning(
                    "%s", error_text(f"no rows of {test['unique_id']}: {error.what}", error.where, "offdag run")
                )
                break
            tests += bool(found)
            rows += [
                {"unique_id": test["unique_id"], "row_number": number, "column_name": name, "value": value}
                for number, row in enumerate(found, 1)
                for name, value in row.items()
            ]
        if rows:
            constants = {key: run[key] for key in ("project", "environment", "invocation_id", "generated_at")}
            self.history.put("failing_rows", run["generated_at"].date(), run["invocation_id"], rows, constants)
        return tests

    def _failed(self, run: Mapping[str, Any]) -> list[dict[str, Any]]:
        names = ["invocation_id", "unique_id", "status", "relation_name"]
        results: list[dict[str, Any]] = self.history.read_day(
            "node_results", run["generated_at"].date(), names
        ).to_pylist()
        return [
            row
            for row in results
            if row["invocation_id"] == run["invocation_id"]
            and row["status"] in ("fail", "warn")
            and row["relation_name"]
        ][:_MOST_TESTS]

    def _read(self, relation: str) -> list[dict[str, str | None]]:
        """At most five rows, of the columns that may be read."""
        if not _RELATION.fullmatch(relation):
            raise UsageError(
                "the name of its table is not one that dbt writes", relation[:_MOST_CHARACTERS], "dbt test"
            )
        found = self._from_duckdb(relation)
        if found is None:
            found = self.show.query(f"select * from {relation}", _MOST_ROWS, relation)
        wanted = {name.lower(): name for name in self.columns}
        rows = [dict(_values(row, wanted)) for row in found[:_MOST_ROWS]]
        return sorted(rows, key=lambda row: [(name, value or "") for name, value in row.items()])

    def _from_duckdb(self, relation: str) -> list[dict[str, Any]] | None:
        path = duckdb_file(self.invocation)
        if path is None:
            return None
        try:
            import duckdb

            from offdag.duckdb_files import is_readable, open_read_only, quoted
        except ModuleNotFoundError:
            # The collector alone is installed.
            return None
        if not path.is_file() or not is_readable(path):
            return None
        # Without the database, whose name depends on how the file is opened.
        parts = [quoted(part.strip('"`[]')) for part in re.findall(_PART, relation)][-2:]
        table, wanted = ".".join(parts), {name.lower() for name in self.columns}
        with open_read_only(path, self.wait) as database:
            try:
                known = [column[0] for column in database.execute(f"select * from {table} limit 0").description]
                names = [name for name in known if name.lower() in wanted]
                if not names:
                    return []
                query = f"select {', '.join(map(quoted, names))} from {table} limit {_MOST_ROWS}"
                rows = database.execute(query).fetchall()
            except duckdb.Error as error:
                raise UsageError(f"its rows cannot be read: {first_line(error)}", relation, "dbt test") from error
        return [dict(zip(names, row, strict=True)) for row in rows]


def _values(row: Mapping[str, Any], wanted: Mapping[str, str]) -> Iterator[tuple[str, str | None]]:
    """The columns that may be shown, by the name in the seed, as short texts."""
    for name, value in row.items():
        if name.lower() in wanted:
            yield wanted[name.lower()], None if value is None else str(value)[:_MOST_CHARACTERS]
