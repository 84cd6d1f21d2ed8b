"""A private Postgres server on loopback for benchmarks and tests, which stops with them."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Postgres:
    """Where a running server is."""

    port: int
    user: str

    def profile(self, schema: str = "public") -> str:
        """A dbt target."""
        return (
            f"{{type: postgres, host: 127.0.0.1, port: {self.port}, user: {self.user}, password: none, "
            f"dbname: postgres, schema: {schema}}}"
        )


def binaries() -> Path | None:
    """The folder with initdb and postgres; Debian keeps it off PATH."""
    found = shutil.which("initdb")
    candidates = [Path(found).parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((c for c in candidates if (c / "initdb").is_file() and (c / "postgres").is_file()), None)


@contextmanager
def running(folder: Path) -> Iterator[Postgres]:
    """Start a server in a new data folder. Postgres refuses to run as root, so root hands it to the user postgres."""
    bins = binaries()
    assert bins is not None
    user = "postgres" if os.geteuid() == 0 else None
    data = folder / "data"
    data.mkdir(mode=0o700)
    if user:
        entry = pwd.getpwnam(user)
        for path in (folder, data):
            os.chown(path, entry.pw_uid, entry.pw_gid)
        # The folders above must let the server's user through.
        for parent in folder.parents:
            if parent.stat().st_uid == os.geteuid() and parent != Path("/"):
                parent.chmod(parent.stat().st_mode | 0o011)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    subprocess.run(
        [bins / "initdb", "-D", data, "-U", "offdag", "-A", "trust", "-E", "UTF8", "--no-sync"],
        user=user, cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    server = subprocess.Popen(
        [bins / "postgres", "-D", data, "-p", str(port), "-c", "listen_addresses=127.0.0.1", "-k", str(data), "-F"],
        user=user, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert time.monotonic() < deadline, "Postgres did not start"
                time.sleep(0.1)
        yield Postgres(port, "offdag")
    finally:
        server.terminate()
        server.wait(30)
