"""What a monitored project's own files say: its name, its target folder, its connection. dbt itself is not needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from offdag.errors import UsageError


class DbtProject:
    """The folder of a dbt project; nothing in it is written.

    Args:
        folder: Holds dbt_project.yml.
        environ: Variables that dbt would read.
    """

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        self.folder = folder
        self._environ = environ
        self._settings = _yaml(folder / "dbt_project.yml")

    @property
    def name(self) -> str | None:
        """The project's name; None where it has none."""
        return self._setting("name")

    def target_path(self, command: Sequence[str] = ()) -> Path:
        """Where a dbt command writes its artifacts: dbt's flag, then its variable, then dbt_project.yml, then ``target``."""
        told = command_flag(command, "--target-path") or self._environ.get("DBT_TARGET_PATH")
        return self.folder / (told or self._setting("target-path") or "target")

    def connection(self, target: str | None, *keys: str) -> dict[str, Any]:
        """Some values of the profile's output for a target, with ``env_var`` rendered.

        Args:
            target: Name of an output; None for the profile's default.
            keys: What is asked for: variables of other values, such as a password, need not be set. A value that is not there is left out.

        Raises:
            UsageError: There is no such profile or output, or a variable that it needs is not set.
        """
        profile_name = self._setting("profile") or self.name
        folders = [self._environ.get("DBT_PROFILES_DIR"), str(self.folder), str(Path("~/.dbt").expanduser())]
        path = next((p for p in (Path(f) / "profiles.yml" for f in folders if f) if p.is_file()), None)
        if path is None:
            raise UsageError("there is no profiles.yml", ", ".join(f for f in folders if f), "dbt debug")
        profile = _yaml(path).get(profile_name or "")
        outputs = profile.get("outputs") if isinstance(profile, dict) else None
        if not isinstance(profile, dict) or not isinstance(outputs, dict):
            raise UsageError(f"there is no profile {profile_name!r} with outputs", str(path), "dbt debug")
        chosen = target or self._environ.get("DBT_TARGET") or self._rendered(profile.get("target", "default"), path)
        output = outputs.get(chosen)
        if not isinstance(output, dict):
            raise UsageError(
                f"profile {profile_name!r} has no target {chosen!r}",
                str(path),
                f"use one of: {', '.join(map(str, outputs))}",
            )
        return {key: self._rendered(output[key], path) for key in keys if key in output}

    def _setting(self, key: str) -> str | None:
        value = self._settings.get(key)
        return value if isinstance(value, str) and "{{" not in value else None

    def _rendered(self, value: Any, path: Path) -> Any:
        if not isinstance(value, str) or "{{" not in value:
            return value
        from jinja2 import TemplateError
        from jinja2.sandbox import SandboxedEnvironment

        def env_var(name: str, default: str | None = None) -> str:
            found = self._environ.get(name, default)
            if found is None:
                raise UsageError(f"the variable {name} is not set", str(path), f"export {name}=...")
            return found

        try:
            environment = SandboxedEnvironment()
            # dbt's own filters, for which type a value gets; here each stays text.
            environment.filters.update(
                dict.fromkeys(("as_text", "as_bool", "as_native", "as_number"), lambda text: text)
            )
            return environment.from_string(value).render(env_var=env_var)
        except TemplateError as error:
            raise UsageError(f"a value cannot be rendered: {error}", str(path), "dbt debug") from error


def find_project(artifact_folder: Path) -> DbtProject | None:
    """The dbt project around a target folder; None where there is none."""
    for folder in (artifact_folder, *artifact_folder.absolute().parents[:2]):
        if (folder / "dbt_project.yml").is_file():
            return DbtProject(folder, {})
    return None


def command_flag(command: Sequence[str], name: str) -> str | None:
    """The value of a flag in a command line; None where it is not given."""
    for i, word in enumerate(command):
        if word == name and i + 1 < len(command):
            return command[i + 1]
        if word.startswith(f"{name}="):
            return word.partition("=")[2]
    return None


def _yaml(path: Path) -> dict[str, Any]:
    import yaml

    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return {}
    return document if isinstance(document, dict) else {}
