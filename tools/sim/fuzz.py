"""``python -m sim.fuzz``: inputs that a fuzzer makes up by what they reach (atheris); each must end well, or with an error of offdag's.

A target gets bytes. An input that breaks it is kept as a file: ``python -m sim.fuzz TARGET FILE`` repeats it, and as a case of
``tests/fixtures/fuzz/TARGET`` it stays tried.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from sim import artifacts
from sim.notifications import due

_MONITOR_PROJECT = Path(__file__).parents[2] / "monitor_project"
_KINDS = ("run_results", "manifest", "sources", "catalog", "freshness")
_SEEDS = ("alert_routes", "alert_mutes", "run_cadences", "holidays", "observed_tables", "business_checks")
_FIELDS = (
    *("title", "detail", "project", "environment", "owner", "node_id", "kind", "mention", "channel", "changes"),
    *("storm_cause", "git_sha", "prior_git_sha", "ci_url", "compiled_path", "evidence", "event", "severity"),
)
# Slack's limits.
_MOST_BLOCKS, _LONGEST_TEXT, _LONGEST_HEADER = 50, 3000, 150
# What offdag writes itself: links, mentions, dates.
_OWN_MARKUP = re.compile(
    r"<(https?://[^<>|]*(\|[^<>]*)?|@[UW][A-Z0-9]+|!(here|channel|everyone)|!subteam\^S[A-Z0-9]*)>"
)


def artifact(data: bytes) -> None:
    """A file in a target folder; the first byte chooses its name."""
    from offdag.collect.collection import collect_files
    from offdag.collect.context import Context
    from offdag.collect.places import find_artifacts
    from offdag.history.history import History

    kind = _KINDS[data[0] % len(_KINDS)] if data else _KINDS[0]
    with tempfile.TemporaryDirectory(prefix="offdag-fuzz-") as folder:
        target = Path(folder) / "target"
        target.mkdir()
        (target / f"{kind}.json").write_bytes(data[1:])
        found = collect_files(History(f"{folder}/history"), find_artifacts([str(target)], False), Context("p", "prod"))
        _hold(len(found) == 1, f"{len(found)} verdicts for one file")
        _hold({path.name for path in Path(folder).iterdir()} <= {"target", "history"}, "a file beside the history")


def message(data: bytes) -> None:
    """Texts of notifications, one a line, as Slack and a webhook get them."""
    from offdag.notify import formats
    from offdag.notify.message import build_message

    texts = data.decode("utf-8", "replace").split("\n")
    rows = [
        due(notification_id=f"n{number}", ended_at=datetime(2026, 1, 31, 7), **_texts(texts[start:]))
        for number, start in enumerate(range(0, len(texts), len(_FIELDS)))
    ]
    built = build_message(rows, "https://reports.example/offdag.html")
    for payload in (formats.whole(built), formats.lines(built), *formats.details(built)):
        _hold(len(payload["blocks"]) <= _MOST_BLOCKS, f"{len(payload['blocks'])} blocks")
        for block, kind, text in _shown(payload["blocks"], ""):
            longest = _LONGEST_HEADER if block == "header" else _LONGEST_TEXT
            _hold(len(text) <= longest, f"a {block} of {len(text)} characters")
            if kind == "mrkdwn":
                _hold(not re.search("[<>]", _OWN_MARKUP.sub("", text)), f"markup from data: {text!r}")
        json.dumps(payload)
    json.dumps(formats.document(built))
    formats.plain_text(built)


def seed(data: bytes) -> None:
    """A seed of the user's folder; the first byte chooses which."""
    from offdag.config_folder import ConfigFolder
    from offdag.errors import OffdagError
    from offdag.monitor.project import assembled_project

    name = _SEEDS[data[0] % len(_SEEDS)] if data else _SEEDS[0]
    with tempfile.TemporaryDirectory(prefix="offdag-fuzz-") as folder:
        seeds = Path(folder) / "offdag" / "seeds"
        seeds.mkdir(parents=True)
        (seeds / f"{name}.csv").write_bytes(data[1:])
        with contextlib.suppress(OffdagError):
            assembled_project(ConfigFolder(seeds.parent, _MONITOR_PROJECT), [], Path(folder) / "project")


