"""dbt, imported once for a pytest process and forked for each call: a real dbt needs more than a second for its imports alone.

``server.py`` has imported dbt. ``client.py`` stands first on PATH as ``dbt``, and on PYTHONPATH as ``sitecustomize`` for the monitor's
planner: each call becomes a fork of the server, with the caller's files, folder, variables and signals, that runs the real program from its
first line on.
"""

from __future__ import annotations

import atexit
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

_HERE = Path(__file__).parent
BIN = Path(sys.executable).parent
# Variables under which the real programs are called.
COLD = {"PATH": f"{BIN}:{os.environ['PATH']}", "PYTHONPATH": os.environ.get("PYTHONPATH", "")}


@cache
def start() -> Path:
    """The folder of the client, of the server's socket, and of its log: a line for each call that it served or refused.

    The server imports dbt at the first call, and ends with this process, however that ends.
    """
    folder = Path(tempfile.mkdtemp(prefix="warm-"))
    client = (_HERE / "client.py").read_text()
    (folder / "sitecustomize.py").write_text(client)
    # Isolated and without site: the client starts in a hundredth of a second.
    (folder / "dbt").write_text(f"#!{sys.executable} -IS\n{client}")
    (folder / "dbt").chmod(0o755)
    # It listens before there is a server, so that no call comes too early.
    with socket.socket(socket.AF_UNIX) as listening, (folder / "log").open("w") as log:
        listening.bind(str(folder / "socket"))
        listening.listen(64)
        server = subprocess.Popen(
            [sys.executable, str(_HERE / "server.py"), str(listening.fileno())],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            pass_fds=[listening.fileno()],
            # Not measured: coverage would run in each of its forks.
            env={k: v for k, v in os.environ.items() if k != "MEASURED_BY"} | warm(folder),
        )
    atexit.register(shutil.rmtree, folder)
    # Closes its standard input, at which it ends, and waits for it.
    atexit.register(server.communicate)
    return folder


def warm(folder: Path) -> Mapping[str, str]:
    """Variables under which calls are forks of the server."""
    return {name: f"{folder}:{value}".rstrip(":") for name, value in COLD.items()}


def variables() -> Mapping[str, str]:
    """Those of ``environ``: the real programs where the system has no descriptors of processes."""
    return warm(start()) if hasattr(os, "pidfd_open") else COLD
