from __future__ import annotations

import os
import threading
from datetime import date
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from offdag.errors import HistoryError
from offdag.history.history import History, path_part
from offdag.history.schemas import TABLES
from offdag.history.store import Store


def test_a_new_history_has_a_file_without_rows_for_each_table(tmp_path: Path) -> None:
    History(str(tmp_path / "h"))
    for table, schema in TABLES.items():
        [path] = (tmp_path / "h" / "tables" / table).rglob("*.parquet")
        assert path.parent.name == "run_date=1970-01-01"
        assert pq.read_schema(path).equals(schema)


def test_the_same_identity_written_twice_changes_nothing(tmp_path: Path) -> None:
    history = History(str(tmp_path))
    for _ in range(2):
        history.put("job_runs", date(2026, 1, 31), "one", [{"job_run_id": "one"}])
    assert history.read("job_runs").num_rows == 1


def test_columns_that_an_older_offdag_did_not_know_are_null(tmp_path: Path) -> None:
    history = History(str(tmp_path))
    old = TABLES["job_runs"].remove(TABLES["job_runs"].get_field_index("log_tail")).empty_table()
    history.put_frame("job_runs", date(2026, 1, 31), "old", old)
    assert history.read("job_runs").column_names == TABLES["job_runs"].names


def test_a_history_of_a_newer_offdag_is_refused(tmp_path: Path) -> None:
    History(str(tmp_path))
    (tmp_path / "version").write_text("99\n")
    with pytest.raises(HistoryError, match="version '99'"):
        History(str(tmp_path))


def test_a_write_that_fails_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(str(tmp_path))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(HistoryError, match="No space left"):
        store.write("tables/t/x.parquet", b"content")
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


def test_only_one_of_several_creators_succeeds(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    won: list[int] = []
    barrier = threading.Barrier(8)

    def create(number: int) -> None:
        barrier.wait()
        if store.create("intents/1.json", str(number).encode()):
            won.append(number)

    threads = [threading.Thread(target=create, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert store.read("intents/1.json") == str(won[0]).encode()


@pytest.mark.parametrize("text", ["../../x", "a/b", "..", "", "a*b?[c]'d", "key=value", "ü\n"])
def test_no_text_of_an_artifact_leaves_its_folder(text: str) -> None:
    part = path_part(text)
    assert part
    assert not set(part) & set("/\\*?[]'=\n")
    assert part not in (".", "..")
    assert (Path("/base") / part).resolve().parent == Path("/base")
