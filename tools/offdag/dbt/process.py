"""A program as its own process group: signals passed on, the terminal lent to it, its output as it is."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from offdag.dbt.signals import SignalRelay
from offdag.errors import UsageError

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ProcessEnd:
    """How a process ended.

    Attributes:
        exit_code: Its own, or 128 + n on signal n.
        signal_name: Such as SIGKILL; None where it exited by itself.
    """

    exit_code: int
    signal_name: str | None


def run_process(
    command: Sequence[str],
    cwd: Path,
    environ: Mapping[str, str],
    relay: SignalRelay,
    on_start: Callable[[], None] = lambda: None,
) -> ProcessEnd:
    """Run a program to its end.

    Args:
        command: Program and arguments, such as ``dbt build --target prod``.
        cwd: Folder in which it runs.
        environ: Its whole environment.
        relay: Passes signals on; it is entered already.
        on_start: Called once it runs; threads may be started then.

    Raises:
        UsageError: It cannot be started.
    """
    terminal = _Terminal()
    try:
        process = subprocess.Popen(
            list(command),
            cwd=cwd,
            env=environ,
            # Its own group: signals reach dbt below a wrapper such as uv or make, and Ctrl-C reaches it once.
            preexec_fn=terminal.enter_group,  # noqa: PLW1509 - no other thread runs here
        )
    except OSError as error:
        terminal.take_back()
        raise UsageError(
            f"cannot start {command[0]}: {error.strerror}", str(cwd), "pip install dbt-core dbt-duckdb"
        ) from error
    relay.attach(process.pid)
    on_start()
    try:
        process.returncode = code = terminal.wait(process.pid)
    finally:
        relay.detach()
        terminal.take_back()
    if code >= 0:
        return ProcessEnd(code, None)
    return ProcessEnd(128 - code, signal.Signals(-code).name)


@contextlib.contextmanager
def one_run_at_a_time(target_path: Path, timeout: float, relay: SignalRelay) -> Iterator[None]:
    """Keep two runs out of one target folder: each would collect the other's artifacts as its own. Nothing is written in the folder.

    Raises:
        UsageError: Another run used it for the whole timeout, or a signal ended the wait.
    """
    from filelock import FileLock, Timeout

    name = hashlib.sha256(str(target_path.absolute()).encode()).hexdigest()[:16]
    lock = FileLock(Path(tempfile.gettempdir()) / f"offdag-{os.getuid()}-{name}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        _log.info("another offdag run uses %s: waiting up to %.0f s", target_path, timeout)
    try:
        lock.acquire(timeout=timeout, cancel_check=lambda: relay.stopped_by is not None)
    except Timeout:
        waited = f"until {relay.stopped_by}" if relay.stopped_by else f"for {timeout:.0f} s"
        raise UsageError(
            f"another offdag run has used the target folder {waited}",
            str(target_path),
            "offdag run -- dbt build --target-path target_2",
        ) from None
    try:
        yield
    finally:
        lock.release()


class _Terminal:
    """The terminal that offdag was started from, lent to dbt as a shell does; does nothing without one."""

    def __init__(self) -> None:
        self._file: int | None = None
        with contextlib.suppress(OSError):
            file = os.open("/dev/tty", os.O_RDWR | os.O_CLOEXEC)
            if os.tcgetpgrp(file) == os.getpgrp():
                self._file = file
            else:
                os.close(file)

    def enter_group(self) -> None:
        """Put the calling process into its own group, in the foreground: runs between fork and exec."""
        os.setpgid(0, 0)
        self._lend(os.getpid())

    def wait(self, pid: int) -> int:
        """The exit code of a process, negative for a signal. Ctrl-Z stops offdag with it, and fg continues both."""
        while True:
            _, status = os.waitpid(pid, os.WUNTRACED if self._file is not None else 0)
            if not os.WIFSTOPPED(status):
                return os.waitstatus_to_exitcode(status)
            self._lend(os.getpgrp())
            # The whole group: the shell waits for make or a pipe's other programs too.
            os.killpg(os.getpgrp(), signal.SIGSTOP)
            # After bg the terminal belongs to the shell.
            if self._is_foreground():
                self._lend(pid)
            os.killpg(pid, signal.SIGCONT)

    def take_back(self) -> None:
        """Become the foreground group again."""
        self._lend(os.getpgrp())
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _is_foreground(self) -> bool:
        return self._file is not None and os.tcgetpgrp(self._file) == os.getpgrp()

    def _lend(self, group: int) -> None:
        if self._file is None:
            return
        # A background process that sets the foreground is stopped by this signal otherwise.
        previous = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        with contextlib.suppress(OSError):
            os.tcsetpgrp(self._file, group)
        signal.signal(signal.SIGTTOU, previous)
