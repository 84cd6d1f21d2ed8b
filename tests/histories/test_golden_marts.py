"""The marts of each story as CSV, for any order of its artifacts."""

from __future__ import annotations

import csv
import difflib
import io
import os
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from support import histories
from support.command import ROOT, CommandResult, offdag

pytestmark = pytest.mark.golden

GOLDEN = ROOT / "tests" / "golden" / "stories"
# What each story is about: its rows of these marts are compared with a file that a person can read. The longer marts (executions, nodes,
# lineage, routes) are held by the reconciliation and arithmetic tests of dbt, which run on all stories with --all-tests.
SUBJECTS: dict[str, tuple[str, ...]] = {
    "all_is_well": (
        "fct_build_health_daily",
        "fct_error_budgets",
        "dim_environments",
        "fct_environment_health",
        "fct_exposure_health",
    ),
    "one_test_fails": ("fct_incidents", "fct_incident_recovery", "fct_build_health_daily"),
    "one_test_warns": ("fct_incidents", "fct_incident_context"),
    "retry_recovers": (
        "fct_incidents",
        "fct_invocations",
        "fct_jobs",
        "fct_job_invocations",
        "fct_failure_impact",
        "fct_error_budgets",
    ),
    "source_goes_stale_and_another_vanishes": (
        "fct_incidents",
        "fct_source_freshness",
        "fct_source_sla",
        "fct_source_coverage",
        "fct_source_states",
        "fct_environment_health",
    ),
    "warehouse_unreachable": ("fct_incidents", "fct_mass_failures"),
    "warning_grows": ("fct_incidents",),
    "reused": ("fct_incidents", "fct_invocations"),
    "model_not_done_in_time": ("fct_incidents",),
    "due_by_cron": ("fct_incidents", "fct_deadlines", "fct_run_gaps"),
    "model_left_out": ("fct_incidents", "fct_build_health_daily"),
    "interrupted": ("fct_incidents", "fct_invocations"),
    "never_ended": ("fct_incidents",),
    "at_risk_then_missing": ("fct_incidents", "fct_deadlines"),
    "due_by_local_time": ("fct_incidents", "fct_run_gaps", "fct_deadlines"),
    "schedule_missed": ("fct_incidents", "fct_run_gaps", "fct_deadlines", "fct_exposure_health"),
    "one_command_a_node": ("fct_incidents", "fct_jobs", "fct_failure_impact", "fct_build_health_daily"),
    "parts_go_on": ("fct_incidents", "fct_run_gaps"),
    "jobs_with_other_nodes": ("fct_incidents",),
    "source_loses_its_rule": ("fct_incidents",),
    "slow_model": ("fct_incidents", "fct_run_concurrency"),
    "flaky_test": ("fct_incidents", "fct_test_flakiness", "fct_test_results"),
    "columns_change": ("fct_incidents", "fct_schema_changes"),
    "contract_changes": ("fct_incidents", "fct_schema_changes"),
    "rows_drop": ("fct_incidents", "fct_node_costs"),
    "nodes_drop": ("fct_incidents", "fct_node_drop"),
    "continues_after_an_error": ("fct_incidents", "fct_failure_impact"),
    "test_is_removed": ("fct_incidents", "fct_project_coverage"),
    "model_fails_and_takes_others_down": (
        "fct_incidents",
        "fct_failure_impact",
        "fct_notifications_due",
        "fct_exposure_health",
        "fct_environment_health",
    ),
    "upstream_code_changes": ("fct_incidents", "fct_incident_changes", "fct_incident_causes"),
    "fails_in_ci_alone": ("dim_environments", "fct_incidents", "fct_build_health_daily"),
    "stock_runs_out": (
        "fct_incidents",
        "fct_stock_counts",
        "fct_stock_forecasts",
        "dim_product_stock",
        "fct_notifications_due",
    ),
    "funnel_is_observed": ("fct_product_funnel", "fct_observations"),
    "a_week_is_there_twice": ("fct_incidents", "fct_observations"),
    "stays_out_of_stock": ("fct_incidents", "fct_stock_counts"),
    "stays_flaky": ("fct_incidents", "fct_test_flakiness"),
    "waits_of_one_build": ("fct_run_critical_path",),
    "hook_fails": ("fct_incidents", "fct_jobs"),
    "retry_of_the_test_alone": ("fct_incidents", "fct_jobs"),
    "since_before_the_first_run": ("fct_incidents", "fct_run_gaps"),
    "weekdays_only": ("fct_incidents",),
    "two_parallel_builds": ("fct_incidents", "fct_invocations", "fct_job_invocations"),
    "newest_build_selected_nothing": ("fct_incidents", "fct_jobs", "dim_environments"),
    "slow_then_full_refresh": ("fct_incidents",),
    "view_becomes_table": ("fct_incidents",),
    "jobs_differ_by_a_variable": ("fct_incidents",),
    "three_runs_in_one_second": ("fct_incidents", "fct_jobs"),
    "across_midnight": ("fct_incidents", "fct_build_health_daily"),
    "clock_behind": ("fct_incidents",),
    "one_of_two_alike_tests_is_removed": ("fct_incidents",),
    "no_manifest": ("fct_incidents", "fct_failure_impact"),
    "test_skipped_for_weeks": ("fct_incidents",),
    "node_returns_failing": ("fct_incidents",),
    "fortnightly_job_always_fails": ("fct_incidents",),
    "builds_without_data": ("fct_incidents", "fct_invocations"),
    "clone_and_test_alone": ("fct_incidents", "fct_jobs"),
    "dbt_upgrade": ("fct_incidents",),
    "monitor_off_for_three_weeks": ("fct_incidents", "fct_notifications_due"),
    "a_year": ("fct_incidents", "fct_incident_recovery", "fct_error_budgets"),
}
# More rows are not read by anybody.
MOST_ROWS = 16
MARTS = sorted(
    path.stem
    for folder in ("marts", "signals", "business", "incidents", "health")
    for path in (ROOT / "monitor_project" / "models" / folder).rglob("*.sql")
)
# Signals are shown by the incidents, dim_monitor says only how the monitor was run, and the staging model has the rows that are given.
SHOWN = [m for m in MARTS if m.startswith(("fct_", "dim_")) and m != "dim_monitor"]
_KEY = re.compile(r"[0-9a-f]{32}|[0-9a-f]{64}")


