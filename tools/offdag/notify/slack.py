"""Slack by slack-sdk: the only code that opens a socket to it."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from datetime import datetime, timezone
from http.client import HTTPException
from typing import Any
from urllib.error import URLError
from urllib.request import HTTPRedirectHandler, HTTPSHandler, ProxyHandler, Request, build_opener

import msgspec
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.http_retry import HttpRequest, HttpResponse, RetryHandler, RetryState
from slack_sdk.http_retry.builtin_handlers import RateLimitErrorRetryHandler
from slack_sdk.web import SlackResponse

from offdag.notify import formats
from offdag.notify.message import Message
from offdag.notify.sinks import CannotLookUp, Payload, PostedMessage, Refusal, UnknownOutcome

# One request takes at most this long; with the retries of the rate-limit handler a message stays well within its lease.
TIMEOUT_SECONDS = 15
_RATE_LIMIT_RETRIES = 2
_LONGEST_PAUSE_SECONDS = 60
_EVENT_TYPE = "offdag_notifications"
_CHANNEL_ID = re.compile(r"^[CDG][A-Z0-9]{6,}$")
# How far Slack's clock and the sender's may differ.
_CLOCK_SECONDS = 3600

# Errors after which Slack may still have carried out the call.
_UNCERTAIN = frozenset({"internal_error", "fatal_error", "request_timeout", "service_unavailable", "team_added_to_org"})
_ADVICE = {
    "channel_not_found": "offdag doctor    # after creating the channel, or correcting seeds/alert_routes.csv",
    "not_in_channel": "offdag notify    # after /invite @offdag in the channel",
    "is_archived": "offdag notify    # after unarchiving the channel, or correcting seeds/alert_routes.csv",
    "invalid_auth": "export OFFDAG_SLACK_BOT_TOKEN=xoxb-...",
    "not_authed": "export OFFDAG_SLACK_BOT_TOKEN=xoxb-...",
    "account_inactive": "export OFFDAG_SLACK_BOT_TOKEN=xoxb-...    # of an active app",
    "token_revoked": "export OFFDAG_SLACK_BOT_TOKEN=xoxb-...    # after reinstalling the Slack app",
    "token_expired": "export OFFDAG_SLACK_BOT_TOKEN=xoxb-...    # after reinstalling the Slack app",
    "missing_scope": "offdag notify    # after adding the scope to the Slack app and reinstalling it",
    "ratelimited": "sleep 60; offdag notify",
}
# How slack-sdk begins its error for such an answer.
_NOT_JSON = "Received a response in a non-JSON format"
# Refusals of an update that no later attempt changes: the message was deleted, is too old, or belongs to somebody else.
_FINAL = frozenset({"message_not_found", "cant_update_message", "edit_window_closed", "thread_not_found"})
# Refusals of a lookup that last until somebody changes the Slack app.
_NO_LOOKUP = frozenset(
    {"missing_scope", "not_in_channel", "channel_not_found", "no_permission", "not_allowed_token_type"}
)


class _NoRedirect(HTTPRedirectHandler):
    """The bot's token goes to Slack's API and nowhere else."""

    def redirect_request(self, *_: Any) -> None:
        return None


class _Client(WebClient):
    """slack-sdk's client, which would follow a redirect with the token in its headers."""

    def _perform_urllib_http_request_internal(self, url: str, req: Request) -> dict[str, Any]:
        proxies = {"http": self.proxy, "https": self.proxy} if self.proxy else None
        opener = build_opener(ProxyHandler(proxies), HTTPSHandler(context=self.ssl), _NoRedirect())
        with opener.open(req, timeout=self.timeout) as response:
            charset = response.headers.get_content_charset() or "utf-8"
            body = response.read().decode(charset, "replace")
            # slack-sdk takes a page or an empty body for a refusal, and fails on other JSON; the post may have been accepted.
            msgspec.json.decode(body, type=dict)
            return {"status": response.code, "headers": response.headers, "body": body}


class _BoundedRateLimit(RateLimitErrorRetryHandler):
    """Waits as Slack asks, but never beyond what the lease allows: a longer pause is a refusal, and the message stays due."""

    def _can_retry(
        self,
        *,
        state: RetryState,
        request: HttpRequest,
        response: HttpResponse | None = None,
        error: Exception | None = None,
    ) -> bool:
        if response is None or response.status_code != 429:
            return False
        asked = next((v for k, v in response.headers.items() if k.lower() == "retry-after"), "")
        seconds = str(asked[0] if isinstance(asked, list) else asked)
        return seconds.isdigit() and int(seconds) <= _LONGEST_PAUSE_SECONDS


