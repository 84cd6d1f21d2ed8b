"""The report: one HTML file that needs no network, and the same data as JSON beside it."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import datetime
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec

from offdag.errors import UsageError
from offdag.monitor.marts import Marts
from offdag.monitor.rows import (
    FailureImpact,
    Incident,
    IncidentContext,
    Invocation,
    MonitorRun,
    NodeExecution,
    SourceCheck,
    StockCount,
)
from offdag.report import charts
from offdag.report.scripts import vega_scripts


@dataclass(frozen=True)
class ReportData:
    """The rows that the page shows.

    Attributes:
        monitor_run: The monitor run that made them.
        incidents: Open and ended.
        contexts: One per incident.
        invocations: All dbt invocations.
        executions: Of the newest builds.
        impacts: One per failed execution.
        source_checks: All freshness checks.
        stock_counts: All counts of the shop's stock.
    """

    monitor_run: MonitorRun
    incidents: list[Incident]
    contexts: list[IncidentContext]
    invocations: list[Invocation]
    executions: list[NodeExecution]
    impacts: list[FailureImpact]
    source_checks: list[SourceCheck]
    stock_counts: list[StockCount]

    @classmethod
    def read(cls, marts: Marts) -> ReportData:
        """Read what the page shows.

        Raises:
            MonitorError: The monitor lacks a mart or a column.
        """
        return cls(
            monitor_run=marts.monitor_run(),
            incidents=marts.rows(Incident),
            contexts=marts.rows(IncidentContext),
            invocations=marts.rows(Invocation),
            executions=marts.rows(NodeExecution),
            impacts=marts.rows(FailureImpact),
            source_checks=marts.rows(SourceCheck),
            stock_counts=marts.rows(StockCount) if marts.has(StockCount) else [],
        )

    @property
    def row_count(self) -> int:
        return 1 + sum(len(rows) for rows in vars(self).values() if isinstance(rows, list))

    def as_json(self, rendered_at: datetime) -> bytes:
        """The data as a JSON document, rows by mart."""
        rows = {found[0].mart: found for found in vars(self).values() if isinstance(found, list) and found}
        document = {"rendered_at": rendered_at, MonitorRun.mart: [self.monitor_run], **rows}
        return msgspec.json.format(msgspec.json.encode(document), indent=1)


@dataclass(frozen=True)
class Failure:
    """One failed node of a newest build, with what it took down; None where that is unknown."""

    execution: NodeExecution
    impact: FailureImpact | None


def write_report(data: ReportData, path: Path, now: datetime, cache: Path) -> Path:
    """Render the page.

    Args:
        data: What to show.
        path: HTML file to write.
        now: Shown as the time of rendering, naive UTC.
        cache: Folder for what the next report needs again.

    Returns:
        The JSON file beside it, with the same data.

    Raises:
        UsageError: A file cannot be written.
    """
    from jinja2 import Environment

    charted = {"runs": charts.runs_over_time(data.invocations), "stock": charts.stock(data.stock_counts)}
    newest = newest_builds(data.invocations)
    if newest:
        charted["timeline"] = charts.timeline(data.executions, newest[0].run_id)
    specs = {name: chart.to_dict() for name, chart in charted.items() if chart is not None}
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["minute"] = lambda instant: f"{instant:%Y-%m-%d %H:%M}" if instant else "unknown"
    environment.filters["age"] = _age
    template = environment.from_string(
        resources.files("offdag.report").joinpath("page.html.j2").read_text(encoding="utf-8")
    )
    page = template.render(
        now=now,
        as_of=data.monitor_run.as_of,
        without_results=[run for run in newest if not run.result_count],
        incidents=sorted(data.incidents, key=lambda i: (not i.is_open, -i.started_at.timestamp())),
        contexts={context.incident_id: context for context in data.contexts},
        newest_builds=newest,
        failures=_failures(data, newest),
        source_checks=latest_checks(data.source_checks),
        stock=[count for count in data.stock_counts if count.is_latest and count.is_still_sold],
        specs={name: _inline(spec) for name, spec in specs.items()},
        vega=vega_scripts(charts.VEGA_LITE, cache) if specs else "",
    )
    json_path = path.with_suffix(".json")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path, page.encode())
        _replace(json_path, data.as_json(now))
    except OSError as error:
        raise UsageError(
            f"the report cannot be written: {error.strerror}", str(path), "offdag report --out report.html"
        ) from error
    return json_path


def newest_builds(invocations: list[Invocation]) -> list[Invocation]:
    """The newest build of each project and environment, the newest first."""
    newest: dict[tuple[str, str], Invocation] = {}
    for run in sorted((r for r in invocations if r.is_build), key=lambda r: (r.ended_at, r.run_id)):
        newest[run.project, run.environment] = run
    return sorted(newest.values(), key=lambda r: r.ended_at, reverse=True)


def latest_checks(checks: list[SourceCheck]) -> list[SourceCheck]:
    """The newest check of each source, the worst first."""
    newest: dict[tuple[str, str, str], SourceCheck] = {}
    for check in sorted(checks, key=lambda c: c.observed_at):
        newest[check.project, check.environment, check.node_id] = check
    order = {"failure": 0, "warning": 1, "unknown": 2, "success": 3}
    return sorted(newest.values(), key=lambda c: (order.get(c.outcome, 2), c.node_id))


def _failures(data: ReportData, newest: list[Invocation]) -> list[Failure]:
    """What failed in the newest builds, with what it took down."""
    impacts = {impact.node_execution_id: impact for impact in data.impacts}
    runs = {run.run_id for run in newest}
    return [
        Failure(execution, impacts.get(execution.node_execution_id))
        for execution in data.executions
        if execution.invocation_id in runs and execution.outcome == "failure"
    ]


def _replace(path: Path, content: bytes) -> None:
    """Write a file whole or not at all: a reader may have it open."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _inline(spec: dict[str, Any]) -> str:
    """A chart as JSON that cannot end its script element."""
    return json.dumps(spec, default=str).replace("</", "<\\/").replace("<!--", "<\\!--")


def _age(seconds: float | None) -> str:
    if seconds is None:
        return "unknown"
    hours = seconds / 3600
    return f"{seconds / 60:.0f} min" if hours < 1 else f"{hours:.1f} h" if hours < 48 else f"{hours / 24:.1f} days"
