"""What the report shows: the rows of its marts by section. A section that cannot be read says why and leaves the others."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timezone
from typing import Any

from offdag.errors import MonitorError
from offdag.monitor.marts import Marts

# Marts of each section; those about observed tables exist only where the table is observed.
SECTIONS = {
    "overview": ("fct_environment_health", "report_days", "fct_run_gaps", "fct_deadlines"),
    "incidents": ("report_incidents", "report_observations", "report_deliveries"),
    "exposures": ("fct_exposure_health",),
    "sources": ("fct_source_states",),
    "runs": ("report_jobs", "report_executions"),
    "trends": ("report_budgets", "fct_incident_recovery"),
    "nodes": ("report_nodes", "fct_lineage_edges", "fct_project_coverage"),
    "business": ("fct_observations",),
}
_WHERE_OBSERVED = ("dim_product_stock", "fct_stock_counts")

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Contents:
    """The rows that the page shows.

    Attributes:
        as_of: Instant that the marts were computed for, naive UTC.
        marts: Rows by mart, as the monitor's contracts name their columns.
        errors: Why a section cannot be shown, by section.
    """

    as_of: datetime
    marts: dict[str, Rows]
    errors: dict[str, str]

    @classmethod
    def read(cls, marts: Marts) -> Contents:
        """Read all sections.

        Raises:
            MonitorError: The monitor's last run did not come to its end.
        """
        as_of = marts.monitor_run().as_of
        found: dict[str, Rows] = {}
        errors: dict[str, str] = {}
        for section, names in SECTIONS.items():
            observed = [name for name in _WHERE_OBSERVED if marts.has(name)] if section == "business" else []
            for name in (*names, *observed):
                try:
                    found[name] = marts.table(name)
                except MonitorError as error:
                    errors[section] = error.what
        return cls(as_of, found, errors)

    @property
    def row_count(self) -> int:
        return sum(map(len, self.marts.values()))

    def rows(self, mart: str) -> Rows:
        """Rows of a mart; none where it could not be read."""
        return self.marts.get(mart, [])

    def document(self, rendered_at: datetime) -> dict[str, Any]:
        """The rows as one document, for report.json."""
        return {"rendered_at": rendered_at, "as_of": self.as_of, "errors": self.errors, **self.marts}

    def packed(self, rendered_at: datetime) -> dict[str, Any]:
        """The rows by column, as the page's script reads them: each text is stored once.

        Returns:
            ``texts``, and for each mart its ``columns`` with those that hold indexes of texts (``text``) and seconds since
            1970 (``time``).
        """
        texts: dict[str, int] = {}
        packed = {}
        for mart, rows in self.marts.items():
            columns: dict[str, list[Any]] = {}
            kinds: dict[str, list[str]] = {"text": [], "time": []}
            for name in rows[0] if rows else ():
                values = [row[name] for row in rows]
                first = next((value for value in values if value is not None), None)
                if isinstance(first, datetime):
                    kinds["time"].append(name)
                    columns[name] = [_seconds(value) for value in values]
                elif isinstance(first, str):
                    kinds["text"].append(name)
                    columns[name] = [None if value is None else texts.setdefault(value, len(texts)) for value in values]
                elif isinstance(first, float):
                    columns[name] = [None if value is None else round(value, 4) for value in values]
                elif isinstance(first, date):
                    columns[name] = [None if value is None else value.isoformat() for value in values]
                else:
                    columns[name] = values
            packed[mart] = {**kinds, "columns": columns}
        return {
            "rendered_at": _seconds(rendered_at),
            "as_of": _seconds(self.as_of),
            "marts": packed,
            "texts": list(texts),
        }


def _seconds(instant: datetime | None) -> float | None:
    return None if instant is None else round(instant.replace(tzinfo=timezone.utc).timestamp(), 3)
