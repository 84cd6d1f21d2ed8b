"""dbt_project.yml and profiles.yml as dbt reads them. dbt itself is not needed, and nothing is written."""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from offdag.errors import UsageError

_VARIABLE = re.compile(r"\w+")


class DbtProject:
    """The folder of a dbt project.

    Args:
        folder: Holds dbt_project.yml; a folder without one is a project without settings.
        environ: Variables that dbt would read.
    """

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        self.folder = folder
        self.environ = environ
        self.file = folder / "dbt_project.yml"
        self._settings = _yaml(self.file)

    def setting(self, key: str) -> str | None:
        """A text of dbt_project.yml with ``env_var`` rendered, such as name, profile or target-path; None where it is not set.

        Raises:
            UsageError: It cannot be rendered.
        """
        value = rendered(self._settings.get(key), self.environ, self.file)
        return value if isinstance(value, str) and value else None

    @property
    def name(self) -> str | None:
        """The project's name; None where it has none.

        Raises:
            UsageError: It cannot be rendered.
        """
        return self.setting("name")

    def variable_hashes(self) -> str:
        """The variables of dbt_project.yml, also those of packages, as `name=hash` with spaces between; empty without one.

        Their values may be secret, and are not shown.
        """
        given = self._settings.get("vars")
        found = dict(given) if isinstance(given, dict) else {}
        for value in tuple(found.values()):
            found |= value if isinstance(value, dict) else {}
        # Keys and values may be of any type that YAML has, and repr() ends where a value holds itself.
        hashes = {str(name): hashlib.sha256(repr(value).encode()).hexdigest()[:8] for name, value in found.items()}
        return " ".join(f"{name}={hashes[name]}" for name in sorted(hashes) if _VARIABLE.fullmatch(name))


def checked_project(folder: Path, environ: Mapping[str, str], example: str) -> DbtProject:
    """The dbt project of a folder.

    Args:
        folder: Must hold dbt_project.yml.
        environ: Variables that dbt would read.
        example: A command that names a project folder, for the error.

    Raises:
        UsageError: There is no project.
    """
    project = DbtProject(folder, environ)
    if not project.file.is_file():
        raise UsageError("there is no dbt project", str(project.file), example)
    return project


def find_project(artifact_folder: Path) -> DbtProject | None:
    """The dbt project around a target folder; None where there is none."""
    for folder in (artifact_folder, *artifact_folder.absolute().parents[:2]):
        if (folder / "dbt_project.yml").is_file():
            return DbtProject(folder, {})
    return None


def profile_output(path: Path, profile: str | None, target: str | None, environ: Mapping[str, str]) -> dict[str, Any]:
    """The output of a profile for a target, not rendered yet.

    Args:
        path: The profiles.yml.
        profile: Its name in the file.
        target: Name of an output; None for the profile's default.
        environ: Variables that dbt would read.

    Raises:
        UsageError: There is no such profile or output.
    """
    outputs, default = _outputs(path, profile)
    chosen = target or rendered(default, environ, path)
    output = outputs.get(chosen)
    if not isinstance(output, dict):
        raise UsageError(
            f"profile {profile!r} has no target {chosen!r}, but {', '.join(map(str, outputs))}",
            str(path),
            f"dbt debug --target {next(iter(outputs), chosen)}",
        )
    return output


def default_target(path: Path, profile: str | None, environ: Mapping[str, str]) -> str:
    """The target that dbt uses where none is given.

    Args:
        path: The profiles.yml.
        profile: Its name in the file.
        environ: Variables that dbt would read.

    Raises:
        UsageError: There is no such profile, or its target cannot be rendered.
    """
    return str(rendered(_outputs(path, profile)[1], environ, path))


def _outputs(path: Path, profile: str | None) -> tuple[dict[str, Any], Any]:
    """The outputs of a profile and its default target, not rendered yet."""
    found = _yaml(path).get(profile or "")
    outputs = found.get("outputs") if isinstance(found, dict) else None
    if not isinstance(found, dict) or not isinstance(outputs, dict):
        raise UsageError(f"there is no profile {profile!r} with outputs", str(path), "dbt debug")
    return outputs, found.get("target", "default")


def rendered(value: Any, environ: Mapping[str, str], path: Path) -> Any:
    """A value of a YAML file with ``env_var`` rendered, and what lists and mappings hold too.

    ``as_native`` gives the list or mapping that the text shows; dbt's other type filters leave it as text.

    Raises:
        UsageError: It cannot be rendered, or a variable without a default is not set.
    """
    if isinstance(value, list):
        return [rendered(item, environ, path) for item in value]
    if isinstance(value, dict):
        return {key: rendered(item, environ, path) for key, item in value.items()}
    if not isinstance(value, str) or "{{" not in value:
        return value
    from jinja2 import TemplateError
    from jinja2.sandbox import SandboxedEnvironment

    def env_var(name: str, default: str | None = None) -> str:
        found = environ.get(name, default)
        if found is None:
            raise UsageError(f"the variable {name} is not set", str(path), f"export {name}=...")
        return found

    try:
        environment = SandboxedEnvironment()
        environment.filters.update(dict.fromkeys(("as_text", "as_bool", "as_native", "as_number"), lambda text: text))
        text = environment.from_string(value).render(env_var=env_var)
    except TemplateError as error:
        raise UsageError(f"a value cannot be rendered: {error}", str(path), "dbt debug") from error
    if "as_native" not in value:
        return text
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError):
        return text


def _yaml(path: Path) -> dict[str, Any]:
    import yaml

    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return {}
    return document if isinstance(document, dict) else {}
