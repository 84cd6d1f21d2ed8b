"""The heartbeat: an outside service notices when it stops, which a dead scheduler cannot report."""

from __future__ import annotations

import logging

from offdag.notify.http import AnswerLost, NotSent, post
from offdag.settings import Settings

_log = logging.getLogger(__name__)


def call_heartbeat(settings: Settings, is_success: bool, line: str) -> None:
    """Call OFFDAG_HEARTBEAT_URL after a complete monitor run, and ``<url>/fail`` after a failed one, in the form of Healthchecks.

    Args:
        settings: Holds the URL; without one nothing is done.
        is_success: Whether the run was complete.
        line: Its result, as the body. A call that fails is logged, and the run's own result does not change.
    """
    url = settings.heartbeat
    if url is None:
        return
    called = url if is_success else f"{url.rstrip('/')}/fail"
    try:
        answer = post(called, line.encode(), {"Content-Type": "text/plain"}, settings.proxy_for(url))
    except (NotSent, AnswerLost) as error:
        _log.warning("the heartbeat call failed: %s", error)
        return
    if not 200 <= answer.status < 300:
        _log.warning("the heartbeat call failed: the answer was %d", answer.status)
