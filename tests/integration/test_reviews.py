"""Pull requests of many kinds on two projects, each with its expected summary, and its figures against plain SQL.

`make test` replays those that only a review of its own shows; `make reviews` replays all.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from support import golden
from support.pulls import PULL_REQUESTS, PullRequest, key_of, make_production

pytestmark = pytest.mark.golden

ALWAYS = {
    "coffee-fan-out-unnoticed",
    "coffee-model-renamed-and-changed",
    "coffee-unit-test-edited-and-fails",
    "coffee-data-arrived-and-code-changed",
    "coffee-main-moved",
}
CHOSEN = [pull for pull in PULL_REQUESTS if os.environ.get("OFFDAG_TEST_REVIEWS") == "1" or pull.name in ALWAYS]


@pytest.fixture(scope="module")
def production(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Each project, built for production once."""
    made: dict[str, Path] = {}

    def of(name: str) -> Path:
        if name not in made:
            made[name] = make_production(tmp_path_factory.mktemp(name), name)
        return made[name]

    return of


def steady(text: str) -> str:
    """Without what another run has otherwise: times, commits, seconds, ages and random figures."""
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d(:[\d.]+\+00:00)?( UTC)?", "<time>", text)
    text = re.sub(r"commit `[0-9a-f]{10}`|at `[0-9a-f]{10}`", "<commit>", text)
    return re.sub(r"\b\d+(\.\d)? (s|min)\b", r"<n> \2", text)


@pytest.mark.parametrize("pull", CHOSEN, ids=lambda pull: pull.name)
def test_the_summary_is_the_expected_one(pull: PullRequest, production: Callable[[str], Path], tmp_path: Path) -> None:
    ended = pull.replayed(production(pull.project), tmp_path / "home")
    text = (tmp_path / "home" / "out" / "summary.md").read_text()
    golden.check(f"reviews/{pull.name}.md", f"exit code {ended.code}\n{steady(text)}")
    assert "Traceback" not in ended.err
    facts = json.loads((tmp_path / "home" / "out" / "review.json").read_text()) if ended.code < 2 else {}
    checked = [check_by_sql(tmp_path / "home", pull.project, c) for c in facts.get("comparisons", [])]
    assert all(checked)


def check_by_sql(home: Path, project: str, found: dict[str, Any]) -> bool:
    """The figures of one comparison, by SQL that has nothing in common with the review's."""
    name = found["unique_id"].split(".", 2)[2]
    key = key_of(project, name)
    if found["problem"] or not key or list(key) != found["key"]:
        return True
    nodes = json.loads((home / project / "target" / "manifest.json").read_text())["nodes"]
    before = {n["unique_id"]: n for n in _kept_manifest(home)["nodes"].values()}
    ours, theirs = nodes[found["unique_id"]], before.get(found["unique_id"])
    if theirs is None:
        return True
    files = {path.stem: path for path in (home / project).rglob("*.duckdb") if "out" not in path.parts}
    current = Path.cwd()
    os.chdir(home / project)
    try:
        with duckdb.connect() as connection:
            for stem, path in files.items():
                connection.execute(f"attach '{path}' as \"{stem}\" (read_only)")
            a, b = (node["relation_name"] for node in (theirs, ours))
            only = "dbt_valid_to is null" if ours["resource_type"] == "snapshot" else "true"
            on = " and ".join(f'a."{column}" = b."{column}"' for column in key)
            sides = f"(select * from {a} where {only}) a full join (select * from {b} where {only}) b on {on}"
            missing = [f'{side}."{key[0]}" is null' for side in "ab"]
            query = f"select count(*) filter (where {missing[0]}), count(*) filter (where {missing[1]}) from {sides}"
            rows = connection.execute(query).fetchone()
            assert rows == (found["added"], found["removed"]), (name, rows)
            for column, count in found["columns"].items():
                both = f"not ({missing[0]}) and not ({missing[1]})"
                differs = f'a."{column}" is distinct from b."{column}"'
                # Floating-point numbers agree to six decimals.
                near = (
                    f'coalesce(abs(try_cast(a."{column}" as double) - try_cast(b."{column}" as double)) <= 5e-7, false)'
                )
                query = f"select count(*) from {sides} where {both} and {differs} and not {near}"
                assert connection.execute(query).fetchone() == (count,), (name, column)
    finally:
        os.chdir(current)
    return True


def _kept_manifest(home: Path) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads((home / "out" / "state" / "manifest.json").read_text())
    return manifest
