"""The command line: verbs, flags, and the one map from errors to exit codes. Each verb's work is a function elsewhere."""

from __future__ import annotations

import contextlib
import sys

import click

from offdag.cli import collect, history, init, monitor, notify, review
from offdag.cli.output import log_to_stderr
from offdag.cli.verb import cli
from offdag.errors import ExitCode, OffdagError

# Importing the modules adds their verbs to the group.
__all__ = ["cli", "collect", "history", "init", "main", "monitor", "notify", "review"]


def main() -> None:
    """Run a verb; the one place where errors become exit codes. An unexpected error keeps its traceback."""
    log = log_to_stderr()
    try:
        code = cli(standalone_mode=False)
    except click.exceptions.Exit as ended:
        code = ended.exit_code
    except click.Abort:
        code = 130
    except click.ClickException as error:
        with contextlib.suppress(OSError):
            error.show()
        code = ExitCode.USAGE
    except OffdagError as error:
        log.error("%s", error)
        code = error.exit_code
    sys.exit(int(code or 0))
