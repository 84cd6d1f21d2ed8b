from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

import pytest

from offdag.errors import UsageError
from offdag.monitor.mutes import append_mute, last_day, mute
from offdag.monitor.rows import Incident


def incident(signal_key: str, node_id: str | None = None) -> Incident:
    texts = dict.fromkeys(
        ("incident_id", "incident_status", "kind", "severity", "project", "environment", "title"), "x"
    )
    nulls = dict.fromkeys(("detail", "owner", "ended_at", "closed_reason"))
    at = datetime(2026, 1, 30)
    return Incident(signal_key=signal_key, node_id=node_id, started_at=at, last_bad_at=at, **texts, **nulls)


INCIDENTS = [incident("abcdef11", "model.p.a"), incident("abcdef22"), incident("1234567890")]
KINDS = {"model_slow"}
COLUMNS = ["signal_key", "kind", "node_id", "muted_until", "reason"]
TODAY = date(2026, 1, 31)


@pytest.mark.parametrize(
    ("target", "line"),
    [
        ("123456", '1234567890,,,2026-02-01,"late, as ever"'),
        ("abcdef11", 'abcdef11,,,2026-02-01,"late, as ever"'),
        ("model.p.a", ',,model.p.a,2026-02-01,"late, as ever"'),
        ("model_slow", ',model_slow,,2026-02-01,"late, as ever"'),
    ],
)
def test_a_thing_a_node_or_a_kind(target: str, line: str) -> None:
    assert mute(target, date(2026, 2, 1), "late,\n as ever", INCIDENTS, KINDS).line(COLUMNS) == line


@pytest.mark.parametrize(
    ("target", "until", "what"),
    [
        ("abcdef", "2026-02-01", "several keys"),
        ("1234", "2026-02-01", "too short"),
        ("ffffff", "2026-02-01", "no incident has that key"),
        ("model.p.b", "2026-02-01", "no incident belongs to that node"),
        ("abcdef11", "soon", "not an ISO date"),
        ("abcdef11", "2026-01-30", "is over"),
    ],
)
def test_a_refused_mute_names_the_reason(target: str, until: str, what: str) -> None:
    with pytest.raises(UsageError, match=what):
        mute(target, last_day(until, TODAY, target), "reason", INCIDENTS, KINDS)


def test_a_line_is_appended_once_on_its_own_line(tmp_path: Path) -> None:
    seed = tmp_path / "alert_mutes.csv"
    seed.write_text("signal_key,kind,node_id,muted_until,reason")
    assert append_mute(seed, seed, "k,,,2026-02-01,r")
    assert not append_mute(seed, seed, "k,,,2026-02-01,r")
    assert seed.read_text() == "signal_key,kind,node_id,muted_until,reason\nk,,,2026-02-01,r\n"


def test_a_first_mute_makes_the_users_seed_and_leaves_the_default(tmp_path: Path) -> None:
    default, own = tmp_path / "default.csv", tmp_path / "offdag" / "seeds" / "alert_mutes.csv"
    default.write_text("signal_key,kind,node_id,muted_until,reason\n")
    assert append_mute(own, default, "k,,,2026-02-01,r")
    assert own.read_text() == "signal_key,kind,node_id,muted_until,reason\nk,,,2026-02-01,r\n"
    assert default.read_text() == "signal_key,kind,node_id,muted_until,reason\n"


def test_a_line_fits_the_columns_of_the_file() -> None:
    found = mute("model_slow", last_day("2026-02-01", TODAY, "x"), "late", INCIDENTS, KINDS)
    assert found.line(["reason", "kind", "muted_until"]) == "late,model_slow,2026-02-01"
    with pytest.raises(UsageError, match="no column kind"):
        found.line(["signal_key", "muted_until", "reason"])
