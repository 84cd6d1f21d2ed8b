"""Histories with one story each, named for its events: recorded runs of dbt 1.11, with new dates and the changes of the story.

Each story is a separate project in one history, so one monitor run computes them all.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from offdag.collect.collection import collect
from offdag.collect.context import Context
from offdag.collect.observed_tables import declare_observed_tables
from offdag.collect.places import find_artifacts
from offdag.history.history import History
from offdag.origin import Origin
from sim import artifacts
from support.command import config_folder
from support.projects import SHOP
from support.recorded import document

Document = dict[str, Any]

# The stories begin here, and are monitored after the tenth day.
BEGIN = datetime(2026, 1, 1, 6)
AS_OF = datetime(2026, 1, 11, 0)

ORDERS, UNIQUE = "model.shop.fct_orders", "test.shop.unique_fct_orders_order_id.523ddb6ce5"
BROKEN, AFTER_BROKEN = "model.shop.fct_broken", "model.shop.after_broken"
LOADS, NO_LOADS = "source.shop.raw.loads", "source.shop.raw.no_loads"
FUNNEL = "observed_f_product_weekly_funnel"
WARNS = "test.shop.warns_on_any_row"
VALUES = "test.shop.accepted_values_stg_orders_customer__Ann__Ben__Cleo.6be5252076"
MORE_VALUES = "test.shop.accepted_values_stg_orders_customer__Ann__Ben.0123456789"
SEED, STAGING = "seed.shop.orders", "model.shop.stg_orders"

_INSTANT = re.compile(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?=Z|\+00:00)")
_GREEN = {"status": "success", "message": "OK", "failures": None}


@dataclass
class Moment:
    """What could be collected at one time.

    Attributes:
        day: Days after BEGIN.
        documents: Artifacts by kind.
        rows: Rows of history tables that no artifact holds, by table.
    """

    day: float
    documents: dict[str, Document] = field(default_factory=dict)
    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    environment: str = "prod"
    origin: Origin = field(default_factory=Origin)


def build(
    day: float,
    changed: dict[str, dict[str, Any]] | None = None,
    nodes: dict[str, dict[str, Any]] | None = None,
    without: tuple[str, ...] = (),
    only: tuple[str, ...] | None = None,
    **more: Any,
) -> Moment:
    """A build in which all went well, but for what is changed.

    Args:
        day: When.
        changed: Fields of results, by node.
        nodes: Fields of the manifest's nodes, by node.
        without: Nodes that neither the manifest nor the results hold.
        only: Nodes that were run; None for all.
    """
    results = deepcopy(_recorded("build_fails", "run_results"))
    recorded = {r["unique_id"]: r for r in results["results"]}
    # It was skipped in this run. What it leaves when it runs was recorded in the retry, and the snapshot began when it could.
    [ran] = [r for r in _recorded("retry_recovers", "run_results")["results"] if r["unique_id"] == AFTER_BROKEN]
    recorded[AFTER_BROKEN] = {**ran, "timing": recorded["snapshot.shop.orders_snapshot"]["timing"]}
    passed = {**_GREEN, "status": "pass"}
    for node, fields in [(BROKEN, _GREEN), (UNIQUE, passed), (WARNS, passed), *(changed or {}).items()]:
        recorded[node] = {**recorded[node], **fields}
    kept = [r for node, r in recorded.items() if node not in without and (only is None or node in only)]
    results["results"] = kept
    manifest = deepcopy(_recorded("build_fails", "manifest"))
    for node, fields in (nodes or {}).items():
        manifest["nodes"][node] |= fields
    for node in without:
        manifest["nodes"].pop(node, None)
    return Moment(day, {"run_results": results, "manifest": manifest}, **more)


def retry(day: float, changed: dict[str, dict[str, Any]]) -> Moment:
    """The recorded `dbt retry` of what had failed."""
    results = deepcopy(_recorded("retry_recovers", "run_results"))
    results["results"] = [{**r, **changed.get(r["unique_id"], {})} for r in results["results"]]
    return Moment(day, {"run_results": results, "manifest": _recorded("build_fails", "manifest")})


def check(day: float, statuses: dict[str, tuple[str, float]]) -> Moment:
    """A freshness check: status and hours since the last load, by source; sources that are not named are not in the file."""
    found = deepcopy(_recorded("freshness", "sources"))
    [sample] = [r for r in found["results"] if r["unique_id"] == LOADS]
    at = datetime.fromisoformat(sample["snapshotted_at"].removesuffix("+00:00"))
    found["results"] = [
        {
            **sample,
            "unique_id": source,
            "status": status,
            "max_loaded_at": artifacts.instant(at - timedelta(hours=hours)),
            "max_loaded_at_time_ago_in_s": hours * 3600,
        }
        for source, (status, hours) in statuses.items()
    ]
    return Moment(day, {"sources": found, "manifest": _recorded("build_fails", "manifest")})


def describe(day: float, columns: dict[str, str] | None = None) -> Moment:
    """A catalog; ``columns`` are those of fct_orders, where they are not the recorded ones."""
    catalog = deepcopy(_recorded("docs_generate", "catalog"))
    if columns:
        catalog["nodes"][ORDERS]["columns"] = {
            name: {"name": name, "type": data_type, "index": i} for i, (name, data_type) in enumerate(columns.items())
        }
    others = {
        "run_results": _recorded("docs_generate", "run_results"),
        "manifest": _recorded("build_fails", "manifest"),
    }
    return Moment(day, {"catalog": catalog, **others})


def killed(day: float) -> Moment:
    """`offdag run` saw a build that a signal ended before it left anything."""
    at = BEGIN + timedelta(days=day)
    row = {
        "job_run_id": f"job-run-{day}",
        "command": "dbt build",
        "is_build": True,
        "started_at": at - timedelta(minutes=3),
        "ended_at": at,
        "exit_code": 137,
        "signal": "SIGKILL",
        "has_results": False,
        "log_tail": "Running with dbt=1.11.16",
    }
    return Moment(day, rows={"job_runs": [row]})


def started(day: float, minutes: float | None = None) -> Moment:
    """`offdag run` started a build that wrote no artifacts; without minutes, its end is not known."""
    at = BEGIN + timedelta(days=day)
    row = {"job_run_id": f"job-run-{day}", "command": "dbt build", "is_build": True, "started_at": at}
    if minutes is None:
        return Moment(day, rows={"job_starts": [row]})
    end = {
        "ended_at": at + timedelta(minutes=minutes),
        "exit_code": 0,
        "has_results": False,
        "log_tail": "Done. PASS=1",
    }
    return Moment(day, rows={"job_starts": [row], "job_runs": [{**row, **end}]})


def stock(counts: dict[float, dict[str, int]]) -> list[Moment]:
    """The inventory snapshot as it was observed after each count: a version for each change of a product's stock, the last one open.

    Args:
        counts: Stock by product, by day of the count.
    """
    moments: list[Moment] = []
    versions: dict[str, list[dict[str, Any]]] = {}
    for day, found in counts.items():
        at = BEGIN + timedelta(days=day)
        for name, count in found.items():
            held = versions.setdefault(name, [])
            if held and held[-1]["inventory"] == count:
                continue
            if held:
                held[-1] = {**held[-1], "dbt_valid_to": at}
            product = {"product_id": name.lower(), "name": name, "inventory": count}
            held.append({**product, "dbt_valid_from": at, "dbt_valid_to": None})
        rows = [version for held in versions.values() for version in held]
        moments.append(Moment(day, rows={"observed_product_inventory_snapshot": rows}))
    return moments


def _fails(status: str, message: str, failures: int | None = None) -> dict[str, Any]:
    return {"status": status, "message": message, "failures": failures}


def _unreachable(moment: Moment) -> Moment:
    """The build as it ends where the warehouse cannot be reached: what ran has the same error."""
    for result in moment.documents["run_results"]["results"]:
        if result["status"] not in ("skipped", "no-op"):
            first = f"Database Error in {result['unique_id']}"
            result.update(_fails("error", f"{first}\n  could not connect to server: Connection refused"))
    return moment


def _without_rule(moment: Moment, source: str) -> Moment:
    """The same, where the source has no freshness rule any more."""
    moment.documents["manifest"]["sources"][source]["freshness"] = None
    moment.documents["manifest"]["sources"][source]["config"] = {"enabled": True}
    return moment


def _one_by_one(day: float, *nodes: str, failing: str | None = None) -> list[Moment]:
    """A command for each node, a minute apart, as an orchestrator runs them."""
    moments = []
    for number, node in enumerate(nodes):
        changed = {node: _fails("error", "Runtime Error in model\n  out of disk")} if node == failing else None
        moment = build(day + number / 1440, changed, only=(node,))
        moment.documents["run_results"]["args"] |= {"select": [node]}
        moments.append(moment)
    return moments


def _part(day: float, without: tuple[str, ...] = ()) -> Moment:
    """A build of one selected part."""
    moment = build(day, only=(SEED,), without=without)
    moment.documents["run_results"]["args"] |= {"select": ["tag:hourly"]}
    return moment


def _with_args(moment: Moment, **args: Any) -> Moment:
    """The same, run with other flags."""
    moment.documents["run_results"]["args"] |= args
    return moment


def _hook(moment: Moment, status: str, message: str) -> Moment:
    """A hook at the end of the run, half a second after its last node."""
    results = moment.documents["run_results"]["results"]
    ended = datetime.fromisoformat(results[-1]["timing"][-1]["completed_at"].removesuffix("Z"))
    at = [artifacts.instant(ended + timedelta(seconds=seconds)) for seconds in (0.1, 0.5)]
    timing = [{"name": "execute", "started_at": at[0], "completed_at": at[1]}]
    hook = {"unique_id": "operation.shop.shop-on-run-end-0", "status": status, "message": message, "timing": timing}
    results.append({**results[0], **hook})
    return moment


def _reading_both(moment: Moment) -> Moment:
    """The unique test reads fct_orders and stg_orders, as a relationships test does."""
    moment.documents["manifest"]["nodes"][UNIQUE]["depends_on"]["nodes"] = [ORDERS, STAGING]
    return moment


def _with_second_test(moment: Moment) -> Moment:
    """Another accepted_values test on the column that has one; it fails."""
    for results in (moment.documents["run_results"]["results"],):
        [one] = [r for r in results if r["unique_id"] == VALUES]
        results.append(
            {**one, "unique_id": MORE_VALUES, **_fails("fail", "Got 2 results, configured to fail if != 0", 2)}
        )
    nodes = moment.documents["manifest"]["nodes"]
    name = "accepted_values_stg_orders_customer__Ann__Ben"
    nodes[MORE_VALUES] = {**nodes[VALUES], "unique_id": MORE_VALUES, "name": name}
    return moment


def _without_manifest(moment: Moment) -> Moment:
    del moment.documents["manifest"]
    return moment


def _written_by(moment: Moment, dbt_version: str) -> Moment:
    moment.documents["run_results"]["metadata"]["dbt_version"] = dbt_version
    return moment


_TEST_FAILS = {UNIQUE: _fails("fail", "Got 1 result, configured to fail if != 0", 1)}
_SKIPPED = {"status": "skipped", "message": None, "timing": [], "execution_time": 0}
_AS_TABLE = {"config": {"materialized": "table"}}
_CONTRACT = {"config": {"materialized": "table", "contract": {"enforced": True}, "meta": {"owner": "@desk"}}}


_NEW_STAGING = {
    STAGING: {
        "checksum": {"name": "sha256", "checksum": "edited"},
        "raw_code": "select * from {{ ref('orders') }} limit 1",
    }
}


def _declared(**columns: str) -> dict[str, Any]:
    return {**_CONTRACT, "columns": {name: {"name": name, "data_type": kind} for name, kind in columns.items()}}


def _funnel(checkouts: int) -> list[dict[str, Any]]:
    """One week of the shop's funnel."""
    week = {"wk": date(2025, 12, 29), "n_sessions": 8, "n_page_view_sessions": 8, "n_add_to_cart_sessions": 4}
    return [
        {
            **week,
            "add_to_cart_dropoff": 0.5,
            "n_checkout_sessions": checkouts,
            "checkout_dropoff": 1 - checkouts / 4,
        }
    ]


