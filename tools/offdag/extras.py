"""The optional libraries: `pip install offdag` is the collector alone, and extras add the rest."""

from __future__ import annotations

import sys
from importlib.util import find_spec

from offdag.errors import UsageError

# The extra of pyproject.toml that brings each library.
_EXTRA_OF = {
    "dbt": "monitor",
    "duckdb": "monitor",
    "slack_sdk": "monitor",
    "sqlglot": "monitor",
    "urllib3": "monitor",
    "altair": "report",
    "apprise": "apprise",
    "mcp": "mcp",
    "pandas": "review",
    "vl_convert": "report",
    "junitparser": "review",
    "sqlmesh": "review",
    "psycopg2": "postgres",
    "s3fs": "s3",
    "gcsfs": "gcs",
    "adlfs": "azure",
}
# Verbs that need more than the monitor.
_EXTRA_OF_VERB = {"report": "report", "serve": "report", "ci": "review", "diff": "review", "load": "postgres"}
# fsspec's scheme of a URL, where its library is optional.
_EXTRA_OF_SCHEME = {
    "s3": "s3",
    "s3a": "s3",
    "gs": "gcs",
    "gcs": "gcs",
    "abfs": "azure",
    "abfss": "azure",
    "az": "azure",
}


def missing_extra(error: ModuleNotFoundError, verb: str = "") -> UsageError | None:
    """The error about an optional library that is not installed; None for any other module.

    Args:
        error: Names the module.
        verb: The function of the verb, whose extra may bring more than this library.
    """
    name = (error.name or "").split(".")[0]
    extra = _EXTRA_OF.get(name)
    return _error(name, _EXTRA_OF_VERB.get(verb, extra)) if extra else None


def require(*modules: str) -> None:
    """Check libraries that another process will import.

    Raises:
        UsageError: One is not installed.
    """
    for module in modules:
        try:
            is_found = find_spec(module) is not None
        except ModuleNotFoundError:
            is_found = False
        if not is_found:
            name = module.split(".")[0]
            raise _error(module, _EXTRA_OF[name])


class _Hidden:
    """A finder to which one library is not installed."""

    def __init__(self, module: str) -> None:
        self._module = module

    def find_spec(self, name: str, *_: object) -> None:
        if name == self._module:
            raise ModuleNotFoundError(f"{name} is hidden", name=name)


def hide(module: str) -> None:
    """Treat a library as not installed in this process: pyarrow imports pandas at its first array, which takes 90 ms."""
    sys.meta_path.insert(0, _Hidden(module))


def install_command(url: str) -> str:
    """What to type where the library of a URL's store is not installed."""
    extra = _EXTRA_OF_SCHEME.get(url.partition("://")[0], "s3")
    return f'pip install "offdag[{extra}]"'


def _error(module: str, extra: str) -> UsageError:
    return UsageError(
        f"this needs {module}, which is not installed",
        f"the extra {extra} of offdag",
        f'pip install "offdag[{extra}]"    # in a virtual environment without your own dbt, whose version it may change',
    )
