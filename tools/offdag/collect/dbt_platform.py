"""Artifacts of jobs of dbt platform (formerly dbt Cloud), step by step, by its Administrative API v2.

dbt-platform://<account id>/<job id>
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

from offdag.artifacts.document import Kind
from offdag.errors import UsageError
from offdag.origin import Origin

SCHEME = "dbt-platform://"
_JOB = re.compile(rf"{SCHEME}(?P<account>\d+)/(?P<job>\d+)")
_NAMES = frozenset(f"{kind.value}.json" for kind in Kind)
_SECONDS = 60
# Runs on one page, and pages that are read at most: a first collection goes back a thousand runs.
_PAGE, _PAGES = 100, 10
_REFUSED = {
    401: "dbt platform does not accept the token",
    403: "the token may not read this job",
    404: "dbt platform has no such account or job",
}


@dataclass(frozen=True)
class PlatformJob:
    """A job of dbt platform.

    Attributes:
        account: Id of the account.
        job: Id of the job.
    """

    account: str
    job: str

    @classmethod
    def parse(cls, url: str) -> PlatformJob:
        """Read ``dbt-platform://account/job``.

        Raises:
            UsageError: It names no account and job by their numbers.
        """
        match = _JOB.fullmatch(url)
        if match is None:
            raise UsageError(
                "this names no account and job by their numbers", url, "offdag collect -e prod dbt-platform://1234/5678"
            )
        return cls(match["account"], match["job"])


@dataclass(frozen=True)
class PlatformRun:
    """A complete run of a job.

    Attributes:
        id: Its id.
        origin: Commit, branch and page.
    """

    id: str
    origin: Origin

    @property
    def job_id(self) -> str:
        """Groups the commands of the run."""
        return f"dbt-platform-{self.id}"


class DbtPlatform:
    """The API of dbt platform.

    Args:
        url: Its address, such as https://ab123.us1.dbt.com.
        token: A service token that may read jobs; a secret.
        proxy: URL of a proxy; None to connect directly.
    """

    def __init__(self, url: str, token: str, proxy: str | None = None) -> None:
        self._url = url.rstrip("/")
        self._token = token
        proxies = dict.fromkeys(("http", "https"), proxy) if proxy else {}
        self._opener = build_opener(ProxyHandler(proxies), _NoRedirect())

    def runs(self, job: PlatformJob) -> Iterator[list[PlatformRun]]:
        """Complete runs of a job, page by page, the newest first.

        Raises:
            UsageError: They cannot be read.
        """
        for page in range(_PAGES):
            parameters = {"job_definition_id": job.job, "order_by": "-id", "limit": _PAGE, "offset": page * _PAGE}
            rows = self._data(f"accounts/{job.account}/runs/", parameters, list)
            try:
                yield [_run(row) for row in rows if row.get("is_complete")]
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise self._error(_NOT_THE_API) from error
            if len(rows) < _PAGE:
                return

    def download(self, job: PlatformJob, run: PlatformRun, folder: Path) -> list[Path]:
        """Write the artifacts of each step of a run into a folder of its own.

        Raises:
            UsageError: They cannot be read or written.
        """
        path = f"accounts/{job.account}/runs/{run.id}/"
        detail = self._data(path, {"include_related": '["run_steps"]'}, dict)
        files = []
        for step in detail.get("run_steps") or []:
            index = int(step.get("index") or 0)
            for name in sorted(_NAMES.intersection(self._names(path, index))):
                target = folder / f"step-{index}" / name
                target.parent.mkdir(parents=True, exist_ok=True)
                with self._open(f"{path}artifacts/{quote(name)}", {"step": index}) as answer, target.open("wb") as file:
                    try:
                        shutil.copyfileobj(answer, file)
                    except (HTTPException, OSError) as error:
                        raise self._error("an artifact of dbt platform cannot be read or kept") from error
                files.append(target)
        return files

    def _names(self, path: str, index: int) -> list[str]:
        """The artifacts of a step; none where it left none."""
        try:
            return [str(name) for name in self._data(f"{path}artifacts/", {"step": index}, list)]
        except _NotFound:
            return []

    def _data(self, path: str, parameters: Mapping[str, Any], kind: type) -> Any:
        """The data of an answer, which must be of a type."""
        with self._open(path, parameters) as answer:
            try:
                data = json.loads(answer.read())["data"]
            except (HTTPException, OSError, ValueError, KeyError, TypeError, RecursionError) as error:
                raise self._error(_NOT_THE_API) from error
        if not isinstance(data, kind):
            raise self._error(_NOT_THE_API)
        return data

    def _open(self, path: str, parameters: Mapping[str, Any]) -> Any:
        request = Request(f"{self._url}/api/v2/{path}?{urlencode(parameters)}")  # noqa: S310 # the settings checked the scheme
        request.add_header("Authorization", f"Token {self._token}")
        try:
            return self._opener.open(request, timeout=_SECONDS)
        except HTTPError as error:
            what = _REFUSED.get(error.code, f"dbt platform answered with {error.code}")
            raise (_NotFound if error.code == 404 else UsageError)(what, self._url, _NEXT) from error
        except (URLError, HTTPException, OSError) as error:
            raise self._error("dbt platform cannot be reached") from error

    def _error(self, what: str) -> UsageError:
        return UsageError(what, self._url, _NEXT)


_NOT_THE_API = "the answer is not one of dbt platform's API"
_NEXT = "offdag collect -e prod dbt-platform://1234/5678    # after checking OFFDAG_DBT_PLATFORM_URL and ..._TOKEN"


class _NotFound(UsageError):
    """404, which a step without artifacts gives too."""


class _NoRedirect(HTTPRedirectHandler):
    """The token goes to no other host."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _run(row: Mapping[str, Any]) -> PlatformRun:
    def text(name: str) -> str | None:
        value = row.get(name)
        return str(value) if value else None

    return PlatformRun(
        str(int(row["id"])), Origin(git_sha=text("git_sha"), git_branch=text("git_branch"), ci_url=text("href"))
    )
