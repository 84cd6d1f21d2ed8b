"""Artifacts that real versions of dbt left: tests/fixtures, written by `make fixtures`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from offdag.history.raw import decompressed

FIXTURES = Path(__file__).parents[1] / "fixtures"
VERSIONS = tuple(sorted(path.name.removeprefix("dbt-") for path in FIXTURES.glob("dbt-*")))


def folder(version: str, case: str) -> Path:
    return FIXTURES / f"dbt-{version}" / case


def document(version: str, case: str, kind: str) -> dict[str, Any]:
    content = decompressed((folder(version, case) / f"{kind}.json.zst").read_bytes())
    return dict(json.loads(content))
