"""Reviews of the shop with real dbt: everything first, then what changed, compared with production."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from offdag.dbt.command import DbtInvocation
from offdag.duckdb_files import LockWait
from offdag.history.history import History
from offdag.review.clones import clone_by_dbt
from offdag.review.selection import Dbt, selected_nodes
from offdag.review.state import with_database, write_state
from support.command import ROOT, CommandResult, environ, greenery, offdag

pytestmark = pytest.mark.slow

PULL_REQUEST = {"OFFDAG_GIT_BRANCH": "feature/tax", "OFFDAG_PULL_REQUEST": "7", "OFFDAG_GIT_SHA": "abc"}


@pytest.fixture(scope="module")
def production(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the shop beside it, production loaded and built, and the raw data loaded for the review too."""
    home = tmp_path_factory.mktemp("production")
    ignored = shutil.ignore_patterns("target", "data", "logs")
    shutil.copytree(ROOT / "inventory_project", home / "shop_project", ignore=ignored)
    assert greenery(home, "generate", "--out", str(home / "raw"), "--week", "4").code == 0
    for target in ("prod", "ci"):
        database = str(home / "shop" / f"inventory_{target}.duckdb")
        assert greenery(home, "load", str(home / "raw" / "week=4"), "--database", database).code == 0
    built = offdag(
        home,
        "run",
        "-e",
        "prod",
        "--project-dir",
        str(home / "shop_project"),
        "--",
        "dbt",
        "-q",
        "build",
        "--target",
        "prod",
    )
    assert built.code == 0, built
    return home


@pytest.fixture
def home(production: Path, tmp_path: Path) -> Path:
    return shutil.copytree(production, tmp_path / "home")


def review(home: Path, *arguments: str, **env: str) -> CommandResult:
    flags = ("--project-dir", str(home / "shop_project"), "--out", str(home / "out"))
    return offdag(home, "ci", *flags, *arguments, env=PULL_REQUEST | env)


def edit(home: Path, path: str, old: str, new: str) -> None:
    file = home / "shop_project" / path
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


PRODUCTS = "models/marts/product/dim_products.sql"


def test_a_changed_model_is_built_alone_compared_and_followed(home: Path) -> None:
    edit(home, PRODUCTS, "inventory_count = 0 as", "inventory_count < 30 as")
    edit(home, "models/staging/greenery/stg_greenery__products.sql", "select\n", "select  -- the same\n")
    page = home / "job.md"
    ended = review(home, GITHUB_STEP_SUMMARY=str(page), GITHUB_WORKSPACE=str(home))
    assert ended.code == 0, ended
    text = (home / "out" / "summary.md").read_text()
    assert page.read_text() == text
    assert "`is_out_of_stock` 3" in text
    assert "| `dim_products` | 30 | 0 | 0 | 3 |" in text
    assert "- Tables: 1 differs from production, 2 proven equal" in text
    # With the measure of the data, what is downstream of a change is not affected by it.
    assert "`fct_product_conversion`\n" in text
    assert "Impact by column" not in text
    assert "code changed: models/marts/product/dim\\_products.sql" in text
    results = json.loads((home / "shop_target" / "run_results.json").read_text())["results"]
    built = {r["unique_id"] for r in results if r["unique_id"].startswith("model.")}
    assert "model.inventory.dim_products" in built
    assert "model.inventory.fct_sessions" not in built
    assert "::error" not in ended.out
    # `offdag diff` compares the existing build again.
    flags = ("--project-dir", str(home / "shop_project"))
    assert not list((home / "out" / "state").glob("*.duckdb"))
    compared = offdag(home, "diff", *flags, "--fail-on", "rows", "--format", "json")
    assert compared.code == 1, compared
    found = {c["unique_id"]: c for c in json.loads(compared.out)}
    assert found["model.inventory.dim_products"]["columns"] == {"is_out_of_stock": 3}
    assert offdag(home, "diff", *flags, "--fail-on", "schema").code == 0
    assert offdag(home, "diff", *flags, "--to", "staging").code == 2


