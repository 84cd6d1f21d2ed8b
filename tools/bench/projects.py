"""dbt projects of any size on DuckDB: models in layers, two tests each, five sources with freshness."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import duckdb
import yaml

SOURCES = 5
LAYERS = 6
_ROWS = 1_000


def write_project(folder: Path, models: int, loaded_at: datetime) -> None:
    """Write a dbt project with its profile and its loaded sources.

    Args:
        folder: Created; the database in it is ``bench.duckdb``.
        models: Number of models: the first layer reads the sources, each other one two models of the layer before.
        loaded_at: Naive UTC time at which the sources were loaded.
    """
    (folder / "models").mkdir(parents=True)
    (folder / "dbt_project.yml").write_text(
        yaml.safe_dump({"name": "bench", "profile": "bench", "flags": {"send_anonymous_usage_stats": False}})
    )
    output = {"type": "duckdb", "path": "bench.duckdb", "threads": 2}
    (folder / "profiles.yml").write_text(yaml.safe_dump({"bench": {"target": "prod", "outputs": {"prod": output}}}))
    width = max(1, models // LAYERS)
    for number in range(models):
        layer = min(number // width, LAYERS - 1)
        path = folder / "models" / f"layer_{layer}" / f"model_{number:05}.sql"
        path.parent.mkdir(exist_ok=True)
        path.write_text(_query(number, layer, width))
    described = [_described(number) for number in range(models)]
    (folder / "models" / "_models.yml").write_text(yaml.safe_dump({"models": described}))
    (folder / "models" / "_sources.yml").write_text(yaml.safe_dump({"sources": [_source()]}))
    with duckdb.connect(str(folder / "bench.duckdb")) as database:
        database.execute("create schema raw")
        for number in range(SOURCES):
            database.execute(
                f"create table raw.source_{number} as "
                f"select range as id, range % 97 as amount, ?::timestamp as loaded_at from range({_ROWS})",
                [loaded_at],
            )


def _query(number: int, layer: int, width: int) -> str:
    materialized = "table" if number % 2 else "view"
    config = "{{ config(materialized='" + materialized + "') }}\n"
    if layer == 0:
        return f"{config}select id, amount, loaded_at from {{{{ source('raw', 'source_{number % SOURCES}') }}}}\n"
    start = (layer - 1) * width
    one, other = (f"model_{start + (number + step) % width:05}" for step in (0, 1))
    return (
        f"{config}with one as (select * from {{{{ ref('{one}') }}}}),\nother as (select * from {{{{ ref('{other}') }}}})\n"
        "select one.id, one.amount + other.amount % 7 as amount, one.loaded_at\nfrom one\njoin other on one.id = other.id\n"
    )


def _described(number: int) -> dict[str, object]:
    columns = [
        {"name": "id", "description": "Names a row.", "data_tests": ["unique", "not_null"]},
        {"name": "amount", "description": "Units."},
        {"name": "loaded_at", "description": "When the row was loaded (UTC)."},
    ]
    return {"name": f"model_{number:05}", "description": "One row per thing.", "columns": columns}


def _source() -> dict[str, object]:
    freshness = {
        "warn_after": {"count": 12, "period": "hour"},
        "error_after": {"count": 24, "period": "hour"},
    }
    tables = [{"name": f"source_{number}", "description": "One row per thing."} for number in range(SOURCES)]
    config = {"loaded_at_field": "loaded_at", "freshness": freshness}
    return {"name": "raw", "description": "Raw tables.", "config": config, "tables": tables}
