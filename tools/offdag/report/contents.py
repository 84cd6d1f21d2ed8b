"""What the report shows: the rows of its marts by section. A section that cannot be read says why and leaves the others."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, datetime, timezone
from typing import Any

from offdag.errors import MonitorError
from offdag.monitor.marts import Marts

# Marts of each section; those about observed tables exist only where the table is observed.
SECTIONS = {
    "overview": ("dim_monitor", "fct_environment_health", "report_days", "fct_run_gaps"),
    "deadlines": ("fct_deadlines",),
    "incidents": ("report_incidents", "report_observations", "report_deliveries"),
    "exposures": ("fct_exposure_health",),
    "sources": ("fct_source_states",),
    "runs": ("report_jobs", "report_executions"),
    "trends": ("report_budgets", "fct_incident_recovery"),
    "nodes": ("report_nodes", "fct_lineage_edges", "fct_project_coverage"),
    "business": ("report_observed_tables",),
}
_WHERE_OBSERVED = ("dim_product_stock", "fct_stock_counts", "fct_product_funnel")
# What the page's script draws; the template shows the rest.
_OF_THE_SCRIPT = (
    "report_jobs",
    "report_executions",
    "report_days",
    "report_budgets",
    "report_nodes",
    "fct_incident_recovery",
    "fct_lineage_edges",
    "fct_project_coverage",
    "report_observed_tables",
    *_WHERE_OBSERVED,
)

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Contents:
    """The rows that the page shows.

    Attributes:
        as_of: Instant that the marts were computed for, naive UTC.
        marts: Rows by mart, as the monitor's contracts name their columns.
        unreadable: Why a mart could not be read, by mart.
    """

    as_of: datetime
    marts: dict[str, Rows]
    unreadable: dict[str, str]

    @classmethod
    def read(cls, marts: Marts) -> Contents:
        """Read all sections.

        Raises:
            MonitorError: The monitor's last run did not come to its end.
        """
        as_of = marts.monitor_run().as_of
        found: dict[str, Rows] = {}
        unreadable: dict[str, str] = {}
        for section, names in SECTIONS.items():
            observed = [name for name in _WHERE_OBSERVED if marts.has(name)] if section == "business" else []
            for name in (*names, *observed):
                try:
                    found[name] = marts.table(name)
                except MonitorError as error:
                    unreadable[name] = error.what
        return cls(as_of, found, unreadable)

    @property
    def errors(self) -> dict[str, str]:
        """Why a section cannot be shown, by section."""
        sections = {**SECTIONS, "business": (*SECTIONS["business"], *_WHERE_OBSERVED)}
        return {
            section: self.unreadable[name]
            for section, names in sections.items()
            for name in names
            if name in self.unreadable
        }

    @property
    def days(self) -> dict[str, int | None]:
        """How many days the monitor counts over: ``slo_days`` and ``baseline_days``; None where it could not be read."""
        run = next(iter(self.rows("dim_monitor")), {})
        return {name: run.get(name) for name in ("slo_days", "baseline_days")}

    @property
    def row_count(self) -> int:
        return sum(map(len, self.marts.values()))

    def rows(self, mart: str) -> Rows:
        """Rows of a mart; none where it could not be read."""
        return self.marts.get(mart, [])

    def document(self, rendered_at: datetime) -> dict[str, Any]:
        """The rows as one document, for report.json."""
        return {"rendered_at": rendered_at, "as_of": self.as_of, "errors": self.errors, **self.marts}

    def packed(self, rendered_at: datetime, version: str | None) -> dict[str, Any]:
        """The rows that the page's script reads, by column: each text is stored once, and a column of one value as that value.

        Returns:
            ``texts``, and for each mart its number of ``rows`` and its ``columns``, with those that hold indexes of texts
            (``text``). A column is a list; or ``same`` for all rows; or ``of``, the values of the rows ``at``, where most have
            none. Instants are seconds since 1970.
        """
        texts: dict[str, int] = {}
        packed = {}
        for mart in _OF_THE_SCRIPT:
            rows = self.rows(mart)
            columns: dict[str, Any] = {}
            text_columns = []
            for name in rows[0] if rows else ():
                values = [_plain(row[name]) for row in rows]
                if any(isinstance(value, str) for value in values):
                    text_columns.append(name)
                    values = [None if value is None else texts.setdefault(value, len(texts)) for value in values]
                columns[name] = _column(values)
            packed[mart] = {"rows": len(rows), "text": text_columns, "columns": columns}
        return {
            "rendered_at": _seconds(rendered_at),
            "as_of": _seconds(self.as_of),
            "days": self.days,
            "version": version,
            "errors": self.unreadable,
            "marts": packed,
            "texts": list(texts),
        }


def _plain(value: Any) -> Any:
    """A value as JSON has it: numbers as short as they are shown."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, float):
        # Warehouses know numbers that JSON does not.
        return round(value, 3) if math.isfinite(value) else None
    if isinstance(value, datetime):
        return _seconds(value)
    return value.isoformat() if isinstance(value, date) else value


def _column(values: list[Any]) -> Any:
    if all(value == values[0] for value in values):
        return {"same": values[0]}
    known = [index for index, value in enumerate(values) if value is not None]
    if len(known) * 4 < len(values):
        return {"at": known, "of": [values[index] for index in known]}
    return values


def _seconds(instant: datetime | None) -> float | None:
    return None if instant is None else round(instant.replace(tzinfo=timezone.utc).timestamp(), 3)
