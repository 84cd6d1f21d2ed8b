"""docs/configuration.md from the code: verbs with their flags, vars and seeds."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import yaml

from offdag.cli import cli

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "configuration.md"
# Filled in by offdag itself.
_INTERNAL = ("own_signal_kinds", "business_checks", "signal_kinds", "business_signal_kinds")


def page() -> str:
    """The page as Markdown."""
    return "\n".join([*_head(), *_verbs(), *_vars(), *_seeds()]).rstrip() + "\n"


def _head() -> Iterator[str]:
    yield "# Configuration"
    yield ""
    yield "Made from the code by `make docs`. A flag overrides its [environment variable](environment.md), which overrides the default."
    yield ""


def _verbs() -> Iterator[str]:
    yield "## Verbs"
    for name, command in sorted(cli.commands.items()):
        yield from ["", f"### offdag {name}", "", _text(command.help or ""), ""]
        yield from [f"    {(command.epilog or '').removeprefix('Example: ')}", ""]
        options = [p for p in command.params if isinstance(p, click.Option) and p.name != "help"]
        if options:
            yield from ["| flag | meaning |", "| --- | --- |"]
            for option in options:
                default = option.default if option.show_default and option.default is not None else ""
                shown = f" Default: `{default}`." if str(default) not in ("", "Sentinel.UNSET") else ""
                yield f"| {', '.join(f'`{flag}`' for flag in option.opts)} | {_text(option.help or 'table or json.')}{shown} |"
    yield ""


def _vars() -> Iterator[str]:
    """The vars of the monitor project with the comments above them."""
    yield from [
        "## Vars",
        "",
        "In `offdag/dbt_project.yml`, below `vars:`.",
        "",
        "| var | default | meaning |",
        "| --- | --- | --- |",
    ]
    text = (ROOT / "monitor_project" / "dbt_project.yml").read_text(encoding="utf-8")
    defaults = yaml.safe_load(text)["vars"]
    comment: list[str] = []
    is_above = False
    for line in text[text.index("\nvars:") :].splitlines():
        words, named = re.fullmatch(r"  # (?!--)(.*)", line), re.match(r"  (\w+):", line)
        if words:
            # Vars below one comment share it.
            comment = [*(comment if is_above else []), words[1]]
        elif named and named[1] not in _INTERNAL:
            value = yaml.safe_dump(defaults[named[1]], default_flow_style=True).removesuffix("...\n").strip()
            yield f"| `{named[1]}` | `{value}` | {_text(' '.join(comment))} |"
        is_above = bool(words)
    yield ""


def _seeds() -> Iterator[str]:
    yield from ["## Seeds", "", "In `offdag/seeds`, one CSV file each. A column that is left out is empty."]
    document = yaml.safe_load((ROOT / "monitor_project" / "seeds" / "_seeds.yml").read_text(encoding="utf-8"))
    for seed in document["seeds"]:
        yield from [
            "",
            f"### {seed['name']}.csv",
            "",
            _text(seed["description"]),
            "",
            "| column | meaning |",
            "| --- | --- |",
        ]
        yield from (f"| `{column['name']}` | {_text(column['description'])} |" for column in seed["columns"])


def _text(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip().replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