def _due(day: float, only: tuple[str, ...] | None = None) -> Moment:
    """A build of a project in which one model has to be done by seven."""
    config = _recorded("build_fails", "manifest")["nodes"][ORDERS]["config"]
    return build(day, nodes={ORDERS: {"config": {**config, "meta": {"alerts": {"due_time": "07:00"}}}}}, only=only)


def _aging(day: float, only: tuple[str, ...] | None = None) -> Moment:
    """A build of a project in which one model may be 26 hours old."""
    config = _recorded("build_fails", "manifest")["nodes"][ORDERS]["config"]
    return build(day, nodes={ORDERS: {"config": {**config, "meta": {"alerts": {"max_age_hours": 26}}}}}, only=only)


STORIES: dict[str, Callable[[], list[Moment]]] = {
    "all_is_well": lambda: [build(day) for day in range(3)],
    "one_test_fails": lambda: [build(0), build(1, _TEST_FAILS), build(2, _TEST_FAILS), build(3)],
    "one_test_warns": lambda: [build(0, {WARNS: _fails("warn", "Got 3 results, configured to warn if != 0", 3)})],
    "retry_recovers": lambda: [
        Moment(0, {kind: _recorded("build_fails", kind) for kind in ("run_results", "manifest")}),
        retry(0.01, {UNIQUE: {**_GREEN, "status": "pass"}}),
    ],
    "source_goes_stale_and_another_vanishes": lambda: [
        check(0, {LOADS: ("pass", 0.5), NO_LOADS: ("pass", 0.5)}),
        check(1, {LOADS: ("pass", 0.5), NO_LOADS: ("pass", 0.5)}),
        check(2, {LOADS: ("warn", 5), NO_LOADS: ("pass", 0.5)}),
        check(3, {LOADS: ("error", 29), NO_LOADS: ("pass", 0.5)}),
        check(4, {LOADS: ("pass", 0.2)}),
        check(6, {LOADS: ("pass", 0.2)}),
    ],
    "warehouse_unreachable": lambda: [build(0), _unreachable(build(1)), _unreachable(build(2)), build(3)],
    "warning_grows": lambda: [
        build(0, {WARNS: _fails("warn", "Got 3 results, configured to warn if != 0", 3)}),
        build(1, {WARNS: _fails("fail", "Got 30 results, configured to fail if > 10", 30)}),
    ],
    "reused": lambda: [
        *(build(day, only=(STAGING, ORDERS, UNIQUE)) for day in range(2)),
        build(2, _TEST_FAILS, only=(STAGING, ORDERS, UNIQUE)),
        # What dbt State takes over is no pass: the incident stays open.
        build(3, {node: {"status": "reused"} for node in (STAGING, ORDERS, UNIQUE)}, only=(STAGING, ORDERS, UNIQUE)),
    ],
    # Builds come in time each day, and one of them leaves the model out.
    "model_not_done_in_time": lambda: [_due(6), _due(7, only=(SEED, STAGING)), *(_due(day) for day in (8, 9))],
    # Builds go on and are green, and leave one model out.
    "model_left_out": lambda: [
        *(_aging(day) for day in range(2)),
        *(_aging(day, only=(SEED, STAGING)) for day in (2, 3)),
        _aging(4),
    ],
    "interrupted": lambda: [build(0), killed(1), build(2)],
    # The machine was lost together with offdag; the next build is two days later.
    "never_ended": lambda: [build(0), started(3), started(5, minutes=20)],
    # Done at six each day, until nothing comes: at risk at seven, missing at eight.
    "at_risk_then_missing": lambda: [build(day) for day in range(8)],
    "schedule_missed": lambda: [build(0), build(1), build(4)],
    # The orchestrator does not start what is downstream of a failure.
    "one_command_a_node": lambda: [
        *_one_by_one(6, SEED, STAGING, ORDERS),
        *_one_by_one(7, SEED, STAGING, failing=STAGING),
        *_one_by_one(8, SEED, STAGING, ORDERS),
    ],
    # The nightly build stopped, and hourly parts go on.
    "parts_go_on": lambda: [build(0), build(1), _part(1.5), _part(2.5), _part(3.5)],
    # The parts are built without the tests of the nightly build: these are not removed each time.
    "jobs_with_other_nodes": lambda: [
        build(0, _TEST_FAILS),
        _part(0.2, without=(UNIQUE,)),
        build(1, _TEST_FAILS),
        _part(1.2, without=(UNIQUE,)),
        build(2, _TEST_FAILS),
        _part(2.2, without=(UNIQUE,)),
    ],
    "source_loses_its_rule": lambda: [check(0, {LOADS: ("error", 29)}), _without_rule(build(1), LOADS)],
    "slow_model": lambda: [
        *(build(day, {ORDERS: {"execution_time": 20.0 + day % 2}}, only=(STAGING, ORDERS)) for day in range(-8, 7)),
        build(7, {ORDERS: {"execution_time": 300.0}}, only=(STAGING, ORDERS)),
    ],
    "flaky_test": lambda: [
        build(day / 4, _TEST_FAILS if day % 2 else None, only=(ORDERS, UNIQUE)) for day in range(10)
    ],
    "columns_change": lambda: [
        describe(0),
        describe(1, {"order_id": "BIGINT", "customer": "VARCHAR", "paid_at": "TIMESTAMP"}),
        describe(2, {"order_id": "BIGINT", "customer": "VARCHAR", "paid_at": "TIMESTAMP"}),
    ],
    "contract_changes": lambda: [
        build(0, nodes={ORDERS: _declared(order_id="integer", customer="text")}),
        build(1, nodes={ORDERS: _declared(order_id="bigint", customer="text")}),
    ],
    "rows_drop": lambda: [
        *(
            build(day, {SEED: {"adapter_response": {"rows_affected": 3000 + day}}}, only=(SEED,))
            for day in range(-8, 7)
        ),
        build(7, {SEED: {"adapter_response": {"rows_affected": 12, "bytes_processed": 4096}}}, only=(SEED,)),
    ],
    "nodes_drop": lambda: [*(build(day) for day in range(6)), build(6, only=(SEED, STAGING))],
    # on_error: continue, as dbt 1.12 has it.
    "continues_after_an_error": lambda: [
        build(7),
        build(8, {STAGING: _fails("error", "Runtime Error in model stg_orders\n  out of disk")}),
    ],
    "test_is_removed": lambda: [build(0, _TEST_FAILS), build(1, without=(UNIQUE,))],
    "model_fails_and_takes_others_down": lambda: [
        build(0),
        build(
            1,
            {
                BROKEN: _fails("error", "Runtime Error in model fct_broken (models/fct_broken.sql)\n  out of disk"),
                AFTER_BROKEN: {"status": "skipped", "message": None, "timing": [], "execution_time": 0},
            },
        ),
    ],
    # A partial run brought the change, two commands before the test failed because of it.
    "upstream_code_changes": lambda: [
        build(5),
        build(6, nodes=_NEW_STAGING, only=(SEED,)),
        build(7, _TEST_FAILS, nodes=_NEW_STAGING),
    ],
    "fails_in_ci_alone": lambda: [
        build(0),
        build(1, _TEST_FAILS, environment="ci", origin=Origin(git_branch="feature", pull_request="12")),
    ],
    "stock_runs_out": lambda: stock(
        {
            0: {"Moss": 40, "Fern": 9, "Ivy": 12},
            2: {"Moss": 24, "Fern": 9, "Ivy": 12},
            4: {"Moss": 8, "Fern": 0, "Ivy": 12},
            6: {"Moss": 30, "Fern": 0, "Ivy": 12},
        }
    ),
    # Observed each week, with the same stock: one incident for 60 days.
    "stays_out_of_stock": lambda: stock(
        {-51: {"Moss": 5}, -50: {"Moss": 0}, **{week * 7.0 - 43: {"Moss": 0} for week in range(8)}}
    ),
    # In one build: an ephemeral model between others, a unit test and a test of two nodes that hold others up, and a hook that ends last.
    "waits_of_one_build": lambda: [_hook(_reading_both(build(9)), "success", "OK")],
    "hook_fails": lambda: [build(8), _hook(build(9), "error", "Database Error\n  permission denied for schema audit")],
    "retry_of_the_test_alone": lambda: [
        build(0, _TEST_FAILS),
        _with_args(build(0.01, only=(UNIQUE,)), which="retry", invocation_command="dbt retry"),
    ],
    # A cadence with `since`: three builds were missing before the first one, as one incident.
    "since_before_the_first_run": lambda: [build(day, only=(SEED,)) for day in range(3, 10)],
    # At 04:15 in Berlin from Monday to Friday, across the change of the clocks on 26 October: no build is missing.
    "weekdays_only": lambda: [
        build(day - (1.75 if day >= -67 else 2.75) / 24, only=(SEED,))
        for day in range(-73, 10)
        if (BEGIN + timedelta(days=day)).weekday() < 5
    ],
    # Due by a local time on working days, across the change of the clocks; late on one day, and not yet on the last.
    "due_by_local_time": lambda: [
        build(day - ((1.75 if day >= -67 else 2.75) - (0.5 if day == -59 else 0)) / 24, only=(SEED,))
        for day in range(-73, 7)
        if (BEGIN + timedelta(days=day)).weekday() < 5
    ],
    # Due by a cron expression of working days, but not on a holiday; missed on one day.
    "due_by_cron": lambda: [
        build(day - 1.75 / 24, only=(SEED,))
        for day in range(-7, 7)
        if (BEGIN + timedelta(days=day)).weekday() < 5 and day not in (0, 5)
    ],
    "two_parallel_builds": lambda: [
        build(8, _TEST_FAILS),
        _with_args(build(8.001, only=(SEED, STAGING)), select=["+stg_orders"]),
        _with_args(build(8.002, only=(UNIQUE,)), which="build", invocation_command="dbt retry"),
    ],
    "newest_build_selected_nothing": lambda: [
        build(0, _TEST_FAILS),
        _with_args(build(1, only=()), select=["tag:nightly"]),
    ],
    # A full refresh takes longer: it does not say whether the increments are slow.
    "slow_then_full_refresh": lambda: [
        *(build(day, {ORDERS: {"execution_time": 20.0 + day % 2}}, only=(STAGING, ORDERS)) for day in range(-8, 7)),
        build(7, {ORDERS: {"execution_time": 300.0}}, only=(STAGING, ORDERS)),
        _with_args(build(8, {ORDERS: {"execution_time": 900.0}}, only=(STAGING, ORDERS)), full_refresh=True),
    ],
    "view_becomes_table": lambda: [
        *(build(day, {STAGING: {"execution_time": 1.0}}, only=(STAGING,)) for day in range(-8, 7)),
        *(
            build(day, {STAGING: {"execution_time": 200.0}}, nodes={STAGING: _AS_TABLE}, only=(STAGING,))
            for day in range(7, 10)
        ),
    ],
    "jobs_differ_by_a_variable": lambda: [
        moment
        for day in range(3)
        for moment in (
            build(day, _TEST_FAILS),
            _with_args(build(day + 0.2, without=(UNIQUE,)), vars={"region": "north"}),
        )
    ],
    "three_runs_in_one_second": lambda: [
        build(0),
        build(0.3 / 86400, _TEST_FAILS),
        build(0.6 / 86400),
    ],
    "funnel_is_observed": lambda: [
        Moment(day, rows={FUNNEL: _funnel(checkouts)}) for day, checkouts in ((0, 2), (1, 3))
    ],
    "a_week_is_there_twice": lambda: [
        Moment(day, rows={FUNNEL: [{**row, "_row_number": number} for number, row in enumerate(_funnel(2) * weeks)]})
        for day, weeks in ((0, 1), (1, 2), (2, 2), (3, 1), (4, 2), (5, 0))
    ],
    # It ends a tenth of a second after midnight, and began before.
    "across_midnight": lambda: [build(0.75 + 0.1 / 86400, _TEST_FAILS), build(1.75 + 0.1 / 86400)],
    # The build that recovers ran on a machine whose clock is two hours behind: by the recorded times it came before the failure.
    "clock_behind": lambda: [build(1, _TEST_FAILS), build(1 - 1 / 24), build(2, _TEST_FAILS), build(3)],
    "one_of_two_alike_tests_is_removed": lambda: [_with_second_test(build(0)), build(1)],
    "no_manifest": lambda: [
        _without_manifest(build(0)),
        _without_manifest(build(1, {**_TEST_FAILS, STAGING: _fails("error", "Runtime Error in model\n  out of disk")})),
    ],
    # The model before it fails for three weeks, so that the test says nothing.
    "test_skipped_for_weeks": lambda: [
        build(-21, _TEST_FAILS, only=(ORDERS, UNIQUE)),
        *(
            build(
                day, {ORDERS: _fails("error", "Runtime Error\n  out of disk"), UNIQUE: _SKIPPED}, only=(ORDERS, UNIQUE)
            )
            for day in range(-20, 10)
        ),
    ],
    "node_returns_failing": lambda: [
        build(0, _TEST_FAILS),
        build(1, without=(UNIQUE,)),
        build(2, _TEST_FAILS),
    ],
    # Each other Thursday, an hour later each time, with a retry that fails too: one incident from the second run on.
    "fortnightly_job_always_fails": lambda: [
        moment
        for number in range(-5, 1)
        for moment in (
            build(14 * number + number / 24, None if number == -5 else _TEST_FAILS, only=(ORDERS, UNIQUE)),
            *([] if number == -5 else [retry(14 * number + number / 24 + 0.01, _TEST_FAILS)]),
        )
    ],
    # Builds without data, and with a sample of it, say nothing.
    "builds_without_data": lambda: [
        build(0, _TEST_FAILS),
        _with_args(build(1), empty=True),
        _with_args(build(2), sample="3 days"),
        build(3),
    ],
    "clone_and_test_alone": lambda: [
        build(6, _TEST_FAILS),
        _with_args(build(7, only=(SEED, STAGING, ORDERS)), which="clone"),
        _with_args(build(8, only=(UNIQUE,)), which="test"),
    ],
    # The newer dbt counts failures otherwise.
    "dbt_upgrade": lambda: [
        _written_by(build(0, {UNIQUE: _fails("fail", "Got 1 result, configured to fail if != 0", 1)}), "1.10.19"),
        _written_by(build(1, {UNIQUE: _fails("fail", "Got 2 results, configured to fail if != 0", 2)}), "1.11.16"),
        _written_by(build(2), "1.11.16"),
    ],
    # What began and ended while the monitor was off is not announced, what is still open is.
    "monitor_off_for_three_weeks": lambda: [
        *(build(day, _TEST_FAILS, only=(ORDERS, UNIQUE)) for day in range(-18, -12)),
        build(-11, only=(ORDERS, UNIQUE)),
        *(
            build(day, {SEED: _fails("error", "Runtime Error in seed\n  out of disk")}, only=(SEED,))
            for day in range(4, 10)
        ),
    ],
    # Each fifth day; the test fails once a quarter.
    "a_year": lambda: [
        build(day, _TEST_FAILS if day % 90 == 0 else None, only=(ORDERS, UNIQUE)) for day in range(-360, 10, 5)
    ],
    # Flips on six days, then passes for 16: flaky all the time, since the flips are among its last 20 runs.
    "stays_flaky": lambda: [
        build(day, _TEST_FAILS if day < -6 and day % 2 else None, only=(ORDERS, UNIQUE)) for day in range(-12, 10)
    ],
}


