"""The monitor project that dbt builds: the packaged one, with the user's seeds, vars and models laid over it.

It is put together again before each run, so that a new version of offdag brings its rules, and nothing of the user's is overwritten.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from offdag.collect.observed_tables import ObservedTable
from offdag.config_folder import ConfigFolder, seed_header, seed_lines, seed_text
from offdag.errors import UsageError, first_line

_CODE = ("macros", "models", "seeds", "tests")
# Keys of the user's dbt_project.yml; everything else is the packaged project's.
_OWN_KEYS = {"name", "version", "config-version", "profile", "vars"}
_KIND = re.compile(r"[a-z][a-z0-9_]*")
_SEVERITIES = ("error", "warning")


def assembled_project(
    config: ConfigFolder,
    observed: Sequence[ObservedTable],
    into: Path,
    has_own_sql: bool = True,
    variables: Mapping[str, object] = MappingProxyType({}),
) -> Path:
    """Lay the user's folder over the packaged project.

    Args:
        config: The user's folder and the packaged project.
        observed: Tables that the history has copies of: each becomes a source.
        into: Folder to write; files that did not change are not written again, and others are removed.
        has_own_sql: With the user's models, macros, tests and business checks; without them only seeds and vars are the user's.
        variables: Vars over the user's.

    Returns:
        The packaged project itself where there is nothing to lay over it.

    Raises:
        UsageError: A file of the user's folder cannot be used.
    """
    if config.folder is None and not variables:
        return config.packaged.absolute()
    packaged = config.packaged
    files = {
        path.relative_to(packaged): path.read_bytes()
        for path in (*packaged.glob("*.yml"), *(p for name in _CODE for p in (packaged / name).rglob("*")))
        if path.is_file()
    }
    for path in sorted((config.folder / "seeds").glob("*.csv")) if config.folder else []:
        place = Path("seeds") / path.name
        files[place] = _completed(path, packaged / place).encode()
    own_code = dict(config.own_files()) if has_own_sql else {}
    for place, path in own_code.items():
        files[Path(place.parts[0], "own", *place.parts[1:])] = path.read_bytes()
    kinds = _checked_kinds(config, own_code) if has_own_sql else []
    has_models = any(place.parts[0] == "models" and place.suffix == ".sql" for place in own_code)
    checks = business_checks(config, observed, kinds) if has_own_sql else []
    files[Path("dbt_project.yml")] = _project_file(config, kinds, checks, has_models, variables).encode()
    files[Path("models/own/_observed__sources.yml")] = _sources(observed, packaged).encode()
    _write(files, into)
    return into.absolute()


def _write(files: dict[Path, bytes], into: Path) -> None:
    """Make the folder hold exactly these files."""
    for path in [p for p in into.rglob("*") if p.is_file() and p.relative_to(into) not in files]:
        path.unlink()
    for place, content in files.items():
        path = into / place
        if not path.is_file() or path.read_bytes() != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def _completed(path: Path, default: Path) -> str:
    """A seed with the columns that the packaged one has: those added by a newer offdag are empty."""
    if not default.is_file():
        return seed_text(path)
    columns = seed_header(default)
    header = seed_header(path)
    unknown = [name for name in header if name not in columns]
    if unknown:
        raise UsageError(
            f"the seed has no column {', '.join(unknown)}: its columns are {', '.join(columns)}",
            str(path),
            "offdag monitor",
        )
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(line for _, line in seed_lines(path))
    return text.getvalue()


def _checked_kinds(config: ConfigFolder, own_code: dict[Path, Path]) -> list[str]:
    """Kinds of the user's own signals."""
    packaged = {path.stem for path in (config.packaged / "models").rglob("*.sql")}
    for place, path in own_code.items():
        if place.suffix == ".sql" and place.parts[0] == "models" and place.stem in packaged:
            what = f"offdag has a model {place.stem} already"
            raise UsageError(what, str(path), f"mv {path} {path.with_stem(f'own_{place.stem}')}")
    kinds = config.own_signal_kinds()
    for kind in kinds:
        if not _KIND.fullmatch(kind):
            raise UsageError(
                f"the kind {kind} of a signal is not a plain name in lower case",
                f"{config.folder}/models/signal_{kind}.sql",
                f"find {config.folder}/models -name 'signal_*'    # then rename it, such as to signal_orders_low.sql",
            )
    return kinds


def _project_file(
    config: ConfigFolder,
    own_kinds: list[str],
    checks: list[dict[str, Any]],
    has_models: bool,
    variables: Mapping[str, object],
) -> str:
    """dbt_project.yml with the user's vars."""
    project = _yaml(config.packaged / "dbt_project.yml")
    project["vars"] = project_vars(config) | {"own_signal_kinds": own_kinds, "business_checks": checks, **variables}
    if has_models:
        project["models"]["monitor"]["own"] = {"+materialized": "table"}
    return yaml.safe_dump(project, sort_keys=False, allow_unicode=True)


