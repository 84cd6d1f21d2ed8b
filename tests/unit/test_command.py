"""One parse of a dbt command line: flags, variables and files, as dbt itself ranks them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from offdag.dbt.command import DbtInvocation, flag_value, freshness_command, selects
from offdag.errors import UsageError


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "dbt_project.yml").write_text("name: p\nprofile: desk\n")
    return tmp_path


def parse(project: Path, command: str, **environ: str) -> DbtInvocation:
    return DbtInvocation.parse(command.split(), project, environ)


@pytest.mark.parametrize(
    ("command", "verb"),
    [
        ("dbt build", "build"),
        ("dbt --quiet build --target prod", "build"),
        ("uv run dbt source freshness", "source"),
        ("poetry run dbt ls", "ls"),
        ("/opt/dbt/bin/dbt ls --select test", "ls"),
        ("dbt run-operation build", "run-operation"),
        ("dbtf build", "build"),
        ("python -m dbt.cli.main seed", "seed"),
        ("docker run -t image dbt test", "test"),
        ("true", None),
        ("make build", None),
    ],
)
def test_the_verb_is_found_behind_wrappers(project: Path, command: str, verb: str | None) -> None:
    assert parse(project, command).verb == verb


def test_a_shell_script_is_read_up_to_its_next_command(project: Path) -> None:
    script = ["sh", "-c", "cd x && dbt run --target prod; dbt test --target dev"]
    found = DbtInvocation.parse(script, project, {})
    assert (found.verb, found.target) == ("run", "prod")


@pytest.mark.parametrize(
    ("command", "environ", "target"),
    [
        ("dbt build", {}, None),
        ("dbt build --target prod", {}, "prod"),
        ("dbt build --target=prod", {"DBT_TARGET": "ci"}, "prod"),
        ("dbt -t dev build -t prod", {}, "prod"),
        ("dbt build", {"DBT_TARGET": "ci"}, "ci"),
        ("docker run -t image dbt build", {}, None),
        ("docker run -t image dbt build -t prod", {}, "prod"),
    ],
)
def test_the_target_is_dbts_alone(project: Path, command: str, environ: dict[str, str], target: str | None) -> None:
    assert parse(project, command, **environ).target == target


def test_folders_are_where_dbt_puts_them(project: Path) -> None:
    found = parse(project, "dbt build")
    assert (found.target_path, found.log_path) == (project / "target", project / "logs")
    assert (found.profiles_dir, found.profile) == (None, "desk")
    found = parse(
        project, "dbt build", DBT_TARGET_PATH="/t", DBT_LOG_PATH="/l", DBT_PROFILES_DIR="/p", DBT_PROFILE="other"
    )
    assert (found.target_path, found.log_path) == (Path("/t"), Path("/l"))
    assert (found.profiles_dir, found.profile) == (Path("/p"), "other")
    flags = "--target-path=a --log-path b --profiles-dir c --profile d"
    found = parse(project, f"dbt build {flags}", DBT_TARGET_PATH="/t", DBT_LOG_PATH="/l")
    assert (found.target_path, found.log_path) == (project / "a", project / "b")
    assert (found.profiles_dir, found.profile) == (project / "c", "d")


def test_a_project_dir_is_relative_to_where_dbt_runs(project: Path) -> None:
    inner = project / "inner"
    inner.mkdir()
    (inner / "dbt_project.yml").write_text("name: q\n")
    for found in (
        parse(project, "dbt build --project-dir inner"),
        parse(project, "dbt build", DBT_PROJECT_DIR="inner"),
    ):
        assert (found.project_name, found.target_path, found.profile) == ("q", inner / "target", "q")


def test_values_of_the_project_file_are_rendered(project: Path) -> None:
    (project / "dbt_project.yml").write_text(
        "name: \"{{ env_var('NAME') }}\"\nprofile: \"{{ env_var('DESK', 'desk') }}\"\n"
        "target-path: \"{{ env_var('BUILT') }}/x\"\nlog-path: \"{{ env_var('LOGS', 'l') }}\"\n"
    )
    found = parse(project, "dbt build", NAME="shop", BUILT="/built")
    assert (found.project_name, found.profile) == ("shop", "desk")
    assert (found.target_path, found.log_path) == (Path("/built/x"), project / "l")


def test_a_value_that_cannot_be_rendered_is_logged_and_stops_nothing(
    project: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (project / "dbt_project.yml").write_text("name: p\ntarget-path: \"{{ env_var('BUILT') }}\"\n")
    assert parse(project, "dbt build").target_path == project / "target"
    assert "the variable BUILT is not set" in caplog.text


def test_what_dbt_wrote_wins(project: Path) -> None:
    found = parse(project, "dbt build --target prod").confirmed_by(
        {"target": "real", "profile": None, "profiles_dir": "/where"}
    )
    assert (found.target, found.profile, found.profiles_dir) == ("real", "desk", Path("/where"))


PROFILES = """
desk:
  target: "{{ env_var('DESK_TARGET', 'dev') }}"
  outputs:
    dev: {type: duckdb, path: dev.duckdb}
    prod: {type: postgres, host: "{{ env_var('HOST') }}", password: "{{ env_var('PASSWORD') }}"}