@dataclass(frozen=True)
class MonitoredHome:
    """A home whose monitor has been built."""

    home: Path

    @property
    def database(self) -> Path:
        return self.home / "monitor.duckdb"

    def build(self, *arguments: str, as_of: datetime = histories.AS_OF) -> CommandResult:
        config = str(self.home / "offdag")
        moment = as_of.isoformat()
        return offdag(self.home, "monitor", "--config-dir", config, "--as-of", moment, *arguments)

    def rows(self, mart: str) -> list[dict[str, Any]]:
        """All rows, in a fixed order; keys that are hashes and the versions of files are left out."""
        with duckdb.connect(str(self.database), read_only=True) as connection:
            found = connection.execute(f"select * from {mart} order by all").to_arrow_table().to_pylist()
        hashed = {name for row in found for name, value in row.items() if _KEY.fullmatch(str(value))}
        return sorted(({k: v for k, v in row.items() if k not in hashed} for row in found), key=str)


def made(home: Path) -> MonitoredHome:
    histories.config(home)
    return MonitoredHome(home)


@pytest.fixture(scope="session")
def monitored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MonitoredHome]:
    """All stories, collected in the order of their time."""
    home = tmp_path_factory.mktemp("stories")
    monitored = made(home)
    history = histories.open_history(home)
    for play in histories.plays():
        play.collect(history, home / "artifacts")
    built = monitored.build("--all-tests")
    assert built.code == 0, built
    yield monitored


