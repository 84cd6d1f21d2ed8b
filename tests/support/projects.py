"""dbt projects as offdag sees them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from offdag.collect.dbt_show import DbtShow
from offdag.config_folder import ConfigFolder
from offdag.dbt.command import DbtInvocation
from support.command import ROOT, environ

# The shop's folder over the monitor project.
SHOP = ConfigFolder(ROOT / "offdag", ROOT / "monitor_project")


def show(project: DbtInvocation) -> DbtShow:
    """The dbt beside this Python, as an observer asks it."""
    return DbtShow(["dbt", "build"], project.project_dir, project.target_path, environ(project.project_dir))


def invocation(folder: Path, target: str | None = None, environ: Mapping[str, str] | None = None) -> DbtInvocation:
    """What dbt would do in a folder without flags, but for the target."""
    parsed = DbtInvocation.parse((), folder, environ or {})
    return replace(parsed, target=target or parsed.target)