@dataclass(frozen=True)
class Play:
    """A moment of a story, ready to be collected."""

    story: str
    number: int
    moment: Moment

    def collect(self, history: History, scratch: Path) -> None:
        """Collect the moment's artifacts from a folder, as `offdag collect` does."""
        at = BEGIN + timedelta(days=self.moment.day)
        origin = {"project": self.story, "environment": self.moment.environment}
        if self.moment.documents:
            folder = scratch / f"{self.story}-{self.number}"
            dated = {kind: self._dated(document, at) for kind, document in self.moment.documents.items()}
            artifacts.write(folder, **dated)
            context = Context(self.story, self.moment.environment, origin=self.moment.origin)
            collect(history, find_artifacts([str(folder)], False), context)
        for table, rows in self.moment.rows.items():
            identity = f"{self.story}-{self.number}"
            if table.startswith("observed_"):
                self._observe(history, table, identity, at, rows)
            else:
                history.put(table, at.date(), identity, rows, origin)

    def _dated(self, content: Document, at: datetime) -> Document:
        """The document as of another time, of a separate invocation. Manifests belong to the command whose results are beside them."""
        ended = datetime.fromisoformat(content["metadata"]["generated_at"].removesuffix("Z"))

        def moved(found: re.Match[str]) -> str:
            return (datetime.fromisoformat(found[0]) - ended + at).isoformat(timespec="microseconds")

        document = json.loads(_INSTANT.sub(moved, json.dumps(content)))
        document["metadata"]["invocation_id"] = f"{self.story}-{self.number:02}"
        return dict(document)

    def _observe(self, history: History, table: str, identity: str, at: datetime, rows: list[dict[str, Any]]) -> None:
        """What `offdag observe` leaves of a snapshot: each version of a product, the last one open."""
        constants = {
            "_project": self.story,
            "_environment": self.moment.environment,
            "_content_hash": identity,
            "_observed_at": at,
        }
        history.put(table, at.date(), identity, rows, constants)
        verdict = {
            "collected_at": at,
            "project": self.story,
            "environment": self.moment.environment,
            "path": table,
            "kind": table,
            "verdict": "accepted",
            "sha256": identity,
        }
        history.put("artifact_verdicts", at.date(), identity, [verdict])


