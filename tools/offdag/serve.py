"""The report on a loopback address, drawn again when the history or the marts change. It keeps no state and has no accounts."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from offdag.errors import OffdagError, UsageError
from offdag.settings import Settings

if TYPE_CHECKING:
    from offdag.history.history import History

_log = logging.getLogger(__name__)

_HOST = "127.0.0.1"
# Seconds.
_LONGEST_WITHOUT_RUN = 300
# Each collection adds a file to the first table, each notification and each acknowledgement to the others.
_WATCHED_TABLES = ("artifact_verdicts", "deliveries", "acknowledgements")


class LivePage:
    """The newest page, made from the marts of the last monitor run.

    Args:
        settings: Name the history and the monitor.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._history: tuple[Any, ...] | None = None
        self._database: tuple[int, int] | None = None
        self._monitored_at = 0.0
        # Path and what is served there, replaced as a whole.
        self.files: dict[str, tuple[str, bytes]] = {}

    def refresh(self) -> None:
        """Run the monitor if the history has changed, and draw the page if the marts have.

        Raises:
            OffdagError: The marts cannot be made or read; the page stays as it was.
        """
        from offdag.history.history import History

        seen = _files_of(History(self._settings.history))
        # What is late, is so by the clock alone.
        if seen != self._history or time.monotonic() - self._monitored_at > _LONGEST_WITHOUT_RUN:
            from offdag.job import run_monitor

            # Before the run: one that fails is not repeated at once.
            self._history, self._monitored_at = seen, time.monotonic()
            # The heartbeat is that of the scheduled monitor.
            run_monitor(replace(self._settings, heartbeat=None))
        path = self._settings.monitor_database
        found = (path.stat().st_mtime_ns, path.stat().st_size) if path.is_file() else None
        if found != self._database or not self.files:
            self.files = self._drawn()
            self._database = found

    def _drawn(self) -> dict[str, tuple[str, bytes]]:
        import msgspec

        from offdag.monitor.marts import open_marts
        from offdag.report.contents import Contents
        from offdag.report.page import render_page

        now = self._settings.now
        with open_marts(self._settings.monitor_database, self._settings.wait_as("serve")) as marts:
            contents = Contents.read(marts)
        document = msgspec.json.encode(contents.document(now))
        version = hashlib.sha256(document).hexdigest()
        page = render_page(contents, now, self._settings.monitor_database.parent, version)
        _log.info("drew %d rows as of %s UTC", contents.row_count, f"{contents.as_of:%Y-%m-%d %H:%M:%S}")
        return {
            "/": ("text/html; charset=utf-8", page.encode()),
            "/report.json": ("application/json", document),
            "/version": ("text/plain; charset=utf-8", version.encode()),
        }


def _files_of(history: History) -> tuple[Any, ...]:
    """What changes whenever something is collected or delivered: the newest dates of two tables and their files."""
    found = []
    for table in _WATCHED_TABLES:
        newest = max(history.dates(table), default=None)
        found.append((newest, tuple(history.live_files(table, newest)) if newest else ()))
    return tuple(found)


def serve(settings: Settings, port: int, seconds: float, show: Callable[[str], object] | None = None) -> None:
    """Serve the report until KeyboardInterrupt.

    Args:
        settings: Name the history and the monitor.
        port: TCP port; 0 for any free one.
        seconds: Time between two checks of the history and the marts.
        show: Gets the address once the page is there.

    Raises:
        UsageError: The port is in use.
        OffdagError: The first page cannot be drawn.
    """
    page = LivePage(settings)
    page.refresh()
    try:
        server = ThreadingHTTPServer((_HOST, port), _handler(page))
    except OSError as error:
        what = f"the port cannot be used: {error.strerror}"
        raise UsageError(what, f"{_HOST}:{port}", "offdag serve --port 0") from error
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    address = f"http://{_HOST}:{server.server_address[1]}/"
    _log.info("the report is at %s until Ctrl-C", address)
    if show:
        show(address)
    try:
        while True:
            time.sleep(seconds)
            try:
                page.refresh()
            except OffdagError as error:
                _log.error("%s", error)
    finally:
        server.shutdown()
        server.server_close()


def _handler(page: LivePage) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        server_version = "offdag"
        sys_version = ""

        def do_GET(self) -> None:  # the name that http.server calls
            # Another name in Host is a page of somebody else's that reached this address.
            host = urlsplit(f"//{self.headers.get('Host') or ''}").hostname
            found = page.files.get(self.path.partition("?")[0]) if host in (_HOST, "localhost") else None
            kind, content = found or ("text/plain; charset=utf-8", b"not found\n")
            self.send_response(200 if found else 404)
            for name, value in (
                ("Content-Type", kind),
                ("Content-Length", str(len(content))),
                ("Cache-Control", "no-store"),
                ("X-Content-Type-Options", "nosniff"),
                ("Referrer-Policy", "no-referrer"),
            ):
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            """Requests are not logged."""

    return Handler