def flags(data: bytes) -> None:
    """A command line, its words apart by zero bytes; it is read, and nothing is run."""
    from offdag.cli import cli
    from offdag.errors import OffdagError
    from offdag.settings import Settings

    words = data.decode("utf-8", "replace").split("\0")
    with (
        contextlib.suppress(click.ClickException, click.exceptions.Exit, OffdagError),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        verb = cli.commands.get(words[0])
        given = verb.make_context(words[0], words[1:]).params if verb else cli.make_context("offdag", words).params
        Settings.load({k: v for k, v in given.items() if v is None or isinstance(v, (str, float))}, {})


TARGETS: dict[str, Callable[[bytes], None]] = {"artifact": artifact, "message": message, "seed": seed, "flags": flags}


def examples(target: str) -> Iterator[bytes]:
    """Sound inputs, from which a fuzzer begins."""
    if target == "artifact":
        result = artifacts.result("model.p.a", "error", message="it broke")
        documents: dict[str, Any] = {
            "run_results": artifacts.run_results([result]),
            "manifest": artifacts.manifest([artifacts.node("model.p.a"), artifacts.node("test.p.t", ("model.p.a",))]),
            "sources": artifacts.sources([artifacts.freshness("source.p.s.t")]),
            "catalog": artifacts.catalog({"model.p.a": {"id": "BIGINT"}}),
        }
        for number, kind in enumerate(_KINDS[: len(documents)]):
            yield bytes([number]) + json.dumps(documents[kind]).encode()
    elif target == "message":
        yield b"a test <fails> & more\n5 rows\nshop\nprod\n@data\nmodel.p.a\ntest_failed\n@U123"
    elif target == "seed":
        for number, name in enumerate(_SEEDS):
            yield bytes([number]) + (_MONITOR_PROJECT / "seeds" / f"{name}.csv").read_bytes() + b"a,b,c,1,2,3\n"
    else:
        from offdag.cli import cli

        for name, verb in cli.commands.items():
            for parameter in verb.params:
                word = parameter.opts[-1] if isinstance(parameter, click.Option) else "dbt"
                yield "\0".join([name, word, "1"]).encode()


def _texts(texts: list[str]) -> dict[str, Any]:
    given: dict[str, Any] = dict(zip(_FIELDS, texts, strict=False))
    events = ("opened", "reminder", "resolved", "closed")
    given["event"] = events[len(given.get("event", "")) % len(events)]
    given["severity"] = ("error", "warning")[len(given.get("severity", "")) % 2]
    return given


def _shown(value: Any, block: str) -> Iterator[tuple[str, str, str]]:
    """Types of the blocks, and types and texts of what is in them."""
    if isinstance(value, dict):
        if value.get("type") in ("mrkdwn", "plain_text"):
            yield block, value["type"], value["text"]
        for child in value.values():
            yield from _shown(child, block or value.get("type", ""))
    elif isinstance(value, list):
        for child in value:
            yield from _shown(child, block)


def _hold(is_kept: bool, what: str) -> None:
    if not is_kept:
        raise AssertionError(what)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("target", type=click.Choice(list(TARGETS)))
@click.argument("files", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--seconds", default=60, show_default=True, help="How long to make up inputs.")
def command(target: str, files: tuple[Path, ...], seconds: int) -> None:
    """Fuzz a target; with files, try these alone."""
    if files:
        for path in files:
            TARGETS[target](path.read_bytes())
            click.echo(f"{path}: ended well")
        return
    import atheris  # installed by `make fuzz`

    with atheris.instrument_imports(include=["offdag"]):
        TARGETS[target](b"")
    folder = Path(".offdag") / "fuzz" / target
    folder.mkdir(parents=True, exist_ok=True)
    for number, example in enumerate(examples(target)):
        (folder / f"example-{number}").write_bytes(example)
    limits = [f"-max_total_time={seconds}", "-max_len=20000", f"-artifact_prefix={folder}-", "-rss_limit_mb=4096"]
    atheris.Setup([sys.argv[0], str(folder), *limits], TARGETS[target])
    atheris.Fuzz()


if __name__ == "__main__":
    command()
