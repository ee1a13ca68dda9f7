"""The site that ``make docs`` builds: complete, and at home on a machine without a network."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from airflow_provider_predictions.get_provider_info import get_provider_info
from tests.docs.blocks import ROOT
from tests.ui.conftest import chromium
from tests.ui.pictures import shown

pytestmark = pytest.mark.docs

DESKTOP, PHONE = 1280, 390
ELSEWHERE = re.compile(r"^(https?:)?//")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(target)],
        cwd=ROOT, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True, timeout=900,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return target


class Loads(HTMLParser):
    """What a browser fetches for a page without being asked to."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "link" and given.get("rel") != "canonical":
            self.found.append(given.get("href") or "")
        self.found += [given[name] or "" for name in ("src", "srcset", "poster", "data") if name in given]


def test_no_page_loads_anything_from_another_host(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    for page in pages:
        loads = Loads()
        loads.feed(page.read_text())
        assert loads.found
        assert not [url for url in loads.found if ELSEWHERE.match(url)]
        assert 'class="mermaid"' not in page.read_text()  # the theme would fetch what draws it

    assert len(pages) > 20


def test_no_style_loads_anything_from_another_host(site: Path) -> None:
    for sheet in site.rglob("*.css"):
        urls = re.findall(r"""(?:url\(|@import\s+)["']?([^"')\s]+)""", sheet.read_text())
        assert not [url for url in urls if ELSEWHERE.match(url)]


def test_every_picture_is_on_a_page() -> None:
    assert {picture.stem for picture in ROOT.glob("docs/images/*.png")} == shown()


def test_every_picture_leads_to_its_full_size(site: Path) -> None:
    """A phone shows it small."""
    text = "".join(page.read_text() for page in site.rglob("*.html"))

    pictures = re.findall(r'<img [^>]*src="([^"]*images/[^"]*)"', text)

    assert pictures
    assert pictures == re.findall(r'<a href="([^"]*)"><img [^>]*src="\1"', text)


def test_every_public_class_is_in_the_reference(site: Path) -> None:
    anchors = {
        anchor
        for page in site.joinpath("reference").glob("*.html")
        for anchor in re.findall(r'id="(airflow_provider_predictions\.[\w.]+)"', page.read_text())
    }
    info = get_provider_info()
    names = {module for kind in ("hooks", "operators", "sensors", "triggers") for entry in info[kind]
             for module in entry["python-modules"]}  # fmt: skip
    modules = [*names, "airflow_provider_predictions.api.errors"]
    public = {
        f"{module}.{name}"
        for module in modules
        for name, value in vars(import_module(module)).items()
        if isinstance(value, type) and value.__module__ == module and not name.startswith("_")
    }
    records = {
        f"airflow_provider_predictions.api.{name}"
        for name in ("vlmrun.VlmRunPrediction", "cradl.CradlPrediction")
    }

    assert public | records | set(info["extra-links"]) <= anchors


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


def test_the_search_works_from_disk(site: Path, browser: Browser) -> None:
    page = browser.new_page()
    page.goto(f"{site.as_uri()}/guides/wait.html")

    page.get_by_placeholder("Search").click()
    page.keyboard.type("max_values_missing")

    found = page.locator(".md-search-result__link")
    expect(found.first).to_be_visible()
    assert any("guides/land.html" in (link.get_attribute("href") or "") for link in found.all())


def test_no_page_is_wider_than_a_phone(site: Path, browser: Browser) -> None:
    page = browser.new_page(viewport={"width": PHONE, "height": 844})
    wide = {}
    for file in sorted(site.rglob("*.html")):
        page.goto(file.as_uri())
        if (width := page.evaluate("document.documentElement.scrollWidth")) > PHONE:
            wide[file.name] = width

    assert not wide


def test_no_table_is_cut_off_on_a_desktop(site: Path, browser: Browser) -> None:
    page = browser.new_page(viewport={"width": DESKTOP, "height": 900})
    cut = {}
    for file in sorted(site.rglob("*.html")):
        page.goto(file.as_uri())
        hidden = page.locator(".md-typeset__scrollwrap").evaluate_all(
            "tables => tables.map(table => table.scrollWidth - table.clientWidth)"
        )
        if max(hidden, default=0) > 1:
            cut[file.name] = hidden

    assert not cut
