"""The page of a report in a browser: as a file, in both colours, on paper, on a phone, and by keyboard."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from airflow_provider_predictions.operators.cradl import CradlPredictionsToObjectStorageOperator
from airflow_provider_predictions.operators.report import PredictionsReportOperator
from airflow_provider_predictions.operators.vlmrun import VlmRunPredictionsToObjectStorageOperator
from airflow_provider_predictions.sandbox.server import Sandbox

pytestmark = [pytest.mark.airflow, pytest.mark.browser]

WIDTH, HEIGHT = 1000, 1000
PHONE = 360
READABLE = 4.5
"""The contrast that WCAG 2 asks for, level AA."""
CHARTS = {
    "vlmrun": ["Each day", "Credits"],
    "cradl": ["Each day"],
}


@pytest.fixture(scope="module")
def reports(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The page of each service, of a fortnight."""
    folder = tmp_path_factory.mktemp("reports")
    end = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    pages = {}
    with pytest.MonkeyPatch.context() as patch, Sandbox(count=600) as sandbox:
        spoil(sandbox)
        sandbox.receive(8)
        for name, value in sandbox.environment().items():
            patch.setenv(name, value)
        for name, land in {
            "vlmrun": VlmRunPredictionsToObjectStorageOperator(
                task_id="land", path=f"file://{folder}/landed/vlmrun"
            ),
            "cradl": CradlPredictionsToObjectStorageOperator(
                task_id="land", path=f"file://{folder}/landed/cradl", fetch_values=True
            ),
        }.items():
            report = PredictionsReportOperator(
                task_id="report",
                source=land.execute({}),
                path=f"file://{folder}/{name}",
                period=(end - timedelta(days=14), end),
            ).execute({})
            pages[name] = Path(report["report"].removeprefix("file://"))
    return pages


