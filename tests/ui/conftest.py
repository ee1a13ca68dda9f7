"""The web UI of a whole Airflow in a real browser, with the sandbox behind both connections.

``SCREENSHOTS=docs/images pytest tests/ui`` also takes the pictures of the documentation.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect, sync_playwright
from stack import Airflow, add_examples

from airflow_provider_predictions.sandbox.server import Sandbox
from tests.compat import needs
from tests.storage.servers import amazon_ca
from tests.ui.pictures import path_of

WIDTH, HEIGHT = 1400, 1000
PATIENCE = 60_000
"""Milliseconds: a busy machine shows a page late."""
PARSED_ONCE = {"AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "3600"}
"""No watcher waits for its DAG to be parsed again, which takes most of what a whole Airflow takes."""
OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser. While it is open, no other test can run an event loop of its own."""
    program = shutil.which("chromium")
    if program is None:
        tell = pytest.fail if "REQUIRE_BROWSER" in os.environ else pytest.skip
        tell("There is no chromium; on Debian: apt-get install chromium")
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=OPTIONS)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    needs(3, 3, "the web UI that is clicked through")
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="package")
def server() -> Iterator[Sandbox]:
    with Sandbox(count=60) as sandbox:
        yield sandbox


@pytest.fixture(scope="package")
def airflow(browser: Browser, server: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airflow]:
    home = tmp_path_factory.mktemp("airflow")
    add_examples(home)
    with Airflow(home, PARSED_ONCE | {"AWS_CA_BUNDLE": amazon_ca()}) as running:
        running.connect(server)
        yield running


def person(browser: Browser, url: str) -> BrowserContext:
    """The browser of a person who speaks English and likes it light.

    It keeps the scripts of the UI, which take seconds to be read, from page to page.
    """
    context = browser.new_context(
        base_url=url,
        viewport={"width": WIDTH, "height": HEIGHT},
        locale="en-US",
        timezone_id="UTC",
        color_scheme="light",
        reduced_motion="reduce",
    )
    context.set_default_timeout(PATIENCE)
    return context


@pytest.fixture(scope="package")
def anybody(browser: Browser, airflow: Airflow) -> Iterator[BrowserContext]:
    """The browser of a person, who need not sign in."""
    with person(browser, airflow.url) as context:
        yield context


@pytest.fixture
def page(anybody: BrowserContext) -> Iterator[Page]:
    """A page of a person; the UI may not throw an error."""
    page = anybody.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    page.close()
    assert not errors


@pytest.fixture
def picture(page: Page) -> Callable[..., None]:
    """Take a picture for the documentation, if that is wanted; see ``path_of``."""

    def take(name: str, of: Locator | None = None, *, height: int = HEIGHT) -> None:
        """Of an element, or of the top of the page, so many pixels high."""
        if path := path_of(name):
            if of:
                of.screenshot(path=path, animations="disabled")
            else:
                clip = {"x": 0, "y": 0, "width": page.viewport_size["width"], "height": height}
                page.screenshot(path=path, clip=clip, animations="disabled")

    return take
