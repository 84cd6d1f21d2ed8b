from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from offdag.clock import utc_now
from offdag.collect.collection import Collection, collect
from offdag.collect.context import Context
from offdag.collect.places import find_artifacts, fingerprints
from offdag.collect.rebuild import rebuild
from offdag.errors import UsageError
from offdag.history.history import History
from offdag.history.retention import prune
from offdag.origin import Origin
from sim import artifacts


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(str(tmp_path / "history"))


def take(history: History, *paths: Path, recursive: bool = False, context: Context | None = None) -> Collection:
    return collect(history, find_artifacts([str(p) for p in paths], recursive), context or Context(environment="prod"))


def build(folder: Path, **more: object) -> Path:
    return artifacts.write(
        folder,
        manifest=artifacts.manifest([artifacts.node("model.p.m")]),
        run_results=artifacts.run_results([artifacts.result("model.p.m")], **more),  # type: ignore[arg-type]
    )


def test_collecting_twice_changes_nothing_but_the_verdicts(history: History, tmp_path: Path) -> None:
    folder = build(tmp_path / "target")
    assert take(history, folder).counts == {"accepted": 2}
    before = {p: p.read_bytes() for p in Path(history.root).rglob("*") if p.is_file()}
    assert take(history, folder).counts == {"duplicate": 2}
    after = {p: p.read_bytes() for p in Path(history.root).rglob("*") if p.is_file()}
    assert {p.parent.parent.name for p in after.keys() - before.keys()} == {"artifact_verdicts"}
    assert {p: after[p] for p in before} == before


def test_raw_artifacts_are_kept_byte_for_byte(history: History, tmp_path: Path) -> None:
    import zstandard

    folder = build(tmp_path / "target")
    take(history, folder)
    [kept] = Path(history.root).glob("artifacts/project=p/environment=prod/date=2026-01-31/*/run_results.json.zst")
    assert zstandard.ZstdDecompressor().decompress(kept.read_bytes()) == (folder / "run_results.json").read_bytes()


def test_a_manifest_that_differs_in_metadata_only_is_kept_once(history: History, tmp_path: Path) -> None:
    take(history, build(tmp_path / "one"))
    assert take(history, build(tmp_path / "two")).counts == {"accepted": 1, "duplicate": 1}
    assert history.read("nodes").num_rows == 1
    assert len({row["manifest_hash"] for row in history.read("invocations").to_pylist()}) == 1


def test_nodes_grow_only_where_they_change(history: History, tmp_path: Path) -> None:
    one, two = artifacts.node("model.p.one"), artifacts.node("model.p.two")
    take(history, artifacts.write(tmp_path / "a", manifest=artifacts.manifest([one, two])))
    changed = {**two, "description": "now described"}
    take(history, artifacts.write(tmp_path / "b", manifest=artifacts.manifest([one, changed])))
    assert sorted(row["unique_id"] for row in history.read("nodes").to_pylist()) == [
        "model.p.one",
        "model.p.two",
        "model.p.two",
    ]
    assert history.read("manifest_nodes").num_rows == 4


def test_what_existed_before_the_run_is_stale(history: History, tmp_path: Path) -> None:
    folder = build(tmp_path / "target")
    found = take(history, folder, context=Context(environment="prod", before=fingerprints(folder)))
    assert found.counts == {"stale": 2}
    assert history.read("invocations").num_rows == 0


def test_an_interrupted_run_is_partial(history: History, tmp_path: Path) -> None:
    found = take(history, build(tmp_path / "target"), context=Context(environment="prod", was_interrupted=True))
    assert found.counts == {"accepted": 1, "partial": 1}
    assert history.read("invocations").to_pylist()[0]["is_partial"] is True


def test_other_commands_are_recorded_and_are_not_builds(history: History, tmp_path: Path) -> None:
    assert take(history, build(tmp_path / "target", which="generate")).counts == {"accepted": 1, "other command": 1}
    assert [row["is_build"] for row in history.read("node_results").to_pylist()] == [False]


def test_one_bad_file_never_stops_a_folder(history: History, tmp_path: Path) -> None:
    folder = build(tmp_path / "target")
    (folder / "sources.json").write_text('{"metadata": {"dbt_')
    found = take(history, folder)
    assert found.counts == {"accepted": 2, "unreadable": 1}
    [kept] = Path(history.root).glob("artifacts/*/*/*/unreadable-*/sources.json.zst")
    assert kept.is_file()


def test_an_empty_run_is_distinguished_from_no_run(history: History, tmp_path: Path) -> None:
    folder = artifacts.write(tmp_path / "target", run_results=artifacts.run_results([]))
    assert take(history, folder).counts == {"empty": 1}
    assert history.read("invocations").to_pylist()[0]["result_count"] == 0


