"""The child process of a monitor run: `dbt build`, and after it the plan for the next runs.

    python -m offdag.monitor.planner PLAN --log-level warn build --project-dir ...

PLAN is the file to write, or empty for none; what follows are dbt's own arguments. The exit code is dbt's.
"""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dbt.adapters.factory import FACTORY
from dbt.artifacts.schemas.run import RunExecutionResult
from dbt.cli.main import dbtRunner

from offdag.monitor.plan import Plan, Step, is_volatile

# Arguments of `dbt build` that `dbt compile` does not have, or that would make it compile another text.
_BUILD_ALONE = ("--full-refresh", "--exclude-resource-type", "unit_test")
_QUERY_COMMENT = re.compile(r"^\s*/\*.*?\*/\s*", re.DOTALL)
_READS_FILES = re.compile(r"(?i)\b(?:read_\w+|glob|\w+_scan)\s*\(")
_MATERIALIZATIONS = ("seed", "view", "table", "incremental", "test", "ephemeral")
# Credentials of dbt-duckdb that a plain connection does not apply.
_CONNECTION = (
    "attach",
    "extensions",
    "config_options",
    "module_paths",
    "remote",
    "secrets",
    "use_credential_provider",
    "is_ducklake",
)
_OWN_PLUGIN = "offdag.monitor.dbt_plugin"


class NotPlannable(Exception):
    """What only dbt can do; the text says which part of the project needs it."""


def main(plan_path: str, *arguments: str) -> int:
    """Build, and plan where the build ended well."""
    if plan_path:
        Path(plan_path).unlink(missing_ok=True)
    built = dbtRunner().invoke(list(arguments))
    if not built.success:
        return 2 if built.exception else 1
    if plan_path:
        try:
            _plan(arguments).write(Path(plan_path))
        except NotPlannable as reason:
            print(f"each run of this monitor is by dbt: {reason}")
    return 0


def _plan(arguments: Sequence[str]) -> Plan:
    """Compile the project as it is in a later run, when every relation exists.

    Raises:
        NotPlannable: Only dbt can run the project.
    """
    statements: dict[str, list[str]] = defaultdict(list)

    def keep_statement(event: Any) -> None:
        if event.info.name == "SQLQuery" and event.data.node_info.unique_id:
            statements[event.data.node_info.unique_id].append(_QUERY_COMMENT.sub("", event.data.sql).strip())

    adapted = ["compile" if word == "build" else word for word in arguments if word not in _BUILD_ALONE]
    compiled = dbtRunner(callbacks=[keep_statement]).invoke(adapted)
    if not compiled.success or not isinstance(compiled.result, RunExecutionResult):
        raise NotPlannable("dbt compile failed")
    adapter: Any = FACTORY.adapters["duckdb"]
    if adapter.config.on_run_start or adapter.config.on_run_end:
        raise NotPlannable("dbt_project.yml has on-run-start or on-run-end")
    credentials = adapter.config.credentials
    _check_connection(credentials)
    nodes = [result.node for result in compiled.result.results]
    return Plan(
        settings=dict(credentials.settings or {}),
        filesystems=list(credentials.filesystems or []),
        history_tables=_history_tables(nodes),
        steps=[_step(node, statements[node.unique_id]) for node in nodes],
    )


def _check_connection(credentials: Any) -> None:
    plugins = [plugin.module for plugin in credentials.plugins or [] if plugin.module != _OWN_PLUGIN]
    used = [name for name in _CONNECTION if getattr(credentials, name, None)]
    if plugins or used:
        raise NotPlannable(f"its profile has {', '.join([*plugins, *used])}")


def _history_tables(nodes: Sequence[Any]) -> dict[str, str]:
    """The sources of the history; others are read by a plan too, but it cannot find out whether they changed."""
    parents = {parent for node in nodes for parent in node.depends_on_nodes}
    return {
        parent: parent.rpartition(".")[2] for parent in sorted(parents) if parent.startswith("source.monitor.history.")
    }


def _step(node: Any, statements: Sequence[str]) -> Step:
    _check(node, statements)
    sql = node.compiled_code or ""
    return Step(
        unique_id=node.unique_id,
        kind=node.config.materialized,
        relation=node.relation_name or "",
        parents=tuple(node.depends_on_nodes),
        # The same statement once, where a macro is used more than once.
        before=tuple(dict.fromkeys(statements)),
        sql=sql,
        is_volatile=is_volatile(sql, statements) or bool(_READS_FILES.search(node.raw_code)),
    )


def _check(node: Any, statements: Sequence[str]) -> None:
    """Raise where a step of a plan would not do what dbt does."""
    config: Mapping[str, Any] = node.config.to_dict()
    kind = config["materialized"]
    standard = {"severity": "warn", "warn_if": "!= 0", "error_if": "!= 0", "fail_calc": "count(*)"}
    if kind not in _MATERIALIZATIONS or getattr(node, "language", "sql") not in ("sql", None):
        what = f"is a {kind}"
    elif kind == "incremental" and config.get("incremental_strategy") != "run_dates":
        what = "has another incremental strategy than run_dates"
    elif any(config.get(name) for name in ("pre-hook", "post-hook", "sql_header", "indexes", "persist_docs", "grants")):
        what = "has hooks, a header, indexes, grants or persisted docs"
    elif kind == "test" and any(str(config.get(name, value)).lower() != value for name, value in standard.items()):
        what = "has its own severity or threshold"
    elif any(not statement.startswith("set variable ") for statement in statements):
        what = "queries the database while it is compiled"
    else:
        return
    raise NotPlannable(f"{node.name} {what}")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
