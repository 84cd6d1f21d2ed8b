"""Generated commands through the collector and the monitor's SQL, against an oracle that shares nothing with it but the artifacts."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from offdag.collect.collection import collect
from offdag.collect.context import Context
from offdag.collect.places import find_artifacts
from sim import artifacts
from support import generated, histories
from support.command import config_folder, offdag
from support.generated import Project
from support.oracle import health, incidents, nodes, quality, runs, sources, stock

BEGIN = datetime(2026, 1, 2, 6)
# `make oracle` compares more than a thousand builds.
PROJECTS, DAYS = int(os.environ.get("OFFDAG_TEST_PROJECTS", "16")), 8
AS_OF = BEGIN + timedelta(days=DAYS)


class Monitored:
    """The generated projects and the monitor's database."""

    def __init__(self, home: Path) -> None:
        self.database = home / "monitor.duckdb"
        self.projects = [generated.project(seed, f"p{seed}", DAYS, BEGIN) for seed in range(PROJECTS)]
        history = histories.open_history(home)
        for project in self.projects:
            for build in project.builds:
                artifacts.write(home / "artifacts" / build.id, **project.documents(build))
            for run in project.freshness:
                artifacts.write(home / "artifacts" / run.id, **project.freshness_documents(run))
            for described in project.descriptions:
                artifacts.write(home / "artifacts" / described.id, **project.description_documents(described))
            day_of_begin = (BEGIN - histories.BEGIN).days
            held = {float(day + day_of_begin): counts for day, counts in project.stock.items()}
            for number, moment in enumerate(histories.stock(held)):
                histories.Play(project.name, number, moment).collect(history, home)
        cadences = "".join(f"{project.name},prod,,,24,2,,,\n" for project in self.projects)
        config = config_folder(home, run_cadences=cadences)
        given = (config / "dbt_project.yml").read_text(encoding="utf-8")
        given = given.replace("vars: {}", f"vars: {{baseline_least_days: {quality.LEAST_DAYS}}}")
        (config / "dbt_project.yml").write_text(given, encoding="utf-8")
        collect(history, find_artifacts([str(home / "artifacts")], True), Context(environment="prod"))
        ended = offdag(home, "monitor", "--as-of", AS_OF.isoformat(), "--config-dir", str(config))
        assert ended.code == 0, ended

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.database), read_only=True) as connection:
            return connection.execute(query).fetchall()

    def expected(self, rows: Callable[[Project], dict[Any, Any]]) -> dict[tuple[Any, ...], Any]:
        """The oracle's rows of all projects, by project and key."""
        return {
            (project.name, *(key if isinstance(key, tuple) else (key,))): value
            for project in self.projects
            for key, value in rows(project).items()
        }


@pytest.fixture(scope="module")
def monitored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Monitored]:
    yield Monitored(tmp_path_factory.mktemp("oracle"))


def by_key(rows: list[tuple[Any, ...]], key_length: int) -> dict[tuple[Any, ...], Any]:
    """Rows by their first columns; a single other column is not a tuple."""
    found: dict[tuple[Any, ...], Any] = {}
    for row in rows:
        key, value = row[:key_length], row[key_length:]
        assert key not in found
        found[key] = value if len(value) > 1 else value[0]
    return found


def is_same(found: Any, expected: Any) -> bool:
    """Equal; numbers but for what floating point leaves open."""
    if isinstance(expected, tuple):
        return len(found) == len(expected) and all(map(is_same, found, expected))
    return bool(found == (pytest.approx(expected, abs=2e-6) if isinstance(expected, float) else expected))