def test_the_artifacts_own_variables_give_job_environment_and_origin(history: History, tmp_path: Path) -> None:
    env = {"OFFDAG_JOB_ID": "j", "OFFDAG_ENVIRONMENT": "staging", "OFFDAG_GIT_SHA": "abc"}
    folder = artifacts.write(tmp_path / "target", run_results=artifacts.run_results([], env=env))
    take(history, folder, context=Context(origin=Origin(git_sha="of the collector", git_branch="main")))
    [row] = history.read("invocations").to_pylist()
    assert (row["job_id"], row["environment"], row["git_sha"], row["git_branch"]) == ("j", "staging", "abc", "main")


def test_a_project_without_manifest_is_found_in_its_folder(history: History, tmp_path: Path) -> None:
    (tmp_path / "dbt_project.yml").write_text("name: shop\n")
    take(history, artifacts.write(tmp_path / "target", run_results=artifacts.run_results([])))
    assert history.read("invocations").to_pylist()[0]["project"] == "shop"


def test_two_projects_with_equal_nodes_never_mix(history: History, tmp_path: Path) -> None:
    take(history, build(tmp_path / "a"), context=Context(project="one", environment="prod"))
    take(history, build(tmp_path / "b"), context=Context(project="two", environment="prod"))
    assert sorted(row["project"] for row in history.read("nodes").to_pylist()) == ["one", "two"]


def test_trees_are_searched_where_asked(history: History, tmp_path: Path) -> None:
    for day in range(3):
        build(tmp_path / "archive" / f"day{day}" / "target", at=artifacts.NOW + timedelta(days=day))
    assert find_artifacts([str(tmp_path / "archive")], recursive=False) == []
    assert take(history, tmp_path / "archive", recursive=True).counts["accepted"] == 4
    assert history.read("invocations").num_rows == 3


def test_a_single_file_is_read_with_the_manifest_beside_it(history: History, tmp_path: Path) -> None:
    folder = build(tmp_path / "target")
    take(history, folder / "run_results.json")
    assert history.read("invocations").to_pylist()[0]["manifest_hash"] is not None


def test_a_path_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        find_artifacts([str(tmp_path / "nowhere")], recursive=False)


@pytest.mark.parametrize("later", [timedelta(minutes=5), timedelta(days=1)])
def test_two_runs_of_one_invocation_id_are_both_kept(history: History, tmp_path: Path, later: timedelta) -> None:
    folders = []
    for name, at in (("one", artifacts.NOW), ("two", artifacts.NOW + later), ("three", artifacts.NOW + 2 * later)):
        results = [artifacts.result(f"model.p.{name}", at=at)]
        document = artifacts.run_results(results, at, invocation_id="the-only-id")
        folders.append(artifacts.write(tmp_path / name, run_results=document))
        assert take(history, folders[-1]).counts == {"accepted": 1}
    assert take(history, *folders).counts == {"duplicate": 3}
    rows = history.read("node_results").to_pylist()
    assert {row["unique_id"]: row["invocation_id"][:12] for row in rows} == {
        "model.p.one": "the-only-id",
        "model.p.two": "the-only-id-",
        "model.p.three": "the-only-id-",
    }
    assert len({row["invocation_id"] for row in rows}) == 3
    reasons = [row["reason"] for row in history.read("artifact_verdicts").to_pylist()]
    assert sum("another run has its invocation id" in reason for reason in reasons) == 2
    assert all(compared.is_equal for compared in rebuild(history, write=False, now=artifacts.NOW))


def test_a_manifest_does_not_name_the_environment(history: History, tmp_path: Path) -> None:
    """With partial parsing it has the variables of the run that parsed first."""
    old = artifacts.manifest([artifacts.node("model.p.m")], env={"OFFDAG_ENVIRONMENT": "prod", "OFFDAG_JOB_ID": "old"})
    results = artifacts.run_results([artifacts.result("model.p.m")], env={"OFFDAG_ENVIRONMENT": "ci"})
    take(history, artifacts.write(tmp_path / "target", manifest=old, run_results=results), context=Context())
    rows = history.read("artifact_verdicts").to_pylist()
    assert {row["kind"]: (row["environment"], row["job_id"]) for row in rows} == {
        "manifest": ("unknown", None),
        "run_results": ("ci", None),
    }


def shop(folder: Path, *models: str, adapter: str = "duckdb", at: timedelta = timedelta(0), code: str = "1") -> Path:
    """What dbt leaves of a project named jaffle_shop with these models."""
    ids = [f"model.jaffle_shop.{model}" for model in models]
    now, ran = artifacts.NOW + at, {"invocation_id": f"run-of-{folder.name}"}
    nodes = [artifacts.node(node, checksum={"name": "sha256", "checksum": f"{node} {code}"}) for node in ids]
    metadata = artifacts.metadata("manifest", 12, now, project_name="jaffle_shop", adapter_type=adapter, **ran)
    return artifacts.write(
        folder,
        manifest=artifacts.manifest(nodes) | {"metadata": metadata},
        run_results=artifacts.run_results([artifacts.result(node) for node in ids], now, **ran),
    )


