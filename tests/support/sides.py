"""Two sides of a diff, in two DuckDB files or in two schemas of a Postgres server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb

from bench.postgres import Postgres
from offdag.artifacts.compiled import CompiledNode
from offdag.duckdb_files import LockWait
from offdag.review.comparison import compare
from offdag.review.databases import Databases, both_sides
from offdag.review.details import detailed
from offdag.review.figures import Comparison, Precision
from support.projects import invocation

NODE = CompiledNode(
    unique_id="model.p.t",
    name="t",
    resource_type="model",
    path="models/t.sql",
    materialization="table",
    database=None,
    schema="main",
    alias="t",
    relation_name='"t"',
    code="select 1",
    checksum="1",
    config="{}",
    columns=(),
    parents=(),
    key=(),
    key_origin=None,
    attached_node=None,
    column_name=None,
)  # fmt: skip


@dataclass(frozen=True)
class Sides:
    """Where tables are made and compared.

    Attributes:
        server: None for DuckDB.
    """

    folder: Path
    server: Postgres | None

    def write(self, before: str, after: str) -> None:
        """Run statements on either side."""
        for side, statements in (("prod", before), ("ci", after)):
            if self.server:
                import psycopg2

                connection = psycopg2.connect(
                    host="127.0.0.1", port=self.server.port, user=self.server.user, dbname="postgres"
                )
                with connection, connection.cursor() as cursor:
                    cursor.execute(f"drop schema if exists {side} cascade; create schema {side}")
                    cursor.execute(f"set search_path to {side}; {statements}")
                connection.close()
            else:
                path = self.folder / f"{side}.duckdb"
                path.unlink(missing_ok=True)
                with duckdb.connect(str(path)) as database:
                    database.execute(statements)

    def nodes(self, table: str = "t", key: tuple[str, ...] = ("id",)) -> tuple[CompiledNode, CompiledNode]:
        node = replace(NODE, alias=table, key=key, key_origin="unique test" if key else None)
        places = (("postgres", "prod"), ("postgres", "ci")) if self.server else (("prod", "main"), ("ci", "main"))
        before, after = (
            replace(node, database=database, schema=schema, relation_name=f'"{database}"."{schema}"."{table}"')
            for database, schema in places
        )
        return before, after

    def compare(
        self, table: str = "t", key: tuple[str, ...] = ("id",), decimals: int = 6, samples: int = 3
    ) -> Comparison:
        with self.open() as databases:
            found, pair = compare(databases, *self.nodes(table, key), Precision(decimals, samples))
            return detailed(pair, found) if pair else found

    @contextmanager
    def open(self, duckdb_target: str = "{type: duckdb, path: ci.duckdb}") -> Iterator[Databases]:
        (self.folder / "dbt_project.yml").write_text("name: p\nprofile: p\n")
        target = self.server.profile() if self.server else duckdb_target
        (self.folder / "profiles.yml").write_text(f"p: {{target: ci, outputs: {{ci: {target}}}}}\n")
        files = None if self.server else (self.folder / "prod.duckdb", self.folder / "ci.duckdb")
        with both_sides(invocation(self.folder, "ci"), files, LockWait("diff", 5.0)) as databases:
            yield databases