def test_without_a_state_everything_is_built_with_a_remark(home: Path) -> None:
    shutil.rmtree(home / "history")
    ended = review(home, "--fail-on", "rows")
    assert ended.code == 0, ended
    text = (home / "out" / "summary.md").read_text()
    assert "Everything is built: there is no state of production yet." in text
    assert "Compared with nothing: there is no build of production yet" in text
    results = json.loads((home / "shop_target" / "run_results.json").read_text())["results"]
    assert len([r for r in results if r["unique_id"].startswith("model.")]) == 14


def test_a_profile_without_production_builds_everything(home: Path) -> None:
    profiles = home / "shop_project" / "profiles.yml"
    profiles.write_text(profiles.read_text().replace("    prod:\n", "    production_elsewhere:\n"))
    ended = review(home)
    assert ended.code == 0, ended
    text = (home / "out" / "summary.md").read_text()
    assert "Production's database could not be copied" in text
    assert "Everything is built: profile 'inventory' has no target 'prod'" in text
    assert (home / "out" / "junit.xml").is_file()


def test_a_full_build_skips_what_cannot_differ_and_without_the_file_compares_nothing(home: Path) -> None:
    ended = review(home, "--full", "--fail-on", "rows")
    assert ended.code == 0, ended
    text = (home / "out" / "summary.md").read_text()
    assert "as --full asks" in text
    assert "14 with the same code and inputs, not compared" in text
    # It began with production's table, as in production.
    assert "- Proven equal: `product_inventory_snapshot`" in text
    assert "from nothing): `product_inventory_snapshot`" in text
    (home / "shop" / "inventory_prod.duckdb").unlink()
    edit(home, PRODUCTS, "inventory_count = 0 as", "inventory_count < 30 as")
    # A review that could not compare is not green.
    ended = review(home, "--fail-on", "rows")
    assert ended.code == 1, ended
    text = (home / "out" / "summary.md").read_text()
    assert "there is no copy of prod's database to defer to" in text
    assert "No table was compared" in text
    assert "changed, and was not compared" in text


def test_a_failing_test_fails_the_review_and_sends_no_alert(home: Path) -> None:
    edit(home, PRODUCTS, "        product_id,", "        case when price_usd > 50 then product_id end as product_id,")
    ended = review(home, GITHUB_WORKSPACE=str(home))
    assert ended.code == 1, ended
    text = (home / "out" / "summary.md").read_text()
    assert "FAILED (exit code 1)" in text
    assert "| `not_null_dim_products_product_id` | fail |" in text
    assert "the key (product\\_id; unique test) has" in text
    assert "`product_id` fails not\\_null\\_dim\\_products\\_product\\_id" in text
    lines = [line for line in ended.out.splitlines() if line.startswith("::error")]
    assert any(line.startswith(f"::error file=shop_project/{PRODUCTS},title=not_null") for line in lines), ended
    assert 'failures="1"' in (home / "out" / "junit.xml").read_text()
    monitored = offdag(home, "monitor")
    assert monitored.code == 0, monitored
    assert "incidents: 0 open" in monitored.err
    notified = offdag(home, "notify")
    assert "messages delivered: 0" in notified.err
    reported = offdag(home, "report")
    assert reported.code == 0, reported
    [job] = [row for row in json.loads((home / "report.json").read_text())["report_jobs"] if row["environment"] == "ci"]
    assert job["git_branch"] == "feature/tax"
    with duckdb.connect(str(home / "monitor.duckdb"), read_only=True) as connection:
        reviewed = connection.execute("select pull_request from fct_invocations where environment = 'ci'").fetchall()
    assert reviewed == [("7",)]