"""


def test_a_connection_needs_only_the_variables_of_what_is_asked(project: Path) -> None:
    (project / "profiles.yml").write_text(PROFILES)
    found = parse(project, "dbt build")
    assert found.connection("type", "path", "port") == {"type": "duckdb", "path": "dev.duckdb"}
    prod = replace(found, target="prod", environ={"HOST": "db"})
    assert prod.connection("type", "host") == {"type": "postgres", "host": "db"}
    with pytest.raises(UsageError, match="PASSWORD is not set"):
        prod.connection("password")


def test_the_profile_flag_gives_the_folder(project: Path) -> None:
    folder = project / "secret"
    folder.mkdir()
    (folder / "profiles.yml").write_text(PROFILES)
    found = parse(project, "dbt build --profiles-dir secret")
    assert found.connection("type") == {"type": "duckdb"}
    with pytest.raises(UsageError, match="has no target 'x', but dev, prod"):
        replace(found, target="x").connection("type")
    with pytest.raises(UsageError, match="there is no profile 'other'"):
        replace(found, profile="other").connection("type")


def test_source_freshness_takes_over_what_it_understands() -> None:
    command = ["uv", "run", "dbt", "build", "-t", "prod", "--select", "a", "--profiles-dir", "x", "--full-refresh"]
    expected = ["uv", "run", "dbt", "source", "freshness", "--target", "prod", "--profiles-dir", "x"]
    assert freshness_command(command) == expected
    assert freshness_command(["./build.sh"]) == []


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("uv run --project dbt dbt build", "uv run --project dbt dbt source freshness"),
        ("docker compose run dbt dbt build -t ci", "docker compose run dbt dbt source freshness --target ci"),
        ("docker run image/dbt build", "docker run image/dbt source freshness"),
        ("dbt --project-dir dbt build", "dbt source freshness --project-dir dbt"),
        ("dbt build --select dbt", "dbt source freshness"),
        ("python -m dbt.cli.main build", "python -m dbt.cli.main source freshness"),
    ],
)
def test_source_freshness_keeps_the_wrapper(command: str, expected: str) -> None:
    assert freshness_command(command.split()) == expected.split()


def test_values_with_spaces_stay_one_word(project: Path) -> None:
    command = ["dbt", "build", "--vars", "{q: a & b}", "--target", "prod"]
    assert DbtInvocation.parse(command, project, {}).target == "prod"
    assert freshness_command(command)[1:] == ["source", "freshness", "--target", "prod", "--vars", "{q: a & b}"]


def test_a_selection_is_recognised() -> None:
    assert selects(["dbt", "build", "--select=a"])
    assert not selects(["make", "-s", "dbt", "build"])
    assert flag_value(["--target"], "--target") is None
