"""A server with Slack's API on loopback. The test chooses its behaviour; it records what arrives."""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlparse

TOKEN = "xoxb-of-the-test"  # noqa: S105 - of a server on loopback


class FakeSlack:
    """Accepts messages into channels.

    Attributes:
        behaviours: What the next calls of a method do, in order; then all is well. One of: ok, 500, 500_after (accepted all the same),
            drop (accepted, and the connection is closed without an answer), short (accepted, the answer is
            cut), slow (accepted, answered after a second), empty (accepted, 200 without a body), page (accepted, 200 with an
            HTML page), list (accepted, 200 with JSON that is not an object), redirect (302 to another path), 429
            (with :<seconds> to wait), or error:<word>.
        posted: Messages that arrived, in order.
        calls: (method, arguments) of all calls.
        scopes: What the token may do.
        strange_channels: Names of channels that the bot is not in.
        archived: Names of channels that take no message, and are listed only if asked for.
        choose: Gives the behaviour of a call of a method where none is queued; None for ok.
        now: Slack's clock, in seconds since 1970.
    """

    def __init__(self, channels: tuple[str, ...] = ("data-alerts", "shop-stock")) -> None:
        self.behaviours: dict[str, deque[str]] = {}
        self.posted: list[dict[str, Any]] = []
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.channels = {name: f"C{i:08d}" for i, name in enumerate(channels, start=1)}
        self.scopes = ["chat:write", "channels:read", "channels:history", "groups:read", "groups:history"]
        self.strange_channels: set[str] = set()
        self.archived: set[str] = set()
        self.choose: Callable[[str], str] | None = None
        self.now: Callable[[], float] = time.time
        self._lock = threading.Lock()
        slack = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                slack._answer(self)

            def do_GET(self) -> None:
                slack._answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def env(self) -> dict[str, str]:
        """The settings that lead offdag here with a bot token."""
        return {"OFFDAG_SLACK_BOT_TOKEN": TOKEN, "OFFDAG_SLACK_API_URL": f"{self.url}/api/"}

    @property
    def webhook_env(self) -> dict[str, str]:
        return {"OFFDAG_SLACK_WEBHOOK_URL": f"{self.url}/services/T0/B0/secret-of-the-webhook"}

    def __enter__(self) -> FakeSlack:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def then(self, method: str, *behaviours: str) -> None:
        """Choose what the next calls of a method do."""
        self.behaviours.setdefault(method, deque()).extend(behaviours)

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        url = urlparse(request.path)
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0)).decode()
        arguments: dict[str, Any] = {k: v[0] for k, v in parse_qs(url.query).items()}
        if body:
            is_json = "json" in (request.headers.get("Content-Type") or "")
            arguments |= json.loads(body) if is_json else {k: v[0] for k, v in parse_qs(body).items()}
        method = "webhook" if url.path.startswith("/services/") else url.path.rsplit("/", 1)[-1]
        with self._lock:
            self.calls.append((method, arguments))
            queue = self.behaviours.get(method)
            behaviour = queue.popleft() if queue else self.choose(method) if self.choose else "ok"
        token = (request.headers.get("Authorization") or "").removeprefix("Bearer ")
        if method != "webhook" and token != TOKEN:
            behaviour = "error:invalid_auth"
        elif method.startswith("chat.") and self._is_archived(arguments):
            behaviour = "error:is_archived"
        if not self._refused(request, method, behaviour):
            self._accept(request, behaviour, self._do(method, arguments))

    def _is_archived(self, arguments: dict[str, Any]) -> bool:
        place = str(arguments["channel"]).lstrip("#")
        return place in self.archived or place in {self.channels[name] for name in self.archived}

    def _refused(self, request: BaseHTTPRequestHandler, method: str, behaviour: str) -> bool:
        """Whether the call was answered without being done."""
        kind, _, detail = behaviour.partition(":")
        if kind == "500":
            self._send(request, 500, {"ok": False, "error": "internal_error"})
        elif kind == "429":
            self._send(request, 429, {"ok": False, "error": "ratelimited"}, {"Retry-After": detail or "1"})
        elif kind == "redirect":
            self._send(request, 302, {}, {"Location": f"{self.url}/elsewhere"})
        elif kind == "error" and method == "webhook":
            self._send(request, 404, detail)
        elif kind == "error":
            self._send(request, 200, {"ok": False, "error": detail})
        else:
            return False
        return True

    def _accept(self, request: BaseHTTPRequestHandler, behaviour: str, answer: Any) -> None:
        """Answer a call that was done, as the behaviour says."""
        if behaviour == "500_after":
            self._send(request, 500, {"ok": False, "error": "internal_error"})
            return
        if behaviour == "drop":
            request.close_connection = True
            request.connection.close()
            return
        if behaviour == "slow":
            time.sleep(1)
        answer = {"empty": "", "page": "<html>welcome</html>", "list": '["proxy"]'}.get(behaviour, answer)
        headers = {"X-OAuth-Scopes": ",".join(self.scopes)} | ({"X-Cut": "1"} if behaviour == "short" else {})
        self._send(request, 200, answer, headers)

    def _do(self, method: str, arguments: dict[str, Any]) -> Any:  # noqa: PLR0911
        if method == "webhook":
            with self._lock:
                self.posted.append(arguments)
            return "ok"
        if method == "conversations.list":
            # slack-sdk sends "1" and "0".
            hidden = self.archived if str(arguments.get("exclude_archived")) in ("1", "True", "true") else set()
            listed = [item for item in self.channels.items() if item[0] not in hidden]
            return {
                "ok": True,
                "channels": [{"id": i, "name": n, "is_member": n not in self.strange_channels} for n, i in listed],
            }
        if method == "auth.test":
            return {"ok": True, "team": "Greenery", "user": "offdag"}
        if method in ("chat.update", "chat.delete"):
            with self._lock:
                place = (arguments["channel"], arguments["ts"])
                message = next((m for m in self.posted if (m["channel"], m["ts"]) == place), None)
                if message is None:
                    return {"ok": False, "error": "message_not_found"}
                if method == "chat.delete":
                    self.posted.remove(message)
                else:
                    message.update(arguments)
            return {"ok": True, **arguments}
        if method in ("conversations.history", "conversations.replies"):
            thread = arguments.get("ts") if method == "conversations.replies" else None
            found = [
                m
                for m in self.posted
                if m["channel"] == arguments["channel"]
                and m.get("thread_ts") == thread
                and float(arguments.get("oldest") or 0) <= float(m["ts"]) <= float(arguments.get("latest") or "inf")
            ]
            return {"ok": True, "messages": found, "has_more": False}
        if method == "chat.postMessage":
            channel = self.channels.get(str(arguments["channel"]).lstrip("#"), arguments["channel"])
            if channel not in self.channels.values():
                return {"ok": False, "error": "channel_not_found"}
            with self._lock:
                ts = f"{self.now() + len(self.posted) * 1e-6:.6f}"
                self.posted.append({**arguments, "channel": channel, "ts": ts})
            return {"ok": True, "channel": channel, "ts": ts}
        return {"ok": True}

    @staticmethod
    def _send(request: BaseHTTPRequestHandler, status: int, answer: Any, headers: dict[str, str] | None = None) -> None:
        body = (answer if isinstance(answer, str) else json.dumps(answer)).encode()
        missing = 100 if headers and "X-Cut" in headers else 0
        request.send_response(status)
        request.send_header("Content-Type", "text/plain" if isinstance(answer, str) else "application/json")
        request.send_header("Content-Length", str(len(body) + missing))
        for name, value in (headers or {}).items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(body)
        request.close_connection = bool(missing)
