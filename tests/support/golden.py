"""Golden files: written by `make golden` alone; a missing one is a failure."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "golden"

_MOVING = (
    (re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d)?(\.\d+)?"), "<time>"),
    (
        re.compile(r"recovered after (less than a minute|\d+ (minute|hour)s?( \d+ minutes?)?)"),
        "recovered after <a while>",
    ),
    (re.compile(r"has started by \d\d:\d\d UTC"), "has started by <time> UTC"),
    (re.compile(r"week to \d{4}-\d\d-\d\d"), "week to <day>"),
    (re.compile(r"\b[0-9a-f]{32}\b"), "<id>"),
    (re.compile(r"\b\d{10}\.\d{6}\b"), "<ts>"),
)


def check(name: str, value: Any, is_live: bool = False) -> None:
    """Compare a text, or a document as JSON, with a golden file.

    Args:
        name: File below tests/golden.
        value: What was found.
        is_live: It comes from a real run, so its times and ids are made equal; otherwise they are compared too.
    """
    text = value.rstrip() if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True)
    for pattern, replacement in _MOVING if is_live else ():
        text = pattern.sub(replacement, text)
    path = FOLDER / name
    if os.environ.get("OFFDAG_WRITE_GOLDEN") == "1":
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n", encoding="utf-8")
    assert path.is_file(), f"there is no golden file {path.name}: run make golden and read it"
    assert text + "\n" == path.read_text(encoding="utf-8")
