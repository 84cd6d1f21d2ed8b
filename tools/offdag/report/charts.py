"""Marts to Vega-Lite charts. Each function returns a chart, or None where there is nothing to show."""

from __future__ import annotations

import altair as alt
import pandas as pd

from offdag.monitor.rows import Invocation, NodeExecution, StockCount

# Distinguishable without red and green; the legend has the word beside each colour.
_COLORS = {
    "success": "#3b7dd8",
    "warning": "#e0a100",
    "failure": "#c8342b",
    "skipped": "#9aa0a6",
    "no-op": "#d0d4d9",
    "reused": "#c3d3e0",
    "unknown": "#7b4fa3",
}
_LATEST_RUNS = 60
_LONGEST_NODES = 1000
# The functions below limit large data themselves; Altair's own limit would raise an error.
alt.data_transformers.disable_max_rows()

# The version that Altair's charts are written for, as vl-convert names it.
VEGA_LITE = ".".join(alt.SCHEMA_VERSION.split(".")[:2])


def _outcome_color(outcomes: list[str]) -> alt.Color:
    shown = [o for o in _COLORS if o in outcomes]
    return alt.Color("outcome:N", title="outcome", scale=alt.Scale(domain=shown, range=[_COLORS[o] for o in shown]))


def _count(run: Invocation, outcome: str) -> int:
    return int(getattr(run, f"{outcome.replace('-', '_')}_count"))


def runs_over_time(invocations: list[Invocation]) -> alt.Chart | None:
    """Results of the latest builds by outcome, one bar a build."""
    builds = sorted((r for r in invocations if r.is_build), key=lambda r: r.ended_at)[-_LATEST_RUNS:]
    rows = [
        {
            "ended": f"{run.ended_at:%m-%d %H:%M:%S}",
            "place": f"{run.project} ({run.environment})",
            "outcome": outcome,
            "nodes": _count(run, outcome),
        }
        for run in builds
        for outcome in _COLORS
        if _count(run, outcome)
    ]
    if not rows:
        return None
    frame = pd.DataFrame(rows)
    chart: alt.Chart = (
        alt.Chart(frame, height=180, width="container", title="Nodes and tests of the latest builds, by outcome")
        .mark_bar()
        .encode(
            x=alt.X("ended:O", title="end of the build (UTC)"),
            y=alt.Y("nodes:Q", title="nodes and tests"),
            color=_outcome_color(frame["outcome"].unique().tolist()),
            tooltip=["place", "ended", "outcome", "nodes"],
        )
    )
    return chart


def timeline(executions: list[NodeExecution], invocation_id: str) -> alt.Chart | None:
    """The nodes of one run, from start to end, by thread."""
    ran = [
        (row, row.started_at, row.completed_at)
        for row in executions
        if row.invocation_id == invocation_id and row.started_at and row.completed_at
    ]
    if not ran:
        return None
    begin = min(started_at for _, started_at, _ in ran)
    cut = f", its {_LONGEST_NODES} longest nodes of {len(ran)}" if len(ran) > _LONGEST_NODES else ""
    ran = sorted(ran, key=lambda found: found[0].execution_seconds or 0.0, reverse=True)[:_LONGEST_NODES]
    rows = [
        {
            "thread": row.thread_id or "?",
            "node": row.node_id.split(".", 2)[-1],
            "type": row.resource_type,
            "start": (started_at - begin).total_seconds(),
            "end": (completed_at - begin).total_seconds(),
            "outcome": row.outcome,
            "seconds": row.execution_seconds,
        }
        for row, started_at, completed_at in ran
    ]
    frame = pd.DataFrame(rows)
    chart: alt.Chart = (
        alt.Chart(frame, height=alt.Step(26), width="container", title=f"The last build by thread{cut}")
        .mark_bar(stroke="white", strokeWidth=0.5)
        .encode(
            x=alt.X("start:Q", title="seconds from the start of the first node"),
            x2="end:Q",
            y=alt.Y("thread:N", title=None),
            color=_outcome_color(frame["outcome"].unique().tolist()),
            tooltip=["node", "type", "outcome", "seconds"],
        )
    )
    return chart


def stock(counts: list[StockCount]) -> alt.LayerChart | None:
    """Stock of the products that ever changed, with a mark where one is out."""
    changed = {row.product_id for row in counts if row.prior_inventory_count is not None}
    rows = [
        {"product": row.product_name, "at": at, "units": row.inventory_count}
        for row in counts
        if row.product_id in changed
        for at in ((row.counted_at, row.last_observed_at) if row.is_latest else (row.counted_at,))
    ]
    if not rows:
        return None
    frame = pd.DataFrame(rows)
    base = alt.Chart(frame, height=240, width="container", title="Stock by count, of the products that changed").encode(
        x=alt.X("at:T", title="counted (UTC)"),
        y=alt.Y("units:Q", title="units in stock"),
        tooltip=["product", "at", "units"],
    )
    lines = base.mark_line(interpolate="step-after", point=True).encode(color=alt.Color("product:N", title="product"))
    out = base.transform_filter("datum.units <= 0").mark_point(
        shape="cross", size=160, filled=True, color=_COLORS["failure"], angle=45
    )
    return alt.layer(lines, out)
