from __future__ import annotations

from pathlib import Path

from offdag.report.charts import VEGA_LITE
from offdag.report.scripts import vega_scripts


def test_the_scripts_are_bundled_once_and_then_read(tmp_path: Path) -> None:
    text = vega_scripts(VEGA_LITE, tmp_path / "cache")
    assert "vegaEmbed" in text
    [kept] = (tmp_path / "cache").iterdir()
    assert kept.read_text() == text
    kept.write_text("kept")
    assert vega_scripts(VEGA_LITE, tmp_path / "cache") == "kept"


def test_without_a_cache_the_scripts_are_bundled_each_time(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "vegaEmbed" in vega_scripts(VEGA_LITE, tmp_path / "file")
