"""The history on an object store: a real S3-speaking server on loopback."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import boto3
import pytest

from offdag.history.history import History
from offdag.history.store import Store
from sim import artifacts
from support.command import BIN, offdag

pytestmark = pytest.mark.slow

KEYS = {"AWS_ACCESS_KEY_ID": "of-the-test", "AWS_SECRET_ACCESS_KEY": "of-the-test", "AWS_DEFAULT_REGION": "us-east-1"}


@pytest.fixture(scope="module")
def env() -> Iterator[dict[str, str]]:
    """The variables that lead boto and s3fs to the server, with a bucket in it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    server = subprocess.Popen(
        [sys.executable, str(BIN / "moto_server"), "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert time.monotonic() < deadline, "the server did not start"
                time.sleep(0.2)
        client = boto3.client(
            "s3", endpoint_url=url, aws_access_key_id="x", aws_secret_access_key="x", region_name="us-east-1"
        )
        client.create_bucket(Bucket="bucket")
        yield {**KEYS, "AWS_ENDPOINT_URL": url}
    finally:
        server.terminate()
        server.wait(30)


@pytest.fixture
def root(env: dict[str, str], monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    return f"s3://bucket/{request.node.name}"


def build(folder: Path) -> Path:
    nodes = [artifacts.node("model.p.m")]
    results = [artifacts.result("model.p.m")]
    return artifacts.write(folder, manifest=artifacts.manifest(nodes), run_results=artifacts.run_results(results))


def test_collecting_into_a_bucket_and_again(env: dict[str, str], root: str, tmp_path: Path) -> None:
    folder = str(build(tmp_path / "target"))
    first = offdag(tmp_path, "collect", "-e", "prod", "--history", root, folder, env=env)
    again = offdag(tmp_path, "collect", "-e", "prod", "--history", root, folder, env=env)
    assert (first.code, again.code) == (0, 0), (first, again)
    assert "(2 accepted)" in first.err
    assert "(2 duplicate)" in again.err
    history = History(root)
    assert history.read("invocations").num_rows == 1
    assert history.read("node_results").num_rows == 1
    assert len(history.store.glob("artifacts/*/*/*/*/*.zst")) == 2


def test_a_bucket_is_collected_monitored_and_compacted(env: dict[str, str], root: str, tmp_path: Path) -> None:
    archive = Store(root + "/archive")
    for i in range(3):
        at = artifacts.NOW + timedelta(days=i)
        results = [artifacts.result("model.p.m", "error" if i == 2 else "success", at=at)]
        document = artifacts.run_results(results, at, invocation_id=f"invocation-{i}")
        archive.write(f"2026/{i}-run_results.json", json.dumps(document).encode())
        archive.write(f"2026/{i}-manifest.json", json.dumps(artifacts.manifest([artifacts.node("model.p.m")])).encode())
    place = ("--history", root + "/history")
    collected = offdag(tmp_path, "collect", "-r", "-e", "prod", *place, root + "/archive", env=env)
    assert collected.code == 0, collected
    assert "4 accepted, 2 duplicate" in collected.err
    monitored = offdag(tmp_path, "monitor", "--as-of", "2026-02-03T00:00:00", *place, env=env)
    assert monitored.code == 0, monitored
    assert "1 open" in monitored.err
    published = offdag(tmp_path, "publish", root + "/published", env=env)
    assert published.code == 0, published
    assert "fct_incidents.parquet" in Store(root + "/published").names("marts")
    rebuilt = offdag(tmp_path, "rebuild", *place, env=env)
    assert (rebuilt.code, "9 equal" in rebuilt.err) == (0, True), rebuilt
    compacted = offdag(tmp_path, "compact", *place, env=env)
    assert compacted.code == 0, compacted
    assert History(root + "/history").read("invocations").num_rows == 3
    pruned = offdag(tmp_path, "prune", "--keep", "1d", *place, env=env)
    assert pruned.code == 0, pruned
    assert History(root + "/history").read("invocations").num_rows == 0


def test_only_one_of_several_creators_in_a_bucket_succeeds(root: str) -> None:
    won: list[int] = []
    barrier = threading.Barrier(6)

    def create(number: int) -> None:
        store = Store(root)
        barrier.wait()
        if store.create("intents/1.json", str(number).encode()):
            won.append(number)

    threads = [threading.Thread(target=create, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert Store(root).read("intents/1.json") == str(won[0]).encode()


def test_a_missing_bucket_is_an_error_with_three_parts(env: dict[str, str], tmp_path: Path) -> None:
    folder = str(build(tmp_path / "target"))
    ended = offdag(tmp_path, "collect", "-e", "prod", "--history", "s3://no-such-bucket/h", folder, env=env)
    assert ended.code == 3, ended
    assert "Traceback" not in ended.err
    assert all(part in ended.err for part in ("error: ", "where: ", "next:  "))
