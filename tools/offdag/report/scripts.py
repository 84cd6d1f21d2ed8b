"""Vega's scripts as one text. Bundling them starts a JavaScript engine, so the bundle is kept."""

from __future__ import annotations

import contextlib
import os
from importlib.metadata import version
from pathlib import Path


def vega_scripts(vega_lite: str, folder: Path) -> str:
    """Vega, Vega-Lite and vegaEmbed, as vl-convert bundles them.

    Args:
        vega_lite: Version such as 5.20.
        folder: Where the bundle is kept; if it cannot be written, each call bundles again.
    """
    kept = folder / f".vega-lite-{vega_lite}-vl-convert-{version('vl-convert-python')}.js"
    try:
        return kept.read_text(encoding="utf-8")
    except OSError:
        pass
    import vl_convert

    text: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", vega_lite)
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        # Whole or not at all: other processes may render at the same time.
        temporary = kept.with_name(f"{kept.name}.{os.getpid()}.tmp")
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(kept)
    return text
