"""One POST, for what is not Slack."""

from __future__ import annotations

from collections.abc import Mapping
from http.client import HTTPException
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

_TIMEOUT_SECONDS = 15


class NoAnswer(Exception):
    """Nobody knows what became of a request.

    Attributes:
        was_sent: False where the connection was refused: then nothing arrived.
    """

    def __init__(self, reason: str, was_sent: bool) -> None:
        super().__init__(reason)
        self.was_sent = was_sent


def post(url: str, body: bytes, headers: Mapping[str, str]) -> int:
    """The status of the answer.

    Args:
        url: http or https, as the settings have checked; never in a message.
        body: What is posted.
        headers: By name.

    Raises:
        NoAnswer: There was none.
    """
    try:
        with urlopen(Request(url, body, dict(headers)), timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310
            return int(answer.status)
    except HTTPError as error:
        return error.code
    except (URLError, HTTPException, OSError) as error:
        cause = error.reason if isinstance(error, URLError) else error
        was_sent = not isinstance(cause, ConnectionRefusedError)
        raise NoAnswer(f"no answer ({type(cause).__name__})", was_sent) from None
