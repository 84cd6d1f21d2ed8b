"""The command line: verbs, flags, and the one map from errors to exit codes. No logic lives here."""

from __future__ import annotations

import sys

import click

from offdag.cli import collect, history, monitor, notify, review
from offdag.cli.verb import cli, say
from offdag.errors import ExitCode, OffdagError

# Importing the modules names their verbs.
__all__ = ["cli", "collect", "history", "main", "monitor", "notify", "review"]


def main() -> None:
    """Run a verb; the one place where errors become exit codes. What is not expected keeps its traceback."""
    try:
        code = cli(standalone_mode=False)
    except click.exceptions.Exit as ended:
        code = ended.exit_code
    except click.Abort:
        code = 130
    except click.ClickException as error:
        error.show()
        code = ExitCode.USAGE
    except OffdagError as error:
        say(str(error))
        code = error.exit_code
    sys.exit(int(code or 0))
