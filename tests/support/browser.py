"""A real Chromium without its own downloads: pages are opened from files or from loopback."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Browser, Page, sync_playwright


def chromium() -> str:
    """Its path; the test is skipped where there is none, but in CI."""
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        assert os.environ.get("OFFDAG_REQUIRE_ALL") != "1", "CI has to have Chromium"
        pytest.skip("there is no Chromium on this machine")
    return found


@contextmanager
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        yield opened
        opened.close()


@dataclass
class Watched:
    """A page with what it wrote to the console and what it asked the network for."""

    page: Page
    messages: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def scroll_through(self) -> None:
        """Bring everything into view once, so that all charts are drawn."""
        self.page.evaluate(
            "async () => { for (let y = 0; y < document.body.scrollHeight; y += 400) {"
            " scrollTo(0, y); await new Promise((done) => setTimeout(done, 30)); } }"
        )
        self.page.wait_for_function(
            "() => [...document.querySelectorAll('.chart')].every((chart) => chart.querySelector('svg, canvas'))"
        )


@contextmanager
def opened(browser: Browser, url: str, scheme: str = "light", width: int = 1280) -> Iterator[Watched]:
    """A page in a fresh context, in UTC."""
    context = browser.new_context(
        viewport={"width": width, "height": 800},
        color_scheme="dark" if scheme == "dark" else "light",
        timezone_id="UTC",
    )
    page = context.new_page()
    watched = Watched(page)
    page.on("console", lambda message: watched.messages.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: watched.messages.append(f"error: {error}"))
    page.on("request", lambda request: watched.requests.append(request.url))
    page.goto(url)
    yield watched
    context.close()
