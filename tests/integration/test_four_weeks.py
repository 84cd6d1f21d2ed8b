"""The whole path: four weeks of the shop through real dbt builds, the monitor, and a server in Slack's shape."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from copy import deepcopy
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import duckdb
import pytest

from offdag.history.history import History
from sim.marts import marts
from sim.slack import FakeSlack
from support import browser, golden
from support.command import ROOT, CommandResult, config_folder, environ, greenery, offdag

pytestmark = pytest.mark.golden

# What each week adds to the generator's and the loader's arguments, and what dbt ends with: (freshness, build).
WEEKS: dict[int, tuple[list[str], list[str], tuple[int, int]]] = {
    1: ([], [], (0, 0)),
    2: (["--bad", "duplicates", "--bad", "orphans"], [], (0, 1)),
    3: ([], ["--stopped", "events"], (1, 0)),
    4: ([], [], (0, 0)),
}
REPOSITORY = "https://git.example/plants/shop"
RUN = ["run", "--environment", "prod", "--project-dir", "inventory_project", "--", "dbt"]


class Story:
    """What happened in the four weeks."""

    def __init__(self, home: Path, slack: FakeSlack) -> None:
        self.home = home
        self.slack = slack
        self.posted: dict[int, list[dict[str, Any]]] = {}
        self.incidents: dict[int, list[dict[str, Any]]] = {}
        self.codes: dict[int, tuple[int, int]] = {}
        self.repeats: dict[int, CommandResult] = {}

    def offdag(self, *arguments: str) -> CommandResult:
        return offdag(
            self.home,
            *arguments,
            env={**self.slack.env, "OFFDAG_GIT_SHA": "feedc0de" * 5, "OFFDAG_REPOSITORY_URL": REPOSITORY},
        )

    def play(self, week: int) -> None:
        generate, load, _ = WEEKS[week]
        raw = self.home / "raw"
        assert greenery(self.home, "generate", "--out", str(raw), "--week", str(week), *generate).code == 0
        database = str(self.home / "shop" / "inventory_prod.duckdb")
        assert greenery(self.home, "load", str(raw / f"week={week}"), "--database", database, *load).code == 0
        freshness = self.offdag(*RUN, "source", "freshness", "--target", "prod")
        build = self.offdag(*RUN, "build", "--target", "prod")
        self.codes[week] = (freshness.code, build.code)
        monitor = self.offdag("monitor")
        assert monitor.code == 0, monitor
        before = len(self.slack.posted)
        notify = self.offdag("notify")
        assert notify.code == 0, notify
        # As they were in this week: later ones change them.
        self.posted[week] = deepcopy(self.slack.posted[before:])
        self.incidents[week] = json.loads(self.offdag("incidents", "--all", "--format", "json").out)
        self.offdag("monitor")
        self.repeats[week] = self.offdag("notify")


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    with FakeSlack() as slack:
        story = Story(tmp_path_factory.mktemp("four_weeks"), slack)
        for week in WEEKS:
            story.play(week)
        yield story


def opened(story: Story, week: int) -> set[str]:
    return {row["title"] for row in story.incidents[week] if row["incident_status"] == "open"}


def test_dbt_ends_as_expected(story: Story) -> None:
    assert story.codes == {week: codes for week, (_, _, codes) in WEEKS.items()}


def test_incidents_open_and_end_with_the_weeks(story: Story) -> None:
    assert opened(story, 1) == set()
    assert opened(story, 2) == {
        "test unique on stg_greenery__orders.order_id fails",
        "test relationships on stg_greenery__order_items.product_id fails",
        "Philodendron is low",
        "String of pearls is low",
    }
    assert opened(story, 3) == {
        "source events is stale",
        "Pothos is out of stock",
        "String of pearls is out of stock",
        "Philodendron is low",
        "String of pearls is low",
    }
    # It is back, at a pace that would sell it within the week.
    assert opened(story, 4) == {"String of pearls is low"}
    assert sorted(row["incident_status"] for row in story.incidents[4]) == ["open"] + ["resolved"] * 6


@pytest.mark.parametrize(
    ("week", "name"), [(2, "week_2_failures"), (3, "week_3_stockouts_and_stale_source"), (4, "week_4_all_resolved")]
)
def test_what_slack_received(story: Story, week: int, name: str) -> None:
    golden.check(f"slack/{name}.json", story.posted[week], is_live=True)


def test_a_green_week_sends_nothing(story: Story) -> None:
    assert story.posted[1] == []


def test_a_repeat_sends_nothing(story: Story) -> None:
    assert all("messages delivered: 0 " in repeat.err for repeat in story.repeats.values()), story.repeats


def test_a_backtest_gives_what_was_sent_and_what_other_routes_would_have(story: Story, tmp_path: Path) -> None:
    with duckdb.connect(str(story.home / "monitor.duckdb"), read_only=True) as marts_of_now:
        [(sent,)] = marts_of_now.execute(
            "select count(*) from stg_history__deliveries where outcome = 'delivered' and event in ('opened', 'resolved', 'closed')"
        ).fetchall()
    runs = len(History.open_existing(str(story.home / "history")).read("monitor_runs"))
    other = config_folder(tmp_path, alert_routes="5,stock_low,,,,,,,#later,,,first,Not urgent,,,,,\n")
    given = story.offdag("backtest", "--with", str(other), "--format", "json", "--days", "365")
    assert given.code == 0, given
    found = json.loads(given.out)
    assert f"{sent} notifications with the current settings ({sent} of them were delivered)" in given.err
    assert sum(week["current"] for week in found["weeks"]) == sent
    assert {(row["change"], row["channel"]) for row in found["changes"]} == {
        ("added", "#later"),
        ("gone", "#shop-stock"),
    }
    assert {row["what"] for row in found["changes"]} == {"Philodendron is low", "String of pearls is low"}
    assert len(History.open_existing(str(story.home / "history")).read("monitor_runs")) == runs


def test_a_person_says_why_an_incident_ended(story: Story) -> None:
    [stale] = [row for row in story.incidents[4] if row["kind"] == "source_stale"]
    given = ["--by", "Ana", "--resolution", "false_positive", "--note", "the load was planned"]
    assert story.offdag("ack", stale["key"], *given).code == 0
    assert story.offdag("monitor").code == 0
    with duckdb.connect(str(story.home / "monitor.duckdb"), read_only=True) as connection:
        found = connection.execute(
            "select kind, judged_count, false_positive_count, acknowledged_count from fct_incident_recovery where judged_count > 0"
        ).fetchall()
    assert found == [("source_stale", 1, 1, 0)]


def test_what_was_opened_is_resolved_in_its_thread(story: Story) -> None:
    roots = {(m["channel"], m["ts"]) for m in story.slack.posted if "thread_ts" not in m}
    threads = [m for m in story.slack.posted if "thread_ts" in m]
    answers = [m for m in threads if not m["text"].startswith("Details: ")]
    assert len(answers) == 4
    assert len(threads) - len(answers) == len(roots)
    assert all((m["channel"], m["thread_ts"]) in roots for m in threads)
    # The first message shows the end too.
    assert "2 RESOLVED in inventory (prod)" in [m["text"] for m in story.slack.posted if "thread_ts" not in m]


def test_the_history_alone_rebuilds_the_same_marts(story: Story) -> None:
    as_of = ["monitor", "--as-of", "2100-01-01T00:00:00"]
    assert story.offdag(*as_of).code == 0
    fresh = story.home / "fresh.duckdb"
    assert story.offdag(*as_of, "--monitor-database", str(fresh)).code == 0
    assert marts(story.home / "monitor.duckdb") == marts(fresh)


def test_every_result_is_in_the_marts_once(story: Story) -> None:
    with duckdb.connect(str(story.home / "monitor.duckdb"), read_only=True) as connection:
        assert connection.execute("select count(*) from fct_node_executions").fetchone() == (4 * 76,)
        assert connection.execute("select count(*) from fct_source_freshness").fetchone() == (4 * 6,)
        assert connection.execute("select count(*), count(distinct job_id) from fct_invocations").fetchone() == (8, 8)


def test_the_shops_build_and_the_monitor_never_stop_each_other(story: Story) -> None:
    env = environ(story.home, story.slack.env)
    command = [sys.executable, "-m", "offdag"]
    for first, second in (
        # By dbt, since a plan is done before the other process has begun.
        ([*RUN, "build", "--target", "prod"], ["monitor", "--dbt"]),
        (["monitor", "--dbt"], [*RUN, "build", "--target", "prod"]),
    ):
        processes = []
        for arguments in (first, second):
            processes.append(
                subprocess.Popen(
                    [*command, *arguments],
                    cwd=ROOT,
                    env=env,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                )
            )
            time.sleep(1)
        assert all(p.poll() is None for p in processes), "they do not overlap"
        outputs = [p.communicate(timeout=120)[0] for p in processes]
        assert [p.returncode for p in processes] == [0, 0], outputs


def test_a_browser_renders_the_report(story: Story) -> None:
    assert story.offdag("report").code == 0
    page = story.home / "report.html"
    with browser.browser() as chromium, browser.opened(chromium, page.as_uri()) as watched:
        watched.scroll_through()
        assert watched.messages == []
        drawn = watched.page.locator(".chart").evaluate_all("charts => charts.map((chart) => chart.dataset.chart)")
        assert sorted(drawn) == ["budget", "durations", "funnel", "rates", "stock"]
        assert "Pothos is out of stock" in watched.page.inner_text("#incidents")
        funnel = watched.page.locator("#business tr", has_text="2021-02-08").inner_text().split()
        assert funnel[:5] == ["2021-02-08", "578", "578", "467", "361"]
        assert "healthy" in watched.page.inner_text("#exposures")
    data = json.loads(page.with_suffix(".json").read_text())
    assert len(data["report_incidents"]) == 7


def test_a_deadline_without_a_build_and_the_digest_of_the_week(story: Story, tmp_path: Path) -> None:
    """After the four weeks nothing runs: at risk, then missing; the first monitor run after midnight sends what happened before."""
    digest = "mon tue wed thu fri sat sun"
    own = config_folder(tmp_path, alert_routes=f"12,stockout,,,,,,,#shop-stock,,,first,Every day,,,,,,,{digest},\n")
    cadences = own / "seeds" / "run_cadences.csv"
    header = cadences.read_text(encoding="utf-8").splitlines()[0]
    cadences.write_text(f"{header}\ninventory,prod,,,12,0,,,Before the shop opens,0 7 * * *,UTC,,\n", encoding="utf-8")
    (own / "dbt_project.yml").write_text("name: offdag\nvars: {baseline_least_runs: 3}\n", encoding="utf-8")
    due = datetime.now(timezone.utc).replace(hour=7, minute=0, second=0, microsecond=0)
    while due < datetime.now(timezone.utc) + timedelta(hours=12):
        due += timedelta(days=1)
    for minutes, name in ((-5, "deadline_at_risk_and_digest"), (1, "deadline_missed")):
        before = len(story.slack.posted)
        at = f"{due + timedelta(minutes=minutes):%Y-%m-%dT%H:%M:%S}"
        for command in (("monitor", "--as-of", at), ("notify",)):
            ended = offdag(story.home, *command, env={**story.slack.env, "OFFDAG_CONFIG_DIR": str(own)})
            assert ended.code == 0, ended
        golden.check(f"slack/{name}.json", story.slack.posted[before:], is_live=True)