def test_another_project_of_the_same_name_is_refused_until_it_is_named(history: History, tmp_path: Path) -> None:
    take(history, shop(tmp_path / "one", "customers", "orders", "payments"))
    other = shop(tmp_path / "two", "orders", "stores", "tweets", "visits", at=timedelta(hours=1), code="2")
    assert take(history, other).counts == {"conflict": 2}
    assert take(history, other).counts == {"conflict": 2}, "it is not accepted later either"
    assert history.read("invocations").num_rows == 1
    named = Context("jaffle_two", "prod", is_project_given=True)
    assert take(history, other, context=named).counts == {"accepted": 2}
    assert sorted(row["project"] for row in history.read("invocations").to_pylist()) == ["jaffle_shop", "jaffle_two"]


def test_a_project_that_changes_step_by_step_is_the_same_one(history: History, tmp_path: Path) -> None:
    for step in range(5):
        models = [f"m{number}" for number in range(step, step + 4)]
        assert take(history, shop(tmp_path / str(step), *models, at=timedelta(hours=step))).counts == {"accepted": 2}


def test_a_project_that_grows_much_at_once_is_the_same_one(history: History, tmp_path: Path) -> None:
    small = [f"m{number}" for number in range(4)]
    take(history, shop(tmp_path / "small", *small))
    grown = shop(tmp_path / "grown", *small, *(f"n{number}" for number in range(9)), at=timedelta(days=1), code="2")
    assert take(history, grown).counts == {"accepted": 2}


def test_an_archive_is_not_judged_by_what_came_after_it(history: History, tmp_path: Path) -> None:
    take(history, shop(tmp_path / "now", "customers", "orders", "payments"))
    old = shop(tmp_path / "old", "a", "b", "c", adapter="redshift", at=timedelta(days=-700), code="2")
    assert take(history, old).counts == {"accepted": 2}
    later = shop(tmp_path / "later", "customers", "orders", "payments", at=timedelta(days=1))
    assert take(history, later).counts == {"duplicate": 1, "accepted": 1}


def test_runs_of_one_invocation_id_have_their_own_manifests(history: History, tmp_path: Path) -> None:
    folders = []
    for number in range(2):
        at, same = artifacts.NOW + timedelta(hours=number), {"invocation_id": "the-only-id"}
        nodes = [artifacts.node("model.p.a"), artifacts.node(f"model.p.b{number}")]
        folders.append(
            artifacts.write(
                tmp_path / str(number),
                manifest=artifacts.manifest(nodes, at - timedelta(minutes=1), **same),
                run_results=artifacts.run_results([artifacts.result("model.p.a")], at, **same),
            )
        )
    assert take(history, *folders).counts == {"accepted": 4}
    rows = history.read("invocations").sort_by("generated_at").to_pylist()
    assert rows[0]["manifest_hash"] != rows[1]["manifest_hash"]
    assert [row["generated_at"] - row["manifest_generated_at"] for row in rows] == [timedelta(minutes=1)] * 2
    assert len(list(Path(history.root).glob("artifacts/*/*/*/*/manifest.json.zst"))) == 2
    tables = {table.table: table for table in rebuild(history, write=False, now=artifacts.NOW)}
    assert tables["manifest_nodes"].rebuilt == 4
    assert all(table.is_equal for table in tables.values())


def test_an_environment_that_is_built_with_another_adapter_is_refused_until_it_is_named(
    history: History, tmp_path: Path
) -> None:
    models = ("customers", "orders", "payments")
    take(history, shop(tmp_path / "one", *models))
    other = shop(tmp_path / "two", *models, adapter="postgres", at=timedelta(hours=1))
    assert take(history, other).counts == {"duplicate": 1, "conflict": 1}
    old = shop(tmp_path / "old", *models, adapter="redshift", at=timedelta(days=-100))
    assert take(history, old).counts == {"duplicate": 1, "accepted": 1}, "what is older is not judged"
    assert take(history, other, context=Context(environment="prod-postgres")).counts == {"duplicate": 1, "accepted": 1}
    moved = shop(tmp_path / "three", *models, adapter="postgres", at=timedelta(hours=2))
    same = Context("jaffle_shop", "prod", is_project_given=True)
    assert take(history, moved, context=same).counts == {"duplicate": 1, "accepted": 1}
    later = shop(tmp_path / "four", *models, adapter="postgres", at=timedelta(hours=3))
    assert take(history, later).counts == {"duplicate": 1, "accepted": 1}


def test_what_was_refused_is_pruned_as_a_whole(history: History, tmp_path: Path) -> None:
    take(history, shop(tmp_path / "one", "customers", "orders", "payments"))
    take(history, shop(tmp_path / "two", "a", "b", "c", at=timedelta(hours=1), code="2"))
    kept = "artifacts/*/*/*/unreadable-*/*"
    assert {path.name for path in Path(history.root).glob(kept)} == {"manifest.json.zst", "run_results.json.zst"}
    prune(history, utc_now().date() + timedelta(days=1))
    assert not list(Path(history.root).glob(kept))
    assert list(Path(history.root).glob("artifacts/*/*/*/run-of-one/manifest.json.zst")), "newer runs may refer to it"
