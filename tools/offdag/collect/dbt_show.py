"""Rows of a table through the user's own dbt: `dbt show`, for every warehouse whose driver is not here.

Its artifacts and logs go to a temporary folder, so that those of the last build stay as they are. All columns are read as text, since JSON
numbers lose digits, and cast to the types of observed_tables.csv here.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from offdag.collect.observed_tables import ObservedTable
from offdag.dbt.captured import own_folder, run_captured
from offdag.dbt.command import show_command
from offdag.dbt.redaction import redacted
from offdag.errors import UsageError

# Seconds.
_LONGEST = 600
_SHOWN_CHARACTERS = 300


@dataclass(frozen=True)
class DbtShow:
    """How dbt is called.

    Attributes:
        command: A dbt command with the program, its wrapper and the flags to use, such as ``uv run dbt build --target prod``.
        cwd: Folder in which it runs.
        target_path: The target folder of the build, whose parsed project is read.
        environ: The child's environment.
        secrets: Texts that no error may show.
    """

    command: Sequence[str]
    cwd: Path
    target_path: Path
    environ: Mapping[str, str]
    secrets: Sequence[str] = ()

    def rows(self, table: ObservedTable) -> list[dict[str, str | None]]:
        """The rows of a table in the order of its columns: one more than max_rows where there are more. All values are texts.

        Raises:
            UsageError: dbt cannot show them.
        """
        return [_by_column(row, table) for row in self.query(_query(table), table.max_rows + 1, table.unique_id)]

    def query(self, sql: str, limit: int, what: str) -> list[dict[str, Any]]:
        """The first rows that a query gives; numbers are texts.

        Args:
            sql: With dbt's Jinja.
            limit: Most rows.
            what: What it reads, for errors.

        Raises:
            UsageError: dbt cannot show them.
        """
        with own_folder(self.target_path) as folder:
            command = show_command(self.command, sql, limit, folder)
            try:
                done = run_captured(command, self.cwd, self.environ, _LONGEST)
            except OSError as error:
                raise UsageError(
                    f"dbt show cannot be started: {error.strerror}", command[0], "offdag observe -- dbt"
                ) from error
            except subprocess.TimeoutExpired as error:
                raise UsageError(f"dbt show took more than {_LONGEST} s", what, "dbt show") from error
        shown = _preview(done.stdout)
        if shown is None:
            name = what.split(".")[2] if what.count(".") > 1 else what
            raise UsageError(
                f"dbt show ended with {done.returncode}: {redacted(_reason(done.stdout), self.secrets)}",
                what,
                f"dbt show --select {name}    # dbt 1.5 or later",
            )
        return shown


def _query(table: ObservedTable) -> str:
    """The query, the largest values first: what is cut is always the same, and old where a day is the first column."""
    names = [_identifier(name, table) for name in table.columns]
    # Other names than the table's, so that the order is by the columns themselves, and not by their texts.
    columns = ", ".join(f"cast({name} as {{{{ dbt.type_string() }}}}) as offdag_{i}" for i, name in enumerate(names))
    order = ", ".join(f"{name} desc" for name in names)
    return f"select {columns} from {_reference(table.unique_id)} order by {order}"


def _identifier(name: str, table: ObservedTable) -> str:
    """A column as the seed names it, in the warehouse's own case; one with other characters is quoted."""
    if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_$]*", name):
        return name
    if re.search(r"""[{}%'"\\]""", name):
        raise UsageError(f"dbt show cannot name the column {name}", table.unique_id, "offdag observe")
    return f"{{{{ adapter.quote('{name}') }}}}"


def _reference(unique_id: str) -> str:
    """How a query names the node: dbt then knows its relation, with the quoting of the project."""
    kind, package, *rest = unique_id.split(".") if re.fullmatch(r"[\w.]+", unique_id) else ("", "")
    if kind == "source" and len(rest) == 2:
        return f"{{{{ source('{rest[0]}', '{rest[1]}') }}}}"
    if kind in ("model", "seed", "snapshot") and rest:
        version = f", v='{rest[1].removeprefix('v')}'" if len(rest) > 1 else ""
        return f"{{{{ ref('{package}', '{rest[0]}'{version}) }}}}"
    raise UsageError(
        "this is not the unique_id of a model, seed, snapshot or source", unique_id, "dbt ls --output json"
    )


def _preview(output: str) -> list[dict[str, Any]] | None:
    """The rows in dbt's output: the JSON document that has them, between its log lines. None where there is none."""
    decoder = json.JSONDecoder(parse_float=str, parse_int=str)
    at = output.find("{")
    while at >= 0:
        try:
            document, end = decoder.raw_decode(output, at)
        except ValueError:
            at = output.find("{", at + 1)
            continue
        if isinstance(document, dict) and isinstance(document.get("show"), list):
            rows: list[dict[str, Any]] = document["show"]
            return rows
        at = output.find("{", end)
    return None


def _by_column(row: Mapping[str, Any], table: ObservedTable) -> dict[str, str | None]:
    """The row with the names of the seed; a warehouse may give names in its own case."""
    found = {name.lower(): value for name, value in row.items()}
    if any(f"offdag_{i}" not in found for i in range(len(table.columns))):
        raise UsageError("dbt show gave other columns than were asked for", table.unique_id, "offdag observe")
    values = {name: found[f"offdag_{i}"] for i, name in enumerate(table.columns)}
    return {name: None if value is None else str(value) for name, value in values.items()}


def _reason(output: str) -> str:
    """The line of dbt's output that names the error, with the one after it; else the last line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()] or ["no output"]
    named = [number for number, line in enumerate(lines) if "Error" in line]
    shown = lines[named[-1] : named[-1] + 2] if named else lines[-1:]
    return " ".join(shown)[:_SHOWN_CHARACTERS]
