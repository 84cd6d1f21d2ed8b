"""dbt commands beside a build: output as text, and artifacts in another folder, so that those of the build stay as they are."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

_PARSED = "partial_parse.msgpack"
_COLORS = re.compile(r"\x1b\[[0-9;]*m")


def run_captured(
    command: Sequence[str], cwd: Path, environ: Mapping[str, str], timeout: float
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; its errors are in its output too.

    Args:
        command: Program and arguments.
        cwd: Folder in which it runs.
        environ: Its variables.
        timeout: Seconds.

    Raises:
        OSError: It cannot be started.
        subprocess.TimeoutExpired: It did not end in time.
    """
    return subprocess.run(
        list(command),
        cwd=cwd,
        # JSON log lines would hold what is printed as a text.
        env={name: value for name, value in environ.items() if name != "DBT_LOG_FORMAT"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=timeout,
        check=False,
    )


@contextmanager
def own_folder(target_path: Path) -> Iterator[Path]:
    """A temporary folder for a command's log, whose ``target`` begins with the project as the build parsed it."""
    with tempfile.TemporaryDirectory(prefix="offdag-dbt-") as folder:
        (Path(folder) / "target").mkdir()
        copy_parsed(target_path, Path(folder) / "target")
        yield Path(folder)


def copy_parsed(source: Path, target: Path) -> None:
    """Copy the parsed project from one target folder to another, where there is one: dbt then need not parse it again."""
    if (source / _PARSED).is_file():
        target.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / _PARSED, target / _PARSED)


def without_colors(output: str) -> str:
    """What dbt printed, as a terminal shows it without colours."""
    return _COLORS.sub("", output)
