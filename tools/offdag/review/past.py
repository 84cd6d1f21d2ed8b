"""What production's last builds show about the nodes of a review: usual seconds, rows and bytes, and how often a test failed."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from offdag.history.history import History

if TYPE_CHECKING:
    import pandas as pd

# Results of a node that are read, of so many dates with builds.
_MOST_RESULTS = 20
_DATES = 30
_COLUMNS = [
    "project", "environment", "unique_id", "status", "execution_seconds", "rows_affected", "bytes_processed", "generated_at",
]  # fmt: skip
_FAILED = ("fail", "error", "runtime error")


@dataclass(frozen=True)
class Usual:
    """A node in production's last builds.

    Attributes:
        builds: Results that were read, of the last 30 dates at most 20.
        seconds: Median time of execution of those that did something; None where it is unknown.
        rows: Rows that each build affected, oldest first; empty where the warehouse does not report it.
        bytes: Median of the bytes that were processed; None where the warehouse does not report it.
        failures: Results that failed.
        turns: How often a failure followed a success, or the other way round.
    """

    builds: int
    seconds: float | None
    rows: tuple[int, ...]
    bytes: float | None
    failures: int
    turns: int


@dataclass(frozen=True)
class Past:
    """Production's last builds.

    Attributes:
        nodes: By unique_id.
        price_per_tebibyte: Of bytes that are processed, as the monitor's var; 0 where they have no price.
    """

    nodes: dict[str, Usual] = field(default_factory=dict)
    price_per_tebibyte: float = 0.0

    @classmethod
    def read(cls, history: History, project: str, environment: str, unique_ids: Collection[str]) -> Past:
        """Read the last results of some nodes.

        Args:
            history: Holds them.
            project: dbt project.
            environment: Such as prod.
            unique_ids: The nodes.

        Raises:
            HistoryError: The history cannot be read.
        """
        import pandas as pd

        days = []
        for day in history.dates("node_results")[-_DATES:]:
            rows = history.read_day("node_results", day, _COLUMNS).to_pandas()
            is_wanted = (rows["project"] == project) & (rows["environment"] == environment)
            days.append(rows[is_wanted & rows["unique_id"].isin(list(unique_ids))])
        if not days:
            return cls()
        results = pd.concat(days).sort_values("generated_at")
        return cls(
            {str(unique_id): _usual(rows.tail(_MOST_RESULTS)) for unique_id, rows in results.groupby("unique_id")}
        )


def _usual(rows: pd.DataFrame) -> Usual:
    ran = rows[rows["status"].isin(["success", "pass", "warn", *_FAILED])]
    failed = ran["status"].isin(_FAILED)
    seconds, processed = ran["execution_seconds"].dropna(), ran["bytes_processed"].dropna()
    return Usual(
        builds=len(ran),
        seconds=float(seconds.median()) if len(seconds) else None,
        rows=tuple(map(int, ran["rows_affected"].dropna())),
        bytes=float(processed.median()) if len(processed) else None,
        failures=int(failed.sum()),
        turns=int((failed != failed.shift()).sum()) - 1 if len(ran) else 0,
    )
