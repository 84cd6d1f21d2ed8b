"""What users read of an artifact that gave no rows."""

from __future__ import annotations

import shlex
from typing import Any

from offdag.artifacts.document import Verdict
from offdag.collect.conflicts import OTHER_ADAPTER
from offdag.environment import UNKNOWN
from offdag.errors import error_text


def refusal_text(verdict: dict[str, Any]) -> str:
    """The warning about an artifact that gave no rows, with the next command."""
    path = str(verdict["path"])
    environment = verdict["environment"]
    collect = "offdag collect" + ("" if environment == UNKNOWN else f" -e {shlex.quote(environment)}")
    if verdict["verdict"] != Verdict.CONFLICT.value:
        what = f"{verdict['kind']} is {verdict['verdict']}: it {verdict['reason']}"
        return error_text(what, path, f"{collect} {shlex.quote(path)}")
    # The manifest and the results belong together.
    folder = shlex.quote(path.rpartition("/")[0] or ".")
    other = "environment" if OTHER_ADAPTER in verdict["reason"] else "project"
    named = f"--project {shlex.quote(verdict['project'])} {folder}    # if it is the same one; else give the other {other} a name"
    return error_text(f"{verdict['kind']} was refused: it {verdict['reason']}", path, f"{collect} {named}")
