"""The report in a real Chromium, over the stories and a hostile project: figures, filters, errors, network, accessibility."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import duckdb
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser

from sim import artifacts
from support import browser, histories
from support.command import ROOT, environ, offdag
from support.histories import ORDERS, Moment, Play

pytestmark = pytest.mark.browser

HOSTILE = '<img src=x onerror="document.title=1"></script><script>document.title=2</script>'
# Beside these: one in which every text is hostile, and one of a cadence without any build.
STORIES = (
    "all_is_well",
    "model_fails_and_takes_others_down",
    "source_goes_stale_and_another_vanishes",
    "retry_recovers",
)


def hostile() -> Moment:
    """A build whose node names, messages and owners try to be HTML."""
    at = artifacts.NOW
    owned = {"meta": {"owner": HOSTILE}}
    board = artifacts.node(
        "exposure.p.board", ("model.p.bad",), config=owned, owner={"name": HOSTILE}, type="dashboard"
    )
    bad = artifacts.node("model.p.bad", original_file_path=f"models/{HOSTILE}.sql", description=HOSTILE)
    bad["config"] |= owned
    manifest = artifacts.manifest([bad, artifacts.node("model.p.below", ("model.p.bad",))], at, "hostile")
    manifest["exposures"] = {"exposure.p.board": board}
    results = [
        artifacts.result("model.p.bad", "error", at, message=f"Database Error\n  {HOSTILE}"),
        artifacts.result("model.p.below", "skipped", at),
    ]
    return Moment(9.5, {"run_results": artifacts.run_results(results, at), "manifest": manifest})


class Reported:
    """A report and the marts that it was drawn from."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.page = home / "report.html"
        config = histories.config(home)
        self.monitor = ("monitor", "--config-dir", str(config), "--as-of", histories.AS_OF.isoformat())
        history = histories.open_history(home)
        for play in histories.plays():
            if play.story in STORIES:
                play.collect(history, home / "artifacts")
        Play("hostile", 0, hostile()).collect(history, home / "artifacts")
        for arguments in (self.monitor, ("notify",), self.monitor, ("report",)):
            ended = offdag(home, *arguments, env={"OFFDAG_AS_OF": histories.AS_OF.isoformat()})
            assert ended.code == 0, ended

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.home / "monitor.duckdb"), read_only=True) as connection:
            return connection.execute(query, list(values)).fetchall()


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Reported:
    return Reported(tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser.browser() as opened:
        yield opened


def test_figures_are_those_of_the_marts(reported: Reported, chromium: Browser) -> None:
    with browser.opened(chromium, reported.page.as_uri()) as watched:
        page = watched.page
        for row in reported.rows(
            "select project, environment, health, reason, open_error_count + open_warning_count + muted_count, source_count,"
            " fresh_source_count, exposure_count, healthy_exposure_count from fct_environment_health order by all"
        ):
            project, environment, health, reason, open_count, sources, fresh, exposures, healthy = row
            page.select_option("#place", f"{project}/{environment}")
            shown = page.locator("section.overview:visible")
            assert shown.locator("h2").inner_text() == f"{project} ({environment}): {health.capitalize()}"
            assert shown.locator(".banner p").inner_text().lower() == f"{reason}.".lower()
            cards = shown.locator(".card .big").all_inner_texts()
            assert cards[1] == (f"{open_count} open" if open_count else "none")
            assert cards[2] == (f"{fresh} of {sources} fresh" if sources else "not checked")
            assert cards[3] == (f"{healthy} of {exposures} healthy" if exposures else "none")
            counted = {
                "report_incidents": page.locator(".incident:visible").count(),
                "fct_source_states": page.locator("#sources tbody tr:visible").count(),
                "fct_exposure_health": page.locator("#exposures tbody tr:visible").count(),
                "report_jobs": page.locator("#run option").count(),
            }
            for mart, number in counted.items():
                query = f"select count(*) from {mart} where project = ? and environment = ?"
                assert reported.rows(query, project, environment) == [(number,)], mart
            [(nodes,)] = reported.rows(
                "select count(*) from report_nodes where project = ? and environment = ?", project, environment
            )
            if nodes:
                assert page.locator("#nodes-body output").inner_text() == f"{nodes} of {nodes} nodes"


def test_a_run_shows_what_failed_what_that_took_down_and_how_long_it_took(
    reported: Reported, chromium: Browser
) -> None:
    story = "model_fails_and_takes_others_down"
    [(job, failed, skipped)] = reported.rows(
        """
        select job_key, count(*) filter (where outcome = 'failure'), count(*) filter (where outcome = 'skipped')
        from report_executions where project = ? group by job_key having count(*) filter (where outcome = 'failure') > 0
        order by job_key limit 1
        """,
        story,
    )
    with browser.opened(chromium, f"{reported.page.as_uri()}#runs?place={story}/prod&run={job}") as watched:
        runs = watched.page.locator("#runs-body")
        assert runs.locator(".failed").count() == failed
        assert f"skipped {skipped}" in runs.locator(".panel > .parts").all_inner_texts()[-1].replace("\n", " ")
        assert runs.locator("svg.timeline rect.bar").count() > 0
        [(critical,)] = reported.rows(
            "select count(*) from report_executions where job_key = ? and is_critical and end_second is not null", job
        )
        assert runs.locator("svg.timeline rect.critical").count() == critical
        assert "skipped" in runs.locator(".failed svg.lineage").first.text_content()
        runs.locator("summary", has_text="All results").click()
        [(results,)] = reported.rows("select count(*) from report_executions where job_key = ?", job)
        assert runs.locator("details table tbody tr").count() == results


def test_filters_are_kept_in_the_address_and_survive_a_reload(reported: Reported, chromium: Browser) -> None:
    with browser.opened(chromium, reported.page.as_uri()) as watched:
        page = watched.page
        page.select_option("#place", "all")
        page.select_option("[name=i_state]", "open")
        page.fill("[name=n_text]", "orders")
        page.select_option("[name=n_type]", "model")
        shown = [
            page.locator(".incident:visible").count(),
            page.locator("#node-table tbody tr").count(),
            page.locator("#nodes-body output").inner_text(),
        ]
        [(incidents,)] = reported.rows("select count(*) from report_incidents where incident_status = 'open'")
        [(nodes,)] = reported.rows(
            "select count(*) from report_nodes where resource_type = 'model' and (node_id like '%orders%' or path like '%orders%')"
        )
        assert shown[:2] == [incidents, nodes]
        page.reload()
        assert shown == [
            page.locator(".incident:visible").count(),
            page.locator("#node-table tbody tr").count(),
            page.locator("#nodes-body output").inner_text(),
        ]
        # The table is sorted both ways by its buttons.
        page.get_by_role("button", name="Node", exact=True).click()
        names = page.locator("#node-table tbody th").all_inner_texts()
        assert names == sorted(names)
        assert page.locator("#node-table th[aria-sort=ascending]").inner_text().startswith("Node")


def test_a_link_opens_an_incident_of_any_project(reported: Reported, chromium: Browser) -> None:
    [(incident, title)] = reported.rows(
        "select incident_id, title from report_incidents where project = 'hostile' order by incident_id limit 1"
    )
    with browser.opened(chromium, f"{reported.page.as_uri()}#incident-{incident}") as watched:
        details = watched.page.locator(f"#incident-{incident}")
        assert details.get_attribute("open") is not None
        assert details.locator(".title").inner_text() == title
        assert watched.page.input_value("#place") == "hostile/prod"
        assert "opened to" in details.inner_text(), "who was alerted"


def test_an_acknowledgement_is_shown_and_stops_reminders(reported: Reported, chromium: Browser, tmp_path: Path) -> None:
    [(key, incident)] = reported.rows(
        "select signal_key, incident_id from fct_incidents where project = 'hostile' limit 1"
    )
    moment = {"OFFDAG_AS_OF": histories.AS_OF.isoformat()}
    given = offdag(reported.home, "ack", key[:8], "--by", "Ana", "--note", HOSTILE, env=moment)
    assert given.code == 0, given
    assert offdag(reported.home, *reported.monitor).code == 0
    assert offdag(reported.home, "report", env=moment).code == 0
    assert "acknowledged by Ana" in " ".join(offdag(reported.home, "incidents").out.replace("│", " ").split())
    query = "select is_acknowledged, acknowledged_by from fct_incident_context where incident_id = ?"
    assert reported.rows(query, incident) == [(True, "Ana")]
    with browser.opened(chromium, f"{reported.page.as_uri()}#incident-{incident}") as watched:
        details = watched.page.locator(f"#incident-{incident}").inner_text()
        assert "by Ana" in details
        assert HOSTILE in details
        assert watched.messages == []


def test_a_node_shows_its_runs_tests_and_neighbours(reported: Reported, chromium: Browser) -> None:
    with browser.opened(chromium, f"{reported.page.as_uri()}#nodes?place=all_is_well/prod&node={ORDERS}") as watched:
        panel = watched.page.locator("#node .panel")
        [(tests, upstream)] = reported.rows(
            "select test_count, (select count(*) from fct_lineage_edges where child_id = node_id and project = 'all_is_well')"
            " from report_nodes where project = 'all_is_well' and node_id = ?",
            ORDERS,
        )
        facts = dict(zip(panel.locator("dt").all_inner_texts(), panel.locator("dd").all(), strict=True))
        assert facts["Tests"].locator("li").count() == tests > 0
        assert facts["Upstream"].locator("li").count() == upstream > 0
        assert panel.locator("[role=img][aria-label*=success]").count() == 1


def test_hostile_texts_stay_texts_and_nothing_leaves_the_page(reported: Reported, chromium: Browser) -> None:
    for scheme in ("light", "dark"):
        with browser.opened(chromium, f"{reported.page.as_uri()}#runs?place=hostile/prod", scheme) as watched:
            watched.scroll_through()
            page = watched.page
            assert "offdag report" in page.title()
            assert page.locator("img").count() == 0
            assert HOSTILE in page.locator("#runs-body pre").inner_text()
            assert HOSTILE in page.locator("#exposures").inner_text()
            page.select_option("#place", "all")
            watched.scroll_through()
            assert watched.messages == []
            assert [url for url in watched.requests if url != page.url.partition("#")[0]] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_axe_finds_no_serious_fault(reported: Reported, chromium: Browser, scheme: str, width: int) -> None:
    url = f"{reported.page.as_uri()}#runs?place=model_fails_and_takes_others_down/prod&node={ORDERS}"
    with browser.opened(chromium, url, scheme, width) as watched:
        watched.scroll_through()
        watched.page.evaluate(
            "() => { for (const details of document.querySelectorAll('details')) details.open = true; }"
        )
        found = Axe().run(watched.page).response["violations"]
        bad = [
            (v["id"], [n["target"] for n in v["nodes"]][:3]) for v in found if v["impact"] in ("serious", "critical")
        ]
        assert bad == []
        assert watched.page.evaluate("document.documentElement.scrollWidth") <= width, "it scrolls sideways"


def test_without_scripts_the_first_screen_and_the_incidents_are_there(reported: Reported, chromium: Browser) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(reported.page.as_uri())
    assert page.locator("section.overview").count() == len(STORIES) + 2
    [(incidents,)] = reported.rows("select count(*) from report_incidents")
    assert page.locator(".incident").count() == incidents
    assert "need a browser with scripts" in page.inner_text("noscript")
    context.close()


def test_a_section_that_cannot_be_read_says_so_and_leaves_the_others(
    reported: Reported, chromium: Browser, tmp_path: Path
) -> None:
    damaged = tmp_path / "monitor.duckdb"
    damaged.write_bytes((reported.home / "monitor.duckdb").read_bytes())
    with duckdb.connect(str(damaged)) as connection:
        connection.execute("drop view report_executions")
    ended = offdag(reported.home, "report", "--monitor-database", str(damaged), "--out", str(tmp_path / "damaged.html"))
    assert ended.code == 0, ended
    assert "the section runs is left out" in ended.err
    with browser.opened(chromium, (tmp_path / "damaged.html").as_uri()) as watched:
        assert "This section cannot be shown" in watched.page.inner_text("#runs")
        assert watched.page.locator("section.overview").count() == len(STORIES) + 2


def test_an_empty_history_says_what_to_type(chromium: Browser, home: Path) -> None:
    for verb in ("monitor", "report"):
        offdag(home, verb)
    with browser.opened(chromium, (home / "report.html").as_uri()) as watched:
        assert "offdag run -e prod -- dbt build" in watched.page.inner_text("section.empty pre")
        assert watched.messages == []


def test_badges_are_xml_with_the_health_of_each_exposure(reported: Reported) -> None:
    for project, name, health in reported.rows("select project, node_name, health from fct_exposure_health"):
        [badge] = (reported.home / "report_exposures").glob(f"{project}.prod.{name}*.svg")
        assert f"{health}: {name}" in (ElementTree.parse(badge).getroot().get("aria-label") or "")
        assert json.loads(badge.with_suffix(".json").read_text())["health"] == health


def test_the_report_can_be_written_to_an_object_store(reported: Reported) -> None:
    ended = offdag(reported.home, "report", "--out", "memory://reports/report.html")
    assert ended.code == 0, ended
    assert "memory://reports/report.json" in ended.err
    refused = offdag(reported.home, "report", "--out", "nowhere://reports/report.html")
    assert refused.code == 2
    assert "the report cannot be written" in refused.err


def test_serve_draws_again_what_was_collected_meanwhile(reported: Reported) -> None:
    command = [sys.executable, "-m", "offdag", "serve", "--port", "0", "--every", "0.2"]
    env = environ(reported.home, {"OFFDAG_CONFIG_DIR": str(reported.home / "offdag")})
    with subprocess.Popen(command, cwd=ROOT, env=env, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr
            address = next(line.split()[4] for line in process.stderr if line.startswith("the report is at "))
            first = _fetched(f"{address}version")
            assert "offdag report" in _fetched(address)
            assert json.loads(_fetched(f"{address}report.json"))["fct_environment_health"]
            with pytest.raises(urllib.error.HTTPError, match="404"):
                _fetched(f"{address}../etc/passwd")
            with pytest.raises(urllib.error.HTTPError, match="404"):
                _fetched(address, {"Host": "example.com"})
            late = histories.build((artifacts.NOW - histories.BEGIN) / timedelta(days=1))
            Play("late", 0, late).collect(histories.open_history(reported.home), reported.home / "artifacts")
            deadline = time.monotonic() + 60
            while _fetched(f"{address}version") == first:
                assert time.monotonic() < deadline, "the page was not drawn again"
                time.sleep(0.2)
            assert "late" in _fetched(address)
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=30) == 0
        finally:
            process.kill()


def _fetched(url: str, headers: dict[str, str] | None = None) -> str:
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers or {}), timeout=10) as answer:
        assert answer.headers["Cache-Control"] == "no-store"
        return str(answer.read().decode())