def as_csv(rows: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    if rows:
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return text.getvalue()


@pytest.mark.parametrize(("story", "mart"), [(story, mart) for story, marts in SUBJECTS.items() for mart in marts])
def test_each_story_gives_the_rows_that_were_read_and_found_right(
    monitored: MonitoredHome, story: str, mart: str
) -> None:
    found = [row for row in monitored.rows(mart) if row["project"] == story]
    assert len(found) <= MOST_ROWS
    rows = [{name: value for name, value in row.items() if name != "project"} for row in found]
    path = GOLDEN / story / f"{mart}.csv"
    if os.environ.get("OFFDAG_WRITE_GOLDEN") == "1":
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(as_csv(rows), encoding="utf-8")
    assert path.is_file(), f"there is no golden file {story}/{path.name}: run make golden and read it"
    assert as_csv(rows) == path.read_text(encoding="utf-8")


def test_every_story_has_a_subject_and_no_file_is_left_over() -> None:
    assert set(SUBJECTS) == set(histories.STORIES)
    expected = {f"{story}/{mart}.csv" for story, marts in SUBJECTS.items() for mart in marts}
    assert {path.relative_to(GOLDEN).as_posix() for path in GOLDEN.rglob("*.csv")} == expected


@pytest.mark.parametrize("mart", SHOWN)
def test_each_mart_has_rows_in_some_story(monitored: MonitoredHome, mart: str) -> None:
    assert monitored.rows(mart)


def test_every_kind_of_signal_is_in_some_story(monitored: MonitoredHome) -> None:
    kinds = {m.removeprefix("signal_") for m in MARTS if m.startswith("signal_")} - {"business_check"}
    kinds |= {"week_twice", "funnel_empty"}
    assert {row["kind"] for row in monitored.rows("fct_incidents")} == kinds


@pytest.mark.slow
@settings(max_examples=1, deadline=None, derandomize=True, phases=[Phase.generate])
@given(seed=st.integers(0, 2**32), early=st.floats(0, 1))
def test_artifacts_in_any_order_give_the_same_incidents(
    monitored: MonitoredHome, tmp_path_factory: pytest.TempPathFactory, seed: int, early: float
) -> None:
    """Some arrive before a monitor run, the rest after it: as an archive that is collected late, or a backfill."""
    plays = list(histories.plays())
    random.Random(seed).shuffle(plays)
    first = int(len(plays) * early)
    shuffled = made(tmp_path_factory.mktemp("shuffled"))
    history = histories.open_history(shuffled.home)
    for part in (plays[:first], plays[first:]):
        for play in part:
            play.collect(history, shuffled.home / "artifacts")
        built = shuffled.build()
        assert built.code == 0, built
    # All but what is due, which depends on whether an earlier monitor run could see the project.
    different = [
        mart for mart in MARTS if mart != "fct_notifications_due" and shuffled.rows(mart) != monitored.rows(mart)
    ]
    assert not different, "\n".join(
        line
        for mart in different
        for line in difflib.unified_diff(
            as_csv(monitored.rows(mart)).splitlines(), as_csv(shuffled.rows(mart)).splitlines(), mart, mart, n=0
        )
    )


@pytest.mark.parametrize("days", [4])
def test_an_open_incident_is_the_same_one_later(monitored: MonitoredHome, days: int) -> None:
    """Otherwise it would be announced again."""
    query = "select signal_key, started_at, ended_at from fct_incidents"
    as_of = histories.AS_OF - timedelta(days=days)
    database = monitored.home / f"earlier_{days}.duckdb"
    built = monitored.build("--monitor-database", str(database), as_of=as_of)
    assert built.code == 0, built
    with duckdb.connect(str(database), read_only=True) as connection:
        was_open = {(key, start) for key, start, end in connection.execute(query).fetchall() if end is None}
    with duckdb.connect(str(monitored.database), read_only=True) as connection:
        ends = {(key, start): end for key, start, end in connection.execute(query).fetchall()}
    assert len(was_open) > 5
    assert was_open <= set(ends)
    assert all(ends[incident] is None or ends[incident] > as_of for incident in was_open)


QUESTIONS = (ROOT / "docs" / "questions.md").read_text()


@pytest.mark.parametrize("mart", SHOWN)
def test_the_questions_of_each_mart_have_answers(monitored: MonitoredHome, mart: str) -> None:
    section = re.search(rf"^## {mart}$(.*?)(?=^## |\Z)", QUESTIONS, re.M | re.S)
    assert section, f"docs/questions.md asks nothing of {mart}"
    queries = re.findall(r"```sql\n(.*?)```", section[1], re.S)
    assert len(queries) == 2
    with duckdb.connect(str(monitored.database), read_only=True) as connection:
        for query in queries:
            assert f"from {mart}" in query
            assert connection.execute(query).fetchall(), query
