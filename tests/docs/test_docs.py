"""The documents match the code."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
import yaml

from bench.table import table
from offdag.cli import cli
from pages import configuration
from support.command import ROOT, environ, run

README = (ROOT / "README.md").read_text()
SOURCES = sorted((ROOT / "tools" / "offdag").rglob("*.py"))


@pytest.mark.parametrize("verb", sorted(cli.commands))
def test_every_verb_has_help_with_an_example_and_is_in_the_readme(verb: str) -> None:
    command = cli.commands[verb]
    text = command.get_help(click.Context(command))
    assert f"Example: offdag {verb}" in " ".join(text.split())
    assert f"| `offdag {verb}` |" in README
    assert all(p.help for p in command.params if isinstance(p, click.Option) and p.name != "output")


def test_every_variable_is_in_the_documents_and_read_only_by_settings() -> None:
    read = set()
    for path in SOURCES:
        found = set(re.findall(r"\"(OFFDAG_[A-Z_]+)\"", path.read_text()))
        if path.name in ("settings.py", "origin.py"):
            read |= found
        if "os.environ" in path.read_text():
            assert path.name == "settings.py", path
    page = (ROOT / "docs" / "environment.md").read_text(encoding="utf-8")
    assert read == set(re.findall(r"^\| `(OFFDAG_[A-Z_]+)` \|", page, re.M))


def test_every_signal_has_a_section() -> None:
    declared = yaml.safe_load((ROOT / "monitor_project" / "dbt_project.yml").read_text())["vars"]
    kinds = [*declared["signal_kinds"], *declared["business_signal_kinds"], "business_check"]
    assert re.findall(r"^## (\w+)$", (ROOT / "docs" / "alerts.md").read_text(), re.M) == kinds


def test_every_make_target_of_the_documents_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / ".github" / "workflows").glob("*.yml")):
        assert set(re.findall(r"`?make ([a-z-]+)", path.read_text())) - {"its", "the"} <= targets, path.name


def test_the_page_of_the_configuration_is_that_of_the_code() -> None:
    assert configuration.page() == (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8"), "run make docs"


def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    built = run(command, {**environ(tmp_path), "NO_MKDOCS_2_WARNING": "1"})
    assert built.code == 0, built
    assert built.err == ""
    page = (tmp_path / "get-started" / "index.html").read_text(encoding="utf-8")
    assert "offdag init" in page
    # A reader's browser asks no other host.
    assert not re.findall(r"""(?:src|href)=["']https?://(?!squidfunk)[^"']*\.(?:js|css|woff2?)""", page)


def test_make_lists_its_targets() -> None:
    shown = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in ("demo", "test", "build", "monitor", "build-then-monitor", "ci", "report", "lint", "golden", "clean"):
        assert f"make {target} " in shown


def test_the_lock_names_no_host_and_no_path() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    assert not re.search(r"https?://|file:|--(extra-)?index-url|--find-links", lock)
    pinned = re.search(r"^dbt-core==1\.(\d+)", lock, re.M)
    assert pinned is not None
    assert int(pinned[1]) < 12


def test_modules_are_small() -> None:
    assert {p.name: n for p in SOURCES if (n := len(p.read_text().splitlines())) > 400} == {}


def test_slacks_scopes_are_those_that_the_code_needs() -> None:
    manifest = yaml.safe_load((ROOT / "docs" / "slack-app-manifest.yml").read_text())
    scopes = manifest["oauth_config"]["scopes"]["bot"]
    assert sorted(scopes) == ["channels:history", "channels:read", "chat:write", "groups:history", "groups:read"]


def test_the_table_of_performance_is_what_was_measured() -> None:
    numbers = json.loads((ROOT / "docs" / "performance.json").read_text())
    assert table(numbers) in (ROOT / "docs" / "performance.md").read_text()
