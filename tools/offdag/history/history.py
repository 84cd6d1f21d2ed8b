"""The history: tables of small Parquet files, raw artifacts, and the notifiers' log of intents.

    artifacts/project=<p>/environment=<e>/date=<d>/<invocation_id>/<artifact>.json.zst
    tables/<table>/run_date=<d>/<id>.parquet
    tables/<table>/run_date=<d>/merged-<hash>.parquet              what compaction made of a closed day's files
    tables/<table>/run_date=1970-01-01/_schema-<hash>.parquet      no rows
    contents/<kind>/<hash>.json                                    content that is in the tables, by its hash
    intents/<sink>/<channel>/<number>.json

A file's name is its identity, so writing the same thing twice changes nothing.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq

from offdag.errors import HistoryError
from offdag.history.schemas import TABLES, VERSION
from offdag.history.store import Store

Row = dict[str, Any]

# File systems allow 255 bytes.
_LONGEST_PART = 100
_NO_ROWS_DATE = date(1970, 1, 1)


_MERGED_PREFIX = "merged-"
# Parquet metadata of a merged file.
_MERGED_AT, _IDENTITIES, _REPLACES = "offdag.merged_at", "offdag.identities", "offdag.replaces"


@dataclass(frozen=True)
class Merged:
    """What a merged file holds.

    Attributes:
        merged_at: When it was written, naive UTC.
        identities: Identities of the files whose rows it holds.
        replaces: Names of the files, in its folder, that it holds the rows of: they can go.
    """

    merged_at: datetime
    identities: frozenset[str]
    replaces: frozenset[str]


class History:
    """Opens a history, and makes it where it is missing.

    Args:
        root: Local folder or fsspec URL.
        observed: Arrow schema of each observed table, by its name without ``observed_``.

    Raises:
        HistoryError: It cannot be read or written, or a newer offdag wrote it.
    """

    def __init__(self, root: str, observed: Mapping[str, pa.Schema] | None = None) -> None:
        self.root = root
        self.observed = dict(observed or {})
        self.store = Store(root)
        self._merged: dict[str, Merged] = {}
        self.schemas = {**TABLES, **{f"observed_{name}": schema for name, schema in self.observed.items()}}
        self._check_version()
        for table, schema in self.schemas.items():
            name = _file_name(table, _NO_ROWS_DATE, f"_schema-{_schema_hash(schema)}")
            if not self.store.exists(name):
                self.store.write(name, _parquet_bytes(schema.empty_table()))

    def _check_version(self) -> None:
        if self.store.exists("version"):
            written = self.store.read("version").decode(errors="replace").strip()
            if not written.isdigit() or int(written) > VERSION:
                raise HistoryError(
                    f"the history has version {written[:20]!r}, and this offdag knows up to {VERSION}",
                    self.store.path("version"),
                    "pip install --upgrade offdag",
                )
            if int(written) == VERSION:
                return
        self.store.write("version", f"{VERSION}\n".encode())

    def put(
        self,
        table: str,
        run_date: date,
        identity: str,
        rows: Iterable[Row],
        constants: Mapping[str, object] | None = None,
    ) -> None:
        """Write one file of a table.

        Args:
            table: A table's name.
            run_date: UTC date that the rows belong to.
            identity: Names the file: the same rows always get the same identity.
            rows: Values by column; missing columns are null.
            constants: Values that all rows share.
        """
        listed = list(rows)
        names = {name for row in listed for name in row}
        self.put_columns(
            table, run_date, identity, {name: [row.get(name) for row in listed] for name in names}, constants
        )

    def put_columns(
        self,
        table: str,
        run_date: date,
        identity: str,
        columns: Mapping[str, Sequence[object]],
        constants: Mapping[str, object] | None = None,
    ) -> None:
        """The same for values by column; all columns are of one length, and missing ones are null."""
        schema, shared = self.schemas[table], constants or {}
        length = len(next(iter(columns.values()), ()))
        arrays = [
            pa.array(columns[field.name], field.type)
            if field.name in columns
            else pa.repeat(pa.scalar(shared.get(field.name), field.type), length)
            for field in schema
        ]
        self.put_frame(table, run_date, identity, pa.table(arrays, schema=schema))

    def put_frame(self, table: str, run_date: date, identity: str, frame: pa.Table) -> None:
        """The same for an Arrow table of the table's schema."""
        self.store.write(_file_name(table, run_date, identity), _parquet_bytes(frame))

    def put_merged(self, table: str, run_date: date, frame: pa.Table, merged: Merged) -> None:
        """Write a file that stands for others of its date; they stay until somebody deletes them."""
        digest = hashlib.sha256("|".join(sorted(merged.replaces)).encode()).hexdigest()[:32]
        noted = {
            _MERGED_AT: merged.merged_at.isoformat(),
            _IDENTITIES: json.dumps(sorted(merged.identities)),
            # The others follow from the identities, and would take as much again.
            _REPLACES: json.dumps(sorted(merged.replaces - _own_names(merged.identities))),
        }
        name = _file_name(table, run_date, f"{_MERGED_PREFIX}{digest}")
        self.store.write(name, _parquet_bytes(frame, noted))

    def has(self, table: str, run_date: date, identity: str) -> bool:
        """Whether the rows of that identity are there, in a file of their own or in a merged one."""
        return self.store.exists(_file_name(table, run_date, identity)) or any(
            identity in merged.identities for merged in self.merged_files(table, run_date).values()
        )

    def merged_files(self, table: str, run_date: date) -> dict[str, Merged]:
        """What compaction merged of a date, by file name."""
        folder = date_folder(table, run_date)
        names = (f"{folder}/{n}" for n in self.store.names(folder) if n.startswith(_MERGED_PREFIX))
        # Under its name, a merged file never changes.
        found = {name: self._merged.get(name) or _merged_of(self.store.read(name)) for name in names}
        self._merged.update(found)
        return {name.rpartition("/")[2]: merged for name, merged in found.items()}

    def known(self, kind: str, content_hash: str) -> Row | None:
        """What was noted of a content whose rows are all in the tables; None where it was never seen."""
        name = f"contents/{kind}/{path_part(content_hash)}.json"
        return dict(json.loads(self.store.read(name))) if self.store.exists(name) else None

    def note(self, kind: str, content_hash: str, facts: Row) -> None:
        """Note a content, once its rows are all in the tables."""
        content = json.dumps(facts, sort_keys=True).encode()
        self.store.write(f"contents/{kind}/{path_part(content_hash)}.json", content)

    def dates(self, table: str) -> list[date]:
        """The run_dates of a table that have a folder, sorted; without that of the files without rows."""
        named = (name.removeprefix("run_date=") for name in self.store.names(f"tables/{table}"))
        found = (date.fromisoformat(text) for text in named if re.fullmatch(r"\d{4}-\d\d-\d\d", text))
        return [day for day in found if day != _NO_ROWS_DATE]

    def read_file(self, table: str, name: str, columns: Sequence[str] | None = None) -> pa.Table:
        """The rows of one file, in the table's schema of today: an older offdag wrote fewer columns.

        Raises:
            HistoryError: It is damaged, or gone.
        """
        schema = self.schemas[table]
        chosen = schema if columns is None else pa.schema([schema.field(c) for c in columns])
        try:
            file = pq.ParquetFile(io.BytesIO(self.store.read(name)))
            have = set(file.schema_arrow.names)
            frame = file.read([f.name for f in chosen if f.name in have], use_threads=False)
        except pa.ArrowException as error:
            raise HistoryError(
                f"a file of the history is damaged: {error}",
                self.store.path(name),
                "move the file away, then: offdag rebuild --write",
            ) from error
        return pa.table(
            [frame[f.name].cast(f.type) if f.name in have else pa.nulls(frame.num_rows, f.type) for f in chosen],
            schema=chosen,
        )

    def read_day(self, table: str, day: date) -> pa.Table:
        """The rows of one run_date, as Arrow. Rows may come twice while the day is being compacted."""
        folder = date_folder(table, day)
        names = [f"{folder}/{n}" for n in self.store.names(folder) if n.endswith(".parquet")]
        frames = [self.read_file(table, name) for name in names]
        return pa.concat_tables(frames) if frames else self.schemas[table].empty_table()

    def read(self, table: str, columns: Sequence[str] | None = None) -> pa.Table:
        """All rows of a table, as Arrow; empty for a table without files. Rows may come twice while a day is being compacted."""
        names = self.store.glob(f"tables/{table}/*/*.parquet")
        frames = [self.read_file(table, name, columns) for name in names]
        # There is always the file without rows.
        return pa.concat_tables(frames)


