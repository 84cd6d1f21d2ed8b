"""What the last run of the monitor left, and of which inputs: the next run can use it only where they are still the same."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import msgspec

from offdag import __version__
from offdag.monitor.plan import Contents

_VERSIONS = ("dbt-core", "dbt-duckdb", "duckdb")
# Of a DuckDB file: the main header, and two of which each checkpoint writes one.
_HEADERS_BYTES = 3 * 4096


@dataclass(frozen=True)
class Inputs:
    """What a monitor run is made of, besides the history.

    Attributes:
        rules: Hash of the project's code, and of the versions of offdag, dbt and DuckDB.
        settings: Hash of the seeds and of the settings that dbt reads.
    """

    rules: str
    settings: str

    @classmethod
    def of(cls, project: Path, settings: Mapping[str, str]) -> Inputs:
        """Read the files of the monitor project."""
        versions = [__version__, *(version(name) for name in _VERSIONS)]
        code = [path for name in ("macros", "models", "tests") for path in (project / name).rglob("*")]
        code += [path for path in project.iterdir() if path.suffix in (".yml", ".yaml")]
        return cls(
            _hash(json.dumps(versions), project, code),
            _hash(json.dumps(dict(sorted(settings.items()))), project, (project / "seeds").rglob("*")),
        )


class _Record(msgspec.Struct):
    """The file of :class:`LastRun`."""

    rules: str
    settings: str
    database: str | None
    contents: Contents


@dataclass(frozen=True)
class LastRun:
    """What the last run that ended well left.

    Attributes:
        path: File that records it.
        database: The monitor's DuckDB file.
    """

    path: Path
    database: Path

    def has_rules(self, inputs: Inputs) -> bool:
        """Whether the same rules built the database: if not, rows of older dates are built again too."""
        record = self._read()
        return record is not None and record.rules == inputs.rules and self.database.is_file()

    def contents(self, inputs: Inputs) -> Contents | None:
        """The contents of its nodes; None where anything but the history may differ, also where another program wrote the database."""
        record = self._read()
        if record is None or record.database is None:
            return None
        same = (record.rules, record.settings, record.database) == (
            inputs.rules,
            inputs.settings,
            self._database_state(),
        )
        return record.contents if same else None

    def write(self, inputs: Inputs, contents: Contents) -> None:
        """Record a run that ended well."""
        record = _Record(inputs.rules, inputs.settings, self._database_state(), contents)
        self.path.write_bytes(msgspec.json.encode(record))

    def _read(self) -> _Record | None:
        try:
            return msgspec.json.decode(self.path.read_bytes(), type=_Record)
        except (OSError, msgspec.MsgspecError):
            return None

    def _database_state(self) -> str | None:
        """What identifies the content of the database, also in a copy: DuckDB writes a header at each checkpoint.

        None where there is no database, or a killed run left changes beside it.
        """
        if not self.database.is_file() or self.database.with_name(f"{self.database.name}.wal").exists():
            return None
        with self.database.open("rb") as file:
            headers = file.read(_HEADERS_BYTES)
        return f"{self.database.stat().st_size}-{hashlib.sha256(headers).hexdigest()}"


def _hash(text: str, project: Path, paths: Iterable[Path]) -> str:
    digest = hashlib.sha256(text.encode())
    for path in sorted(path for path in paths if path.is_file()):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(project)}|{len(content)}|".encode())
        digest.update(content)
    return digest.hexdigest()