# Query, columns of its key, the oracle.
SAME_ROWS: dict[str, tuple[str, int, Callable[[Project], dict[Any, Any]]]] = {
    "fct_node_executions": (
        """
        select project, invocation_id, node_id, outcome, failure_count, started_at, completed_at, rows_affected
        from fct_node_executions
        where is_build
        """,
        3,
        runs.executions,
    ),
    "fct_newest_executions": (
        "select project, invocation_id, node_id, true from fct_newest_executions",
        3,
        lambda project: dict.fromkeys(runs.newest_executions(project), True),
    ),
    "fct_invocations": (
        """
        select project, run_id, invocation_status, success_count, failure_count, warning_count, skipped_count, result_count,
            completes_run_id
        from fct_invocations
        """,
        2,
        runs.invocations,
    ),
    "fct_job_invocations": ("select project, run_id, job_key from fct_job_invocations", 2, runs.job_invocations),
    "fct_jobs": (
        "select project, job_key, job_status, ended_at, invocation_count, result_count, usual_seconds from fct_jobs",
        2,
        lambda project: {
            key: (*job, runs.usual_seconds(project)[job.ended_at]) for key, job in runs.jobs(project).items()
        },
    ),
    "fct_source_states": (
        "select project, node_id, source_state, last_checked_at from fct_source_states",
        2,
        lambda project: health.source_states(project, AS_OF),
    ),
    "fct_deadlines": (
        "select project, due_at, deadline_status, kept_count, late_count from fct_deadlines where project != 'inventory'",
        1,
        lambda project: {(): health.deadlines(project, AS_OF)},
    ),
    "fct_build_health_daily": (
        """
        select project, build_date, build_count, success_count, failure_count, test_pass_count, test_warn_count,
            test_fail_count, skipped_count
        from fct_build_health_daily
        """,
        2,
        runs.health,
    ),
    "fct_error_budgets": (
        "select project, build_count, failed_build_count from fct_error_budgets",
        1,
        lambda project: {(): budget} if (budget := runs.error_budget(project)) else {},
    ),
    "fct_run_concurrency": (
        "select project, invocation_id, span_seconds, node_seconds, peak_busy_count from fct_run_concurrency",
        2,
        lambda project: dict(list(runs.concurrency(project).items())[-10:]),
    ),
    "fct_mass_failures": (
        "select project, invocation_id, executed_count, alike_count from fct_mass_failures",
        2,
        runs.mass_failures,
    ),
    "fct_node_costs": (
        "select project, invocation_id, node_id, true from fct_node_costs",
        3,
        lambda project: dict.fromkeys(runs.costs(project), True),
    ),
    "dim_environments": (
        """
        select project, first_run_at, last_run_at, last_build_at, last_build_run_id, last_build_status, build_count
        from dim_environments
        """,
        1,
        lambda project: {(): runs.environment(project)},
    ),
    "fct_node_drop": (
        "select project, run_id, result_count, usual_result_count, is_drop from fct_node_drop where command = 'build'",
        2,
        runs.node_drop,
    ),
    "fct_run_gaps": (
        "select project, last_run_id, due_at, true from fct_run_gaps",
        3,
        lambda project: dict.fromkeys(runs.gaps(project, AS_OF), True),
    ),
    "fct_run_critical_path": (
        "select project, invocation_id, node_id, wait_seconds, slack_seconds, is_critical from fct_run_critical_path",
        3,
        lambda project: {
            (build.id, node): timed
            for build in [b for b in project.builds if not b.retries][-10:]
            for node, timed in runs.critical_path(project, build).items()
        },
    ),
    "fct_failure_impact": (
        "select project, invocation_id, node_id, downstream_model_count, skipped_model_count from fct_failure_impact",
        3,
        lambda project: {
            (build.id, node): counts for build in project.builds for node, counts in runs.impact(project, build).items()
        },
    ),
    "fct_test_results": (
        "select project, invocation_id, node_id, outcome from fct_test_results",
        3,
        quality.test_results,
    ),
    "fct_model_durations": (
        """
        select project, invocation_id, node_id, execution_seconds, usual_seconds, deviations, p50_seconds,
            p95_seconds, is_slow
        from fct_model_durations
        """,
        3,
        quality.durations,
    ),
    "fct_test_flakiness": (
        """
        select project, node_id, flip_count, retry_pass_count, run_count
        from fct_test_flakiness
        inner join dim_nodes using (project, environment, node_id)
        where is_latest
        """,
        2,
        quality.flips,
    ),
    "fct_project_coverage": (
        """
        select project, resource_type, cast(sum(node_count) as bigint), cast(sum(tested_count) as bigint)
        from fct_project_coverage
        group by project, resource_type
        """,
        2,
        quality.coverage,
    ),
    "fct_source_freshness": (
        "select project, invocation_id, node_id, freshness_status, stale_at from fct_source_freshness",
        3,
        sources.freshness,
    ),
    "fct_source_sla": (
        "select project, node_id, check_count, fresh_check_count, watched_minutes, fresh_minutes from fct_source_sla",
        2,
        lambda project: sources.service_level(project, AS_OF),
    ),
    "fct_source_coverage": (
        "select project, node_id, coverage_status, last_checked_at from fct_source_coverage",
        2,
        sources.coverage,
    ),
    "dim_nodes": (
        "select project, node_id, true from dim_nodes",
        2,
        lambda project: dict.fromkeys(nodes.current(project), True),
    ),
    "dim_nodes_ever": ("select project, node_id, is_current from dim_nodes_ever", 2, nodes.ever),
    "dim_node_history": (
        "select project, node_id, valid_from_at, valid_to_at, true from dim_node_history",
        4,
        lambda project: dict.fromkeys(nodes.periods(project), True),
    ),
    "fct_lineage_edges": ("select project, parent_id, child_id, child_depth from fct_lineage_edges", 3, nodes.edges),
    "fct_stock_counts": (
        "select project, product_name, counted_at, inventory_count, prior_inventory_count from fct_stock_counts",
        3,
        lambda project: {key: (count.inventory, count.prior) for key, count in stock.counts(project, BEGIN).items()},
    ),
    "fct_stock_forecasts": (
        "select project, product_name, counted_at, mean_daily_fall, days_left from fct_stock_forecasts",
        3,
        lambda project: {
            key: (count.mean_daily_fall, count.days_left) for key, count in stock.counts(project, BEGIN).items()
        },
    ),
    "dim_product_stock": (
        "select project, product_name, inventory_count, out_since_at from dim_product_stock",
        2,
        lambda project: stock.products(project, BEGIN),
    ),
    "fct_observations": (
        "select project, observed_at, is_newest from fct_observations",
        2,
        lambda project: stock.observations(project, BEGIN),
    ),
    "fct_schema_changes": (
        "select project, node_id, changed_at, column_count from fct_schema_changes",
        3,
        nodes.schema_changes,
    ),
    "dim_node_routes": (
        "select project, node_id, severity, channel, true from dim_node_routes",
        4,
        lambda project: dict.fromkeys(nodes.routes(project), True),
    ),
    "fct_incident_changes": (
        """
        select project, node_id, started_at, last_success_run_id, change_count
        from fct_incident_changes as changes
        inner join fct_incidents using (incident_id, project, environment)
        inner join dim_nodes using (project, environment, node_id)
        where kind in ('node_failed', 'test_failed')
        """,
        3,
        lambda project: {key: (run, len(changed)) for key, (run, changed) in incidents.changes(project, AS_OF).items()},
    ),
    "fct_incidents": (
        """
        select project, node_id, incident_status, started_at, last_bad_at, bad_count, ended_at, incidents.severity, first_bad_run_id, true
        from fct_incidents as incidents
        inner join fct_incident_context using (incident_id, project, environment, kind)
        where kind in ('node_failed', 'test_failed')
        """,
        9,
        lambda project: dict.fromkeys(incidents.incidents(project), True),
    ),
    "fct_incident_routes": (
        """
        select project, node_id, started_at, channel, reminder_hours
        from fct_incident_routes
        inner join fct_incidents using (incident_id)
        where kind in ('node_failed', 'test_failed')
        """,
        3,
        incidents.routes,
    ),
    "fct_incident_recovery": (
        """
        select project, kind, incident_count, open_count, resolved_count, closed_count, mean_recovery_seconds
        from fct_incident_recovery
        where kind in ('node_failed', 'test_failed')
        """,
        2,
        lambda project: {
            kind: found
            for kind in ("node_failed", "test_failed")
            if (found := incidents.recovery(project, kind)) is not None
        },
    ),
    "fct_notifications_due": (
        """
        select project, node_id, sink, event
        from fct_notifications_due
        where kind in ('node_failed', 'test_failed')
        """,
        3,
        lambda project: {
            (node, sink): "opened" for node in incidents.due(project, AS_OF) for sink in ("slack", "webhook", "stdout")
        },
    ),
}


