"""The variables of dbt_project.yml: which of them changed, without what they hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from offdag.dbt.project import DbtProject


def hashes(folder: Path, variables: str) -> dict[str, str]:
    (folder / "dbt_project.yml").write_text(f"name: p\n{variables}")
    found = DbtProject(folder, {}).variable_hashes()
    return dict(word.split("=") for word in found.split())


def test_a_variable_has_another_hash_with_another_value(tmp_path: Path) -> None:
    before = hashes(tmp_path, "vars: {rate: 1, days: [1, 2], secret: hunter2}")
    after = hashes(tmp_path, "vars: {rate: 1.5, days: [1, 2], secret: hunter2}")
    assert before.keys() == after.keys() == {"rate", "days", "secret"}
    assert {name for name in before if before[name] != after[name]} == {"rate"}
    assert "hunter2" not in str(before)


def test_the_variables_of_a_package_are_named_too(tmp_path: Path) -> None:
    before = hashes(tmp_path, "vars: {shop: {rate: 1}, days: 2}")
    after = hashes(tmp_path, "vars: {shop: {rate: 2}, days: 2}")
    assert {name for name in before if before[name] != after[name]} == {"shop", "rate"}


@pytest.mark.parametrize("variables", ["", "vars: {}", "vars: []", "vars: nonsense", 'vars: {"an odd name": 1}'])
def test_without_variables_there_is_none(tmp_path: Path, variables: str) -> None:
    assert hashes(tmp_path, variables) == {}


@pytest.mark.parametrize(
    "variables",
    [
        "vars: {m: {1: a, b: c}, rate: 1}",
        "vars: {1: a, rate: c}",
        "vars: {2024-01-01: a, rate: 1}",
        "vars: {rate: 2024-01-01, m: [2024-01-01]}",
        "vars: &all {rate: *all}",
    ],
)
def test_all_that_dbt_reads_can_be_hashed(tmp_path: Path, variables: str) -> None:
    """Such a project builds, and `offdag run` must not stop it."""
    assert "rate" in hashes(tmp_path, variables)
