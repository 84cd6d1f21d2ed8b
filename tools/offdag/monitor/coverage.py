"""What the monitor has seen: how many builds, of which environments, until when. Nothing seen must not look like nothing broken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from offdag.monitor.marts import Marts
from offdag.monitor.rows import Environment


@dataclass(frozen=True)
class Coverage:
    """The builds behind the marts.

    Attributes:
        environments: One row for each project and environment with a collected command.
    """

    environments: Sequence[Environment]

    @classmethod
    def of(cls, marts: Marts) -> Coverage:
        """Read it.

        Raises:
            MonitorError: The monitor lacks the mart.
        """
        return cls(marts.rows(Environment))

    @property
    def build_count(self) -> int:
        return sum(row.build_count for row in self.environments)

    @property
    def newest_build_at(self) -> datetime | None:
        """End of the newest build (naive UTC); None without one."""
        return max((row.last_build_at for row in self.environments if row.last_build_at), default=None)

    @property
    def alerting(self) -> list[Environment]:
        """Built environments whose problems become incidents."""
        return [row for row in self.environments if row.is_alerting and row.build_count]

    @property
    def not_alerting(self) -> list[str]:
        """Names of built environments whose problems do not."""
        return sorted({row.environment for row in self.environments if row.build_count and not row.is_alerting})

    @property
    def silent(self) -> list[str]:
        """Alerting environments, as project (environment), that have had no build for a long time."""
        return sorted(f"{row.project} ({row.environment})" for row in self.alerting if row.is_silent)

    def __str__(self) -> str:
        if self.newest_build_at is None:
            return "no builds"
        builds = f"{self.build_count} build{'s' if self.build_count != 1 else ''}"
        return f"{builds}, the newest {self.newest_build_at:%Y-%m-%d %H:%M} UTC"
