from __future__ import annotations

from pathlib import Path

from offdag.report.scripts import Scripts


def test_scripts_and_charts_are_made_once_and_then_read(tmp_path: Path) -> None:
    made = Scripts.cached(tmp_path / "cache")
    assert "vegaEmbed" in made.bundle
    assert "stock" in made.charts
    [kept] = (tmp_path / "cache").iterdir()
    assert Scripts.cached(tmp_path / "cache") == made
    kept.write_text('{"bundle": "kept", "charts": {}}')
    assert Scripts.cached(tmp_path / "cache") == Scripts("kept", {})
    kept.write_text("damaged")
    assert Scripts.cached(tmp_path / "cache") == made


def test_without_a_cache_they_are_made_each_time(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "vegaEmbed" in Scripts.cached(tmp_path / "file").bundle