@pytest.mark.parametrize("mart", SAME_ROWS)
def test_the_mart_has_the_rows_of_the_oracle(monitored: Monitored, mart: str) -> None:
    query, key_length, oracle = SAME_ROWS[mart]
    found, expected = by_key(monitored.rows(query), key_length), monitored.expected(oracle)
    assert found.keys() - expected.keys() == set()
    assert expected.keys() - found.keys() == set()
    assert found
    different = {key: (found[key], value) for key, value in expected.items() if not is_same(found[key], value)}
    assert not different


def test_durations_are_judged(monitored: Monitored) -> None:
    found = {is_slow for (is_slow,) in monitored.rows("select distinct is_slow from fct_model_durations")}
    assert found == {True, False, None}


def test_health_follows_from_the_open_incidents(monitored: Monitored) -> None:
    incidents_of: dict[str, list[health.OpenIncident]] = {}
    for project, *incident in monitored.rows(
        "select project, kind, node_id, severity from fct_incidents where incident_status = 'open'"
    ):
        incidents_of.setdefault(project, []).append(health.OpenIncident(*incident))
    found = by_key(monitored.rows("select project, node_id, health, incident_count from fct_exposure_health"), 2)
    expected = monitored.expected(lambda project: health.exposures(project, incidents_of.get(project.name, [])))
    assert found == expected
    assert len({word for word, _ in found.values()}) >= 2
    places = by_key(
        monitored.rows(
            "select project, health, last_job_status, open_error_count, open_warning_count from fct_environment_health"
        ),
        1,
    )
    for project in monitored.projects:
        mine = incidents_of.get(project.name, [])
        judged = [job.status for job in runs.jobs(project).values() if job.status != "empty"]
        word, last, errors, warnings = places[project.name,]
        assert (last, errors) == (judged[-1], sum(i.severity == "error" for i in mine))
        assert warnings == len(mine) - errors
        if errors or last == "failure":
            assert word == "degraded"
        elif warnings:
            assert word == "caution"
        else:
            assert word in ("caution", "healthy")


