"""A review on a real Postgres with real dbt: production's schema is deferred to as it is, and only read."""

from __future__ import annotations

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
    outputs = ", ".join(f"{target}: {server.profile(target)}" for target in ("prod", "ci"))
    (project / "profiles.yml").write_text(f"p: {{target: prod, outputs: {{{outputs}}}}}\n")
    where = ("--project-dir", str(project))
    built = offdag(tmp_path, "run", "-e", "prod", *where, "--", "dbt", "-q", "build", "--target", "prod")
    assert built.code == 0, built
    paid = project / "models" / "paid.sql"
    paid.write_text(paid.read_text().replace("'paid'", "'open'"))
    reviewed = offdag(tmp_path, "ci", *where, "-o", str(tmp_path / "out"), "--fail-on", "rows")
    assert reviewed.code == 1, reviewed
    text = (tmp_path / "out" / "summary.md").read_text()
    assert "| `paid` | 50 | 50 | 50 | 0 | - |" in text
    assert "`total`" in text
    assert "the project names no key" in text
    assert "| `paid` | rows: 50 added, 50 removed | differs |" in text
    assert "| `total` | all columns: rows differ; without a key" in text
    connection = psycopg2.connect(host="127.0.0.1", port=server.port, user=server.user, dbname="postgres")
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "select table_schema, table_name from information_schema.tables where table_schema !~ '^(pg_|info)'"
        )
        found = set(cursor.fetchall())
    connection.close()
    # The review built what changed alone, and left nothing else behind.
    assert found == {("prod", "orders"), ("prod", "paid"), ("prod", "total"), ("ci", "paid"), ("ci", "total")}
