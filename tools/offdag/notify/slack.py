"""Slack by slack-sdk: the only code that opens a socket to it."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from datetime import datetime, timezone
from http.client import HTTPException
from typing import Any
from urllib.error import URLError

from slack_sdk import WebClient, WebhookClient
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.http_retry import HttpRequest, HttpResponse, RetryHandler, RetryState
from slack_sdk.http_retry.builtin_handlers import RateLimitErrorRetryHandler
from slack_sdk.web import SlackResponse

from offdag.notify import formats
from offdag.notify.message import Message
from offdag.notify.sinks import Payload, Posted, Refused, Threadless, Unknown

# One request takes at most this long; with the retries of the rate-limit handler a message stays well within its lease.
TIMEOUT_SECONDS = 15
_RATE_LIMIT_RETRIES = 2
_LONGEST_PAUSE_SECONDS = 60
_EVENT_TYPE = "offdag_notifications"
_QUIET = {"unfurl_links": False, "unfurl_media": False}
_CHANNEL_ID = re.compile(r"^[CDG][A-Z0-9]{6,}$")
# Slack's clock and ours may differ.
_CLOCK_SECONDS = 120

# Answers after which Slack may have done the work all the same.
_UNCERTAIN = frozenset({"internal_error", "fatal_error", "request_timeout", "service_unavailable", "team_added_to_org"})
_ADVICE = {
    "channel_not_found": "create the channel, or mend seeds/alert_routes.csv",
    "not_in_channel": "in Slack, type in the channel: /invite @offdag",
    "is_archived": "unarchive the channel, or mend seeds/alert_routes.csv",
    "invalid_auth": "export OFFDAG_SLACK_BOT_TOKEN=... with a valid bot token",
    "not_authed": "export OFFDAG_SLACK_BOT_TOKEN=... with a valid bot token",
    "account_inactive": "export OFFDAG_SLACK_BOT_TOKEN=... of an active app",
    "token_revoked": "reinstall the Slack app, then export OFFDAG_SLACK_BOT_TOKEN=...",
    "token_expired": "reinstall the Slack app, then export OFFDAG_SLACK_BOT_TOKEN=...",
    "missing_scope": "add the scope to the Slack app, reinstall it, then: offdag notify",
    "message_not_found": "nothing: somebody deleted the message",
    "cant_update_message": "nothing: the message is not the bot's own",
    "ratelimited": "wait a minute, then: offdag notify",
}


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
    """Posts with a bot token, in threads where there is one, and can look whether a message is there.

    Args:
        token: Bot token.
        base_url: Slack's Web API, or a server in its shape.
    """

    name = "slack"
    has_threads = True

    def __init__(self, token: str, base_url: str) -> None:
        self._client = WebClient(token=token, base_url=base_url, timeout=TIMEOUT_SECONDS, retry_handlers=_handlers())
        self._channel_ids: dict[str, str] | None = None

    def payload(self, message: Message, channel: str, thread: Posted | None) -> Payload:
        if thread is None:
            return {"channel": channel, **formats.lines(message), **_QUIET}
        place = {"channel": thread.channel, "thread_ts": thread.ts}
        # A reminder in a thread alone would remind nobody.
        shown = {"reply_broadcast": True} if message.is_reminder else {}
        return {**place, **formats.whole(message), **_QUIET, **shown}

    def details(self, message: Message) -> list[Payload]:
        return [{**part, **_QUIET} for part in formats.details(message)]

    def post(self, payload: Payload, envelope_id: str) -> Posted:
        answer = self._call("chat.postMessage", {**payload, "metadata": _metadata(envelope_id)})
        return Posted(answer.get("channel"), answer.get("ts"))

    def update(self, posted: Posted, message: Message, envelope_id: str) -> None:
        place = {"channel": posted.channel, "ts": posted.ts}
        self._call("chat.update", {**place, **formats.lines(message), "metadata": _metadata(envelope_id)})

    def find(self, payload: Payload, envelope_id: str, since: datetime) -> Posted | None:
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
                said = (message.get("metadata") or {}).get("event_payload") or {}
                if said.get("envelope_id") == envelope_id:
                    return Posted(channel, message.get("ts"))
        except Refused as problem:
            raise Unknown(f"cannot look in {payload['channel']}: {problem.reason}") from problem
        return None

    def delete(self, posted: Posted) -> None:
        """Delete a message of the bot's own.

        Raises:
            Refused: It was not deleted.
            Unknown: It may have been.
        """
        self._call("chat.delete", {"channel": posted.channel, "ts": posted.ts})

    def identity(self) -> tuple[str, frozenset[str]]:
        """Who the token is, and its scopes.

        Raises:
            Refused: The token is not accepted.
            Unknown: Slack gave no answer.
        """
        answer = self._answer("auth.test")
        told = next((v for k, v in answer.headers.items() if k.lower() == "x-oauth-scopes"), "")
        scopes = ",".join(told) if isinstance(told, list) else str(told)
        return f"{answer.get('user')} in {answer.get('team')}", frozenset(s.strip() for s in scopes.split(","))

    def memberships(self) -> dict[str, bool]:
        """Whether the bot is in each channel that it sees, by name.

        Raises:
            Refused: It may not list channels.
            Unknown: Slack gave no answer.
        """
        return {channel["name"]: bool(channel.get("is_member")) for channel in self._channels()}

    def _channel_id(self, channel: str) -> str:
        if _CHANNEL_ID.match(channel):
            return channel
        if self._channel_ids is None:
            self._channel_ids = {found["name"]: found["id"] for found in self._channels()}
        try:
            return self._channel_ids[channel.lstrip("#")]
        except KeyError:
            raise Refused("channel_not_found", _ADVICE["channel_not_found"]) from None

    def _channels(self) -> Iterator[dict[str, Any]]:
        arguments = {"types": "public_channel,private_channel", "limit": 500, "exclude_archived": True}
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
            raise Unknown("Slack's answer is no JSON")
        return data

    def _answer(self, method: str, **given: Any) -> SlackResponse:
        try:
            return self._client.api_call(method, **given)
        except SlackApiError as error:
            raise _judged(error) from None
        except (SlackClientError, HTTPException, OSError, ValueError) as error:
            raise _lost(error) from None


class SlackWebhook(Threadless):
    """Posts to an incoming webhook: into its own channel, without threads, and cannot look.

    Args:
        url: Incoming webhook; a secret.
    """

    name = "slack"

    def __init__(self, url: str) -> None:
        self._client = WebhookClient(url, timeout=TIMEOUT_SECONDS, retry_handlers=_handlers())

    def payload(self, message: Message, channel: str, thread: Posted | None) -> Payload:
        return {"channel": channel, **formats.whole(message), **_QUIET}

    def post(self, payload: Payload, envelope_id: str) -> Posted:
        try:
            answer = self._client.send(
                text=payload["text"], blocks=payload["blocks"], unfurl_links=False, unfurl_media=False
            )
        except (SlackClientError, HTTPException, OSError, ValueError) as error:
            raise _lost(error) from None
        if answer.status_code >= 500:
            raise Unknown(f"Slack answered {answer.status_code}")
        if answer.status_code != 200:
            reason = answer.body[:80] if answer.status_code != 429 else "ratelimited"
            raise Refused(reason, _ADVICE.get(reason, "export OFFDAG_SLACK_WEBHOOK_URL=... with a webhook that works"))
        return Posted()


def _metadata(envelope_id: str) -> Payload:
    return {"event_type": _EVENT_TYPE, "event_payload": {"envelope_id": envelope_id}}


def _judged(error: SlackApiError) -> Refused | Unknown:
    """What an answer says of the message; its text never holds the token."""
    status = getattr(error.response, "status_code", 200)
    data = getattr(error.response, "data", None)
    reason = str(data.get("error", "unknown_error")) if isinstance(data, dict) else f"status {status}"
    if status >= 500 or reason in _UNCERTAIN:
        return Unknown(f"Slack answered {status} {reason}")
    if status == 429:
        reason = "ratelimited"
    needed = f" (needs {data['needed']})" if isinstance(data, dict) and data.get("needed") else ""
    return Refused(
        reason + needed, _ADVICE.get(reason, "look the word up in Slack's documentation of chat.postMessage")
    )


def _lost(error: Exception) -> Refused | Unknown:
    """A connection that was refused or not found sent nothing; of all others nobody knows."""
    cause = error.reason if isinstance(error, URLError) else error
    if isinstance(cause, (ConnectionRefusedError, socket.gaierror)):
        return Refused("Slack cannot be reached", "mend the network, then: offdag notify")
    return Unknown(f"the answer was lost ({type(cause).__name__})")
