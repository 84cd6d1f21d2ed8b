"""Virtual environments of other people: another dbt than offdag's own, beside it on PATH."""

from __future__ import annotations

import subprocess
import venv
from collections.abc import Mapping
from pathlib import Path


def make(requirements: Mapping[str, tuple[str, ...]], home: Path) -> dict[str, Path]:
    """The folders of programs of new virtual environments, by name; all are installed at the same time."""
    installing = {}
    for name, packages in requirements.items():
        venv.create(home / name, with_pip=True)
        # The parser's source distribution downloads a binary while it builds.
        pip = [str(home / name / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check"]
        command = [*pip, "--only-binary=dbt-core-experimental-parser", *packages]
        installing[name] = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    for name, process in installing.items():
        output, _ = process.communicate()
        assert process.returncode == 0, f"{name}: {output}"
    return {name: home / name / "bin" for name in requirements}
