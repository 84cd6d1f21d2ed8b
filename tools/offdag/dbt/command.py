"""One parse of a dbt command line: what it does, on which project, with which target and profile, and where it writes.

All code gets targets, folders and profiles from a ``DbtInvocation``. Flags are searched only after the word ``dbt``: the
``-t`` of ``docker run -t`` is not dbt's.
"""

from __future__ import annotations

import logging
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from offdag.artifacts.results import BUILD_COMMANDS
from offdag.dbt.project import DbtProject, default_target, profile_output, rendered
from offdag.errors import UsageError

_log = logging.getLogger(__name__)

# dbt, dbt Fusion, and wrappers with their own names; `python -m dbt.cli.main` too.
_DBT = re.compile(r"dbt(f|-fusion|-ol|\.cli\.main)?(\.exe)?")
# Wrappers that start dbt on this machine, with the profile that is here.
_LOCAL_WRAPPERS = frozenset({"uv", "uvx", "poetry", "pdm", "pipenv", "hatch", "rye", "env", "nice", "time"})
_SHELL_OPERATORS = frozenset({"&&", "||", ";", "|", "&", "&&;"})
_VERBS = BUILD_COMMANDS | {
    "source", "freshness", "compile", "docs", "ls", "list", "parse", "show", "run-operation", "deps", "debug", "clean", "init",
}  # fmt: skip
_SELECTION = ("--select", "-s", "--models", "--model", "-m", "--selector", "--exclude")
# Other flags of ``dbt build`` that decide what is selected: with values, and without.
_CHOICES = (
    "--resource-type", "--resource-types", "--exclude-resource-type", "--exclude-resource-types", "--state", "--defer-state",
    "--indirect-selection",
)  # fmt: skip
_SWITCHES = ("--defer", "--no-defer", "--favor-state", "--no-favor-state")
# Flags that also mean something to `dbt source freshness`.
_SHARED_FLAGS = ("--target", "--target-path", "--log-path", "--profiles-dir", "--profile", "--project-dir", "--vars")