def test_what_failed_may_be_let_pass_but_not_a_build_that_could_not_run(home: Path) -> None:
    edit(home, PRODUCTS, "        product_id,", "        null as product_id,")
    ended = review(home, "--fail-on", "none")
    assert ended.code == 0, ended
    edit(home, PRODUCTS, "from products", "from {{ not closed")
    ended = review(home, "--fail-on", "none")
    assert ended.code == 2, ended
    text = (home / "out" / "summary.md").read_text()
    assert "It did not start:" in text
    assert "Compilation Error in model dim_products (models/marts/product/dim_products.sql)" in text
    assert "Compilation Error in model dim_products" in (home / "out" / "junit.xml").read_text()


def test_dbt_clone_takes_the_flags_of_a_review(home: Path) -> None:
    """For warehouses that copy tables without cost, none of which is here: on DuckDB dbt makes views instead."""
    project = home / "shop_project"
    state = write_state(History(str(home / "history")), "inventory", "prod", home / "state")
    review = replace(DbtInvocation.parse((), project, environ(home)), target="ci")
    state = with_database(state, replace(review, target="prod"), LockWait("ci", 5.0))
    database = {"OFFDAG_STATE_DATABASE": str(home / "state" / "inventory_prod.duckdb")}
    dbt = Dbt(["dbt", "build", "--target", "ci"], review, environ(home, database))
    snapshot = "snapshot.inventory.product_inventory_snapshot"
    nodes = [node for node in selected_nodes(dbt) if node.unique_id == snapshot]
    assert clone_by_dbt(dbt, nodes, state.folder) == (frozenset({snapshot}), [])
    with duckdb.connect(str(home / "shop" / "inventory_ci.duckdb"), read_only=True) as connection:
        connection.execute(f"attach '{database['OFFDAG_STATE_DATABASE']}' (read_only)")
        assert connection.execute("select count(*) > 0 from snapshots.product_inventory_snapshot").fetchone() == (True,)
    missing = replace(dbt, command=["dbt", "build", "--target", "nowhere"])
    cloned, [remark] = clone_by_dbt(missing, nodes, state.folder)
    assert not cloned
    assert remark.startswith(
        "Not built as in production, but from nothing or on the table of an earlier push: product_"
    )
    assert "does not have a target named 'nowhere'" in remark
    cloned, [remark] = clone_by_dbt(dbt, [replace(nodes[0], selector="fqn:nowhere.at_all")], state.folder)
    assert not cloned
    assert remark.endswith("product_inventory_snapshot. dbt clone did not copy production's table.")


def test_a_locked_production_is_waited_for_and_then_left_alone(home: Path) -> None:
    path = home / "shop" / "inventory_prod.duckdb"
    code = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        ended = offdag(
            home, "state", "--project-dir", str(home / "shop_project"), "-o", str(home / "s"), "--lock-timeout", "1"
        )
        assert ended.code == 5, ended
        assert f"process {holder.pid}" in ended.err
        holder.communicate("")
    ended = offdag(home, "state", "--project-dir", str(home / "shop_project"), "-o", str(home / "s"))
    assert ended.code == 0, ended
    assert sorted(path.name for path in (home / "s").iterdir()) == [
        "inventory_prod.duckdb",
        "manifest.json",
        "run_results.json",
        "state.json",
    ]


def test_the_build_is_for_the_reviews_target_alone(home: Path) -> None:
    """The profile's default may be production: here DBT_TARGET names it."""
    database = home / "shop" / "inventory_prod.duckdb"
    before = database.read_bytes()
    edit(home, PRODUCTS, "inventory_count = 0 as", "inventory_count < 30 as")
    ended = review(home, "--", "dbt", "-q", "build", DBT_TARGET="prod")
    assert ended.code == 0, ended
    assert database.read_bytes() == before
    refused = review(home, "--", "dbt", "build", "--target", "prod")
    assert refused.code == 2, refused
    assert "the build is for the target prod" in refused.err


def test_a_history_that_cannot_be_read_stops_no_build_and_is_not_green(home: Path) -> None:
    (home / "history" / "version").write_text("99\n")
    ended = review(home, "--fail-on", "rows")
    assert ended.code == 1, ended
    text = (home / "out" / "summary.md").read_text()
    assert "Compared with nothing: production could not be read" in text
    assert "passed, REFUSED" in text