def _handlers() -> list[RetryHandler]:
    """Only for the rate limit: slack-sdk's default handlers post again after a lost answer."""
    return [_BoundedRateLimit(max_retry_count=_RATE_LIMIT_RETRIES)]


class SlackBot:
    """Posts with a bot token, in threads where there is one, and can look messages up.

    Args:
        token: Bot token.
        base_url: Slack's Web API, or a server with the same API.
    """

    name = "slack"
    has_threads = True
    is_per_incident = False

    def __init__(self, token: str, base_url: str) -> None:
        self._client = _Client(token=token, base_url=base_url, timeout=TIMEOUT_SECONDS, retry_handlers=_handlers())
        self._channel_ids: dict[str, str] | None = None

    def payload(self, message: Message, channel: str, thread: PostedMessage | None) -> Payload:
        if thread is None:
            return {"channel": channel, **formats.lines(message), **formats.QUIET}
        place = {"channel": thread.channel, "thread_ts": thread.ts}
        # Members of the channel do not see a reply that is only in the thread.
        shown = {"reply_broadcast": True} if message.is_reminder else {}
        return {**place, **formats.whole(message), **formats.QUIET, **shown}

    def details(self, message: Message) -> list[Payload]:
        return [{**part, **formats.QUIET} for part in formats.details(message)]

    def post(self, payload: Payload, envelope_id: str) -> PostedMessage:
        answer = self._call("chat.postMessage", {**payload, "metadata": _metadata(envelope_id)})
        return PostedMessage(answer.get("channel"), answer.get("ts"))

    def withdraw(self, payload: Payload) -> None:
        """Nothing: what was posted is found."""

    def update(self, posted: PostedMessage, message: Message, envelope_id: str) -> None:
        place = {"channel": posted.channel, "ts": posted.ts}
        self._call("chat.update", {**place, **formats.lines(message), "metadata": _metadata(envelope_id)})

    def find(self, payload: Payload, envelope_id: str, since: datetime) -> PostedMessage | None:
        oldest = since.replace(tzinfo=timezone.utc).timestamp() - _CLOCK_SECONDS
        try:
            channel = self._channel_id(str(payload["channel"]))
            arguments: Payload = {
                "channel": channel,
                "oldest": f"{oldest:.6f}",
                "limit": 200,
                "include_all_metadata": True,
            }
            method = "conversations.history"
            if payload.get("thread_ts"):
                method, arguments = "conversations.replies", {**arguments, "ts": payload["thread_ts"]}
            for message in self._pages(method, arguments, "messages"):
                payload_of = (message.get("metadata") or {}).get("event_payload") or {}
                if payload_of.get("envelope_id") == envelope_id:
                    return PostedMessage(channel, message.get("ts"))
        except Refusal as problem:
            word = problem.reason.split(" ", 1)[0]
            kind = CannotLookUp if word in _NO_LOOKUP else UnknownOutcome
            raise kind(f"cannot read {payload['channel']}: {problem.reason}") from problem
        return None

    def reactions(self, posted: PostedMessage) -> list[tuple[str, str]]:
        """The reactions to a message: names of emoji, each with the id of a user.

        Raises:
            Refusal: The bot may not read them.
            UnknownOutcome: Slack gave no answer.
        """
        place = {"channel": posted.channel, "oldest": posted.ts, "latest": posted.ts, "inclusive": True, "limit": 1}
        messages = self._call("conversations.history", place, http_verb="GET").get("messages") or []
        return [
            (str(reaction.get("name")), str(user))
            for message in messages
            if message.get("ts") == posted.ts
            for reaction in message.get("reactions") or []
            for user in reaction.get("users") or []
        ]

    def delete(self, posted: PostedMessage) -> None:
        """Delete a message that the bot posted.

        Raises:
            Refusal: It was not deleted.
            UnknownOutcome: It may have been.
        """
        self._call("chat.delete", {"channel": posted.channel, "ts": posted.ts})

    def identity(self) -> tuple[str, frozenset[str]]:
        """User and team of the token, and its scopes.

        Raises:
            Refusal: The token is not accepted.
            UnknownOutcome: Slack gave no answer.
        """
        answer = self._answer("auth.test")
        header = next((v for k, v in answer.headers.items() if k.lower() == "x-oauth-scopes"), "")
        scopes = ",".join(header) if isinstance(header, list) else str(header)
        return f"{answer.get('user')} in {answer.get('team')}", frozenset(s.strip() for s in scopes.split(","))

    def memberships(self) -> dict[str, bool]:
        """Whether the bot is in each channel that it sees, by name.

        Raises:
            Refusal: It may not list channels.
            UnknownOutcome: Slack gave no answer.
        """
        return {channel["name"]: bool(channel.get("is_member")) for channel in self._channels(exclude_archived=True)}

    def _channel_id(self, channel: str) -> str:
        if _CHANNEL_ID.match(channel):
            return channel
        if self._channel_ids is None:
            # What was posted can be read after the channel was archived.
            self._channel_ids = {found["name"]: found["id"] for found in self._channels(exclude_archived=False)}
        try:
            return self._channel_ids[channel.lstrip("#")]
        except KeyError:
            raise Refusal("channel_not_found", _ADVICE["channel_not_found"]) from None

    def _channels(self, exclude_archived: bool) -> Iterator[dict[str, Any]]:
        arguments = {"types": "public_channel,private_channel", "limit": 500, "exclude_archived": exclude_archived}
        return self._pages("conversations.list", arguments, "channels")

    def _pages(self, method: str, arguments: Payload, key: str) -> Iterator[dict[str, Any]]:
        cursor = ""
        while True:
            answer = self._call(method, {**arguments, **({"cursor": cursor} if cursor else {})}, http_verb="GET")
            yield from answer.get(key) or []
            cursor = (answer.get("response_metadata") or {}).get("next_cursor") or ""
            if not cursor:
                return

    def _call(self, method: str, arguments: Payload, http_verb: str = "POST") -> dict[str, Any]:
        given = {"json": arguments} if http_verb == "POST" else {"params": arguments}
        data = self._answer(method, http_verb=http_verb, **given).data
        if not isinstance(data, dict):
            raise UnknownOutcome("Slack's answer is not JSON")
        return data

    def _answer(self, method: str, **given: Any) -> SlackResponse:
        try:
            return self._client.api_call(method, **given)
        except SlackApiError as error:
            raise _judged(error) from None
        except (SlackClientError, HTTPException, OSError, ValueError) as error:
            raise _lost(error) from None


