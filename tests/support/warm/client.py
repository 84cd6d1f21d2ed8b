"""A call of dbt, or of the monitor's planner, as a fork of the server beside this file; the real program where there is none.

The fork is not in the caller's process group: a signal for the group reaches it once, through this process, as one for this process does.
"""

import os
import sys

# Others are imported where they are used: every Python of the tests starts with this module.
FOLDER = __file__.rpartition("/")[0]


def call(program):
    """End as the fork ends; returns where the server makes none."""
    import signal

    passed = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
    # What a caller ignores, as nohup does, or blocks, the fork would not inherit.
    if any(signal.getsignal(n) is signal.SIG_IGN for n in passed) or signal.pthread_sigmask(signal.SIG_BLOCK, passed):
        return
    server = forked(program)
    if server:
        for number in passed:
            signal.signal(number, lambda number, _: server.send(bytes([number])))
    # Those that came meanwhile are passed on now.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, passed)
    if server:
        end = server.recv(2)
        # None comes between the fork's end and this one's.
        signal.pthread_sigmask(signal.SIG_BLOCK, passed)
        code = int.from_bytes(end, "big", signed=True)
        if code < 0:
            if -code in passed:
                signal.signal(-code, signal.SIG_DFL)
            os.kill(os.getpid(), -code)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, passed)
        os._exit(code if end else 70)


def forked(program):
    """The connection to the server, which has made the fork; None where it cannot."""
    import marshal
    import socket

    os.umask(mask := os.umask(0))
    server = socket.socket(socket.AF_UNIX)
    try:
        server.connect(f"{FOLDER}/socket")
        message = marshal.dumps((program, os.getcwd(), dict(os.environ), mask))  # noqa: PTH109 # pathlib would slow each start
        socket.send_fds(server, [len(message).to_bytes(4, "big")], [0, 1, 2])
        server.sendall(message)
        return server if server.recv(1) == b"+" else None
    except OSError:
        return None


if __name__ == "__main__":
    call(["dbt", *sys.argv[1:]])
    real = f"{sys.executable.rpartition('/')[0]}/dbt"
    os.execv(real, [real, *sys.argv[1:]])
if sys.orig_argv[1:3] == ["-m", "offdag.monitor.planner"]:
    call(sys.orig_argv[2:])
# Python takes the first module of this name: the next one, as a measured run has, comes after it.
sys.path.remove(FOLDER)
del sys.modules["sitecustomize"]
import sitecustomize  # noqa: E402, F401