@dataclass(frozen=True)
class DbtInvocation:
    """What a dbt command does and where, according to its flags, its variables and the project's files.

    Attributes:
        verb: Such as build; None where the command line shows none.
        target: None for the profile's default.
        project_dir: Folder of the dbt project.
        target_path: Where dbt writes its artifacts.
        log_path: Folder of dbt.log.
        profiles_dir: Folder of profiles.yml that a flag, a variable or dbt itself names; None for dbt's own search.
        profile: Its name in profiles.yml; None where neither flag, variable nor project name one.
        environ: Variables that dbt reads.
        cwd: Folder in which the command runs.
    """

    verb: str | None
    target: str | None
    project_dir: Path
    target_path: Path
    log_path: Path
    profiles_dir: Path | None
    profile: str | None
    environ: Mapping[str, str] = field(repr=False)
    cwd: Path

    @classmethod
    def parse(cls, command: Sequence[str], cwd: Path, environ: Mapping[str, str]) -> DbtInvocation:
        """Parse a command line that runs in a folder; an empty one gives what dbt would use without flags.

        A value that cannot be rendered is logged and left at dbt's default: dbt itself reports it.
        """
        words = dbt_words(command)

        def chosen(variable: str, *names: str) -> str | None:
            return flag_value(words, *names) or environ.get(variable) or None

        project_dir = cwd / (chosen("DBT_PROJECT_DIR", "--project-dir") or "")
        project = DbtProject(project_dir, environ)
        log_path = chosen("DBT_LOG_PATH", "--log-path")
        profiles_dir = chosen("DBT_PROFILES_DIR", "--profiles-dir")
        target_path = chosen("DBT_TARGET_PATH", "--target-path") or _or_logged(lambda: project.setting("target-path"))
        return cls(
            verb=next((word for word in words if word in _VERBS), None),
            target=chosen("DBT_TARGET", "--target", "-t"),
            project_dir=project_dir,
            # dbt reads a relative target path in the project, and a relative log path in the working folder.
            target_path=project_dir / (target_path or "target"),
            log_path=cwd / log_path
            if log_path
            else project_dir / (_or_logged(lambda: project.setting("log-path")) or "logs"),
            profiles_dir=cwd / profiles_dir if profiles_dir else None,
            profile=chosen("DBT_PROFILE", "--profile")
            or _or_logged(lambda: project.setting("profile") or project.setting("name")),
            environ=environ,
            cwd=cwd,
        )

    def confirmed_by(self, args: Mapping[str, Any]) -> DbtInvocation:
        """The same with what dbt itself wrote into ``run_results.args``: it knows what it ran with."""

        def written(name: str) -> str | None:
            value = args.get(name)
            return value if isinstance(value, str) and value else None

        profiles_dir = written("profiles_dir")
        return replace(
            self,
            target=written("target") or self.target,
            profile=written("profile") or self.profile,
            profiles_dir=self.cwd / profiles_dir if profiles_dir else self.profiles_dir,
        )

    @property
    def project(self) -> DbtProject:
        """The project's own file."""
        return DbtProject(self.project_dir, self.environ)

    @property
    def project_name(self) -> str | None:
        """The project's name; None where it has none, or one that cannot be rendered."""
        return _or_logged(lambda: self.project.name)

    def target_of(self, command: Sequence[str]) -> str | None:
        """The target that a command builds: the given one, else the profile's default; None where dbt may read another profile."""
        if self.target or not command or not runs_here(command):
            return self.target
        try:
            return default_target(self.profiles_file, self.profile, self.environ)
        except UsageError:
            # dbt itself reports what is wrong with the profile.
            return None

    @property
    def profiles_file(self) -> Path:
        """The profiles.yml that dbt reads.

        Raises:
            UsageError: There is no such file.
        """
        folders = (
            [self.profiles_dir] if self.profiles_dir else [self.cwd, self.project_dir, Path("~/.dbt").expanduser()]
        )
        path = next((folder / "profiles.yml" for folder in folders if (folder / "profiles.yml").is_file()), None)
        if path is None:
            searched = ", ".join(dict.fromkeys(map(str, folders)))
            raise UsageError("there is no profiles.yml", searched, "dbt debug")
        return path

    def connection(self, *keys: str) -> dict[str, Any]:
        """Some values of the profile's output for the target, with ``env_var`` rendered.

        Args:
            keys: Names of the values. Variables of other values, such as a password, need not be set. Missing values are left out.

        Raises:
            UsageError: There is no such profile or output, or a variable that it needs is not set.
        """
        path = self.profiles_file
        output = profile_output(path, self.profile, self.target, self.environ)
        return {key: rendered(output[key], self.environ, path) for key in keys if key in output}


def has_flag(command: Sequence[str], *names: str) -> bool:
    """Whether a dbt command has a flag, under any of its names."""
    return any(word.partition("=")[0] in names for word in dbt_words(command))


def dbt_words(command: Sequence[str]) -> list[str]:
    """The words after ``dbt`` in a command line, up to a shell operator; none where it holds no dbt.

    A wrapper may precede it (``uv run dbt ...``), and a shell's script may be one word (``sh -c 'dbt build'``).
    """
    words, start = list(command), _program_at(command)
    if start is None:
        words = [part for word in command for part in (_split(word) if " " in word else [word])]
        start = _program_at(words)
    if start is None:
        return []
    behind = words[start + 1 :]
    end = next((i for i, word in enumerate(behind) if word in _SHELL_OPERATORS), len(behind))
    return behind[:end]


def flag_value(words: Sequence[str], *names: str) -> str | None:
    """The value of a flag, under any of its names; the last one counts, as in dbt. None where it is not given."""
    found = None
    for i, word in enumerate(words):
        name, is_joined, value = word.partition("=")
        if name in names and is_joined:
            found = value
        elif word in names and i + 1 < len(words):
            found = words[i + 1]
    return found


def selects(command: Sequence[str]) -> bool:
    """Whether a dbt command chooses nodes itself."""
    return has_flag(command, *_SELECTION)


def freshness_command(command: Sequence[str]) -> list[str]:
    """``dbt source freshness`` with the wrapper, target, profile and folders of another dbt command; empty where that holds no dbt."""
    words = dbt_words(command)
    if not words:
        return []
    start = _program_at(command)
    if start is None:
        return []
    # What is before dbt's verb is meant for all of dbt, such as --quiet.
    general = next((words[:number] for number, word in enumerate(words) if word in _VERBS), [])
    given_twice = any(word.partition("=")[0] in _SHARED_FLAGS for word in general)
    return [
        *command[: start + 1],
        *([] if given_twice else general),
        "source",
        "freshness",
        *_shared_flags(words),
    ]