def _metadata(envelope_id: str) -> Payload:
    return {"event_type": _EVENT_TYPE, "event_payload": {"envelope_id": envelope_id}}


def _judged(error: SlackApiError) -> Refusal | UnknownOutcome:
    """The outcome that an answer shows; the token is never in it."""
    response = error.response
    status = response.get("status", 200) if isinstance(response, dict) else getattr(response, "status_code", 200)
    data = getattr(response, "data", None)
    reason = str(data.get("error", "unknown_error")) if isinstance(data, dict) else f"status {status}"
    if status == 429:
        reason = "ratelimited"
    elif 300 <= status < 400:
        return Refusal(f"Slack's API redirects ({status})", "unset OFFDAG_SLACK_API_URL")
    elif status >= 500 or reason in _UNCERTAIN:
        return UnknownOutcome(f"Slack answered {status} {reason}")
    elif not isinstance(data, dict) or reason.startswith(_NOT_JSON):
        # An empty body or a page behind an accepted post says nothing of the message.
        return UnknownOutcome(f"Slack's answer has status {status} and is not JSON")
    needed = f" (needs {data['needed']})" if isinstance(data, dict) and data.get("needed") else ""
    return Refusal(reason + needed, _ADVICE.get(reason, "offdag doctor"), is_final=reason in _FINAL)


def _lost(error: Exception) -> Refusal | UnknownOutcome:
    """A refusal where no connection was made; otherwise the message may have arrived."""
    cause = error.reason if isinstance(error, URLError) else error
    if isinstance(cause, (ConnectionRefusedError, socket.gaierror)):
        return Refusal("Slack cannot be reached", "offdag doctor")
    return UnknownOutcome(f"the answer was lost ({type(cause).__name__})")
