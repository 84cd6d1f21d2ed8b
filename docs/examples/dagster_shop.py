"""Dagster: the artifacts of each dbt command are collected, whatever its end."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from dagster import AssetExecutionContext, materialize
from dagster_dbt import DbtCliResource, DbtProject, dbt_assets

project = DbtProject(Path(os.environ.get("SHOP_PROJECT", "/srv/shop")))
project.prepare_if_dev()


@dbt_assets(manifest=project.manifest_path)
def shop(context: AssetExecutionContext, dbt: DbtCliResource) -> Iterator[object]:
    """Build the shop."""
    command = dbt.cli(["build"], context=context, raise_on_error=False)
    try:
        yield from command.stream()
    finally:
        subprocess.run(["offdag", "collect", "-e", "prod", str(command.target_path)], check=False)


if __name__ == "__main__":
    materialize([shop], resources={"dbt": DbtCliResource(project_dir=project)}, raise_on_error=False)