def project_vars(config: ConfigFolder) -> dict[str, Any]:
    """The vars of the monitor project: the user's, else the packaged ones.

    Raises:
        UsageError: A dbt_project.yml cannot be used.
    """
    defaults: dict[str, Any] = _yaml(config.packaged / "dbt_project.yml").get("vars") or {}
    return defaults | _own_vars(config, defaults)


def _own_vars(config: ConfigFolder, defaults: dict[str, Any]) -> dict[str, Any]:
    path = (config.folder or Path()) / "dbt_project.yml"
    if not path.is_file():
        return {}
    own = _yaml(path)
    others = own.keys() - _OWN_KEYS
    if others:
        raise UsageError(
            f"only vars are read from it, not {', '.join(sorted(map(str, others)))}: give a model its config in its own file",
            str(path),
            "offdag monitor",
        )
    given = own.get("vars") or {}
    if not isinstance(given, dict):
        raise UsageError("vars is not a mapping", str(path), "offdag monitor")
    code = "".join(file.read_text(encoding="utf-8", errors="replace") for _, file in config.own_files())
    unknown = [name for name in given if name not in defaults and str(name) not in code]
    if unknown:
        raise UsageError(f"there is no var {', '.join(map(str, unknown))}", str(path), "offdag monitor")
    for name in given.keys() & defaults.keys():
        if _shape(given[name]) != _shape(defaults[name]):
            what = f"the var {name} is {given[name]!r}, and its default {defaults[name]!r} is of another type"
            raise UsageError(what, str(path), "offdag monitor")
    return given


def _shape(value: Any) -> str:
    """The type of a var, where whole and other numbers are one."""
    return "number" if isinstance(value, (int, float)) and not isinstance(value, bool) else type(value).__name__


def business_checks(
    config: ConfigFolder, observed: Sequence[ObservedTable], own_kinds: Sequence[str]
) -> list[dict[str, Any]]:
    """The lines of business_checks.csv, with the node that each is about.

    Raises:
        UsageError: A line cannot be used.
    """
    variables = project_vars(config)
    taken = {*variables["signal_kinds"], *variables["business_signal_kinds"], *own_kinds, "business_check"}
    seed = config.seed("business_checks")
    if not seed.is_file():
        return []
    columns = seed_header(config.packaged / "seeds" / seed.name)
    tables = {table.name: table for table in observed}
    checks: list[dict[str, Any]] = []
    for number, found in seed_lines(seed):
        line = {name: found.get(name, "") for name in columns}
        table = tables.get(line["observed_table"])
        keys = [key.strip() for key in line["key_columns"].split("|") if key.strip()]
        unknown = [key for key in keys if table and key not in table.columns]
        severity = line["severity"] or "error"
        if not _KIND.fullmatch(line["check_name"]) or line["check_name"] in taken:
            problem = f"check_name {line['check_name']!r} is not a plain name of its own"
        elif table is None:
            problem = f"observed_tables.csv has no observed_table {line['observed_table']!r}"
        elif unknown:
            problem = f"the observed table has no column {', '.join(unknown)}"
        elif not line["condition"].strip():
            problem = "the condition is empty"
        elif severity not in _SEVERITIES:
            problem = f"the severity {severity!r} is neither error nor warning"
        else:
            taken.add(line["check_name"])
            checks.append(
                {
                    **line,
                    "key_columns": keys,
                    "severity": severity,
                    "node_id": table.unique_id,
                    "project": table.project,
                }
                | {"title": line["title"] or line["check_name"].replace("_", " ")}
            )
            continue
        raise UsageError(
            f"a business check cannot be used: {problem}",
            f"{seed}, line {number}",
            "offdag monitor    # after a line like: twice,orders,order_id,count(*) > 1,error,Order {order_id} is there twice,#shop,why",
        )
    return checks


def _sources(observed: Sequence[ObservedTable], packaged: Path) -> str:
    """Sources of the observed tables that the packaged project does not describe, with the settings of its own ones."""
    documents = [_yaml(path) for path in (packaged / "models").rglob("*sources.yml")]
    described = [source for document in documents for source in document.get("sources") or []]
    known = {table["name"] for source in described for table in source.get("tables") or []}
    config: dict[str, Any] = next((source["config"] for source in described if source["name"] == "history"), {})
    tables = [
        {
            "name": table.history_table,
            "description": f"One row per row of {table.unique_id} in each observed content.",
            "config": config,
            "columns": [{"name": name} for name in table.schema.names],
        }
        for table in observed
        if table.history_table not in known
    ]
    sources = [{"name": "history", "tables": tables}] if tables else []
    return yaml.safe_dump({"version": 2, "sources": sources}, sort_keys=False)


def _yaml(path: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    # A date that does not exist is a ValueError, and so is text that is not UTF-8.
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise UsageError(f"the file cannot be read: {first_line(error)}", str(path), f"file {path}") from error
    return document if isinstance(document, dict) else {}
