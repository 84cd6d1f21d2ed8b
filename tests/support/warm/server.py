"""A process that has imported dbt, and becomes a fork of itself for each call; see ``client.py``.

    python server.py DESCRIPTOR    # of a listening socket; it ends with its standard input

It has no threads and no connection when it forks: DuckDB is imported by the forks, since its allocator starts a thread.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import marshal
import os
import runpy
import select
import signal
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path

DBT = Path(sys.executable).parent / "dbt"
# What a build imports, but DuckDB and its adapter.
MODULES = (
    "babel.dates", "daff", "dbt.adapters.sql", "dbt.cli.main", "dbt.parser.schema_yaml_readers", "dbt.runners", "dbt.task.build",
    "dbt.task.freshness", "dbt.task.list", "dbt.task.show", "dbt_artifacts_parser", "dbt_common.clients.agate_helper",
    "google.protobuf.descriptor_pb2", "multiprocessing.pool", "multiprocessing.resource_tracker", "sqlparse",
)  # fmt: skip
# Classes whose JSON schema every parse makes first: it depends on the class alone, and dbt keeps it.
SCHEMAS = (
    ("dbt.artifacts.resources", "ModelConfig", "SeedConfig", "SnapshotConfig", "SourceConfig", "TestConfig"),
    ("dbt.contracts.graph.nodes", "GenericTestNode", "ModelNode", "SeedNode", "SingularTestNode", "SnapshotNode"),
    ("dbt.contracts.graph.unparsed", "UnparsedModelUpdate", "UnparsedNodeUpdate", "UnparsedSourceDefinition", "UnparsedUnitTest"),
    ("dbt.contracts.project", "Configuration", "PackageConfig", "Project", "ProjectFlags"),
)  # fmt: skip
# Beginnings of the variables that the interpreter, the C library and these modules read before a program's first line.
READ_AT_START = (
    "DBT_ENGINE_RECORDER_", "DBT_MACRO_DEBUGGING", "DBT_RECORDER_", "HOME", "LANG", "LC_", "LD_", "MSGPACK_", "NETWORKX_", "OTEL_",
    "PROTOCOL_BUFFERS_", "PYTHON",
)  # fmt: skip


@dataclass(frozen=True)
class Call:
    """What a client asked for."""

    program: list[str]
    cwd: str
    environ: dict[str, str]
    umask: int
    files: list[int]

    @classmethod
    def read(cls, client: socket.socket) -> Call:
        head, files, _, _ = socket.recv_fds(client, 4, 3)
        message = client.recv(int.from_bytes(head, "big"), socket.MSG_WAITALL)
        return cls(*marshal.loads(message), files)

    def is_like_this_process(self) -> bool:
        """Whether a process of its own would have started as this one did."""
        own, other = ({k: v for k, v in of.items() if k.startswith(READ_AT_START)} for of in (os.environ, self.environ))
        return own == other

    def take_over(self) -> None:
        """Become the process that was called."""
        os.setpgid(0, 0)
        for number, file in enumerate(self.files):
            os.dup2(file, number)
        self.close()
        os.chdir(self.cwd)
        os.umask(self.umask)
        os.environ.clear()
        os.environ.update(self.environ)
        time.tzset()
        sys.stdout.reconfigure(line_buffering=sys.stdout.isatty())

    def run(self) -> None:
        """Run the program as the interpreter does."""
        from dbt_common.invocation import reset_invocation_id

        # A process makes the id and the time of its first invocation when it imports dbt.
        reset_invocation_id()
        name, *arguments = self.program
        if name == DBT.name:
            sys.argv, sys.path[0] = [str(DBT), *arguments], str(DBT.parent)
            runpy.run_path(sys.argv[0], run_name="__main__")
        else:
            sys.argv, sys.path[0] = [name, *arguments], self.cwd
            runpy.run_module(name, run_name="__main__", alter_sys=True)

    def close(self) -> None:
        for file in self.files:
            os.close(file)


@dataclass(frozen=True, eq=False)
class Fork:
    """A running call.

    Attributes:
        pid: Its process.
        process: A descriptor of it, ready at its end.
        client: The caller, which waits for it; ready with a signal.
    """

    pid: int
    process: int
    client: socket.socket

    def pass_on(self) -> None:
        """Give it the caller's signals; a caller that is gone was killed."""
        numbers = b""
        with contextlib.suppress(ConnectionError):
            numbers = self.client.recv(64)
        for number in numbers or [signal.SIGKILL]:
            os.killpg(self.pid, number)

    def end(self) -> None:
        """Tell the caller how it ended."""
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        with contextlib.suppress(ConnectionError):
            self.client.send(code.to_bytes(2, "big", signed=True))
        self.close()

    def close(self) -> None:
        os.close(self.process)
        self.client.close()


class Server:
    """Makes forks, and is the parent of all.

    Args:
        listening: Where callers come.
    """

    def __init__(self, listening: socket.socket) -> None:
        self._listening = listening
        self._forks: list[Fork] = []

    def next_call(self) -> Call | None:
        """Serve: returns in each fork, with its call, and at the end of standard input without one."""
        while True:
            clients = [fork.client for fork in self._forks]
            ready, _, _ = select.select([0, self._listening, *clients, *(f.process for f in self._forks)], [], [])
            for fork in self._forks.copy():
                if fork.client in ready:
                    fork.pass_on()
                if fork.process in ready:
                    fork.end()
                    self._forks.remove(fork)
            if 0 in ready:
                for fork in self._forks:
                    os.killpg(fork.pid, signal.SIGKILL)
                return None
            if self._listening in ready and (call := self._accept()):
                return call

    def _accept(self) -> Call | None:
        """Make a fork, if the call can have one; it is returned in the fork alone."""
        client, _ = self._listening.accept()
        try:
            call = Call.read(client)
        except (ConnectionError, EOFError):
            # The caller was killed meanwhile.
            client.close()
            return None
        pid = os.fork() if call.is_like_this_process() else None
        if pid == 0:
            for end in (self._listening, client, *self._forks):
                end.close()
            return call
        print("refused" if pid is None else f"served by {pid}:", *call.program, flush=True)
        call.close()
        if pid is None:
            client.close()
        else:
            # Also here: a signal may come before the fork has done it.
            os.setpgid(pid, pid)
            self._forks.append(Fork(pid, os.pidfd_open(pid), client))
            with contextlib.suppress(ConnectionError):
                client.send(b"+")
        return None


def main(descriptor: str) -> None:
    """Import dbt once there is a call, and serve."""
    # Ctrl-C is for pytest, at whose end this process ends.
    os.setpgid(0, 0)
    listening = socket.socket(fileno=int(descriptor))
    if 0 in select.select([0, listening], [], [])[0]:
        return
    # Not this folder, whose modules would be found before others of their names.
    sys.path[0] = str(DBT.parent)
    for name in MODULES:
        importlib.import_module(name)
    for name, *classes in SCHEMAS:
        for of in classes:
            getattr(importlib.import_module(name), of).json_schema()
    assert len(list(Path("/proc/self/task").iterdir())) == 1, "a module has started a thread: a fork would not have it"
    gc.freeze()
    if call := Server(listening).next_call():
        call.take_over()
        call.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
