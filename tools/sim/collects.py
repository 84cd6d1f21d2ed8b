"""Collecting damaged files into a store that fails: each gets one verdict, and what is beside them is collected."""

from __future__ import annotations

import gzip
import json
import os
import random
from contextlib import suppress
from pathlib import Path
from typing import Any

import zstandard

from offdag.clock import utc_now
from offdag.collect.collection import collect_files
from offdag.collect.context import Context
from offdag.collect.places import find_artifacts
from offdag.collect.rebuild import rebuild
from offdag.errors import HistoryError
from offdag.history.history import History
from sim.buckets import bucket_fails, new_bucket
from sim.case import Case, CaseResult

_RECORDED = Path(__file__).parents[2] / "tests" / "fixtures"
_ODD: tuple[Any, ...] = (
    None, True, -1, 2**63, -(2**70), 1e308, "", "x" * 10_000, "\x00", "NaN", [], {}, [[[]]], {"a": {"b": None}}, "2026-13-45T99:99:99Z",
    "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z", "../../etc/passwd",
)  # fmt: skip


def run_case(case: Case) -> CaseResult:
    """A few damaged files in folders of their own, each beside one that is intact."""
    rng, result = case.rng, CaseResult()
    is_in_bucket = rng.random() < 0.4
    history = History(new_bucket() if is_in_bucket else f"{case.folder}/history")
    sound: set[str] = set()
    for number in range(rng.randint(2, 6)):
        folder = Path(case.folder) / f"target-{number}"
        folder.mkdir()
        recorded = rng.choice(sorted(_RECORDED.glob("dbt-*/*")))
        names = sorted(path.name.removesuffix(".zst") for path in recorded.glob("*.json.zst"))
        victim = rng.choice(names)
        _damage(rng, folder, victim, zstandard.decompress((recorded / f"{victim}.zst").read_bytes()))
        intact = f"sound-{case.number}-{number:04}"
        (folder / "freshness.json").write_bytes(_freshness(intact))
        sound.add(intact)
        files, given = find_artifacts([str(folder)], recursive=False), Context("p", "prod")
        if is_in_bucket and rng.random() < 0.5:
            with suppress(HistoryError), bucket_fails(rng, result.counts):
                collect_files(history, files, given)
        found = collect_files(history, files, given)
        verdicts = [item.verdict["verdict"] for item in found]
        result.counts.update(f"verdict {verdict}" for verdict in verdicts)
        result.counts["files"] += 1
        if len(verdicts) != 2:
            result.broken.append(f"{len(verdicts)} verdicts for the 2 files of target-{number}")
    kept = set(history.read("invocations", ["invocation_id"])["invocation_id"].to_pylist())
    result.broken += [f"the intact neighbour {name} was lost" for name in sound - kept]
    unequal = [table.table for table in rebuild(history, write=False, now=utc_now()) if not table.is_equal]
    result.broken += [f"{table} differs from what is rebuilt" for table in unequal]
    return result


def _freshness(invocation_id: str) -> bytes:
    metadata = {
        "dbt_schema_version": "https://schemas.getdbt.com/dbt/freshness/v0.json",
        "dbt_version": "2.0.0",
        "generated_at": "2026-01-31T06:00:00.000000Z",
        "invocation_id": invocation_id,
        "env": {},
    }
    row: dict[str, Any] = {"unique_id": "source.p.s.t", "status": "pass", "max_loaded_at": "2026-01-31T05:00:00Z"}
    row |= {"snapshotted_at": "2026-01-31T06:00:00Z", "max_loaded_at_time_ago_in_s": 3600.0}
    return json.dumps({"metadata": metadata, "results": [row], "elapsed_time": 0.1}).encode()


def _damage(rng: random.Random, folder: Path, name: str, content: bytes) -> None:
    """Write a file that is damaged, packed, odd or hostile."""
    path = folder / name
    how = rng.randrange(9)
    if how == 0:
        path.write_bytes(content[: rng.randrange(len(content))])
    elif how == 1:
        path.write_bytes(_flipped(rng, content))
    elif how == 2:
        packed = path.with_name(f"{name}.gz")
        packed.write_bytes(_flipped(rng, gzip.compress(content)))
    elif how == 3:
        whole = gzip.compress(content)
        path.with_name(f"{name}.gz").write_bytes(whole[: rng.randrange(len(whole))])
    elif how == 4:
        whole = zstandard.compress(content)
        path.with_name(f"{name}.zst").write_bytes(
            _flipped(rng, whole) if rng.random() < 0.5 else whole[: rng.randrange(len(whole))]
        )
    elif how == 5:
        os.mkfifo(path)
    elif how == 6:
        path.symlink_to(rng.choice(("/dev/zero", "/dev/null", "/proc/self/environ", "nowhere.json")))
    else:
        path.write_bytes(_edited(rng, content))


def _flipped(rng: random.Random, content: bytes) -> bytes:
    changed = bytearray(content)
    for _ in range(rng.randint(1, 20)):
        changed[rng.randrange(len(changed))] = rng.randrange(256)
    return bytes(changed)


def _edited(rng: random.Random, content: bytes) -> bytes:
    """The document with one to three values replaced, at any depth."""
    document = json.loads(content)
    for _ in range(rng.randint(1, 3)):
        place = document
        while True:
            keys: list[Any] = list(place) if isinstance(place, dict) else list(range(len(place)))
            if not keys:
                break
            key = rng.choice(keys)
            if isinstance(place[key], (dict, list)) and place[key] and rng.random() < 0.9:
                place = place[key]
                continue
            place[key] = rng.choice(_ODD)
            break
    text = json.dumps(document)
    return text.replace("model", rng.choice(("model", "\\ud800", "m\\u0000")), 1).encode()
