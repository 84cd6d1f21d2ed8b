"""A review on a real Postgres with real dbt: production's schema is deferred to as it is, and only read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg2

from bench import postgres
from support.command import offdag

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
    assert "| `paid` | 50 | 50 | 50 | 0 | - | code changed here: models/paid.sql |" in text
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
    assert "| `days` | 100 | 0 | 0 | 100 | `amount` 100, `loaded_at` 100 | code changed here: models/days.sql |" in text
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
