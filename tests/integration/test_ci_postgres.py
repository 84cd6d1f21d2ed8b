"""A review on a real Postgres with real dbt: production's schema is deferred to as it is, and only read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg2
import pytest

from bench import postgres
from support.command import offdag

pytestmark = pytest.mark.slow

MODELS = {
    "orders.sql": '''
        {{ config(materialized='table') }}
        select n as id, n * 1.5 as amount, case when n % 2 = 0 then 'paid' else 'open' end as state
        from generate_series(1, 100) n
    ''',
    "paid.sql": "select * from {{ ref('orders') }} where state = 'paid'",
    "total.sql": "{{ config(materialized='table') }}\nselect count(*) as n, sum(amount) as amount from {{ ref('paid') }}",
    "days.sql": '''
        {{ config(materialized='incremental', unique_key='id') }}
        select id, amount, now() as loaded_at from {{ ref('orders') }}
        {% if is_incremental() %} where id > (select max(id) from {{ this }}) {% endif %}
    ''',
    "schema.yml": '''
        models:
          - {name: orders, columns: [{name: id, data_tests: [unique, not_null]}]}
          - {name: paid, columns: [{name: id, data_tests: [unique]}]}
    ''',
}  # fmt: skip


def test_schemas_of_one_server_are_deferred_to_and_compared(server: postgres.Postgres, tmp_path: Path) -> None:
    project = tmp_path / "project"
    (project / "models").mkdir(parents=True)
    for name, text in MODELS.items():
        (project / "models" / name).write_text(text)
    (project / "dbt_project.yml").write_text(
        "name: p\nprofile: p\nmodel-paths: [models]\nflags: {state_modified_compare_more_unrendered_values: true}\n"
    )
    schemas = {"prod": "prod", "ci": "\"{{ env_var('OFFDAG_REVIEW_SCHEMA', 'ci') }}\"", "careless": "prod"}
    outputs = ", ".join(f"{target}: {server.profile(schema)}" for target, schema in schemas.items())
    (project / "profiles.yml").write_text(f"p: {{target: prod, outputs: {{{outputs}}}}}\n")
    where = ("--project-dir", str(project))
    built = offdag(tmp_path, "run", "-e", "prod", *where, "--", "dbt", "-q", "build", "--target", "prod")
    assert built.code == 0, built
    paid = project / "models" / "paid.sql"
    paid.write_text(paid.read_text().replace("'paid'", "'open'"))
    days = project / "models" / "days.sql"
    days.write_text(days.read_text().replace("id, amount,", "id, amount * 2 as amount,"))
    pull = {"OFFDAG_PULL_REQUEST": "7"}
    reviewed = offdag(tmp_path, "ci", *where, "-o", str(tmp_path / "out"), "--fail-on", "rows", env=pull)
    assert reviewed.code == 1, reviewed
    text = (tmp_path / "out" / "summary.md").read_text()
    assert "| `paid` | 50 | 50 | 50 | 0 | - | code changed: models/paid.sql |" in text
    assert "| `total` | 1 | 1 | 1 | no key |" in text
    assert "the project names no key" in text
    # The incremental model began with production's rows, as it will in production.
    assert "- Proven equal: `days`" in text
    # The review built what changed alone, in the pull request's schema, and left nothing else behind.
    production = {("prod", name) for name in ("orders", "paid", "total", "days")}
    assert tables(server) == production | {("pr_7", "paid"), ("pr_7", "total"), ("pr_7", "days")}
    runs = len(list((tmp_path / "history").rglob("*")))
    flags = ("--full-refresh", "--read-only")
    reviewed = offdag(tmp_path, "ci", *where, "-o", str(tmp_path / "out"), *flags, env=pull)
    assert reviewed.code == 0, reviewed
    text = (tmp_path / "out" / "summary.md").read_text()
    assert "| `days` | 100 | 0 | 0 | 100 | `amount` 100, `loaded_at` 100 | code changed: models/days.sql |" in text
    assert len(list((tmp_path / "history").rglob("*"))) == runs
    with connected(server) as cursor:
        cursor.execute("create schema pr_71; create table pr_71.kept (id integer)")
    dropped = offdag(tmp_path, "ci", *where, "--drop", env=pull)
    assert dropped.code == 0, dropped
    assert {schema for schema, _ in tables(server)} == {"prod", "pr_71"}
    assert offdag(tmp_path, "ci", *where, "--drop").code == 2
    kept = offdag(tmp_path, "ci", *where, "--drop", env={"OFFDAG_REVIEW_SCHEMA": "prod"})
    assert kept.code == 2, kept
    assert "nothing was removed, since production has relations in postgres.prod" in kept.err

    # Production's schema under another target's name: nothing is built.
    refused = offdag(tmp_path, "ci", *where, "-o", str(tmp_path / "out"), "--to", "careless")
    assert refused.code == 2, refused
    assert "would write 3 of production's relations: postgres.prod.days, postgres.prod.paid" in refused.err
    assert "--allow-shared postgres.prod.days" in refused.err
    assert "nothing was built, since the build would write" in (tmp_path / "out" / "summary.md").read_text()


def test_names_with_capitals_and_tables_of_an_earlier_push(server: postgres.Postgres, tmp_path: Path) -> None:
    project = tmp_path / "project"
    (project / "models").mkdir(parents=True)
    grows = "{{ config(materialized='incremental', unique_key='id', alias='Days') }}\n"
    new_rows = "{% if is_incremental() %} where id > (select max(id) from {{ this }}) {% endif %}"
    select = "select n as id, n * 2 as amount from generate_series(1, 10) n"
    (project / "models" / "days.sql").write_text(f"{grows}select * from ({select}) s {new_rows}")
    (project / "dbt_project.yml").write_text("name: p\nprofile: p\nmodel-paths: [models]\n")
    # The same server in other words: a port as a variable, the database under its other name, the host by its address.
    ours = server.profile("\"{{ env_var('OFFDAG_REVIEW_SCHEMA') }}\"")
    ours = ours.replace(f"port: {server.port}", "port: \"{{ env_var('CI_PORT') | as_number }}\"").replace(
        "dbname:", "database:"
    )
    ours = ours.replace("127.0.0.1", "localhost")
    # What dbt accepts and SQLMesh does not.
    ours = ours.replace("password: none", "password: '12345', keepalives_idle: 0")
    assert ours.count("database:") == ours.count("localhost") == ours.count("12345") == 1
    outputs = f"{{prod: {server.profile('Live')}, ci: {ours}}}"
    (project / "profiles.yml").write_text(f"p: {{target: prod, outputs: {outputs}}}\n")
    where = ("--project-dir", str(project))
    built = offdag(tmp_path, "run", "-e", "prod", *where, "--", "dbt", "-q", "build", "--target", "prod")
    assert built.code == 0, built
    with connected(server) as cursor:
        # Another schema whose name differs by case only, and leftovers of an earlier push: one is read by a view.
        cursor.execute("""
            create schema "PR_7"; create schema if not exists pr_7; create table pr_7.other as select 1 as kept;
            create table "PR_7"."Days" as select 99 as id, 0 as amount; create view "PR_7".reads as select * from "PR_7"."Days";
            create materialized view "PR_7"."New" as select 99 as id, 0 as amount
        """)
    text = (project / "models" / "days.sql").read_text()
    (project / "models" / "days.sql").write_text(
        text.replace("n * 2", "n * 3").replace("unique_key='id'", "unique_key='id', full_refresh=false")
    )
    (project / "models" / "new.sql").write_text(f"{grows.replace('Days', 'New')}select * from ({select}) s {new_rows}")
    pull = {"OFFDAG_REVIEW_SCHEMA": "PR_7", "CI_PORT": str(server.port)}
    reviewed = offdag(tmp_path, "ci", *where, "-o", str(tmp_path / "out"), env=pull)
    assert reviewed.code == 0, reviewed
    assert "- Proven equal: `days`" in (tmp_path / "out" / "summary.md").read_text()
    with connected(server) as cursor:
        # Production's rows, the new model from nothing, and the other table as it was.
        sums = 'select (select sum(amount) from "PR_7"."Days"), (select sum(amount) from "PR_7"."New"), (select kept from pr_7.other)'
        cursor.execute(sums)
        assert cursor.fetchone() == (110, 110, 1)
    # dbt would keep this table under --full-refresh.
    flags = ("--full-refresh", "--read-only")
    assert offdag(tmp_path, "ci", *where, "-o", str(tmp_path / "out"), *flags, env=pull).code == 0
    with connected(server) as cursor:
        cursor.execute(sums)
        assert cursor.fetchone() == (165, 110, 1)
    refused = offdag(tmp_path, "ci", *where, "-o", str(tmp_path / "out"), env={**pull, "OFFDAG_REVIEW_SCHEMA": "Live"})
    assert refused.code == 2, refused
    assert "would write 2 of production's relations: postgres.live.days, postgres.live.new" in refused.err
    unknown = offdag(tmp_path, "ci", *where, "--drop", "--history", str(tmp_path / "none"), env=pull)
    assert unknown.code == 2, unknown
    assert "nothing was removed, since production's schemas are unknown, and PR_7 may be one of them" in unknown.err
    dropped = offdag(tmp_path, "ci", *where, "--drop", env=pull)
    assert dropped.code == 0, dropped
    assert "removed postgres.PR_7" in dropped.err
    again = offdag(tmp_path, "ci", *where, "--drop", env=pull)
    assert "removed nothing: the pull request has no schemas" in again.err
    with connected(server) as cursor:
        cursor.execute(
            "select schema_name from information_schema.schemata where schema_name ~* '^(live|pr_7)$' order by 1"
        )
        assert cursor.fetchall() == [("Live",), ("pr_7",)]


@contextmanager
def connected(server: postgres.Postgres) -> Iterator[psycopg2.extensions.cursor]:
    connection = psycopg2.connect(host="127.0.0.1", port=server.port, user=server.user, dbname="postgres")
    with connection, connection.cursor() as cursor:
        yield cursor
    connection.close()


def tables(server: postgres.Postgres) -> set[tuple[str, str]]:
    with connected(server) as cursor:
        cursor.execute(
            "select table_schema, table_name from information_schema.tables where table_schema !~ '^(pg_[a-z]|info)'"
        )
        return set(cursor.fetchall())
