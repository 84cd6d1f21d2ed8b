from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import pytest

from offdag.artifacts.document import Kind, UnreadableArtifact, Verdict, parse_document
from offdag.artifacts.timestamps import parse_instant
from sim import artifacts


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-31T06:00:00.123456Z", datetime(2026, 1, 31, 6, 0, 0, 123456)),
        ("2026-01-31T06:00:00+00:00", datetime(2026, 1, 31, 6)),
        ("2026-01-31T08:00:00+02:00", datetime(2026, 1, 31, 6)),
        ("2026-01-31T06:00:00.123456789Z", datetime(2026, 1, 31, 6, 0, 0, 123456)),
        ("2026-01-31 06:00:00", datetime(2026, 1, 31, 6)),
        ("0001-01-01T00:00:00+00:00", datetime(1, 1, 1)),
        ("0001-01-01T00:00:00+02:00", None),
        ("yesterday", None),
        ("2026-13-31T06:00:00Z", None),
        (None, None),
        (5, None),
    ],
)
def test_instants_of_all_dbt_versions_become_naive_utc(text: object, expected: datetime | None) -> None:
    assert parse_instant(text) == expected


def test_metadata_names_the_artifact() -> None:
    content = json.dumps(artifacts.manifest([], project="shop")).encode()
    document = parse_document(Path("manifest.json"), content)
    assert (document.kind, document.version, document.project_name) == (Kind.MANIFEST, 12, "shop")
    assert document.generated_at == artifacts.NOW


@pytest.mark.parametrize(
    ("content", "verdict", "reason"),
    [
        (b"", Verdict.UNREADABLE, "is empty"),
        (b'{"metadata": {"dbt_schema', Verdict.UNREADABLE, "is cut short"),
        (b"<<<<<<< HEAD\n{}", Verdict.UNREADABLE, "merge conflict"),
        (b"[1, 2]}", Verdict.UNREADABLE, "is not the JSON"),
        (b"{}", Verdict.UNSUPPORTED, "before 0.19"),
        (b'{"metadata": {"dbt_schema_version": "https://x/semantic/v1.json"}}', Verdict.UNSUPPORTED, "unknown schema"),
        (b"[" * 100_000, Verdict.UNREADABLE, "is"),
    ],
)
def test_a_file_that_is_not_an_artifact_gets_a_verdict(content: bytes, verdict: Verdict, reason: str) -> None:
    with pytest.raises(UnreadableArtifact) as caught:
        parse_document(Path("run_results.json"), content)
    assert caught.value.verdict is verdict
    assert reason in caught.value.reason


@pytest.mark.parametrize("url", ["https://schemas.getdbt.com/dbt/run-results/v12", "x/run-results/v6/run-results.json"])
def test_odd_schema_urls_of_real_files_are_understood(url: str) -> None:
    document = artifacts.run_results([])
    document["metadata"]["dbt_schema_version"] = url
    assert parse_document("x", json.dumps(document).encode()).kind is Kind.RUN_RESULTS


def test_an_invocation_id_that_is_not_a_plain_id_never_names_a_file() -> None:
    document = artifacts.run_results([])
    document["metadata"]["invocation_id"] = "../../etc/passwd"
    assert parse_document("x", json.dumps(document).encode()).invocation_id.startswith("content-")
