"""What each package may import and do, read from the syntax trees of all modules."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from support.command import ROOT

PACKAGE = ROOT / "tools" / "offdag"
MODULES = sorted(p.relative_to(PACKAGE).as_posix() for p in PACKAGE.rglob("*.py"))
# A package imports only those before it.
ORDER = [
    "errors",
    "extras", "clock", "environment", "origin", "outputs", "duckdb_files", "config_folder", "settings", "artifacts", "history",
    "dbt", "collect",
    "monitor", "notify", "report", "review", "export", "init", "greenery", "doctor", "job", "serve", "assistant", "backtest", "cli",
]  # fmt: skip
# Distribution names that differ from the imported ones.
DISTRIBUTIONS = {
    "dbt": "dbt-duckdb",
    "yaml": "pyyaml",
    "slack_sdk": "slack-sdk",
    "vl_convert": "vl-convert-python",
    "sqlglot": "sqlmesh",
    "markdown_it": "markdown-it-py",
}


@cache
def tree(module: str) -> ast.Module:
    return ast.parse((PACKAGE / module).read_text())


def imports(module: str) -> Iterator[tuple[str, bool]]:
    """Imported modules, and whether the import is at the top of the module and is run."""
    top = {id(node) for node in tree(module).body}
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Import):
            yield from ((name.name, id(node) in top) for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module, id(node) in top


def package(module: str) -> str:
    return module.split("/", maxsplit=1)[0].removesuffix(".py")


@pytest.mark.parametrize(
    ("library", "allowed"),
    [
        ("slack_sdk", ["notify/slack.py"]),
        ("urllib3", ["notify/http.py"]),
        ("dbt_artifacts_parser", ["artifacts/models.py"]),
        ("pydantic", ["artifacts/models.py"]),
        ("pyarrow.parquet", ["collect/package_tables.py", "history/history.py"]),
        ("fsspec", ["history/store.py", "collect/places.py", "monitor/plan.py", "outputs.py"]),
        ("sqlmesh", ["dbt/profile_adapter.py", "review/", "export/"]),
        ("filelock", ["dbt/process.py", "job.py"]),
        ("altair", ["report/charts.py"]),
        ("signal", ["dbt/", "job.py", "review/databases.py"]),
    ],
)
def test_a_library_is_used_only_in_its_package(library: str, allowed: list[str]) -> None:
    users = {m for m in MODULES for name, _ in imports(m) if f"{name}.".startswith(f"{library}.")}
    assert users or library == "dbt_artifacts_parser", f"nothing imports {library}: the boundary guards nothing"
    assert {user for user in users if not user.startswith(tuple(allowed))} == set()


@pytest.mark.parametrize(
    "library", ["sqlmesh", "sqlglot", "slack_sdk", "urllib3", "filelock", "jinja2", "yaml", "altair"]
)
def test_slow_libraries_are_imported_where_they_are_used(library: str) -> None:
    """At the top of a module only where the module itself is imported lazily."""
    lazy = {"notify/slack.py", "report/charts.py", "monitor/project.py", "init/folder.py"}
    at_top = {m for m in MODULES for name, top in imports(m) if top and name.split(".")[0] == library}
    assert at_top <= lazy


def test_the_store_belongs_to_the_history() -> None:
    for module in MODULES:
        if package(module) == "history":
            continue
        touched = {n.attr for n in ast.walk(tree(module)) if isinstance(n, ast.Attribute)}
        assert "store" not in touched, module
        assert "offdag.history.store" not in {name for name, _ in imports(module)}, module


def test_the_text_of_an_artifact_belongs_to_artifacts() -> None:
    for module in MODULES:
        if package(module) != "artifacts":
            assert "readable" not in {n.attr for n in ast.walk(tree(module)) if isinstance(n, ast.Attribute)}, module


def test_settings_alone_read_the_environment() -> None:
    for module in MODULES:
        read = [
            n
            for n in ast.walk(tree(module))
            if (isinstance(n, ast.Attribute) and n.attr in ("environ", "getenv") and getattr(n.value, "id", "") == "os")
        ]
        assert not read or module == "settings.py", module


def test_sql_in_python_reads_whole_marts_observed_tables_and_the_loaded_schema() -> None:
    statement = re.compile(r"(?is)^\s*(select|insert|delete|update|create|alter|with|merge)\s")
    for module in MODULES:
        texts = [n.value for n in ast.walk(tree(module)) if isinstance(n, ast.Constant) and isinstance(n.value, str)]
        found = [t for t in texts if statement.match(t) and (" from " in t or "table" in t or " into " in t)]
        assert not found or module in (
            "monitor/marts.py",
            "monitor/plan.py",
            "collect/observe.py",
            "collect/failing_rows.py",
            "export/postgres.py",
            # A model's own code, run a second time.
            "collect/failing_rows.py",
            "review/databases.py",
            # The shop's loader.
            "greenery/load.py",
        ), (module, found)


def test_packages_import_only_earlier_packages() -> None:
    arrows: dict[str, set[str]] = {}
    for module in MODULES:
        for name, _ in imports(module):
            parts = name.split(".")
            if parts[0] == "offdag" and len(parts) > 1 and module != "__main__.py":
                arrows.setdefault(package(module), set()).add(parts[1])
    for source, targets in arrows.items():
        for target in targets - {source}:
            if source == "settings" and target == "duckdb_files":
                continue
            assert ORDER.index(target) < ORDER.index(source), f"{source} imports {target}"
    list(TopologicalSorter({s: t - {s} for s, t in arrows.items()}).static_order())


def test_everything_that_is_imported_is_declared() -> None:
    lists = re.findall(
        r"(?ms)^(?:dependencies|monitor|report|review|postgres|s3|apprise|mcp) = \[(.*?)\]$",
        (ROOT / "pyproject.toml").read_text(),
    )
    declared = {name.replace("_", "-") for text in lists for name in re.findall(r'"([A-Za-z0-9_-]+)', text)}
    for module in MODULES:
        for name, _ in imports(module):
            library = name.split(".")[0]
            if library not in sys.stdlib_module_names | {"offdag", "__future__"}:
                distribution = DISTRIBUTIONS.get(library, library).replace("_", "-")
                assert distribution in declared, f"{module} imports {library}"


def test_nothing_is_called_utils() -> None:
    assert not [m for m in MODULES if Path(m).stem in ("utils", "util", "helpers", "common", "misc")]


def test_unit_tests_start_no_process() -> None:
    for path in (ROOT / "tests" / "unit").glob("*.py"):
        module = ast.parse(path.read_text())
        names = {n.module for n in ast.walk(module) if isinstance(n, ast.ImportFrom)}
        names |= {name.name for n in ast.walk(module) if isinstance(n, ast.Import) for name in n.names}
        assert names.isdisjoint({"subprocess", "multiprocessing", "pty"}), path.name
        from_command = {
            name.name
            for n in ast.walk(module)
            if isinstance(n, ast.ImportFrom) and n.module == "support.command"
            for name in n.names
        }
        assert from_command <= {"ROOT"}, path.name