def test_a_cause_is_a_change_upstream_or_a_source(monitored: Monitored) -> None:
    """Of the incident, or of one upstream; and an incident with a change upstream has a cause."""
    rows = monitored.rows(
        """
        select causes.project, incidents.node_id, incidents.started_at, causes.cause_kind, causes.cause_node_id,
            coalesce(above.node_id, incidents.node_id), coalesce(above.started_at, incidents.started_at)
        from fct_incident_causes as causes
        inner join fct_incidents as incidents using (incident_id)
        left join fct_incidents as above on causes.upstream_incident_id = above.incident_id
        where incidents.kind in ('node_failed', 'test_failed')
        """
    )
    changed_count = 0
    for project in monitored.projects:
        changes = incidents.changes(project, AS_OF)
        mine = [row[1:] for row in rows if row[0] == project.name]
        explained = {(node, at) for node, at, *_ in mine}
        assert {key for key, (_, changed) in changes.items() if changed} <= explained
        for node, at, kind, cause, origin, origin_at in mine:
            if (origin, origin_at) not in changes:
                continue
            assert cause in nodes.upstream(project, origin), (node, at)
            if kind in ("code", "seed", "test"):
                changed_count += 1
                assert cause in changes[origin, origin_at][1], (node, at)
    assert changed_count


def test_every_mart_is_compared(monitored: Monitored) -> None:
    marts = {
        name
        for (name,) in monitored.rows("select table_name from information_schema.tables")
        if name[:4] in ("fct_", "dim_")
    }
    # fct_incident_context is compared with fct_incidents, and health with all open incidents.
    # The order of causes is a judgement, which a benchmark measures; what may be named is compared.
    compared = {"fct_incident_context", "fct_exposure_health", "fct_environment_health", "fct_incident_causes"}
    # The generated shops have no sessions.
    assert monitored.rows("select * from fct_product_funnel") == []
    assert marts - SAME_ROWS.keys() == {"dim_monitor", "fct_seed_findings", "fct_product_funnel", *compared}
    assert monitored.rows("select as_of from dim_monitor") == [(AS_OF,)]
    # The shop's cadence: no command of the shop was collected.
    found = monitored.rows("select seed_name, column_name, named_value from fct_seed_findings")
    assert found == [("run_cadences", "project", "inventory")]
