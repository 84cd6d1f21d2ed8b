"""The report: one HTML file that needs no network, and the same data as JSON beside it."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import datetime, timedelta
from importlib import resources
from pathlib import Path
from typing import Any

from offdag.report.contents import Contents, Rows
from offdag.report.scripts import Scripts

# In the order in which they run.
_SCRIPTS = ("dom", "data", "page", "incidents", "lineage", "timeline", "runs", "trends", "nodes", "main")
_HEALTH_ORDER = {"degraded": 0, "caution": 1, "unknown": 2, "healthy": 3}
_SOURCE_ORDER = {"stale": 0, "unknown": 1, "late": 2, "fresh": 3}
_STRIP_DAYS = 30


def render_page(contents: Contents, now: datetime, cache: Path, version: str | None = None) -> str:
    """The page as HTML.

    Args:
        contents: What to show.
        now: Shown as the time of rendering, naive UTC.
        cache: Folder for what the next report needs again.
        version: What ``offdag serve`` answers until there are newer data; None for a file, which may not use the network.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("offdag.report", "template"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters.update(
        iso=_iso, short=lambda instant: f"{instant:%m-%d %H:%M}", minute=_minute, age=_age, web_url=_web_url
    )
    environment.globals["plural"] = lambda number, one, many: f"{number} {one if number == 1 else many}"
    environment.globals["ages"] = lambda since: _age((contents.as_of - since).total_seconds())
    has_charts = any(contents.rows(mart) for mart in ("report_jobs", "fct_stock_counts", "fct_product_funnel"))
    vega = Scripts.cached(cache) if has_charts else Scripts("", {})
    style = _text("style.css")
    # In a function, so that its names do not meet those of Vega's script.
    script = "(() => {\n" + "\n".join(_text(f"{name}.js") for name in _SCRIPTS) + "\n})();"
    return environment.get_template("page.html.j2").render(
        policy=_policy([style], [vega.bundle, script] if has_charts else [script], version is not None),
        style=style,
        script=script,
        vega=vega.bundle,
        charts=_inline(vega.charts),
        data=_inline(contents.packed(now, version)),
        is_served=version is not None,
        hidden_count=_hidden_count(contents),
        now=now,
        as_of=contents.as_of,
        slo_days=contents.days["slo_days"],
        errors=contents.errors,
        places=_places(contents),
        strips=_strips(contents.rows("report_observations")),
        deliveries=_grouped(contents.rows("report_deliveries"), "incident_id"),
        incidents=sorted(
            contents.rows("report_incidents"),
            key=lambda row: (
                row["incident_status"] != "open",
                row["severity"] != "error",
                -row["started_at"].timestamp(),
            ),
        ),
        exposures=sorted(
            contents.rows("fct_exposure_health"), key=lambda row: (_HEALTH_ORDER[row["health"]], row["node_name"] or "")
        ),
        sources=sorted(
            contents.rows("fct_source_states"), key=lambda row: (_SOURCE_ORDER[row["source_state"]], row["node_id"])
        ),
        deadlines=contents.rows("fct_deadlines"),
    )


def _hidden_count(contents: Contents) -> int:
    """Open incidents that the page does not hold."""
    counted = ("open_error_count", "open_warning_count", "muted_count")
    known: int = sum(row[name] for row in contents.rows("fct_environment_health") for name in counted)
    shown: int = sum(row["incident_status"] == "open" for row in contents.rows("report_incidents"))
    return max(0, known - shown)


def _places(contents: Contents) -> list[dict[str, Any]]:
    """Each project and environment with what its first screen shows: those that alert first, of these the worst first."""
    jobs = {(row["project"], row["environment"], row["job_key"]): row for row in contents.rows("report_jobs")}
    places = []
    for row in contents.rows("fct_environment_health"):
        key = (row["project"], row["environment"])
        mine = {
            name: [r for r in contents.rows(mart) if (r["project"], r["environment"]) == key]
            for name, mart in (
                ("incidents", "report_incidents"),
                ("deadlines", "fct_deadlines"),
                ("days", "report_days"),
                ("gaps", "fct_run_gaps"),
            )
        }
        dues = [r["due_at"] for r in mine["deadlines"] if r["due_at"]]
        is_open = [r for r in mine["incidents"] if r["incident_status"] == "open"]
        is_open.sort(key=lambda r: (r["is_muted"], r["severity"] != "error", r["started_at"]))
        places.append(
            {
                **row,
                "key": f"{row['project']}/{row['environment']}",
                "job": jobs.get((*key, row["last_job_key"])),
                "open": is_open,
                "next_due_at": min((due for due in dues if due > contents.as_of), default=None),
                "was_due_at": min((due for due in dues if due <= contents.as_of), default=None),
                "days": _days(mine["days"], mine["gaps"], contents.as_of),
            }
        )
    return sorted(
        places,
        key=lambda p: (
            not p["is_alerting"],
            _HEALTH_ORDER[p["health"]],
            -(p["last_build_at"] or datetime.min).toordinal(),
        ),
    )


def _days(days: Rows, gaps: Rows, as_of: datetime) -> list[dict[str, Any]]:
    """The last 30 days with their builds, and whether one was missing on them."""
    builds = {row["build_date"]: row for row in days}
    found = []
    for back in reversed(range(_STRIP_DAYS)):
        day = (as_of - timedelta(days=back)).date()
        is_missing = any(
            gap["due_at"].date() <= day
            and (day == gap["due_at"].date() or day < (gap["next_build_at"] or as_of).date())
            for gap in gaps
        )
        found.append({"date": day, "builds": builds.get(day), "is_missing": is_missing})
    return found


def _strips(observations: Rows) -> dict[str, Rows]:
    """The observations of each signal, the oldest first."""
    strips = _grouped(observations, "signal_key")
    return {key: sorted(rows, key=lambda row: -row["newest_number"]) for key, rows in strips.items()}


def _grouped(rows: Rows, column: str) -> dict[str, Rows]:
    groups: dict[str, Rows] = {}
    for row in rows:
        groups.setdefault(row[column], []).append(row)
    return groups


def _text(name: str) -> str:
    return resources.files("offdag.report").joinpath("template").joinpath(name).read_text(encoding="utf-8")


def _policy(styles: list[str], scripts: list[str], is_served: bool) -> str:
    """What the page may do: run its own scripts and styles, and nothing else."""

    def hashes(texts: list[str]) -> str:
        digests = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in texts)
        return " ".join(f"'sha256-{digest}'" for digest in digests)

    network = "connect-src 'self'; " if is_served else ""
    return (
        f"default-src 'none'; script-src {hashes(scripts)}; style-src {hashes(styles)}; style-src-attr 'unsafe-inline'; "
        f"{network}img-src data:; base-uri 'none'; form-action 'none'"
    )


def _inline(document: Any) -> str:
    """JSON that cannot end its script element."""
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")


def _iso(instant: datetime) -> str:
    return f"{instant:%Y-%m-%dT%H:%M:%SZ}"


def _minute(instant: datetime) -> str:
    return f"{instant:%Y-%m-%d %H:%M} UTC"


def _age(seconds: float | None) -> str:
    """A length of time in one or two units: 45 s, 12 min, 3 h 20 min, 4 days."""
    if seconds is None:
        return "unknown"
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h" + (f" {minutes % 60} min" if minutes % 60 else "")
    return f"{round(minutes / 1440)} days"


def _web_url(text: str | None) -> str | None:
    """A link that artifacts may set, only if it opens a web page."""
    return text if text and text.startswith(("https://", "http://")) else None
