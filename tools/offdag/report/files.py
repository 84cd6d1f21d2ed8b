"""The report's files: the page, its data, and a badge of each exposure to put beside a dashboard; in a folder or an object store."""

from __future__ import annotations

import hashlib
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from offdag.errors import UsageError
from offdag.outputs import write_output
from offdag.report.badge import badge
from offdag.report.contents import Contents
from offdag.report.page import render_page


def write_report(contents: Contents, place: str, now: datetime, cache: Path) -> tuple[str, str]:
    """Write the page, ``.json`` beside it, and for each exposure a badge as SVG and JSON in the folder ``<name>_exposures``.

    Args:
        contents: What to show.
        place: Path or fsspec URL of the HTML file.
        now: Shown as the time of rendering, naive UTC.
        cache: Folder for what the next report needs again.

    Returns:
        The paths of the page and its data.

    Raises:
        UsageError: A file cannot be written.
    """
    stem = place.removesuffix(".html")
    files = {place: render_page(contents, now, cache).encode(), f"{stem}.json": _json(contents.document(now))}
    for row in contents.rows("fct_exposure_health"):
        exposure = f"{stem}_exposures/{_file_name(row['project'], row['environment'], row['node_id'])}"
        if f"{exposure}.svg" in files:
            # Packages may have exposures of one name.
            exposure += f"-{hashlib.sha256(row['node_id'].encode()).hexdigest()[:8]}"
        files[f"{exposure}.svg"] = badge(row, contents.as_of).encode()
        files[f"{exposure}.json"] = _json({"as_of": contents.as_of, **row})
    for path, content in files.items():
        try:
            write_output(path, content)
        except Exception as error:
            # Each store's library has errors of its own.
            what = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise UsageError(
                f"the report cannot be written: {what}", path, "offdag report --out report.html"
            ) from error
    return place, f"{stem}.json"


def _json(document: dict[str, Any]) -> bytes:
    return msgspec.json.encode(document) + b"\n"


def _file_name(project: str, environment: str, node_id: str) -> str:
    """A file name of letters that every system allows; names that differ only in others differ in a hash."""
    name = f"{project}.{environment}.{node_id.rpartition('.')[2]}"
    plain = re.sub(r"[^A-Za-z0-9_.-]", "_", name)[:120].lstrip(".") or "exposure"
    return plain if plain == name else f"{plain}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
