"""What users read where artifacts gave no rows, and the command that collects them."""

from __future__ import annotations

import shlex
from typing import Any

from offdag.artifacts.document import Verdict
from offdag.collect.conflicts import OTHER_ADAPTER
from offdag.environment import UNKNOWN
from offdag.errors import error_text


def collect_command(environment: str, *arguments: str) -> str:
    """The command that collects again, with the environment where it is known."""
    place = [] if environment == UNKNOWN else ["-e", environment]
    return shlex.join(["offdag", "collect", *place, *arguments])


def refusal_text(verdict: dict[str, Any]) -> str:
    """The warning about an artifact that gave no rows, with the next command."""
    path = str(verdict["path"])
    if verdict["verdict"] != Verdict.CONFLICT.value:
        what = f"{verdict['kind']} is {verdict['verdict']}: it {verdict['reason']}"
        return error_text(what, path, collect_command(verdict["environment"], path))
    # The manifest and the results belong together.
    folder = path.rpartition("/")[0] or "."
    collect = collect_command(verdict["environment"], "--project", verdict["project"], folder)
    other = "environment" if OTHER_ADAPTER in verdict["reason"] else "project"
    what = f"{verdict['kind']} was refused: it {verdict['reason']}"
    return error_text(what, path, f"{collect}    # if it is the same one; else give the other {other} a name")
