"""What the monitor makes of each story, as CSV, in whatever order its artifacts came."""

from __future__ import annotations

import csv
import difflib
import io
import os
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from support import histories
from support.command import ROOT, Ended, offdag

pytestmark = pytest.mark.golden

GOLDEN = ROOT / "tests" / "golden" / "marts"
MARTS = sorted(
    path.stem
    for folder in ("marts", "signals", "incidents")
    for path in (ROOT / "monitor_project" / "models" / folder).rglob("*.sql")
)
# Signals are told by the incidents; the rest is too long to read, or says only how the monitor was run.
SHOWN = [m for m in MARTS if not m.startswith("signal_") and m != "dim_monitor"]
_KEY = re.compile(r"[0-9a-f]{32}|[0-9a-f]{64}")


@dataclass(frozen=True)
class Monitored:
    """A home whose monitor has been built."""

    home: Path

    @property
    def database(self) -> Path:
        return self.home / "monitor.duckdb"

    def build(self, *arguments: str) -> Ended:
        project = str(self.home / "monitor_project")
        as_of = histories.AS_OF.isoformat()
        return offdag(self.home, "monitor", "--monitor-project-dir", project, "--as-of", as_of, *arguments)

    def rows(self, mart: str) -> list[dict[str, Any]]:
        """All rows, in an order of their own; keys that are hashes and the versions of files are left out."""
        with duckdb.connect(str(self.database), read_only=True) as connection:
            found = connection.execute(f"select * from {mart} order by all").to_arrow_table().to_pylist()
        hashed = {name for row in found for name, value in row.items() if _KEY.fullmatch(str(value))}
        return sorted(({k: v for k, v in row.items() if k not in hashed} for row in found), key=str)


def made(home: Path) -> Monitored:
    histories.monitor_project(home)
    return Monitored(home)


@pytest.fixture(scope="session")
def monitored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Monitored]:
    """All stories, collected in the order of their time."""
    home = tmp_path_factory.mktemp("stories")
    monitored = made(home)
    history = histories.open_history(home)
    for play in histories.plays():
        play.collect(history, home / "artifacts")
    built = monitored.build("--all-tests")
    assert built.code == 0, built
    yield monitored


def as_csv(rows: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    if rows:
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return text.getvalue()


@pytest.mark.parametrize("mart", SHOWN)
def test_each_story_gives_the_rows_that_were_read_and_found_right(monitored: Monitored, mart: str) -> None:
    rows = monitored.rows(mart)
    assert rows, f"no story says anything of {mart}"
    path = GOLDEN / f"{mart}.csv"
    if os.environ.get("OFFDAG_WRITE_GOLDEN") == "1":
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(as_csv(rows), encoding="utf-8")
    assert path.is_file(), f"there is no golden file {path.name}: run make golden and read it"
    assert as_csv(rows) == path.read_text(encoding="utf-8")


def test_every_kind_of_signal_is_in_some_story(monitored: Monitored) -> None:
    kinds = {m.removeprefix("signal_") for m in MARTS if m.startswith("signal_")}
    assert {row["kind"] for row in monitored.rows("fct_incidents")} == kinds


@settings(max_examples=3, deadline=None, derandomize=True, phases=[Phase.generate])
@given(seed=st.integers(0, 2**32), early=st.floats(0, 1))
def test_artifacts_in_any_order_give_the_same_incidents(
    monitored: Monitored, tmp_path_factory: pytest.TempPathFactory, seed: int, early: float
) -> None:
    """Some arrive before a monitor run, the rest after it: as an archive that is collected late, or a backfill."""
    plays = list(histories.plays())
    random.Random(seed).shuffle(plays)
    first = int(len(plays) * early)
    shuffled = made(tmp_path_factory.mktemp("shuffled"))
    history = histories.open_history(shuffled.home)
    for part in (plays[:first], plays[first:]):
        for play in part:
            play.collect(history, shuffled.home / "artifacts")
        built = shuffled.build()
        assert built.code == 0, built
    # All but what is due: there it counts whether an earlier monitor run could see the project.
    different = [
        mart for mart in MARTS if mart != "fct_notifications_due" and shuffled.rows(mart) != monitored.rows(mart)
    ]
    assert not different, "\n".join(
        line
        for mart in different
        for line in difflib.unified_diff(
            as_csv(monitored.rows(mart)).splitlines(), as_csv(shuffled.rows(mart)).splitlines(), mart, mart, n=0
        )
    )


QUESTIONS = (ROOT / "docs" / "questions.md").read_text()


@pytest.mark.parametrize("mart", SHOWN)
def test_the_questions_of_each_mart_have_answers(monitored: Monitored, mart: str) -> None:
    section = re.search(rf"^## {mart}$(.*?)(?=^## |\Z)", QUESTIONS, re.M | re.S)
    assert section, f"docs/questions.md asks nothing of {mart}"
    queries = re.findall(r"```sql\n(.*?)```", section[1], re.S)
    assert len(queries) == 2
    with duckdb.connect(str(monitored.database), read_only=True) as connection:
        for query in queries:
            assert f"from {mart}" in query
            assert connection.execute(query).fetchall(), query
