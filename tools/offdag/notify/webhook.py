"""Sinks that post to a URL: Slack's incoming webhook, and any other server as a JSON document."""

from __future__ import annotations

import hmac
import json

from offdag.notify import formats
from offdag.notify.http import Answer, AnswerLost, NotSent, post
from offdag.notify.message import Message
from offdag.notify.sinks import Payload, PostedMessage, Refusal, Threadless, UnknownOutcome

_RATE_LIMITED = 429


class SlackWebhook(Threadless):
    """Posts to an incoming webhook: into its own channel, without threads and lookups.

    Args:
        url: Incoming webhook; a secret.
        proxy: URL of a proxy.
    """

    name = "slack"

    def __init__(self, url: str, proxy: str | None = None) -> None:
        self._url = url
        self._proxy = proxy

    def payload(self, message: Message, channel: str, thread: PostedMessage | None) -> Payload:
        return {"channel": channel, **formats.whole(message), **formats.QUIET}

    def post(self, payload: Payload, envelope_id: str) -> PostedMessage:
        content = {name: value for name, value in payload.items() if name != "channel"}
        body = json.dumps(content, ensure_ascii=False).encode()
        answer = answer_of("the webhook", self._url, body, {"Content-Type": "application/json"}, self._proxy)
        variable = "OFFDAG_SLACK_WEBHOOK_URL"
        if answer.status != 200:
            reason = _word(answer.body) or f"the answer was {answer.status}"
            raise Refusal(reason, f"export {variable}=https://hooks.slack.com/...")
        # A page of a proxy or a login has status 200 too.
        if answer.body.strip() != "ok":
            raise UnknownOutcome("the webhook's answer is not Slack's ok")
        return PostedMessage()


class Webhook(Threadless):
    """Posts ``{id, channel, message, is_possible_repeat}``; the id is also the header Idempotency-Key.

    Args:
        url: Receives the documents, and answers 2xx; a secret.
        expected: Text that the answer must contain; None for any.
        secret: Signs the documents: the header X-Offdag-Signature is ``sha256=`` and the HMAC of the body in hex. None for no signature.
        proxy: URL of a proxy.
    """

    name = "webhook"

    def __init__(
        self, url: str, expected: str | None = None, secret: str | None = None, proxy: str | None = None
    ) -> None:
        self._url = url
        self._expected = expected
        self._secret = secret
        self._proxy = proxy

    def payload(self, message: Message, channel: str, thread: PostedMessage | None) -> Payload:
        return {"channel": channel, "message": formats.document(message), "is_possible_repeat": False}

    def post(self, payload: Payload, envelope_id: str) -> PostedMessage:
        body = json.dumps({"id": envelope_id, **payload}, ensure_ascii=False).encode()
        headers = {"Content-Type": "application/json", "Idempotency-Key": envelope_id}
        if self._secret:
            headers["X-Offdag-Signature"] = f"sha256={hmac.new(self._secret.encode(), body, 'sha256').hexdigest()}"
        answer = answer_of("the webhook", self._url, body, headers, self._proxy)
        if not 200 <= answer.status < 300:
            raise Refusal(f"the webhook answered {answer.status}", "export OFFDAG_WEBHOOK_URL=https://...")
        if self._expected and self._expected not in answer.body:
            raise UnknownOutcome("the webhook's answer does not contain OFFDAG_WEBHOOK_ANSWER")
        return PostedMessage()


def answer_of(who: str, url: str, body: bytes, headers: dict[str, str], proxy: str | None) -> Answer:
    """The server's answer, where it shows whether the message arrived.

    Raises:
        Refusal: Nothing arrived.
        UnknownOutcome: It may have arrived.
    """
    try:
        answer = post(url, body, headers, proxy)
    except NotSent as error:
        raise Refusal(f"{who} cannot be reached: {error}", "offdag doctor") from None
    except AnswerLost as error:
        raise UnknownOutcome(f"{who} gave no answer: {error}") from None
    if answer.status == _RATE_LIMITED:
        raise Refusal("ratelimited", "sleep 60; offdag notify")
    if answer.status >= 500:
        raise UnknownOutcome(f"{who} answered {answer.status}")
    return answer


def _word(body: str) -> str | None:
    """Slack's one-word reason; None for anything longer, such as a page."""
    word = body.strip()
    return word if word.isascii() and word.replace("_", "").isalnum() and len(word) <= 80 else None
