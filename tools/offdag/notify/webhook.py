"""Any other place: each message as a JSON document, posted to a URL."""

from __future__ import annotations

import json

from offdag.notify.formats import document
from offdag.notify.http import NoAnswer, post
from offdag.notify.message import Message
from offdag.notify.sinks import Payload, Posted, Refused, Threadless, Unknown


class Webhook(Threadless):
    """Posts ``{id, channel, message, is_possible_repeat}``; the id is also the header Idempotency-Key.

    Args:
        url: Receives the documents, and answers 2xx; a secret.
    """

    name = "webhook"

    def __init__(self, url: str) -> None:
        self._url = url

    def payload(self, message: Message, channel: str, thread: Posted | None) -> Payload:
        return {"channel": channel, "message": document(message), "is_possible_repeat": False}

    def post(self, payload: Payload, envelope_id: str) -> Posted:
        body = json.dumps({"id": envelope_id, **payload}, ensure_ascii=False).encode()
        try:
            status = post(self._url, body, {"Content-Type": "application/json", "Idempotency-Key": envelope_id})
        except NoAnswer as error:
            if error.was_sent:
                raise Unknown(f"the webhook gave {error}") from None
            raise Refused("the webhook cannot be reached", "mend the network, then: offdag notify") from None
        if status >= 500:
            raise Unknown(f"the webhook answered {status}")
        if status >= 300:
            raise Refused(f"the webhook answered {status}", "export OFFDAG_WEBHOOK_URL=... of one that works")
        return Posted()