def show_command(command: Sequence[str], query: str, limit: int, folder: Path) -> list[str]:
    """``dbt show`` of a query with the wrapper, target, profile and project of another dbt command.

    Args:
        command: Holds dbt; a script that hides it gives plain ``dbt``.
        query: May hold Jinja.
        limit: Most rows.
        folder: Gets the artifacts and the log.
    """
    words = dbt_words(command)
    return [
        *_program(command),
        "show",
        "--inline",
        query,
        "--output",
        "json",
        "--limit",
        str(limit),
        *_shared_flags(words, folder),
    ]


def list_command(command: Sequence[str], resource_types: Sequence[str], keys: Sequence[str], folder: Path) -> list[str]:
    """``dbt ls`` of what a dbt command selects, one JSON document per node, with its wrapper, target, profile and project.

    Args:
        command: Holds dbt; a script that hides it gives plain ``dbt`` without a selection.
        resource_types: Kinds of nodes that the command builds; none for all.
        keys: Fields of a node.
        folder: Gets the artifacts and the log.
    """
    words = dbt_words(command)
    kinds = [part for kind in resource_types for part in ("--resource-type", kind)]
    return [
        *_program(command),
        "--quiet",
        "ls",
        "--output",
        "json",
        "--output-keys",
        *keys,
        *_selection_flags(words),
        *kinds,
        *_shared_flags(words, folder),
    ]


def plain_command(command: Sequence[str], *arguments: str) -> list[str]:
    """Another dbt command with the wrapper, target, profile and folders of a dbt command."""
    return [*_program(command), *arguments, *_shared_flags(dbt_words(command))]


def _program(command: Sequence[str]) -> list[str]:
    """The program of a dbt command with its wrapper; a script that hides it gives plain ``dbt``."""
    start = _program_at(command)
    return list(command[: start + 1]) if start is not None else ["dbt"]


def _shared_flags(words: Sequence[str], folder: Path | None = None) -> list[str]:
    """The target, profile, project and variables of a dbt command, and where it writes, which may be another folder."""
    flags = {name: flag_value(words, name, *(["-t"] if name == "--target" else [])) for name in _SHARED_FLAGS}
    if folder:
        own: dict[str, str | None] = {"--target-path": str(folder / "target"), "--log-path": str(folder)}
        flags = {name: value for name, value in flags.items() if name not in own} | own
    return [part for name, value in flags.items() if value for part in (name, value)]


def _selection_flags(words: Sequence[str]) -> list[str]:
    """The flags by which a command chooses nodes, with all their values."""
    found: list[str] = []
    is_open = False
    for word in words:
        if word.startswith("-"):
            name = word.partition("=")[0]
            is_open = name in (*_SELECTION, *_CHOICES)
            found += [word] if is_open or name in _SWITCHES else []
        elif is_open:
            found.append(word)
    return found


def runs_here(command: Sequence[str]) -> bool:
    """Whether dbt is called on this machine itself, and not in a container or on another host."""
    start = _program_at(command)
    return start == 0 or (start is not None and Path(command[0]).name in _LOCAL_WRAPPERS)


def _program_at(words: Sequence[str]) -> int | None:
    """Where dbt is called: a wrapper's image, service or folder may have its name too (``docker compose run dbt dbt build``)."""
    named = [i for i, word in enumerate(words) if _DBT.fullmatch(Path(word).name)]
    if not named:
        return None
    verb = next((i for i, word in enumerate(words) if i > named[0] and word in _VERBS), len(words))
    # What follows a flag is its value.
    called = [i for i in named if i < verb and not (i and words[i - 1].startswith("-"))]
    return (called or named[:1])[-1]


def _split(word: str) -> list[str]:
    lexer = shlex.shlex(word, posix=True, punctuation_chars=";&|")
    lexer.whitespace_split = True
    try:
        return list(lexer)
    except ValueError:
        return [word]


def _or_logged(read: Callable[[], str | None]) -> str | None:
    try:
        return read()
    except UsageError as error:
        _log.warning("%s", error)
        return None
