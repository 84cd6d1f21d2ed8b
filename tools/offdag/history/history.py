"""The history: tables of small Parquet files, raw artifacts, and the log of delivery intents.

    artifacts/project=<p>/environment=<e>/date=<d>/<invocation_id>/<artifact>.json.zst
    tables/<table>/run_date=<d>/<id>.parquet
    tables/<table>/run_date=<d>/merged-<hash>.parquet              what compaction made of a closed day's files
    tables/<table>/run_date=1970-01-01/_schema-<hash>.parquet      no rows
    contents/<kind>/<hash>.json                                    content that is in the tables, by its hash
    intents/<sink>/<channel>/<number>.json

A file's name is its identity, so writing the same rows twice changes nothing; readers rely on it that a name always holds the same rows.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from offdag.errors import HistoryError
from offdag.history.schemas import TABLES, VERSION
from offdag.history.store import Store

Row = dict[str, Any]

# File systems allow 255 bytes.
_LONGEST_PART = 100
_NO_ROWS_DATE = date(1970, 1, 1)
_VERSION_FILE = "version"
_SCHEMA_PREFIX = "_schema-"
_MERGED_PREFIX = "merged-"
# Parquet metadata of a merged file.
_MERGED_AT, _IDENTITIES, _REPLACES = "offdag.merged_at", "offdag.identities", "offdag.replaces"


@dataclass(frozen=True)
class MergedFile:
    """What a merged file holds.

    Attributes:
        merged_at: When it was written, naive UTC.
        identities: Identities of the files whose rows it holds.
        replaces: Names of the files in its folder whose rows it holds: they can be deleted.
    """

    merged_at: datetime
    identities: frozenset[str]
    replaces: frozenset[str]


class History:
    """Opens a history for writing, and creates it where it is missing; :meth:`open_existing` opens one for reading.

    Args:
        root: Local folder or fsspec URL.

    Attributes:
        store: Its files; only for the modules of this package.

    Raises:
        HistoryError: It cannot be read or written, or a newer offdag wrote it.
    """

    def __init__(self, root: str) -> None:
        self._open(root)
        if self._version() != VERSION:
            self.store.write(_VERSION_FILE, f"{VERSION}\n".encode())
            self.store.keep_out_of_git()
        for table, schema in TABLES.items():
            self._write_schema(table, schema)

    @classmethod
    def open_existing(cls, root: str) -> History:
        """Open a history for reading; nothing is created.

        Raises:
            HistoryError: There is no history, it cannot be read, or a newer offdag wrote it.
        """
        history = cls.__new__(cls)
        history._open(root)
        if history._version() is None:
            raise HistoryError("there is no history", root, "offdag collect -e prod target")
        return history

    def _open(self, root: str) -> None:
        self.root = root
        self.store = Store(root)
        self._merged: dict[str, MergedFile] = {}
        self._declared: dict[str, pa.Schema] = {}

    def _version(self) -> int | None:
        """The version that was written; None where there is no history.

        Raises:
            HistoryError: A newer offdag wrote it.
        """
        if not self.store.exists(_VERSION_FILE):
            return None
        written = self.store.read(_VERSION_FILE).decode(errors="replace").strip()
        if not written.isdigit() or int(written) > VERSION:
            raise HistoryError(
                f"the history has version {written[:20]!r}, and this offdag knows up to {VERSION}",
                self.store.path(_VERSION_FILE),
                "pip install --upgrade offdag",
            )
        return int(written)

    def declare(self, table: str, schema: pa.Schema) -> None:
        """Declare an observed table: a file without rows holds its schema, so that readers find the table before its first rows.

        Args:
            table: Name that begins with ``observed_``.
            schema: Its columns; those of an earlier declaration stay.
        """
        self._write_schema(table, schema)
        self._declared.pop(table, None)

    def _write_schema(self, table: str, schema: pa.Schema) -> None:
        name = _file_name(table, _NO_ROWS_DATE, f"{_SCHEMA_PREFIX}{_schema_hash(schema)}")
        if not self.store.exists(name):
            self.store.write(name, _parquet_bytes(schema.empty_table()))

    def tables(self) -> list[str]:
        """Names of all tables, the observed ones too."""
        return [*TABLES, *(n for n in self.store.names("tables") if n.startswith("observed_"))]

    def schema(self, table: str) -> pa.Schema:
        """The columns of a table; for an observed one those of all its declarations.

        Raises:
            HistoryError: There is no such table.
        """
        if table in TABLES:
            return TABLES[table]
        if table not in self._declared:
            folder = date_folder(table, _NO_ROWS_DATE)
            names = [n for n in self.store.names(folder) if n.startswith(_SCHEMA_PREFIX)]
            if not names:
                raise HistoryError(f"the history has no table {table}", self.store.path(folder), "offdag observe")
            schemas = [pq.read_schema(io.BytesIO(self.store.read(f"{folder}/{n}"))) for n in names]
            self._declared[table] = pa.unify_schemas(schemas, promote_options="permissive")
        return self._declared[table]

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
        """Write one file from values by column; all columns are of one length, and missing ones are null."""
        schema, shared = self.schema(table), constants or {}
        length = len(next(iter(columns.values()), ()))
        arrays = [
            pa.array(columns[field.name], field.type)
            if field.name in columns
            else pa.repeat(pa.scalar(shared.get(field.name), field.type), length)
            for field in schema
        ]
        self.put_frame(table, run_date, identity, pa.table(arrays, schema=schema))

    def put_frame(self, table: str, run_date: date, identity: str, frame: pa.Table) -> None:
        """Write one file from an Arrow table of the table's schema."""
        self.store.write(_file_name(table, run_date, identity), _parquet_bytes(frame))

    def put_merged(self, table: str, run_date: date, frame: pa.Table, merged: MergedFile) -> None:
        """Write a file that replaces others of its date; those stay until they are deleted."""
        digest = hashlib.sha256("|".join(sorted(merged.replaces)).encode()).hexdigest()[:32]
        noted = {
            _MERGED_AT: merged.merged_at.isoformat(),
            _IDENTITIES: json.dumps(sorted(merged.identities)),
            # The others follow from the identities.
            _REPLACES: json.dumps(sorted(merged.replaces - _own_names(merged.identities))),
        }
        name = _file_name(table, run_date, f"{_MERGED_PREFIX}{digest}")
        self.store.write(name, _parquet_bytes(frame, noted))

    def has(self, table: str, run_date: date, identity: str) -> bool:
        """Whether the rows of an identity exist, in their own file or in a merged one."""
        return self.store.exists(_file_name(table, run_date, identity)) or any(
            identity in merged.identities for merged in self.merged_files(table, run_date).values()
        )

    def identities(self, table: str, run_date: date) -> set[str]:
        """Identities of all files of a date, also of those that were merged since; no file but merged ones is opened."""
        merged = self.merged_files(table, run_date).values()
        own = {n.removesuffix(".parquet") for n in self.live_files(table, run_date) if not n.startswith(_MERGED_PREFIX)}
        return own.union(*(file.identities for file in merged))

    def live_files(self, table: str, run_date: date) -> list[str]:
        """Names of the files of a date that hold its rows once, sorted: without those whose rows are in a merged file."""
        # One listing for both: a file that is merged meanwhile must not be returned with the merged one.
        names = self.store.names(date_folder(table, run_date))
        replaced = replaced_names(self._merged_among(table, run_date, names).values())
        return [n for n in names if n.endswith(".parquet") and not n.startswith(_SCHEMA_PREFIX) and n not in replaced]

    def merged_files(self, table: str, run_date: date) -> dict[str, MergedFile]:
        """The merged files of a date, by file name."""
        return self._merged_among(table, run_date, self.store.names(date_folder(table, run_date)))

    def _merged_among(self, table: str, run_date: date, names: Iterable[str]) -> dict[str, MergedFile]:
        folder = date_folder(table, run_date)
        paths = [f"{folder}/{n}" for n in names if n.startswith(_MERGED_PREFIX)]
        # Under its name, a merged file never changes.
        found = {path: self._merged.get(path) or _merged_of(self.store.read(path)) for path in paths}
        self._merged.update(found)
        return {name.rpartition("/")[2]: merged for name, merged in found.items()}

    def replace_files(
        self, table: str, run_date: date, names: Iterable[str], frame: pa.Table, merged: MergedFile
    ) -> None:
        """Put rows in place of some files of a date; files that others wrote meanwhile stay."""
        self.put_merged(table, run_date, frame, merged)
        for name in names:
            self.store.delete(f"{date_folder(table, run_date)}/{name}")

    def known(self, kind: str, content_hash: str) -> Row | None:
        """The recorded facts of a content whose rows are all in the tables; None for a new content."""
        name = f"contents/{kind}/{path_part(content_hash)}.json"
        return dict(json.loads(self.store.read(name))) if self.store.exists(name) else None

    def note(self, kind: str, content_hash: str, facts: Row) -> None:
        """Record the facts of a content, once its rows are all in the tables."""
        content = json.dumps(facts, sort_keys=True).encode()
        self.store.write(f"contents/{kind}/{path_part(content_hash)}.json", content)

    def dates(self, table: str) -> list[date]:
        """The run_dates of a table that have a folder, sorted; without that of the files without rows."""
        named = (name.removeprefix("run_date=") for name in self.store.names(f"tables/{table}"))
        found = (date.fromisoformat(text) for text in named if re.fullmatch(r"\d{4}-\d\d-\d\d", text))
        return [day for day in found if day != _NO_ROWS_DATE]

    def read_file(self, table: str, run_date: date, name: str, columns: Sequence[str] | None = None) -> pa.Table:
        """The rows of one file of a date, in the table's schema of today: an older offdag wrote fewer columns.

        Raises:
            HistoryError: It is damaged, or gone.
        """
        path = f"{date_folder(table, run_date)}/{name}"
        schema = self.schema(table)
        chosen = schema if columns is None else pa.schema([schema.field(c) for c in columns])
        try:
            file = pq.ParquetFile(io.BytesIO(self.store.read(path)))
            have = set(file.schema_arrow.names)
            frame = file.read([f.name for f in chosen if f.name in have], use_threads=False)
            if frame.schema == chosen:
                return frame
        except pa.ArrowException as error:
            raise HistoryError(
                f"a file of the history is damaged: {error}", self.store.path(path), "offdag rebuild --write"
            ) from error
        return pa.table(
            [frame[f.name].cast(f.type) if f.name in have else pa.nulls(frame.num_rows, f.type) for f in chosen],
            schema=chosen,
        )

    def read_identity(self, table: str, run_date: date, identity: str, key: str, columns: Sequence[str]) -> pa.Table:
        """The rows of one identity, which is the value of their column ``key``; none where the date has no such rows."""
        name = f"{identity}.parquet"
        if self.store.exists(f"{date_folder(table, run_date)}/{name}"):
            return self.read_file(table, run_date, name, columns)
        day = self.read_day(table, run_date, [key, *columns])
        return day.filter(pc.equal(day[key], identity)).select(columns)

    def read_day(self, table: str, run_date: date, columns: Sequence[str] | None = None) -> pa.Table:
        """The rows of one date, each once, as Arrow."""
        return self.read_files(table, run_date, self.live_files(table, run_date), columns)

    def read_files(
        self, table: str, run_date: date, names: Iterable[str], columns: Sequence[str] | None = None
    ) -> pa.Table:
        """The rows of some files of a date, as Arrow."""
        frames = [self.read_file(table, run_date, name, columns) for name in names]
        return pa.concat_tables(frames or [self._no_rows(table, columns)])

    def read(self, table: str, columns: Sequence[str] | None = None) -> pa.Table:
        """All rows of a table, each once, as Arrow; empty for a table without files."""
        frames = [self.read_day(table, run_date, columns) for run_date in self.dates(table)]
        return pa.concat_tables(frames or [self._no_rows(table, columns)])

    def _no_rows(self, table: str, columns: Sequence[str] | None) -> pa.Table:
        schema = self.schema(table)
        return (schema if columns is None else pa.schema([schema.field(c) for c in columns])).empty_table()

    def creates_exclusively(self) -> bool:
        """Whether only one of two writers of a name succeeds: otherwise a message could be sent twice.

        Raises:
            HistoryError: The store cannot be written.
        """
        name = f"doctor-{uuid.uuid4().hex}.json"
        try:
            return self.store.create(name, b"{}") and not self.store.create(name, b"{}")
        finally:
            self.store.delete(name)


