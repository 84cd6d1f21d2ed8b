"""What a run of the monitor need not make again: seeds, and views of the history's files, that the last run left in the same database."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from offdag import __version__

# The staging models that are views hold no instant: their text is the same in each run.
_EXCLUDED = ("resource_type:seed", "path:models/staging,config.materialized:view")
_FOLDERS = ("macros", "models", "seeds")
_FILES = ("dbt_project.yml", "profiles.yml")


@dataclass(frozen=True)
class Unchanged:
    """Compares a run with the last one that ended well.

    Attributes:
        record: File that holds what the last run was built from.
        database: The monitor's DuckDB file.
        key: Hash of the project's files, of the versions of offdag, dbt and DuckDB, and of the settings that dbt reads.
    """

    record: Path
    database: Path
    key: str

    @classmethod
    def of(cls, record: Path, database: Path, project: Path, settings: Mapping[str, str]) -> Unchanged:
        """Read the project's files."""
        digest = hashlib.sha256()
        versions = [__version__, *(version(name) for name in ("dbt-core", "dbt-duckdb", "duckdb"))]
        digest.update(json.dumps([versions, dict(sorted(settings.items()))]).encode())
        paths = [project / name for name in _FILES]
        paths += sorted(path for folder in _FOLDERS for path in (project / folder).rglob("*") if path.is_file())
        for path in paths:
            digest.update(f"{path.relative_to(project)}|{path.stat().st_size}|".encode())
            digest.update(path.read_bytes())
        return cls(record, database, digest.hexdigest())

    def excluded(self) -> tuple[str, ...]:
        """What dbt can leave out, in its words for ``--exclude``; nothing where anything else may have written the database since."""
        try:
            last = json.loads(self.record.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return ()
        return _EXCLUDED if last == self._now() else ()

    def note(self) -> None:
        """Record a run that ended well."""
        self.record.write_text(json.dumps(self._now()), encoding="utf-8")

    def _now(self) -> dict[str, object]:
        state = self.database.stat() if self.database.is_file() else None
        return {"key": self.key, "database": [state.st_ino, state.st_size, state.st_mtime_ns] if state else None}
