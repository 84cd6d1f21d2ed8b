"""The report's charts, as Vega-Lite without data: the page's script gives each its rows and colours."""

from __future__ import annotations

from typing import Any

import altair as alt


def chart_specs() -> dict[str, dict[str, Any]]:
    """Each chart by name, as a Vega-Lite document; its rows are the data source ``rows``."""
    charts = {
        "durations": _durations(),
        "rates": _rates(),
        "budget": _budget(),
        "reuse": _by_day("reused_rate", "share of results reused", "%"),
        "cost": _by_day("cost", "cost", ",.2f"),
        "bytes": _by_day("gibibytes", "GiB processed", ",.2f"),
        "slots": _by_day("slot_hours", "slot hours", ",.2f"),
        "stock": _stock(),
        "funnel": _funnel(),
    }
    # Without Altair's version of Vega-Lite: a later one reads them too.
    return {name: {k: v for k, v in chart.to_dict().items() if k != "$schema"} for name, chart in charts.items()}


def _chart(height: int = 190) -> alt.Chart:
    return alt.Chart(alt.NamedData("rows"), width="container", height=height)


def _durations() -> alt.Chart:
    """Seconds of the latest jobs, by part."""
    parts = ["starting and parsing", "building", "between commands", "not known by part"]
    chart: alt.Chart = (
        _chart()
        .mark_bar()
        .encode(
            x=alt.X("job:O", title="end of the job", sort=None, axis=alt.Axis(labelOverlap=True, labelAngle=-30)),
            y=alt.Y("seconds:Q", title="seconds"),
            color=alt.Color(
                "part:N", title=None, sort=parts, scale=alt.Scale(domain=parts), legend=alt.Legend(orient="top")
            ),
            order=alt.Order("order:Q"),
            tooltip=["job:N", "state:N", "part:N", alt.Tooltip("seconds:Q", format=",.1f")],
        )
    )
    return chart


def _rates() -> alt.Chart:
    """Share of builds that succeeded and of tests that passed, by day."""
    chart: alt.Chart = (
        _chart()
        .mark_line(point=True)
        .encode(
            x=alt.X(
                "yearmonthdate(day):T", title=None, axis=alt.Axis(labelOverlap=True, format="%m-%d", tickCount="day")
            ),
            y=alt.Y("rate:Q", title="share", axis=alt.Axis(format="%"), scale=alt.Scale(domain=[0, 1])),
            color=alt.Color("of:N", title=None, legend=alt.Legend(orient="top", columns=2)),
            strokeDash=alt.StrokeDash("of:N", title=None, legend=alt.Legend(orient="top", columns=2)),
            tooltip=["day:N", "of:N", alt.Tooltip("rate:Q", format=".1%")],
        )
    )
    return chart


def _budget() -> alt.LayerChart:
    """Builds that may still fail, after each build."""
    line = (
        _chart()
        .mark_line(interpolate="step-after", point=True)
        .encode(
            x=alt.X("ended:T", title=None, axis=alt.Axis(labelOverlap=True, format="%m-%d %H:%M", tickCount=6)),
            y=alt.Y("left:Q", title="builds that may still fail"),
            tooltip=[alt.Tooltip("ended:T", format="%Y-%m-%d %H:%M"), alt.Tooltip("left:Q", format=".2f")],
        )
    )
    return alt.layer(line, _chart().mark_rule(strokeDash=[4, 4], aria=False).encode(y=alt.datum(0)))


def _by_day(field: str, title: str, number_format: str) -> alt.Chart:
    chart: alt.Chart = (
        _chart(150)
        .mark_bar()
        .encode(
            x=alt.X(
                "yearmonthdate(day):T", title=None, axis=alt.Axis(labelOverlap=True, format="%m-%d", tickCount="day")
            ),
            y=alt.Y(f"{field}:Q", title=title, axis=alt.Axis(format=number_format)),
            tooltip=["day:N", alt.Tooltip(f"{field}:Q", format=number_format)],
        )
    )
    return chart


def _stock() -> alt.LayerChart:
    """Stock of each product by count, with a mark where one is out."""
    base = _chart(240).encode(
        x=alt.X("at:T", title=None, axis=alt.Axis(labelOverlap=True, format="%m-%d %H:%M", tickCount=8)),
        y=alt.Y("units:Q", title="units in stock"),
        tooltip=["product:N", alt.Tooltip("at:T", format="%Y-%m-%d %H:%M"), "units:Q"],
    )
    lines = base.mark_line(interpolate="step-after", point=True).encode(
        color=alt.Color("product:N", title="product"), strokeDash=alt.StrokeDash("product:N", title="product")
    )
    out = base.transform_filter("datum.units <= 0").mark_point(shape="cross", size=160, filled=True, angle=45)
    return alt.layer(lines, out)


def _funnel() -> alt.Chart:
    """Sessions that reached each step, by week."""
    steps = ["sessions", "page view", "cart", "order"]
    chart: alt.Chart = (
        _chart()
        .mark_bar()
        .encode(
            x=alt.X("week:O", title="week from Monday"),
            xOffset=alt.XOffset("step:N", sort=steps),
            y=alt.Y("sessions:Q", title="sessions"),
            color=alt.Color("step:N", title=None, sort=steps, legend=alt.Legend(orient="top", columns=4)),
            tooltip=["week:O", "step:N", "sessions:Q"],
        )
    )
    return chart
