"""The id under which an artifact's rows are kept: dbt's own, or one made from it where another run of dbt has it.

Programs that call dbt in their own process, such as a server with dbt before 1.5, give several runs one invocation id.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta

from offdag.artifacts.document import Document
from offdag.history.history import History

# A process may run past midnight.
_NEIGHBORS = (timedelta(days=-1), timedelta(days=1))
_MADE = re.compile(r"(.+)-[0-9a-f]{8}")


@dataclass(frozen=True)
class Identity:
    """Names an artifact's rows.

    Attributes:
        invocation_id: Recorded with each row.
        is_kept: The history has the artifact.
        is_made: Another run has dbt's own id.
    """

    invocation_id: str
    is_kept: bool
    is_made: bool = False


class Identities:
    """The ids among the rows of a table; those of neighboring days are listed once.

    Args:
        history: Where the rows are.
        table: ``invocations`` or ``catalogs``.
    """

    def __init__(self, history: History, table: str) -> None:
        self._history = history
        self._table = table
        self._listed: dict[date, set[str]] = {}

    def of(self, document: Document) -> Identity:
        """The identity of an artifact, which is known by dbt's id and the time at which it was written.

        Raises:
            HistoryError: The history cannot be read.
        """
        own, day = document.invocation_id, document.generated_at.date()
        if self._history.has(self._table, day, own):
            kept = self._history.read_identity(self._table, day, own, "invocation_id", ["generated_at"])
            if document.generated_at in kept["generated_at"].to_pylist():
                return Identity(own, is_kept=True)
        elif not any(own in self._dbt_ids(day + near) for near in _NEIGHBORS):
            return Identity(own, is_kept=False)
        made = f"{own}-{document.sha256[:8]}"
        return Identity(made, self._history.has(self._table, day, made), is_made=True)

    def _dbt_ids(self, day: date) -> set[str]:
        """Ids that dbt gave on a day, also where another id was made from one."""
        if day not in self._listed:
            ids = self._history.identities(self._table, day)
            self._listed[day] = ids | {found[1] for i in ids if (found := _MADE.fullmatch(i))}
        return self._listed[day]