def plays() -> Iterator[Play]:
    """All moments of all stories, in the order of their time within each story."""
    for story, moments in STORIES.items():
        for number, moment in enumerate(moments()):
            yield Play(story, number, moment)


def open_history(home: Path) -> History:
    """A history that knows the observed tables."""
    history = History(str(home / "history"))
    declare_observed_tables(history, SHOP)
    return history


def config(home: Path) -> Path:
    """A copy of the shop's folder in which builds of seven stories are expected, and one route has a misspelt kind."""
    routes = "5,stockuot,,,,,,,#nowhere,,,first,misspelt\n"
    return config_folder(home, run_cadences=_CADENCES, holidays=_HOLIDAYS, alert_routes=routes)


_CADENCES = """\
schedule_missed,prod,,,24,2,,,Each morning
parts_go_on,prod,,,24,2,,,Each morning
since_before_the_first_run,prod,,,24,2,,2026-01-01,Each morning
at_risk_then_missing,prod,,,24,2,,,Each morning
weekdays_only,prod,,,24,2,mon|tue|wed|thu|fri,,Each working day
due_by_local_time,prod,,,12,0,mon tue wed thu fri,,Done by half past five,05:30,Europe/Berlin
due_by_cron,prod,,,12,0,,,Done by half past five,30 5 * * 1-5,Europe/Berlin,,germany
"""
_HOLIDAYS = """\
calendar,day,comment
germany,2026-01-01,New Year
"""


@cache
def _recorded(case: str, kind: str) -> Document:
    found = document("1.11", case, kind)
    # dbt's own macros are nothing that is kept.
    return {**found, "macros": {}, "docs": {}} if kind == "manifest" else found
