"""Vega's scripts and the report's charts. Making them starts a JavaScript engine and imports Altair, so both are kept."""

from __future__ import annotations

import contextlib
import hashlib
import os
from dataclasses import dataclass
from importlib import resources
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec


@dataclass(frozen=True)
class Scripts:
    """What the page needs to draw its charts.

    Attributes:
        bundle: Vega, Vega-Lite and vegaEmbed as one script.
        charts: Vega-Lite documents by name, without data.
    """

    bundle: str
    charts: dict[str, Any]

    @classmethod
    def cached(cls, folder: Path) -> Scripts:
        """Read them from a folder, or make them and keep them there; if it cannot be written, each call makes them again."""
        source = resources.files("offdag.report").joinpath("charts.py").read_bytes()
        made_by = f"{version('altair')} {version('vl-convert-python')}".encode()
        kept = folder / f".report-scripts-{hashlib.sha256(source + made_by).hexdigest()[:16]}.json"
        with contextlib.suppress(OSError, msgspec.DecodeError):
            return msgspec.json.decode(kept.read_bytes(), type=cls)
        scripts = cls._made()
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            # Whole or not at all: other processes may render at the same time.
            temporary = kept.with_name(f"{kept.name}.{os.getpid()}.tmp")
            temporary.write_bytes(msgspec.json.encode(scripts))
            temporary.replace(kept)
        return scripts

    @classmethod
    def _made(cls) -> Scripts:
        import vl_convert

        from offdag.report.charts import chart_specs

        # The newest Vega-Lite is the one for the Vega that is bundled with it.
        newest = vl_convert.get_vegalite_versions()[-1]
        return cls(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", newest), chart_specs())
