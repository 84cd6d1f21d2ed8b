from __future__ import annotations

from datetime import datetime

import pytest

from offdag.errors import UsageError
from offdag.origin import Origin, web_address
from offdag.settings import Settings


def test_a_flag_wins_over_the_variable_and_the_variable_over_the_default() -> None:
    environ = {"OFFDAG_HISTORY": "s3://bucket/of-the-variable"}
    assert Settings.load({"history": "s3://bucket/of-the-flag"}, environ).history == "s3://bucket/of-the-flag"
    assert Settings.load({"history": None}, environ).history == "s3://bucket/of-the-variable"
    assert Settings.load({}, {}).history.endswith(".offdag/history")
    assert Settings.load({"history": "file:///srv/history"}, {}).history == "/srv/history"


@pytest.mark.parametrize("path", ["a*b", "a?b", "a[b", "a]b", "it's", "x/run_date=1/y", "year=2026"])
def test_paths_that_break_globbing_are_refused(path: str) -> None:
    with pytest.raises(UsageError, match="break reading"):
        Settings.load({"history": path}, {})


def test_instants_are_naive_utc() -> None:
    assert Settings.load({"as_of": "2026-01-31T08:00:00+02:00"}, {}).as_of == datetime(2026, 1, 31, 6)
    with pytest.raises(UsageError):
        Settings.load({"as_of": "tomorrow"}, {})


@pytest.mark.parametrize("seconds", ["-1", "soon", "1e9"])
def test_lock_timeouts_are_bounded(seconds: str) -> None:
    with pytest.raises(UsageError):
        Settings.load({"lock_timeout": seconds}, {})


def test_secrets_are_in_no_text_of_the_settings() -> None:
    environ = {"OFFDAG_SLACK_BOT_TOKEN": "xoxb-1", "OFFDAG_SLACK_WEBHOOK_URL": "https://hooks/secret"}
    settings = Settings.load({}, environ)
    assert settings.secrets == ("xoxb-1", "https://hooks/secret")
    assert "xoxb-1" not in repr(settings)
    assert "secret" not in repr(settings)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("git@github.com:acme/shop.git", "https://github.com/acme/shop"),
        ("https://ann:token@gitlab.example.com/data/shop.git", "https://gitlab.example.com/data/shop"),
        ("ssh://git@git.example.com:2222/a/b.git", "https://git.example.com/a/b"),
        ("http://127.0.0.1:3000/a/b/", "http://127.0.0.1:3000/a/b"),
        *(
            (url, None)
            for url in (
                "/srv/git/x.git",
                "file:///x",
                "../x",
                "C:/x.git",
                "my.repo/sub",
                "https://h.example/a?<b>",
                "",
                None,
            )
        ),
    ],
)
def test_a_repository_has_a_web_address_without_credentials(url: str | None, expected: str | None) -> None:
    assert web_address(url) == expected


def test_ci_systems_are_recognised() -> None:
    github = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_SHA": "abc",
        "GITHUB_REF_NAME": "main",
        "GITHUB_ACTOR": "ann",
        "GITHUB_SERVER_URL": "https://github.com",
        "GITHUB_REPOSITORY": "o/r",
        "GITHUB_RUN_ID": "7",
    }
    assert Origin.from_environ(github) == Origin(
        "abc", "main", "ann", "https://github.com/o/r/actions/runs/7", None, "https://github.com/o/r"
    )
    gitlab = {"GITLAB_CI": "true", "CI_COMMIT_SHA": "abc", "CI_COMMIT_BRANCH": "main", "CI_JOB_URL": "https://g/1"}
    assert Origin.from_environ(gitlab) == Origin("abc", "main", None, "https://g/1")
    assert Origin.from_environ({"AIRFLOW_CTX_DAG_ID": "nightly"}).actor == "airflow:nightly"
    assert Origin.from_environ({}) == Origin()
    assert Origin.from_environ({**github, "OFFDAG_GIT_SHA": "named"}).git_sha == "named"


@pytest.mark.parametrize(
    "url", ["s3://KEY:SECRET@bucket/h", "s3://KEY@bucket/h", "abfss://c:SECRET@a.dfs.core.windows.net/h"]
)
def test_credentials_in_the_historys_url_are_refused_and_not_shown(url: str) -> None:
    with pytest.raises(UsageError) as refused:
        Settings.load({"history": url}, {})
    assert "SECRET" not in str(refused.value)
    assert "KEY" not in str(refused.value)


def test_a_container_in_an_azure_url_is_no_credential() -> None:
    url = "abfss://container@account.dfs.core.windows.net/history"
    assert Settings.load({"history": url}, {}).history == url
