from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from offdag.errors import UsageError
from offdag.monitor.mutes import append_mute, mute_line
from support.command import offdag

INCIDENTS = [
    {"signal_key": "abcdef11", "node_id": "model.p.a"},
    {"signal_key": "abcdef22", "node_id": None},
    {"signal_key": "1234567890", "node_id": None},
]
KINDS = {"model_slow"}
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
    assert mute_line(INCIDENTS, KINDS, target, "2026-02-01", "late,\n as ever", TODAY) == line


@pytest.mark.parametrize(
    ("target", "until", "what"),
    [
        ("abcdef", "2026-02-01", "several keys"),
        ("1234", "2026-02-01", "too short"),
        ("ffffff", "2026-02-01", "no incident has that key"),
        ("model.p.b", "2026-02-01", "no incident is of that node"),
        ("abcdef11", "soon", "not an ISO date"),
        ("abcdef11", "2026-01-30", "is over"),
    ],
)
def test_what_cannot_be_muted_says_why(target: str, until: str, what: str) -> None:
    with pytest.raises(UsageError, match=what):
        mute_line(INCIDENTS, KINDS, target, until, "reason", TODAY)


def test_a_line_is_appended_once_on_a_line_of_its_own(tmp_path: Path) -> None:
    seed = tmp_path / "alert_mutes.csv"
    seed.write_text("signal_key,kind,node_id,muted_until,reason")
    assert append_mute(seed, "k,,,2026-02-01,r")
    assert not append_mute(seed, "k,,,2026-02-01,r")
    assert seed.read_text() == "signal_key,kind,node_id,muted_until,reason\nk,,,2026-02-01,r\n"


@pytest.mark.xdist_group("monitor")
def test_the_key_that_incidents_show_is_enough(failure: Path) -> None:
    shown = offdag(failure, "incidents", "--format", "json")
    key = next(line.split('"')[3] for line in shown.out.splitlines() if '"key"' in line)
    printed = offdag(failure, "mute", key, "--until", "2099-01-01", "--reason", "known")
    assert printed.code == 0, printed
    assert printed.out.startswith(key)
    assert printed.out.strip().endswith(",,,2099-01-01,known")
