"""The history: tables of small Parquet files, raw artifacts, and the notifiers' log of intents.

    artifacts/project=<p>/environment=<e>/date=<d>/<invocation_id>/<artifact>.json.zst
    tables/<table>/run_date=<d>/<id>.parquet
    tables/<table>/run_date=1970-01-01/_schema-<hash>.parquet      no rows
    intents/<sink>/<channel>/<number>.json

A file's name is its identity, so writing the same thing twice changes nothing.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Mapping
from datetime import date
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
        self.store = Store(root)
        self.schemas = {**TABLES, **{f"observed_{name}": schema for name, schema in (observed or {}).items()}}
        self._check_version()
        for table, schema in self.schemas.items():
            name = _file_name(table, _NO_ROWS_DATE, f"_schema-{_schema_hash(schema)}")
            if not self.store.exists(name):
                self.store.write(name, _parquet([], schema))

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

    def put(self, table: str, run_date: date, identity: str, rows: Iterable[Row]) -> None:
        """Write one file of a table.

        Args:
            table: A table's name.
            run_date: UTC date that the rows belong to.
            identity: Names the file: the same rows always get the same identity.
            rows: Values by column; missing columns are null.
        """
        self.store.write(_file_name(table, run_date, identity), _parquet(rows, self.schemas[table]))

    def put_frame(self, table: str, run_date: date, identity: str, frame: pa.Table) -> None:
        """The same for an Arrow table of the table's schema."""
        self.store.write(_file_name(table, run_date, identity), _parquet_bytes(frame))

    def has(self, table: str, run_date: date, identity: str) -> bool:
        """Whether a file of that identity is there."""
        return self.store.exists(_file_name(table, run_date, identity))

    def holds(self, table: str, identity: str) -> bool:
        """The same where the run_date is not known."""
        return bool(self.store.glob(f"tables/{table}/*/{identity}.parquet"))

    def read(self, table: str, columns: list[str] | None = None) -> pa.Table:
        """All rows of a table, as Arrow; empty for a table without files."""
        schema = self.schemas[table]
        chosen = schema if columns is None else pa.schema([schema.field(c) for c in columns])
        frames = []
        for name in self.store.glob(f"tables/{table}/*/*.parquet"):
            try:
                frame = pq.read_table(io.BytesIO(self.store.read(name)), partitioning=None, use_threads=False)
            except pa.ArrowException as error:
                raise HistoryError(
                    f"a file of the history is damaged: {error}",
                    self.store.path(name),
                    "move the file away, then offdag collect the artifacts again",
                ) from error
            # An older offdag wrote fewer columns.
            have = set(frame.column_names)
            frames.append(
                pa.table(
                    [
                        frame[f.name].cast(f.type) if f.name in have else pa.nulls(frame.num_rows, f.type)
                        for f in chosen
                    ],
                    schema=chosen,
                )
            )
        return pa.concat_tables(frames) if frames else chosen.empty_table()

    def keep_raw(
        self, project: str, environment: str, day: date, invocation_id: str, name: str, content: bytes
    ) -> None:
        """Keep an artifact byte for byte, compressed."""
        import zstandard

        path = (
            f"artifacts/project={path_part(project)}/environment={path_part(environment)}/date={day.isoformat()}/"
            f"{path_part(invocation_id)}/{path_part(name)}.zst"
        )
        if not self.store.exists(path):
            self.store.write(path, zstandard.ZstdCompressor(level=3).compress(content))


def path_part(text: str) -> str:
    """A text as one safe part of a path: no separators, no dots alone, nothing that globbing reads."""
    part = quote(text, safe=" ", errors="replace").replace(" ", "_").replace("~", "%7E").strip(".") or "%2E"
    if len(part) > _LONGEST_PART:
        part = f"{part[:_LONGEST_PART]}-{hashlib.sha256(text.encode(errors='replace')).hexdigest()[:12]}"
    return part


def _file_name(table: str, run_date: date, identity: str) -> str:
    return f"tables/{table}/run_date={run_date.isoformat()}/{identity}.parquet"


def _schema_hash(schema: pa.Schema) -> str:
    return hashlib.sha256("|".join(f"{f.name}:{f.type}" for f in schema).encode()).hexdigest()[:12]


def _parquet(rows: Iterable[Row], schema: pa.Schema) -> bytes:
    return _parquet_bytes(pa.Table.from_pylist(list(rows), schema=schema))


def _parquet_bytes(frame: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(frame, buffer, compression="zstd")
    return buffer.getvalue()
