"""The report: one HTML file that needs no network, and the same data as JSON beside it."""

from __future__ import annotations

import json
from datetime import datetime
from importlib import resources
from pathlib import Path
from typing import Any

from offdag.errors import UsageError
from offdag.report import charts
from offdag.report.scripts import vega_scripts

Row = dict[str, Any]

REPORT_MARTS = (
    "dim_monitor",
    "fct_incidents",
    "fct_incident_context",
    "fct_invocations",
    "fct_newest_executions",
    "fct_failure_impact",
    "fct_source_freshness",
    "fct_stock_counts",
)


def write_report(marts: dict[str, list[Row]], path: Path, now: datetime, cache: Path) -> Path:
    """Draw the page.

    Args:
        marts: Rows by mart, for each of REPORT_MARTS.
        path: HTML file to write.
        now: Time to show as the time of drawing, naive UTC.
        cache: Folder for what the next report needs again.

    Returns:
        The JSON file beside it, with the marts.

    Raises:
        UsageError: A file cannot be written.
    """
    from jinja2 import Environment

    drawn = {
        "runs": charts.runs_over_time(marts["fct_invocations"]),
        "stock": charts.stock(marts["fct_stock_counts"]),
    }
    last = last_builds(marts["fct_invocations"])
    if last:
        drawn["timeline"] = charts.timeline(marts["fct_newest_executions"], last[0]["run_id"])
    specs = {name: chart.to_dict() for name, chart in drawn.items() if chart is not None}
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["minute"] = lambda instant: f"{instant:%Y-%m-%d %H:%M}" if instant else "unknown"
    environment.filters["age"] = _age
    template = environment.from_string(
        resources.files("offdag.report").joinpath("page.html.j2").read_text(encoding="utf-8")
    )
    page = template.render(
        now=now,
        as_of=marts["dim_monitor"][0]["as_of"],
        without_results=[run for run in last if not run["result_count"]],
        incidents=sorted(
            _with_context(marts), key=lambda r: (r["incident_status"] != "open", -r["started_at"].timestamp())
        ),
        last_builds=last,
        failures=_failures(marts, last),
        freshness=latest_checks(marts["fct_source_freshness"]),
        stock=[row for row in marts["fct_stock_counts"] if row["is_latest"] and row["is_still_sold"]],
        specs={name: _inline(spec) for name, spec in specs.items()},
        vega=vega_scripts(charts.VEGA_LITE, cache) if specs else "",
    )
    data = path.with_suffix(".json")
    if data == path:
        raise UsageError(
            "the report is HTML; its data goes beside it as .json", str(path), "offdag report --out report.html"
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page, encoding="utf-8")
        data.write_text(json.dumps({"drawn_at": now, **marts}, default=str, indent=1), encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"the report cannot be written: {error.strerror}",
            str(path),
            "choose another file: offdag report --out report.html",
        ) from error
    return data


def last_builds(invocations: list[Row]) -> list[Row]:
    """The newest build of each project and environment, the newest first."""
    newest: dict[tuple[str, str], Row] = {}
    for run in sorted((r for r in invocations if r["is_build"]), key=lambda r: (r["ended_at"], r["run_id"])):
        newest[run["project"], run["environment"]] = run
    return sorted(newest.values(), key=lambda r: r["ended_at"], reverse=True)


def latest_checks(freshness: list[Row]) -> list[Row]:
    """The newest check of each source, the worst first."""
    newest: dict[tuple[str, str, str], Row] = {}
    for check in sorted(freshness, key=lambda r: r["observed_at"]):
        newest[check["project"], check["environment"], check["node_id"]] = check
    order = {"failure": 0, "warning": 1, "unknown": 2, "success": 3}
    return sorted(newest.values(), key=lambda r: (order.get(r["outcome"], 2), r["node_id"]))


def _with_context(marts: dict[str, list[Row]]) -> list[Row]:
    """Incidents with what is known around them: whether they are muted, until when and why."""
    contexts = {row["incident_id"]: row for row in marts["fct_incident_context"]}
    return [{**row, "context": contexts.get(row["incident_id"], {})} for row in marts["fct_incidents"]]


def _failures(marts: dict[str, list[Row]], last: list[Row]) -> list[Row]:
    """What failed in the newest builds, with what it took down."""
    impact = {row["node_execution_id"]: row for row in marts["fct_failure_impact"]}
    runs = {run["run_id"] for run in last}
    return [
        {**row, **impact.get(row["node_execution_id"], {})}
        for row in marts["fct_newest_executions"]
        if row["invocation_id"] in runs and row["outcome"] == "failure"
    ]


def _inline(spec: Row) -> str:
    """A chart as JSON that cannot end the script element it stands in."""
    return json.dumps(spec, default=str).replace("</", "<\\/").replace("<!--", "<\\!--")


def _age(seconds: float | None) -> str:
    if seconds is None:
        return "unknown"
    hours = seconds / 3600
    return f"{seconds / 60:.0f} min" if hours < 1 else f"{hours:.1f} h" if hours < 48 else f"{hours / 24:.1f} days"
