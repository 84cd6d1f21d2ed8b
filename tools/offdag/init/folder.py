"""The folder that ``offdag init`` writes: the user's settings, seeds and signals. A file that is there already is never written."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import yaml

from offdag.config_folder import ConfigFolder, seed_text
from offdag.errors import UsageError
from offdag.init.proposals import Proposals
from offdag.monitor.project import project_vars

# The priority of the first proposed route: before the packaged ones.
_FIRST_PRIORITY = 20
# Vars whose value is a list, of which each proposal is one element.
_LISTS = ("alerting_environments",)

_README = """\
# offdag

How the builds of this dbt project are monitored. These files are yours; the rules come with offdag, and a new version brings its own.
Everything here can be changed or removed: what is not here has its default. Commit this folder.

| file | what it sets |
| --- | --- |
| `dbt_project.yml` | vars: thresholds, environments that alert |
| `seeds/alert_routes.csv` | which alert goes to which channel, and how often |
| `seeds/alert_mutes.csv` | what is not sent for a while; `offdag mute --write` adds lines |
| `seeds/run_cadences.csv` | how often builds are expected |
| `seeds/holidays.csv` | days on which no build is expected |
| `seeds/observed_tables.csv` | tables that are copied after each build |
| `seeds/business_checks.csv` | conditions on observed tables that alert |
| `models/signal_<kind>.sql` | your own alerts in SQL over offdag's marts |

`offdag doctor` checks them, and `offdag monitor --all-tests` runs their tests.
"""
_PROJECT = """\
# Your settings of offdag's monitor: a var here replaces the default of the same name.
name: offdag

vars:
"""
_NO_VARS = """\
  # Environments whose problems become incidents:
  # alerting_environments: [prod]
"""


@dataclass(frozen=True)
class InitFile:
    """A file of the folder.

    Attributes:
        path: Below the working directory.
        text: What it would hold.
        proposed: Its proposed lines.
        is_kept: Whether the file is there already, and so is not written.
    """

    path: Path
    text: str
    proposed: Sequence[str]
    is_kept: bool

    @property
    def lacking(self) -> list[str]:
        """Proposed lines that the file does not have."""
        if not self.is_kept:
            return []
        existing = seed_text(self.path).splitlines()
        return [line for line in self.proposed if line not in existing]


def init_files(folder: Path, packaged: Path, found: Proposals) -> list[InitFile]:
    """The files of the user's folder.

    Args:
        folder: Where they belong.
        packaged: The monitor project, whose seeds are the defaults.
        found: What is proposed.

    Raises:
        UsageError: A file that is there already cannot be read.
    """
    lines = {"run_cadences": _cadences(found), "alert_routes": _routes(found)}
    files = [_file(folder / "README.md", _README), _project(folder / "dbt_project.yml", packaged, found)]
    for seed in sorted((packaged / "seeds").glob("*.csv")):
        proposed = lines.get(seed.stem, [])
        text = seed_text(seed)
        header, rest = text.split("\n", 1)
        files.append(_file(folder / "seeds" / seed.name, "\n".join([header, *proposed, rest]), proposed))
    return files


def write_files(files: Sequence[InitFile]) -> None:
    """Write those that are not there yet.

    Raises:
        UsageError: One cannot be written.
    """
    for file in files:
        if file.is_kept:
            continue
        try:
            file.path.parent.mkdir(parents=True, exist_ok=True)
            with file.path.open("x", encoding="utf-8") as opened:
                opened.write(file.text)
        except FileExistsError:
            # Another init was faster.
            continue
        except OSError as error:
            raise UsageError(
                f"the file cannot be written: {error.strerror}", str(file.path), "offdag init --dry-run"
            ) from error


def _file(path: Path, text: str, proposed: Sequence[str] = ()) -> InitFile:
    return InitFile(path, text, proposed, path.exists())


def _project(path: Path, packaged: Path, found: Proposals) -> InitFile:
    text = "".join(_vars(found, project_vars(ConfigFolder(None, packaged)))) or _NO_VARS
    return _file(
        path, _PROJECT + text, [line.strip() for line in text.splitlines() if not line.lstrip().startswith("#")]
    )


def _vars(found: Proposals, defaults: Mapping[str, Any]) -> Iterator[str]:
    for name, rows in groupby(found.settings, key=lambda row: row.var_name):
        proposed = list(rows)
        evidence = "; ".join(_line(row.evidence) for row in proposed)
        values = [row.var_value for row in proposed]
        # A list replaces the default, whose elements stay.
        listed = (
            yaml.safe_dump([*defaults.get(name, []), *values], default_flow_style=True, width=1000)
            if name in _LISTS
            else ""
        )
        value = listed.strip() or values[0]
        yield f"  # {evidence}\n  {name}: {value}\n"


def _cadences(found: Proposals) -> list[str]:
    return [
        _csv(
            row.project,
            row.environment,
            "",
            "",
            f"{row.every_hours:g}",
            f"{row.grace_hours:g}",
            row.days,
            "",
            row.evidence,
        )
        for row in found.cadences
    ]


def _routes(found: Proposals) -> list[str]:
    addressed = [row for row in found.routes if row.channel]
    return [
        _csv(str(priority), "", "", "", "", row.owner, "", "", row.channel, "", "24", "first", row.evidence)
        for priority, row in enumerate(addressed, start=_FIRST_PRIORITY)
    ]


def _csv(*cells: str | None) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow([_line(cell or "") for cell in cells])
    return text.getvalue()


def _line(text: str) -> str:
    """A text of an artifact on one line."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\s]+", " ", text).strip()
