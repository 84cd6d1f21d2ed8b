"""Compaction: the small files of a closed day become one. Readers may see a row twice meanwhile, but never miss one."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from offdag.clock import utc_now
from offdag.errors import HistoryError
from offdag.history.history import History, MergedFile, date_folder, replaced_names

_log = logging.getLogger(__name__)

# A reader that listed the files before they were merged may still want to open them.
GRACE = timedelta(hours=1)
# A temporary file of this age has no writer any more.
_ABANDONED = timedelta(days=1)
# Late artifacts of older days wait for `offdag compact`.
_RECENT_DAYS = 7
_STATE = "compaction.json"


@dataclass
class Compaction:
    """What a compaction did.

    Attributes:
        merged: Files whose rows are now in a merged one.
        written: Merged files.
        removed: Files that an earlier compaction had merged.
        unfinished: Days whose merged files and originals both exist; a later compaction removes the originals.
    """

    merged: int = 0
    written: int = 0
    removed: int = 0
    unfinished: set[date] = field(default_factory=set)


def compact(history: History, now: datetime, days: Iterable[date] | None = None) -> Compaction:
    """Merge the files of every day before today, and remove what an earlier compaction merged at least an hour ago.

    Args:
        history: The history.
        now: Naive UTC.
        days: Only these; None for all.

    Raises:
        HistoryError: A file cannot be read or written. What was done stays valid, and compacting again completes it.
    """
    done = Compaction()
    if days is None:
        history.store.remove_temporaries(now - _ABANDONED)
    chosen = None if days is None else {day for day in days if day < now.date()}
    for table in history.tables():
        for day in history.dates(table) if chosen is None else sorted(chosen):
            if day < now.date():
                _compact_day(history, table, day, now, done)
    return done


def compact_when_due(history: History, now: datetime, touched: Iterable[date] = ()) -> Compaction:
    """Compact at most once an hour: all days the first time, then the last ones and those that a collector touched since.

    Args:
        history: The history.
        now: Naive UTC.
        touched: Dates that got files.
    """
    state = _State.read(history)
    waiting = set(touched) | (state.waiting if state else set())
    if state and now < state.last_at + GRACE:
        if waiting != state.waiting:
            _State(state.last_at, waiting).write(history)
        return Compaction()
    # Other collectors leave the work to this one; what is not finished stays in the list.
    _State(now, waiting).write(history)
    recent = {now.date() - timedelta(days=back) for back in range(1, _RECENT_DAYS + 1)}
    done = compact(history, now, recent | waiting if state else None)
    if state and state.last_at.date() < now.date():
        # Once a day: the whole tree is listed for it.
        history.store.remove_temporaries(now - _ABANDONED)
    _State(now, done.unfinished).write(history)
    return done


def compact_in_passing(history: History, touched: Iterable[date] = ()) -> None:
    """Compact where it is due, after a verb's own work; trouble is logged, since that work is safe already."""
    try:
        done = compact_when_due(history, utc_now(), touched)
    except HistoryError as error:
        _log.warning("%s", error)
        return
    if done.written:
        _log.info("merged %d files of closed days into %d", done.merged, done.written)


@dataclass(frozen=True)
class _State:
    """When closed days were last compacted, and which days have files left to merge or remove."""

    last_at: datetime
    waiting: set[date]

    @classmethod
    def read(cls, history: History) -> _State | None:
        if not history.store.exists(_STATE):
            return None
        document = json.loads(history.store.read(_STATE))
        waiting = {date.fromisoformat(day) for day in document.get("waiting", [])}
        return cls(datetime.fromisoformat(document["last_at"]), waiting)

    def write(self, history: History) -> None:
        document = {"last_at": self.last_at.isoformat(), "waiting": sorted(map(str, self.waiting))}
        history.store.write(_STATE, json.dumps(document).encode())


def _compact_day(history: History, table: str, day: date, now: datetime, done: Compaction) -> None:
    folder = date_folder(table, day)
    names = [n for n in history.store.names(folder) if n.endswith(".parquet") and not n.startswith("_")]
    if len(names) < 2:
        return
    merged = history.merged_files(table, day)
    replaced = replaced_names(merged.values())
    live = [name for name in names if name not in replaced]
    if len(live) > 1:
        _merge(history, table, day, live, now)
        done.merged += len(live)
        done.written += 1
        done.unfinished.add(day)
    old_enough = replaced_names(file for file in merged.values() if now >= file.merged_at + GRACE)
    for name in sorted(old_enough & set(names)):
        history.store.delete(f"{folder}/{name}")
        done.removed += 1
    if replaced & set(names) - old_enough:
        done.unfinished.add(day)


def _merge(history: History, table: str, day: date, names: list[str], now: datetime) -> None:
    """Write one file with the rows of all; the names are in order, so the same files give the same rows."""
    merged = history.merged_files(table, day)
    frame = history.read_files(table, day, names)
    identities: set[str] = set()
    replaces = set(names)
    for name in names:
        inside = merged[name].identities if name in merged else {name.removesuffix(".parquet")}
        if identities & inside:
            # Two compactors merged the same file: its rows are here twice.
            frame = frame.group_by(frame.column_names, use_threads=False).aggregate([])
        identities |= inside
        replaces |= merged[name].replaces if name in merged else set()
    history.put_merged(table, day, frame, MergedFile(now, frozenset(identities), frozenset(replaces)))