def replaced_names(merged: Iterable[MergedFile]) -> set[str]:
    """Names of the files whose rows are in merged ones; they may still exist, for their last readers."""
    return {name for file in merged for name in file.replaces}


def path_part(text: str) -> str:
    """A text as one safe part of a path: no separators, no dots alone, no glob characters."""
    part = quote(text, safe=" ", errors="replace").replace(" ", "_").replace("~", "%7E").strip(".") or "%2E"
    if len(part) > _LONGEST_PART:
        part = f"{part[:_LONGEST_PART]}-{hashlib.sha256(text.encode(errors='replace')).hexdigest()[:12]}"
    return part


def date_folder(table: str, run_date: date) -> str:
    """The folder of a table's date, as a name in the store."""
    return f"tables/{table}/run_date={run_date.isoformat()}"


def _merged_of(content: bytes) -> MergedFile:
    noted = pq.read_metadata(io.BytesIO(content)).metadata or {}
    identities = frozenset(json.loads(noted[_IDENTITIES.encode()]))
    return MergedFile(
        merged_at=datetime.fromisoformat(noted[_MERGED_AT.encode()].decode()),
        identities=identities,
        replaces=_own_names(identities) | frozenset(json.loads(noted[_REPLACES.encode()])),
    )


def _own_names(identities: Iterable[str]) -> frozenset[str]:
    """Names of the files that hold the rows of one identity each."""
    return frozenset(f"{identity}.parquet" for identity in identities)


def _file_name(table: str, run_date: date, identity: str) -> str:
    return f"{date_folder(table, run_date)}/{identity}.parquet"


def _schema_hash(schema: pa.Schema) -> str:
    return hashlib.sha256("|".join(f"{f.name}:{f.type}" for f in schema).encode()).hexdigest()[:12]


def _parquet_bytes(frame: pa.Table, metadata: Mapping[str, str] | None = None) -> bytes:
    buffer = io.BytesIO()
    # Times of a run are close together: as differences they take half of the bytes.
    times = [field.name for field in frame.schema if pa.types.is_timestamp(field.type)]
    with pq.ParquetWriter(
        buffer,
        frame.schema,
        # A merged file stays. In the small files of single runs zstd saves little, and takes two thirds of the time to read them.
        compression="zstd" if metadata else "snappy",
        compression_level=9 if metadata else None,
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