def spoil(sandbox: Sandbox) -> None:
    """Let the receipts of the last two days fail, so that there is a change to be seen."""
    since = datetime.now(UTC) - timedelta(days=2)
    for row in [*sandbox.vlmrun.rows, *sandbox.cradl.rows]:
        if row.created > since and "receipt" in row.group:
            row.outcome = "failed"


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page that may ask nobody for anything but the file, and complain of nothing."""
    context = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
    page = context.new_page()
    asked: list[str] = []
    errors: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: errors.append(message.text))
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    assert {url for url in asked if not url.endswith("/report.html")} == set()
    assert not errors
    context.close()


@pytest.fixture
def report(page: Page, reports: dict[str, Path], service_name: str) -> Page:
    page.goto(reports[service_name].as_uri())
    return page


def test_the_charts_of_a_report_are_seen(report: Page, picture, service_name: str) -> None:
    for title in CHARTS[service_name]:
        chart = report.get_by_role("img", name=f"Chart. {title}.")
        expect(chart).to_be_visible()
        drawn: list[dict[str, float]] = chart.evaluate(SHAPES)
        box = chart.bounding_box()
        assert box
        assert box["width"] > WIDTH / 3
        assert box["height"] > 60
        assert len([shape for shape in drawn if shape["width"] > 3 and shape["height"] > 3]) >= 3
        assert chart.locator("text").count() > 3
    assert report.locator("figure").count() == len(CHARTS[service_name])
    picture(f"report-{service_name}")


SHAPES = """chart => [...chart.querySelectorAll('rect')]
    .filter(shape => !['none', 'rgba(0, 0, 0, 0)'].includes(getComputedStyle(shape).fill))
    .map(shape => shape.getBoundingClientRect())
    .map(({width, height}) => ({width, height}))"""


def test_every_image_of_a_report_says_what_it_is_or_is_left_to_the_words_beside_it(report: Page) -> None:
    images = report.locator("svg, img")
    assert images.count() > 8
    for number in range(images.count()):
        image = images.nth(number)
        if image.get_attribute("aria-hidden") != "true":
            expect(image).to_have_role("img")
            expect(image).to_have_attribute("aria-label", re.compile(r"^(Chart\. .*below\.|.* periods: .*)$"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_of_a_report_is_readable(report: Page, scheme: Any) -> None:
    """On what is painted behind it, cells of a heat map included."""
    report.emulate_media(color_scheme=scheme)
    report.evaluate(UNFOLD)

    found: list[dict[str, Any]] = report.evaluate(CONTRASTS)

    assert len(found) > 200
    assert not [text for text in found if text["contrast"] < READABLE]


UNFOLD = "document.querySelectorAll('details').forEach(details => details.open = true)"
CONTRASTS = """() => {
    const parse = text => {
        const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number);
        return [r, g, b, a];
    };
    const over = (top, bottom) => [0, 1, 2].map(i => top[i] * top[3] + bottom[i] * (1 - top[3])).concat(1);
    const light = ([r, g, b]) => [r, g, b]
        .map(x => x / 255).map(x => x <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4)
        .reduce((sum, x, i) => sum + x * [0.2126, 0.7152, 0.0722][i], 0);
    const painted = element => {
        const style = getComputedStyle(element);
        const isShape = element instanceof SVGGeometryElement || element instanceof SVGUseElement;
        const colour = isShape ? style.fill : style.backgroundColor;
        if (colour === 'none') return [0, 0, 0, 0];
        const [r, g, b, a] = parse(colour);
        return [r, g, b, a * style.opacity * (isShape ? style.fillOpacity : 1)];
    };
    const behind = element => {
        element.scrollIntoView({block: 'center', inline: 'center'});
        const {left, top, width, height} = element.getBoundingClientRect();
        return document.elementsFromPoint(left + width / 2, top + height / 2)
            .filter(found => found !== element && !element.contains(found))
            .filter(found => !(found instanceof SVGTextElement))
            .reverse().map(painted).reduce((bottom, top) => over(top, bottom), [255, 255, 255, 1]);
    };
    const texts = [...document.querySelectorAll(
        'h1, h2, p, strong, th, td, a, b, summary, small, .card span, figure text')]
        .filter(element => element.textContent.trim());
    return texts.map(element => {
        const style = getComputedStyle(element);
        const ink = parse(element instanceof SVGElement ? style.fill : style.color);
        const lights = [light(ink), light(behind(element))].sort((a, b) => b - a);
        return {text: element.textContent.trim(), contrast: (lights[0] + 0.05) / (lights[1] + 0.05)};
    });
}"""


def test_light_and_dark_differ_in_paper_ink_and_charts(report: Page, picture, service_name: str) -> None:
    light = report.evaluate(COLOURS)
    report.emulate_media(color_scheme="dark")
    dark = report.evaluate(COLOURS)

    assert all(one != other for one, other in zip(light, dark, strict=True))
    if service_name == "cradl":
        report.get_by_role("heading", name="Confidence of each field").evaluate(
            "title => title.scrollIntoView()"
        )
        picture("report-dark")


COLOURS = """() => {
    const {backgroundColor, color} = getComputedStyle(document.body);
    const bar = [...document.querySelectorAll('figure rect')].map(rect => getComputedStyle(rect).fill);
    return [backgroundColor, color, String(bar)];
}"""


def test_on_paper_a_report_has_the_light_colours_and_all_but_what_is_folded(report: Page) -> None:
    on_screen = report.evaluate(COLOURS)
    report.emulate_media(color_scheme="dark", media="print")

    cut = report.evaluate("""() => [...document.querySelectorAll('body *')]
        .filter(element => !element.closest('svg, details, nav, .sr'))
        .map(element => [element, getComputedStyle(element)])
        .filter(([element, {display, overflowY}]) => display === 'none'
            || overflowY !== 'visible' && element.scrollHeight > element.clientHeight + 1)
        .map(([element]) => element.outerHTML.slice(0, 80))""")

    assert not cut
    assert report.evaluate(COLOURS) == on_screen


def test_a_fortnight_is_on_two_pages(report: Page) -> None:
    pages = re.findall(rb"/Type\s*/Page\b", report.pdf(prefer_css_page_size=True))

    assert 1 <= len(pages) <= 2


def test_on_a_phone_tables_scroll_and_the_page_does_not(report: Page) -> None:
    report.set_viewport_size({"width": PHONE, "height": 700})
    report.evaluate(UNFOLD)

    assert report.evaluate("document.documentElement.scrollWidth") == PHONE
    wide = report.evaluate("""() => [...document.querySelectorAll('main *')]
        .filter(element => element.scrollWidth > element.clientWidth + 1 && element.clientWidth > 1)
        .filter(element => !element.closest('svg'))
        .map(element => getComputedStyle(element).overflowX)""")
    assert wide
    assert set(wide) == {"auto"}


def test_on_a_phone_names_break_between_words_and_changes_are_whole(report: Page) -> None:
    report.set_viewport_size({"width": 390, "height": 700})

    torn = report.evaluate("""() => [...document.querySelectorAll('section td:first-child')]
        .flatMap(cell => [...cell.childNodes])
        .filter(node => node.nodeType === Node.TEXT_NODE)
        .flatMap(node => [...node.data.matchAll(/[A-Za-z_]{2,}/g)].map(word => {
            const range = document.createRange();
            range.setStart(node, word.index);
            range.setEnd(node, word.index + word[0].length);
            return [word[0], range.getClientRects().length];
        }))
        .filter(([word, lines]) => lines > 1)""")
    hidden = report.locator("#changes .scroll").evaluate_all(
        "tables => tables.map(table => table.scrollWidth - table.clientWidth)"
    )

    assert not torn
    assert max(hidden, default=0) <= 1


def test_by_keyboard_all_that_is_folded_can_be_opened(report: Page) -> None:
    for summary in report.locator("summary").all():
        summary.focus()
        report.keyboard.press("Enter")

    assert report.locator("details").count() == report.locator("details[open]").count() > 2
    expect(report.get_by_role("link", name="failures.csv").first).to_have_attribute("href", "failures.csv")


def test_ids_and_times_are_not_torn_apart(report: Page) -> None:
    """A time is on one line, and so is an id of VLM Run; one of Cradl is on no more than three."""
    report.evaluate(UNFOLD)
    torn = report.evaluate("""() => [...document.querySelectorAll('td')]
        .filter(cell => /^\\d{1,2} \\w{3} \\d{4}|^[\\w:-]{20,}$/.test(cell.textContent))
        .map(cell => {
            const range = document.createRange();
            range.selectNodeContents(cell);
            return [cell.textContent, new Set([...range.getClientRects()].map(box => box.top)).size];
        })
        .filter(([text, lines]) => lines > (text.length > 40 ? 3 : 1))""")

    assert not torn


def test_a_report_reads_well_where_a_mail_client_has_stripped_it(report: Page) -> None:
    """Without style sheet and drawings, numbers are still to the right and heads above their columns."""
    report.evaluate("document.querySelectorAll('style, svg').forEach(element => element.remove())")

    aligned = report.evaluate("""() => [...document.querySelectorAll('td.n')]
        .map(cell => getComputedStyle(cell).textAlign)""")

    assert len(aligned) > 50
    assert set(aligned) <= {"right", "-webkit-right"}
    expect(report.get_by_role("heading", name="What failed")).to_be_visible()
    assert not re.search(r"var\(|undefined|None", report.inner_text("body"))
