"""The id under which an artifact's rows are kept: dbt's own, or one made from it where another run of dbt has it.

Programs that call dbt in their own process, such as a server with dbt before 1.5, give several runs one invocation id.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from offdag.artifacts.document import Document
from offdag.history.history import History

# A process may run past midnight.
_NEAR = (timedelta(0), timedelta(days=-1), timedelta(days=1))


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


def identify(history: History, table: str, document: Document) -> Identity:
    """The identity of an artifact among the rows of a table: an artifact is known by its id and the time at which it was written.

    Raises:
        HistoryError: The history cannot be read.
    """
    own, day = document.invocation_id, document.generated_at.date()
    if history.has(table, day, own):
        kept = history.read_identity(table, day, own, "invocation_id", ["generated_at"])
        if document.generated_at in kept["generated_at"].to_pylist():
            return Identity(own, is_kept=True)
    elif not any(i.startswith(own) for near in _NEAR for i in history.identities(table, day + near)):
        return Identity(own, is_kept=False)
    made = f"{own}-{document.sha256[:8]}"
    return Identity(made, history.has(table, day, made), is_made=True)
