"""The heartbeat: whoever watches it notices that a scheduler is dead, which the jobs that do not run cannot say."""

from __future__ import annotations

from collections.abc import Callable

from offdag.notify.http import NoAnswer, post


def beat(url: str | None, is_well: bool, line: str, say: Callable[[str], None]) -> None:
    """Call the URL after a complete monitor run, and ``<url>/fail`` after one that failed, as Healthchecks has it.

    Args:
        url: http or https; None does nothing. A secret.
        is_well: Whether the run was complete.
        line: What became of it, as the body.
        say: Gets a line where the call fails; the run's own outcome is not touched.
    """
    if url is None:
        return
    try:
        status = post(url if is_well else f"{url.rstrip('/')}/fail", line.encode(), {"Content-Type": "text/plain"})
    except NoAnswer as error:
        say(f"the heartbeat was not heard: {error}")
        return
    if status >= 300:
        say(f"the heartbeat was not heard: it was answered {status}")
