from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

import pytest

from offdag.errors import UsageError
from offdag.history.history import History
from offdag.monitor.acknowledgements import Acknowledgement, acknowledge, newest_incident, open_incident
from offdag.monitor.rows import Incident

AT = datetime(2026, 1, 30)


def incident(signal_key: str, status: str = "open") -> Incident:
    texts = dict.fromkeys(("incident_id", "kind", "severity", "project", "environment", "title"), "x")
    nulls = dict.fromkeys(("detail", "owner", "ended_at", "closed_reason", "node_id"))
    return Incident(signal_key=signal_key, incident_status=status, started_at=AT, last_bad_at=AT, **texts, **nulls)


INCIDENTS = [incident("abcdef11"), incident("abcdef22"), incident("1234567890"), incident("7777777", "resolved")]


def test_an_incident_is_found_by_the_beginning_of_its_key() -> None:
    assert open_incident("123456", INCIDENTS) is INCIDENTS[2]


@pytest.mark.parametrize(
    ("key", "what"),
    [("12345", "no open incident"), ("abcdef", "several open incidents"), ("7777777", "no open incident")],
)
def test_other_keys_are_refused(key: str, what: str) -> None:
    with pytest.raises(UsageError, match=what):
        open_incident(key, INCIDENTS)


def test_an_ended_incident_is_found_to_be_resolved() -> None:
    assert newest_incident("7777777", [*INCIDENTS, incident("7777777", "closed")]).signal_key == "7777777"
    with pytest.raises(UsageError, match="several incidents"):
        newest_incident("abcdef", INCIDENTS)


def test_an_acknowledgement_is_a_row_of_the_history(tmp_path: Path) -> None:
    history = History(str(tmp_path / "history"))
    acknowledge(
        history, INCIDENTS[0], Acknowledgement("ana", "the supplier\n is late", date(2026, 2, 1), "expected"), AT
    )
    [row] = history.read("acknowledgements").to_pylist()
    assert (row["signal_key"], row["acknowledged_by"], row["note"]) == ("abcdef11", "ana", "the supplier is late")
    assert (row["acknowledged_at"], row["acknowledged_until"]) == (AT, date(2026, 2, 1))
    assert row["resolution"] == "expected"
