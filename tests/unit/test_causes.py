"""The faults of the benchmark of causes fit their projects, and have the kinds that the monitor names."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from bench.causes.faults import FOLDER, Fault, edit, faults
from support.command import ROOT

FAULTS = faults()
WORDS = {
    *("bad_rows", "schema_drift", "late_source", "code_bug", "permission", "timeout", "duplicate_load", "wrong_join"),
    *("null_flood", "type_change", "deleted_model", "macro_change", "seed_change", "disk_full", "missing_table"),
    "configuration_change",
}


def kinds() -> set[str]:
    """Those that fct_incident_causes may hold."""
    path = ROOT / "monitor_project" / "models" / "incidents" / "_incidents__models.yml"
    models = {model["name"]: model for model in yaml.safe_load(path.read_text())["models"]}
    columns = {column["name"]: column for column in models["fct_incident_causes"]["columns"]}
    [accepted] = [test["accepted_values"] for test in columns["cause_kind"]["data_tests"] if "accepted_values" in test]
    return set(accepted["arguments"]["values"])


def test_each_kind_of_fault_happens_to_each_project() -> None:
    projects = {path.name for path in (FOLDER / "projects").iterdir()}
    assert len(projects) == 5
    assert {(fault.project, fault.fault) for fault in FAULTS} == {(p, w) for p in projects for w in WORDS}
    assert {fault.kind for fault in FAULTS} <= kinds()
    assert len({fault.environment for fault in FAULTS}) == len(FAULTS)


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.environment for fault in FAULTS])
def test_the_edits_of_a_fault_fit_its_project(fault: Fault, tmp_path: Path) -> None:
    place = shutil.copytree(FOLDER / "projects" / fault.project, tmp_path / fault.project)
    for change in (*fault.edits, *fault.decoy):
        edit(place, change)
    assert fault.node
    assert fault.edits or fault.sql or fault.env
