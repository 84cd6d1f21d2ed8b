"""Where a job runs, read from the variables that schedulers and CI systems set."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path


@dataclass(frozen=True)
class Origin:
    """The commit, branch, person, page and pull request of a job; each is None where unknown.

    Sources: the variables documented by GitHub Actions and GitLab CI, Airflow's task context variables, the login name under plain
    cron, and OFFDAG_GIT_SHA, OFFDAG_GIT_BRANCH, OFFDAG_ACTOR, OFFDAG_CI_URL, OFFDAG_PULL_REQUEST,
    OFFDAG_REPOSITORY_URL, which win.

    Attributes:
        git_sha: Commit.
        git_branch: Branch.
        actor: Person, or Airflow's DAG.
        ci_url: Page of the job.
        pull_request: Number of the pull request.
        repository_url: Web address of the repository, without credentials.
    """

    git_sha: str | None = None
    git_branch: str | None = None
    actor: str | None = None
    ci_url: str | None = None
    pull_request: str | None = None
    repository_url: str | None = None

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Origin:
        """Recognise GitHub Actions, GitLab CI and Airflow; anywhere else only the login name is known."""
        found = cls(actor=environ.get("LOGNAME"))
        if environ.get("GITHUB_ACTIONS") == "true":
            found = cls(
                git_sha=environ.get("GITHUB_SHA"),
                git_branch=environ.get("GITHUB_HEAD_REF") or environ.get("GITHUB_REF_NAME"),
                actor=environ.get("GITHUB_ACTOR"),
                ci_url=_joined(environ, "GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "actions/runs", "GITHUB_RUN_ID"),
                pull_request=_pull_request(environ.get("GITHUB_REF", "")),
                repository_url=_joined(environ, "GITHUB_SERVER_URL", "GITHUB_REPOSITORY"),
            )
        elif environ.get("GITLAB_CI") == "true":
            found = cls(
                git_sha=environ.get("CI_COMMIT_SHA"),
                git_branch=environ.get("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME") or environ.get("CI_COMMIT_BRANCH"),
                actor=environ.get("GITLAB_USER_LOGIN"),
                ci_url=environ.get("CI_JOB_URL"),
                pull_request=environ.get("CI_MERGE_REQUEST_IID"),
                repository_url=environ.get("CI_PROJECT_URL"),
            )
        elif environ.get("AIRFLOW_CTX_DAG_ID"):
            found = cls(actor="airflow:" + environ["AIRFLOW_CTX_DAG_ID"])
        return cls(
            git_sha=environ.get("OFFDAG_GIT_SHA") or found.git_sha,
            git_branch=environ.get("OFFDAG_GIT_BRANCH") or found.git_branch,
            actor=environ.get("OFFDAG_ACTOR") or found.actor,
            ci_url=environ.get("OFFDAG_CI_URL") or found.ci_url,
            pull_request=environ.get("OFFDAG_PULL_REQUEST") or found.pull_request,
            repository_url=web_address(environ.get("OFFDAG_REPOSITORY_URL") or found.repository_url),
        )

    def completed_by_git(self, folder: Path) -> Origin:
        """The same with the commit, branch and repository of a checkout, where no variable names the commit."""
        if self.git_sha:
            return self

        branch = self.git_branch or git_output(folder, "symbolic-ref", "--short", "-q", "HEAD") or None
        repository = self.repository_url or web_address(git_output(folder, "remote", "get-url", "origin"))
        sha = git_output(folder, "rev-parse", "HEAD") or None
        return replace(self, git_sha=sha, git_branch=branch, repository_url=repository)


def git_output(folder: Path, *arguments: str, timeout: float = 10) -> str | None:
    """What git prints in a checkout; None where it fails, is missing, or takes longer than the timeout in seconds."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=timeout, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _pull_request(ref: str) -> str | None:
    """The number in GitHub's refs/pull/<number>/merge; None on a branch."""
    match = re.match(r"refs/pull/(\d+)/", ref)
    return match[1] if match else None


def web_address(url: str | None) -> str | None:
    """https://host/path of a repository, without credentials and .git; None where it is no address of a server."""
    match = re.fullmatch(
        r"(?:(https?)://|ssh://|(?=[^@/\s]+@))(?:[^@/\s]*@)?([\w-][\w.-]*\.[\w-]+(?::\d+)?)[:/]+([\w.~/+-]+?)(?:\.git)?/?",
        url or "",
    )
    if match is None:
        return None
    scheme, host, path = match.groups()
    # The port of ssh is not that of the web pages.
    return f"{scheme or 'https'}://{host if scheme else host.partition(':')[0]}/{path}"


def _joined(environ: Mapping[str, str], *parts: str) -> str | None:
    """A URL from variables and, where a part has a slash, literal pieces; None where a variable is missing."""
    values = [part if "/" in part else environ.get(part) for part in parts]
    return "/".join(v for v in values if v) if all(values) else None
