"""``python -m offdag.greenery``: make the shop's raw data and load it."""

from __future__ import annotations

import sys
from datetime import datetime, timezone
from pathlib import Path

import click

from offdag.greenery import facts, raw
from offdag.greenery.errors import GreeneryError
from offdag.greenery.generate import BadRows, week_tables, write_week


@click.group()
def greenery() -> None:
    """The raw data of the plant shop: generate CSV files, load them."""


@greenery.command(epilog="Example: python -m offdag.greenery generate --out data/raw --as-of 2023-05-08")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for one folder per week.")
@click.option("--week", "weeks", type=click.IntRange(1, facts.WEEKS), multiple=True, help="Only this week; repeatable.")
@click.option("--as-of", type=click.DateTime(["%Y-%m-%d"]), help="Day of week 4's stock count. Default: today.")
@click.option(
    "--scale", type=click.IntRange(1), default=1, show_default=True, help="Copies of all customers and events."
)
@click.option("--seed", type=int, default=1, show_default=True, help="Chooses what the published facts leave open.")
@click.option(
    "--bad",
    "bad_rows",
    type=click.Choice([b.value for b in BadRows]),
    multiple=True,
    help="Add rows that break the shop's tests.",
)
def generate(
    out: Path, weeks: tuple[int, ...], as_of: datetime | None, scale: int, seed: int, bad_rows: tuple[str, ...]
) -> None:
    """Write the seven raw tables as CSV files, one folder per week."""
    for week in weeks or range(1, facts.WEEKS + 1):
        tables = week_tables(week, as_of and as_of.date(), scale, seed, [BadRows(b) for b in bad_rows])
        counts = write_week(tables, out / f"week={week}")
        click.echo(f"week {week}: {sum(counts.values())} rows in {len(counts)} files under {out / f'week={week}'}")


@greenery.command(epilog="Example: python -m offdag.greenery load data/raw/week=1 --target prod")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--target",
    envvar="DBT_TARGET",
    default="dev",
    help="Target whose file is loaded. Default: DBT_TARGET or dev.",
)
@click.option(
    "--database",
    type=click.Path(path_type=Path),
    help="DuckDB file. Default: inventory_project/data/inventory_<target>.duckdb",
)
@click.option("--loaded-at", type=click.DateTime(), help="UTC time of loading to record. Default: now.")
@click.option(
    "--stopped",
    multiple=True,
    type=click.Choice(list(raw.TABLES)),
    help="Leave this table's load seven days back; repeatable.",
)
def load(
    folder: Path, target: str, database: Path | None, loaded_at: datetime | None, stopped: tuple[str, ...]
) -> None:
    """Load a folder of CSV files into the raw schema."""
    from offdag.greenery.load import load_folder  # duckdb is not needed to generate

    database = database or Path("inventory_project/data") / f"inventory_{target}.duckdb"
    loaded_at = loaded_at or datetime.now(timezone.utc).replace(tzinfo=None)
    counts, remarks = load_folder(folder, database, loaded_at, stopped)
    for remark in remarks:
        click.echo(remark, err=True)
    late = f"; {', '.join(stopped)} left as loaded seven days before" if stopped else ""
    click.echo(
        f"loaded {sum(counts.values())} rows into {len(counts)} tables of {database} at {loaded_at:%Y-%m-%d %H:%M:%S} UTC{late}"
    )


def main() -> None:
    """Run a command; input that is refused ends with code 2 and no traceback."""
    try:
        greenery(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except GreeneryError as error:
        click.echo(str(error), err=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