def replaced_names(merged: Iterable[Merged]) -> set[str]:
    """Names of the files whose rows are in merged ones, and that are still there for their last readers, or gone."""
    return {name for file in merged for name in file.replaces}


def path_part(text: str) -> str:
    """A text as one safe part of a path: no separators, no dots alone, nothing that globbing reads."""
    part = quote(text, safe=" ", errors="replace").replace(" ", "_").replace("~", "%7E").strip(".") or "%2E"
    if len(part) > _LONGEST_PART:
        part = f"{part[:_LONGEST_PART]}-{hashlib.sha256(text.encode(errors='replace')).hexdigest()[:12]}"
    return part


def date_folder(table: str, run_date: date) -> str:
    """The folder of a table's date, as a name in the store."""
    return f"tables/{table}/run_date={run_date.isoformat()}"


def _merged_of(content: bytes) -> Merged:
    noted = pq.read_metadata(io.BytesIO(content)).metadata or {}
    identities = frozenset(json.loads(noted[_IDENTITIES.encode()]))
    return Merged(
        merged_at=datetime.fromisoformat(noted[_MERGED_AT.encode()].decode()),
        identities=identities,
        replaces=_own_names(identities) | frozenset(json.loads(noted[_REPLACES.encode()])),
    )


def _own_names(identities: Iterable[str]) -> frozenset[str]:
    """Names of the files, in their folder, that hold the rows of one identity each."""
    return frozenset(f"{identity}.parquet" for identity in identities)


def _file_name(table: str, run_date: date, identity: str) -> str:
    return f"{date_folder(table, run_date)}/{identity}.parquet"


def _schema_hash(schema: pa.Schema) -> str:
    return hashlib.sha256("|".join(f"{f.name}:{f.type}" for f in schema).encode()).hexdigest()[:12]


def _parquet_bytes(frame: pa.Table, metadata: Mapping[str, str] | None = None) -> bytes:
    buffer = io.BytesIO()
    # Times of a run lie close together: as differences they take half of the bytes.
    times = [field.name for field in frame.schema if pa.types.is_timestamp(field.type)]
    with pq.ParquetWriter(
        buffer,
        frame.schema,
        compression="zstd",
        # A merged file is written once, and stays.
        compression_level=9 if metadata else 3,
        # Without a copy of the Arrow schema: it would be the larger part of a small file.
        store_schema=False,
        # Files are chosen by date, and a date is read as a whole.
        write_statistics=False,
        use_dictionary=[name for name in frame.schema.names if name not in times],
        column_encoding=dict.fromkeys(times, "DELTA_BINARY_PACKED"),
    ) as writer:
        writer.write_table(frame)
        if metadata:
            writer.add_key_value_metadata(metadata)
    return buffer.getvalue()
