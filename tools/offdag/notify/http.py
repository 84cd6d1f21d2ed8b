"""One POST to a webhook or heartbeat, without redirects: whether it was sent is the class of the error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

_CONNECT_SECONDS, _READ_SECONDS = 5, 15
_MOST_BYTES = 64 * 1024


@dataclass(frozen=True)
class Answer:
    """What a server answered.

    Attributes:
        status: HTTP status; redirects are not followed.
        body: The first 64 KiB, as text.
    """

    status: int
    body: str


class NotSent(Exception):
    """No connection was made, so nothing arrived."""


class AnswerLost(Exception):
    """The request may have arrived."""


def post(url: str, body: bytes, headers: Mapping[str, str], proxy: str | None = None) -> Answer:
    """Post once.

    Args:
        url: http or https, as the settings have checked; never in a message.
        body: What is posted.
        headers: By name.
        proxy: URL of a proxy; None to connect directly.

    Raises:
        NotSent: No connection could be made.
        AnswerLost: There was a connection, and no answer.
    """
    import urllib3
    from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError, ProxyError, SSLError

    pool = urllib3.ProxyManager(proxy) if proxy else urllib3.PoolManager()
    timeout = urllib3.Timeout(connect=_CONNECT_SECONDS, read=_READ_SECONDS)
    try:
        response = pool.request(
            "POST",
            url,
            body=body,
            headers=dict(headers),
            timeout=timeout,
            retries=False,
            redirect=False,
            preload_content=False,
        )
        try:
            return Answer(response.status, response.read(_MOST_BYTES).decode("utf-8", "replace"))
        finally:
            response.release_conn()
    # NameResolutionError is a NewConnectionError.
    except (NewConnectionError, ConnectTimeoutError, ProxyError, SSLError) as error:
        raise NotSent(_cause(error)) from None
    except (HTTPError, OSError) as error:
        raise AnswerLost(_cause(error)) from None
    finally:
        pool.clear()


def _cause(error: Exception) -> str:
    """What went wrong, without the URL that libraries put into their texts."""
    return {
        "NameResolutionError": "the host name cannot be resolved",
        "NewConnectionError": "the connection was refused",
        "ConnectTimeoutError": "the connection timed out",
        "ReadTimeoutError": "the answer timed out",
        "ProtocolError": "the connection was closed",
    }.get(type(error).__name__, type(error).__name__)
