"""Rows of failing tests in messages: real dbt stores them, and only the columns that a route names are read and shown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from offdag.history.history import History
from support.command import CommandResult, config_folder, offdag

_FILES = {
    "dbt_project.yml": "name: till\nprofile: till\ndata_tests: {+store_failures: true}\n",
    "models/payments.sql": """
        select 7 as payment_id, 'open' as status, 'ann@example.com' as email
        union all
        select 8 as payment_id, null as status, 'ben@example.com' as email
    """,
    "models/payments.yml": """
version: 2
models:
  - name: payments
    columns:
      - {name: status, data_tests: [not_null]}
      - {name: payment_id, data_tests: [unique]}
""",
}
_ROUTE = "5,test_failed,,,,,,,#till,,,first,Rows to look into,,,,,,,,payment_id|status\n"
# With a second file attached, only dbt knows in which one a table is.
_OUTPUTS = {
    "duckdb_file": "{type: duckdb, path: till.duckdb}",
    "dbt_show": "{type: duckdb, path: till.duckdb, attach: [{path: other.duckdb}]}",
}


def project(home: Path, outputs: str) -> Path:
    folder = home / "till"
    profile = f"till: {{target: prod, outputs: {{prod: {_OUTPUTS[outputs]}}}}}\n"
    for name, content in {**_FILES, "profiles.yml": profile}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return folder


def run(home: Path, config: Path, *arguments: str) -> CommandResult:
    paths = {"OFFDAG_CONFIG_DIR": str(config), "DBT_TARGET_PATH": str(home / "till" / "target")}
    return offdag(home, *arguments, env=paths)


def build(home: Path, config: Path, outputs: str) -> list[tuple[int, str, str | None]]:
    """The rows that a build with failing tests leaves in the history."""
    folder = str(project(home, outputs))
    done = run(home, config, "run", "-e", "prod", "--project-dir", folder, "--", "dbt", "build")
    assert done.code == 1, done
    rows: list[dict[str, Any]] = History.open_existing(str(home / "history")).read("failing_rows").to_pylist()
    return sorted((row["row_number"], row["column_name"], row["value"]) for row in rows)


def test_rows_are_read_by_dbt_where_the_file_does_not_tell(tmp_path: Path) -> None:
    config = config_folder(tmp_path, alert_routes=_ROUTE)
    assert build(tmp_path, config, "dbt_show") == [(1, "payment_id", "8"), (1, "status", None)]


def test_a_message_shows_the_columns_that_its_route_names(tmp_path: Path) -> None:
    config = config_folder(tmp_path, alert_routes=_ROUTE)
    assert build(tmp_path, config, "duckdb_file") == [(1, "payment_id", "8"), (1, "status", None)]
    assert run(tmp_path, config, "monitor").code == 0
    shown = run(tmp_path, config, "notify", "--dry-run")
    [payload] = json.loads(shown.out)
    assert payload["channel"] == "#till"
    assert "Rows: payment_id=8, status=null" in payload["text"]
    assert "example.com" not in shown.out


def test_without_a_route_that_asks_nothing_is_read(tmp_path: Path) -> None:
    assert build(tmp_path, config_folder(tmp_path), "duckdb_file") == []
