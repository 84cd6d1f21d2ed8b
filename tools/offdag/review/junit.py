"""The results of a build as JUnit XML, which every CI system shows."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from offdag.review.build import Build, Result

if TYPE_CHECKING:
    from junitparser import TestCase

# XML 1.0 has no way to write them.
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NO_RESULTS = "dbt left no results: it could not start, or could not read the project"
_PASSED = ("success", "pass", "no-op", "reused", "warn")


def write_junit(project: str, build: Build | None, path: Path, why_not: str | None = None) -> None:
    """Write one test case for every node and test of a build.

    Args:
        project: Name of the dbt project.
        build: Its results; None where dbt left none, which is one error.
        path: File to write.
        why_not: Why dbt left no results; None where it is unknown.
    """
    from junitparser import JUnitXml, TestSuite

    suite = TestSuite(_plain(f"dbt.{project}"))
    if build:
        suite.timestamp = build.generated_at.strftime("%Y-%m-%dT%H:%M:%S")
    for result in (
        build.results.values() if build else [Result("dbt.build", "error", why_not or _NO_RESULTS, None, None)]
    ):
        suite.add_testcase(_case(project, result))
    document = JUnitXml()
    document.add_testsuite(suite)
    path.parent.mkdir(parents=True, exist_ok=True)
    document.write(str(path), pretty=True)


def _case(project: str, result: Result) -> TestCase:
    from junitparser import Error, Failure, Skipped, TestCase

    resource_type, _, name = result.unique_id.partition(".")
    case = TestCase(_plain(name), _plain(f"{project}.{resource_type}"), round(result.seconds or 0.0, 3))
    message = _plain(result.brief)
    if result.status == "fail":
        case.result = [Failure(message, "fail")]
    elif result.is_failed:
        case.result = [Error(message, _plain(result.status or ""))]
    elif result.status == "skipped":
        case.result = [Skipped(message)]
    elif result.status not in _PASSED:
        # Neither a success nor a failure.
        case.result = [Skipped(_plain(f"unknown status {result.status}: {message}"))]
    elif result.status == "warn":
        case.system_out = f"warn: {message}"
    return case


def _plain(text: str) -> str:
    return _NOT_XML.sub(" ", text)