def test_a_cancelled_comparison_leaves_nothing_behind(tmp_path: Path) -> None:
    code = """
import sys, time
from pathlib import Path
import duckdb
from offdag.review.databases import both_sides
from offdag.dbt.command import DbtInvocation
from offdag.duckdb_files import LockWait
from dataclasses import replace
folder = Path(sys.argv[1])
for name in ("prod", "ci"):
    duckdb.connect(str(folder / f"{name}.duckdb")).close()
(folder / "dbt_project.yml").write_text("name: p\\nprofile: p\\n")
(folder / "profiles.yml").write_text("p: {target: ci, outputs: {ci: {type: duckdb, path: ci.duckdb}}}\\n")
review = replace(DbtInvocation.parse((), folder, {}), target="ci")
with both_sides(review, (folder / "prod.duckdb", folder / "ci.duckdb"), LockWait("diff", 5.0)):
    print("open", flush=True)
    time.sleep(60)
"""
    env = {**environ(tmp_path), "TMPDIR": str(tmp_path / "work")}
    (tmp_path / "work").mkdir()
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], env=env, stdout=subprocess.PIPE, text=True
    ) as job:
        assert job.stdout is not None
        assert job.stdout.readline() == "open\n"
        assert list((tmp_path / "work").iterdir())
        job.terminate()
        assert job.wait(30) == 128 + 15
    assert list((tmp_path / "work").iterdir()) == []


def test_a_model_in_a_fixed_schema_is_refused_and_the_table_there_stays(tmp_path: Path) -> None:
    """Production does not have it yet, and would write the same relation: what is there is not a leftover of an earlier push."""
    project = tmp_path / "project"
    for name, text in {
        "dbt_project.yml": "name: p\nprofile: p\n",
        "profiles.yml": "p: {target: prod, outputs: {prod: {type: duckdb, path: shop.duckdb, schema: main}, ci: {type: duckdb, "
        "path: shop.duckdb, schema: ci}}}\n",
        "macros/names.sql": "{% macro generate_schema_name(custom, node) %}{{ custom or target.schema }}{% endmacro %}",
        "models/orders.sql": "select 1 as id",
        "models/days.sql": "{{ config(materialized='incremental', schema='audit') }} select 1 as id",
    }.items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(text)
    where = ("--project-dir", str(project))
    assert offdag(tmp_path, "run", "-e", "prod", *where, "--", "dbt", "-q", "build", "--target", "prod").code == 0
    with duckdb.connect(str(project / "shop.duckdb")) as connection:
        for name in ("events", "days_v2"):
            connection.execute(f"create table audit.{name} as select range as id from range(3)")
    (project / "models" / "events.sql").write_text(
        "{{ config(materialized='incremental', schema='audit') }} select 9 as id"
    )
    refused = offdag(tmp_path, "ci", *where, "-o", str(tmp_path / "out"))
    assert refused.code == 2, refused
    assert "the build would write 1 of production's relations: shop.audit.events" in refused.err
    allowed = offdag(tmp_path, "ci", *where, "-o", str(tmp_path / "out"), "--allow-shared", "audit.events")
    assert allowed.code == 0, allowed
    with duckdb.connect(str(project / "shop.duckdb")) as connection:
        # dbt added its row, and the others are there.
        assert connection.execute("select count(*) from audit.events").fetchone() == (4,)
    # A model that production has, under a new name that is somebody else's.
    days = project / "models" / "days.sql"
    days.write_text(days.read_text().replace("schema='audit'", "schema='audit', alias='days_v2'"))
    (project / "models" / "events.sql").unlink()
    refused = offdag(tmp_path, "ci", *where, "-o", str(tmp_path / "out"))
    assert refused.code == 2, refused
    assert "the build would write 1 of production's relations: shop.audit.days_v2" in refused.err
    with duckdb.connect(str(project / "shop.duckdb")) as connection:
        assert connection.execute("select count(*) from audit.days_v2").fetchone() == (3,)
