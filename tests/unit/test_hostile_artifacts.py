"""Collecting any file in a target folder gives a verdict and never an exception, and writes nothing outside the history."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from offdag.artifacts.document import Kind
from offdag.collect.collection import collect_files
from offdag.collect.context import Context
from offdag.collect.places import find_artifacts
from offdag.history.history import History
from sim import artifacts

VALID: dict[str, Callable[[], dict[str, Any]]] = {
    "run_results": lambda: artifacts.run_results(
        [artifacts.result("model.p.a"), artifacts.result("test.p.t", "fail", failures=2)]
    ),
    "sources": lambda: artifacts.sources(
        [artifacts.freshness("source.p.s.t"), {"unique_id": "source.p.s.u", "status": "runtime error", "error": "x"}]
    ),
    "freshness": lambda: {
        **artifacts.sources([{**artifacts.freshness("model.p.a", "Pass"), "resource_type": "model"}]),
        "metadata": artifacts.metadata("freshness", 0),
    },
    "catalog": lambda: artifacts.catalog({"model.p.a": {"id": "BIGINT", "name": "VARCHAR"}}),
    "manifest": lambda: {
        **artifacts.manifest([artifacts.node("model.p.a"), artifacts.node("test.p.t", ("model.p.a",))]),
        "exposures": {"exposure.p.e": artifacts.node("exposure.p.e", ("model.p.a",), owner={"name": "n"})},
    },
}
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**30), 10**30),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(
        [
            "",
            "../../x",
            "a\x00b",
            "\ud800",
            "9999-12-31T23:59:59.999999Z",
            "0001-01-01T00:00:00+14:00",
            "{{ x }}",
            "x" * 5000,
        ]
    ),
    st.text(),
    st.just([]),
    st.just({}),
    st.just([[[[]]]]),
    st.just({"a": {"b": [1]}}),
)


def paths(value: Any, prefix: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [prefix, *(path for key, child in inner for path in paths(child, (*prefix, key)))]


def mutated(document: dict[str, Any], path: tuple[Any, ...], value: Any, drop: bool) -> Any:
    if not path:
        return value
    place: Any = document
    for key in path[:-1]:
        place = place[key]
    if drop:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return document


def collected(folder: Path, content: dict[str, bytes]) -> dict[str, str]:
    """The verdicts by file name."""
    target = folder / "target"
    target.mkdir()
    for name, data in content.items():
        (target / f"{name}.json").write_bytes(data)
    before = {p for p in folder.rglob("*") if p.is_file()}
    found = collect_files(
        History(str(folder / "history")), find_artifacts([str(target)], False), Context(environment="prod")
    )
    written = {p for p in folder.rglob("*") if p.is_file()} - before
    assert all(p.is_relative_to(folder / "history") for p in written)
    assert not [p for p in written if p.suffix == ".tmp"]
    return {Path(item.verdict["path"]).stem: item.verdict["verdict"] for item in found}


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_one_value_may_be_anything(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(sorted(VALID)))
    document = VALID[kind]()
    path = data.draw(st.sampled_from(paths(document)))
    changed = mutated(document, path, data.draw(ODD), data.draw(st.booleans()))
    content = {name: json.dumps(make()).encode() for name, make in VALID.items()}
    content[kind] = json.dumps(changed).encode()
    with tempfile.TemporaryDirectory() as folder:
        verdicts = collected(Path(folder), content)
    assert set(verdicts) == {k.value for k in Kind}
    for other in set(verdicts) - {kind}:
        assert verdicts[other] == "accepted", "one bad file never stops the others"


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_bytes_may_be_missing_or_wrong(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(sorted(VALID)))
    content = bytearray(json.dumps(VALID[kind]()).encode())
    start = data.draw(st.integers(0, len(content)))
    end = data.draw(st.integers(start, min(len(content), start + 50)))
    content[start:end] = data.draw(st.binary(max_size=20))
    with tempfile.TemporaryDirectory() as folder:
        assert set(collected(Path(folder), {kind: bytes(content)})) == {kind}


@pytest.mark.parametrize(
    "name",
    [
        "NaN",
        "Infinity",
        "1e999",
        "123456789012345678901234567890",
        '"\\ud800"',
        '{"a": 123456789012345678901234567890}',
    ],
)
def test_values_that_json_writers_differ_on(tmp_path: Path, name: str) -> None:
    text = json.dumps(artifacts.run_results([artifacts.result("model.p.a", adapter_response={"x": "HERE"})])).replace(
        '"HERE"', name
    )
    [verdict] = collected(tmp_path, {"run_results": text.encode()}).values()
    assert verdict in ("accepted", "unreadable")


@pytest.mark.parametrize(
    "old",
    ['"generated_at": "2026-01-31T06:00:00.000000Z"', '"env": {}', "/v6.json", '"failures": null'],
)
def test_values_of_any_size(tmp_path: Path, old: str) -> None:
    news = {
        '"env": {}': '"env": {"OFFDAG_ENVIRONMENT": "' + "x" * 4000 + '"}',
        "/v6.json": "/v" + "9" * 40 + ".json",
        '"failures": null': '"failures": ' + "9" * 5000,
        '"generated_at": "2026-01-31T06:00:00.000000Z"': '"generated_at": "1970-01-01T00:00:00.000000Z"',
    }
    text = json.dumps(artifacts.run_results([artifacts.result("model.p.a")]))
    assert old in text
    [verdict] = collected(tmp_path, {"run_results": text.replace(old, news[old], 1).encode()}).values()
    assert verdict in ("accepted", "unreadable", "unsupported")


def test_a_folder_in_an_artifacts_place_and_one_without_rights(tmp_path: Path) -> None:
    (tmp_path / "target" / "manifest.json").mkdir(parents=True)
    assert find_artifacts([str(tmp_path / "target")], False) == []
