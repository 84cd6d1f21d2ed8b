"""The user's own folder, usually ``offdag/``: seeds, vars and models that are laid over the monitor project that offdag carries."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from offdag.errors import UsageError, first_line

# What `offdag init` names the folder, and where it is looked for.
DEFAULT = Path("offdag")
# dbt's own kinds of files that a user may add, with the suffixes that dbt reads.
_SUFFIXES = {"models": (".sql", ".yml", ".yaml", ".md"), "macros": (".sql", ".yml", ".yaml"), "tests": (".sql", ".yml")}


@dataclass(frozen=True)
class ConfigFolder:
    """The user's folder and the project below it.

    Attributes:
        own: The user's folder; None where there is none, and the defaults are in use.
        packaged: The monitor project with the rules and the default seeds.
    """

    own: Path | None
    packaged: Path

    @classmethod
    def found(cls, given: str | None, packaged: Path) -> ConfigFolder:
        """The folder that a setting names, else ``offdag/`` where it is one."""
        if given:
            return cls(Path(given), packaged)
        is_one = (DEFAULT / "dbt_project.yml").is_file() or (DEFAULT / "seeds").is_dir()
        return cls(DEFAULT if is_one else None, packaged)

    @property
    def folder(self) -> Path | None:
        """The user's folder; None where the defaults are in use.

        Raises:
            UsageError: A setting names a folder that does not exist.
        """
        if self.own is not None and not self.own.is_dir():
            raise UsageError(
                "there is no such folder",
                f"--config-dir / OFFDAG_CONFIG_DIR = {self.own}",
                f"offdag init --config-dir {self.own}",
            )
        return self.own

    def seed(self, name: str) -> Path:
        """The file of a seed: the user's, else the default one."""
        own = self.own_seed(name)
        return own if own.is_file() else self.packaged / "seeds" / f"{name}.csv"

    def own_seed(self, name: str) -> Path:
        """Where the user's file of a seed is, or will be."""
        return (self.folder or DEFAULT) / "seeds" / f"{name}.csv"

    def own_files(self) -> Iterator[tuple[Path, Path]]:
        """The user's models, macros and tests: path below the folder, and file."""
        own = self.folder
        if own is None:
            return
        for folder, suffixes in _SUFFIXES.items():
            for path in sorted((own / folder).rglob("*")):
                if path.suffix in suffixes and path.is_file():
                    yield path.relative_to(own), path

    @property
    def name(self) -> str:
        """The folder, for messages."""
        return str(self.own or DEFAULT)

    def has_own_sql(self) -> bool:
        """Whether SQL of the user is a part of the monitor: models, macros, tests, or conditions of business checks."""
        checks = self.own_seed("business_checks")
        return any(self.own_files()) or (self.own is not None and checks.is_file() and bool(seed_lines(checks)))

    def own_signal_kinds(self) -> list[str]:
        """Kinds of the user's own signals: one for each file signal_<kind>.sql."""
        models = [path for path, _ in self.own_files() if path.parts[0] == "models"]
        return [path.stem.removeprefix("signal_") for path in models if path.match("signal_*.sql")]


def seed_text(path: Path) -> str:
    """The text of a seed.

    Raises:
        UsageError: It is not UTF-8, or cannot be opened.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the seed cannot be read: {first_line(error)}", str(path), f"file {path}") from error


def seed_header(path: Path) -> list[str]:
    """The columns of a seed; none of an empty file.

    Raises:
        UsageError: It cannot be read.
    """
    try:
        return next(csv.reader(io.StringIO(seed_text(path))), [])
    except csv.Error as error:
        raise UsageError(f"the seed cannot be read: {error}", str(path), f"file {path}") from error


def seed_lines(path: Path) -> list[tuple[int, dict[str, str]]]:
    """The lines of a seed: the number of the line in the file, and its cells by column; a cell that is not there is empty.

    Raises:
        UsageError: It cannot be read, or a line has more cells than the header.
    """
    reader = csv.DictReader(io.StringIO(seed_text(path)), restval="", strict=True)
    lines = []
    try:
        for line in reader:
            if None in line:
                raise UsageError(
                    "a line has more cells than the header", f"{path}, line {reader.line_num}", "offdag monitor"
                )
            lines.append((reader.line_num, line))
    except csv.Error as error:
        raise UsageError(f"the seed cannot be read: {error}", str(path), f"file {path}") from error
    return lines
