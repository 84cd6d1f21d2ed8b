"""The end of dbt's log: what is shown of it, and the line that names why dbt ended."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from offdag.clock import utc_now
from offdag.collect.dbt_log import LogEnd

BEFORE = """
============================== 11:40:02.143341 | 437b187d ==============================
\x1b[0m11:40:02.143341 [info ] [MainThread]: Running with dbt=1.11.16
\x1b[0m11:40:02.143678 [debug] [MainThread]: running dbt with arguments {'quiet': 'False'}
"""
AFTER = """
\x1b[0m11:40:02.572449 [debug] [MainThread]: Command `dbt build` failed at 11:40:02.572378 after 0.49 seconds
\x1b[0m11:40:02.580060 [debug] [MainThread]: An error was encountered while trying to flush usage events
"""
PARSING = """\x1b[0m11:40:02.566739 [error] [MainThread]: Encountered an error:
Parsing Error
  Error reading p: x.yml - Runtime Error
    Syntax error near line 4
"""
TARGET = """\x1b[0m11:40:04.990195 [error] [MainThread]: Encountered an error:
Runtime Error
  The profile 'p' does not have a target named 'prod'. The valid target names for this profile are:
   - dev
"""
COMPILATION = """\x1b[0m11:40:08.884306 [error] [MainThread]: Encountered an error:
Compilation Error in model m (models/m.sql)
  unexpected '}', expected ')'
    line 1
"""


def log_end(folder: Path, text: str, since: datetime | None = None) -> LogEnd | None:
    (folder / "dbt.log").write_text(text)
    return LogEnd.read(folder / "dbt.log", since or utc_now() - timedelta(minutes=1), lambda text: text)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (PARSING, "Parsing Error: Error reading p: x.yml - Runtime Error"),
        (
            TARGET,
            "Runtime Error: The profile 'p' does not have a target named 'prod'. The valid target names for this profile are",
        ),
        (COMPILATION, "Compilation Error in model m (models/m.sql): unexpected '}', expected ')'"),
        ("", None),
    ],
)
def test_the_last_error_is_one_line(tmp_path: Path, text: str, error: str | None) -> None:
    found = log_end(tmp_path, BEFORE + text + AFTER)
    assert found is not None
    assert found.error == error


def test_of_several_errors_the_last_one_counts(tmp_path: Path) -> None:
    found = log_end(tmp_path, BEFORE + PARSING + TARGET + AFTER)
    assert found is not None
    assert found.error is not None
    assert found.error.startswith("Runtime Error")


def test_debug_lines_and_colors_are_left_out(tmp_path: Path) -> None:
    found = log_end(tmp_path, BEFORE + PARSING + AFTER)
    assert found is not None
    assert "Syntax error near line 4" in found.tail
    assert "\x1b" not in found.tail
    assert "running dbt with arguments" not in found.tail
    assert "usage events" not in found.tail


def test_a_log_in_another_format_is_shown_as_it_is(tmp_path: Path) -> None:
    found = log_end(tmp_path, "Loading profiles.yml\nerror: dbt1005: no such profile\n  --> profiles.yml:1\n")
    assert found == LogEnd(
        "Loading profiles.yml\ndbt1005: no such profile\n  --> profiles.yml:1",
        "dbt1005: no such profile: --> profiles.yml:1",
    )


def test_the_log_of_an_earlier_run_is_not_read(tmp_path: Path) -> None:
    assert log_end(tmp_path, PARSING, since=utc_now() + timedelta(minutes=1)) is None
    assert LogEnd.read(tmp_path / "gone.log", utc_now(), lambda text: text) is None


def test_what_an_earlier_run_wrote_is_not_taken_for_this_one(tmp_path: Path) -> None:
    log = tmp_path / "dbt.log"
    log.write_text(
        "============================== 11:40:01.102933 | one ==============================\n"
        "11:40:02.566739 [error] [MainThread]: Database Error\n"
        "============================== 11:50:01.102933 | two ==============================\n"
        "11:50:02.566739 [info ] [MainThread]: Done. PASS=1 WARN=0 ERROR=0 SKIP=0 NO-OP=0 TOTAL=1\n"
    )
    end = LogEnd.read(log, datetime(2026, 1, 1), lambda text: text)
    assert end == LogEnd("Done. PASS=1 WARN=0 ERROR=0 SKIP=0 NO-OP=0 TOTAL=1", None)
