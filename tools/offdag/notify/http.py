"""One HTTP request, such as a POST to a webhook, without redirects: whether it was sent is the class of the error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

_CONNECT_SECONDS, _READ_SECONDS = 5, 15
_MOST_BYTES = 64 * 1024
# Of what is read, and not only acknowledged.
_MOST_BYTES_READ = 8 * 1024 * 1024


@dataclass(frozen=True)
class Answer:
    """What a server answered.

    Attributes:
        status: HTTP status; redirects are not followed.
        body: The first part of it, as text.
    """

    status: int
    body: str


class NotSent(Exception):
    """No connection was made, so nothing arrived."""


class AnswerLost(Exception):
    """The request may have arrived."""


def post(url: str, body: bytes, headers: Mapping[str, str], proxy: str | None = None) -> Answer:
    """Post once; see :func:`request`. Of the answer 64 KiB are read."""
    return _request("POST", url, body, headers, proxy, _MOST_BYTES)


def request(
    method: str, url: str, headers: Mapping[str, str], body: bytes | None = None, proxy: str | None = None
) -> Answer:
    """Make one request.

    Args:
        method: Such as GET.
        url: http or https, as the settings have checked; never in a message.
        headers: By name.
        body: What is sent; None for nothing.
        proxy: URL of a proxy; None to connect directly.

    Raises:
        NotSent: No connection could be made.
        AnswerLost: There was a connection, and no answer.
    """
    return _request(method, url, body, headers, proxy, _MOST_BYTES_READ)


def _request(
    method: str, url: str, body: bytes | None, headers: Mapping[str, str], proxy: str | None, most_bytes: int
) -> Answer:
    import urllib3
    from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError, ProxyError, SSLError

    pool = urllib3.ProxyManager(proxy) if proxy else urllib3.PoolManager()
    timeout = urllib3.Timeout(connect=_CONNECT_SECONDS, read=_READ_SECONDS)
    try:
        response = pool.request(
            method,
            url,
            body=body,
            headers=dict(headers),
            timeout=timeout,
            retries=False,
            redirect=False,
            preload_content=False,
        )
        try:
            return Answer(response.status, response.read(most_bytes).decode("utf-8", "replace"))
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
