"""What a process imports: start-up is a feature."""

from __future__ import annotations

import subprocess
import sys

from support.command import ROOT


def test_collecting_imports_nothing_heavy() -> None:
    heavy = ("pandas", "sqlmesh", "dbt", "altair", "duckdb")
    code = f"import sys, offdag.cli, offdag.collect; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_fact_28_only_the_module_of_the_version_is_imported() -> None:
    script = (
        "import sys; from offdag.artifacts.models import parser_module; parser_module('run_results', 6);"
        "print(*(m for m in sys.modules if m.startswith('dbt_artifacts_parser.parsers.') and m[-1].isdigit()))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["dbt_artifacts_parser.parsers.run_results.run_results_v6"]
