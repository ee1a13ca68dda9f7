"""The page and the mail of a report, from a summary and its tables."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any

import pytest

from airflow_provider_predictions.report.measures import MEASURES, measures_of
from airflow_provider_predictions.report.page import clip, colours, link, mail, place, render, ticks
from airflow_provider_predictions.report.summary import Content, Options, Table
from airflow_provider_predictions.report.window import make_window
from airflow_provider_predictions.report.words import change, number

END = datetime(2026, 11, 28, tzinfo=UTC)
WINDOW = make_window((END - timedelta(days=14), END), "UTC", END)
DAYS = [bucket.label for bucket in WINDOW.buckets]
NASTY = "<script>alert('x')</script>\"'&{{ 7*7 }}\u202e"
NARROW = "\u202f"


class Elements(HTMLParser):
    """The elements and the text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def filled(name: str, columns: str, *rows: tuple[Any, ...], **given: Any) -> Table:
    given.setdefault("count", len(rows))
    return Table(name, name.title(), f"The meaning of {name}.", columns.split(), rows, **given)


def content(measures: dict[str, Any] | None = None, **given: Any) -> Content:
    """A fortnight of VLM Run in which receipts fail."""
    known = {
        "predictions": (273, 280),
        "succeeded": (241, 270),
        "failed": (24, 8),
        "failed_share": (24 / 265, 0.029),
        "waiting": (8, 0),
        "credits": (2687, 2697),
        "cost": (26.87, 26.97),
        "pages": (616, 658),
        "p95_seconds": (38, 37),
        "oldest_waiting_seconds": (14, None),
    } | (measures or {})
    group = given.pop("group", "document.receipt")
    summary: Any = {
        "version": 2,
        "services": ["vlmrun"],
        "title": "VLM Run, 14\u201327 November 2026",
        "period": {"start": "", "end": "", "before": "", "timezone": "UTC"},
        "currency": "EUR",
        "price_per_credit": 0.01,
        "count": 273,
        "measures": {
            name: {"now": now, "before": before, "history": [None, before, now]}
            for name, (now, before) in known.items()
        },
        "groups": {group: {"failed_share": {"now": 0.146, "before": 0.031}}},
        "statuses": {"completed": 241, "failed": 24},
        "targets": [],
        "changes": [
            {"measure": "failed_share", "group": group, "now": 0.146, "before": 0.031, "score": 3.1},
            {"measure": "credits", "group": group, "now": 849, "before": 994, "score": -2.1},
        ],
        "verdict": {
            "state": "look",
            "text": f"Look at {group}: failures 3.1 % to 14.6 %.",
            "measure": "failed_share",
            "group": group,
        },
        "late": 0,
        "left_out": {},
        "notes": [],
        "text": "",
    } | given.pop("summary", {})
    days = [(day, status, n) for day in DAYS for status, n in (("failed", 2), ("completed", 17))]
    points = {"completed": [17] * len(DAYS), "failed": [2] * len(DAYS)}
    tables = [
        filled("changes", "measure group now before score", ("credits", group, 849, 994, -2.1)),
        filled("by_time", "time status predictions", *days, amount="predictions", points=points),
        filled("by_group", "group predictions succeeded failed failed_share",
               (group, 100, 82, 14, 14 / 96), ("quiet", 10, 10, 0, 0.0)),
        filled("time_to_complete", "group predictions median_seconds p95_seconds longest_seconds",
               (group, 90, 18, 37.5, 40)),
        filled("failure_reasons", "message predictions groups", ("No page", 24, 1)),
        filled("failures", "id group created message",
               ("a/b c", group, "2026-11-27T20:00:00Z", "No page"), count=24),
        filled("waiting", "id group status created age_seconds"),
        filled("confidence_by_time", "time field share_under_70", ("27", "total", 0.25),
               amount="share_under_70", points={"total": [*[None] * (len(DAYS) - 1), 0.25]}),
        filled("late", "created_on group status predictions"),
    ]  # fmt: skip
    tables = given.pop("tables", tables)
    options = {
        "made_by": "the task report of the DAG weekly",
        "prediction_url": "https://app.example.com/p/{id}",
        "page_url": "https://airflow.example.com/report.html",
    }
    return Content(summary, WINDOW, tables, "domain", 12, END, Options(**options | given))


def words(page: str) -> str:
    """The text of a page after its style sheet, in one line; every blank is a plain one."""
    return " ".join(Elements(page.rpartition("</style>")[2]).text.split())


def card(page: str, label: str) -> str:
    found = re.search(rf'<li class="card[^>]*>(?:(?!</li>).)*{label}<i(?:(?!</li>).)*</li>', page, re.DOTALL)
    assert found
    return found[0]


def test_a_page_opens_with_its_verdict() -> None:
    page = render(content())

    assert page.index("<strong>Look at document.receipt") < page.index('class="cards"')
    title = re.search("<title>(.*)</title>", page)
    assert title
    assert (
        title[1] == "VLM Run, 14\u201327 November 2026: Look at document.receipt: failures 3.1 % to 14.6 %."
    )
    assert "Compared with 31 October \u2013 13 November 2026" in words(page)
    assert "Made 2026-11-28 00:00 from 12 landings by the task report of the DAG weekly." in words(page)


def test_a_card_reads_as_a_sentence_without_styles() -> None:
    target = {"measure": "failed_share", "group": None, "min": None, "max": 0.05, "now": 24 / 265}
    page = render(content(summary={"targets": [target | {"state": "missed", "why": ""}]}))

    text = words(card(page, "Failed"))
    assert text == "Failed: 9.1 % 24 of 265 (+6.2 points from 2.9 %). Target missed: at most 5.0 %"
    assert 'class="card bad"' in card(page, "Failed")
    assert 'class="card bad"' not in card(page, "Predictions")
    assert "The target is missed." in words(page)


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [(None, 0.05, "at most 5.0 %"), (0.9, None, "at least 90.0 %"), (0.1, 0.2, "10.0 % to 20.0 %")],
)
def test_a_target_that_cannot_be_judged_says_why(low: Any, high: Any, said: str) -> None:
    why = "only completed predictions were to land"
    target = {"measure": "failed_share", "group": None, "min": low, "max": high, "now": None}
    page = render(
        content(
            {"failed_share": (None, None), "failed": (None, None)},
            summary={"targets": [target | {"state": "unknown", "why": why}]},
        )
    )

    assert f"Target {said}. It cannot be judged: {why}" in words(page)
    assert "The target cannot be judged." in words(page)
    assert 'class="card bad"' not in page


def test_what_is_not_known_has_no_card() -> None:
    page = render(content({"failed_share": (None, None), "cost": (None, None)}))

    assert "Failed<i" not in page
    assert "Credits<i" in page


def test_of_money_and_credits_one_card_tells() -> None:
    page = render(content())

    assert "Cost: € 26.87 2,687 credits (unchanged from € 26.97)." in words(card(page, "Cost"))
    assert "Credits<i" not in page


def test_a_number_is_coloured_where_it_changed_by_more_than_chance() -> None:
    page = render(content())

    assert '<b class="bad">+6.2' in card(page, "Failed")
    assert '<b class="">' in card(page, "Predictions")


def test_what_reads_as_unchanged_has_no_colour() -> None:
    page = render(content({"failed_share": (0.0294, 0.029)}))

    assert '<b class="">unchanged</b>' in card(page, "Failed")


def test_the_card_that_the_verdict_is_about_is_red() -> None:
    assert 'class="card bad"' in card(render(content()), "Failed")
    better = render(content({"failed_share": (0.01, 0.029)}))
    assert 'class="card bad"' not in card(better, "Failed")


def test_a_target_without_a_card_is_in_the_table_of_targets() -> None:
    target = {"min": 0.9, "max": None, "now": None, "state": "unknown", "why": "VLM Run has no confidences"}
    page = render(
        content(
            summary={
                "targets": [
                    target | {"measure": "mean_confidence", "group": None},
                    target | {"measure": "failed_share", "group": "document.receipt"},
                ]
            }
        )
    )

    assert 'id="targets"' in page
    assert words(page).count("It cannot be judged: VLM Run has no confidences") == 2


def test_a_history_is_drawn_from_zero_without_the_periods_of_which_nothing_is_known() -> None:
    drawn = re.findall("<rect [^>]*>", card(render(content()), "Predictions"))

    assert [re.search('height="([^"]*)"', rect)[1] for rect in drawn] == ["89.09%", "86.86%"]  # type: ignore[index]


def test_failures_come_before_the_charts_and_link_to_each_prediction() -> None:
    page = render(content())

    assert page.index('id="failures"') < page.index('id="changes"') < page.index('id="by_time"')
    assert 'href="https://app.example.com/p/a%2Fb%20c"' in page
    assert "14 of 96 14.6 % 3.1 %" in words(page.replace("</td>", " </td>"))
    assert "All said “No page”" in words(page)
    assert "Failures: the first 20 of 24" in words(page)
    assert "27 Nov 2026 20:00" in words(page)


def test_what_is_empty_is_one_line() -> None:
    page = render(content())

    assert "Nothing to show: waiting, late." in words(page)
    assert 'id="waiting"' not in page


def test_a_share_by_time_is_tinted_and_written() -> None:
    page = render(content())

    assert '<td style="--share: 0.25" align="center">25</td>' in page
    assert page.count('class="sr">') > 14


def test_every_csv_and_the_summary_have_a_link() -> None:
    found = {given.get("href") for tag, given in Elements(render(content())).found if tag == "a"}

    assert found >= {f"{one.name}.csv" for one in content().tables} | {"summary.json"}


def test_what_a_service_says_is_text_everywhere() -> None:
    given = content(
        group=NASTY,
        summary={"title": NASTY, "notes": [NASTY]},
        made_by=NASTY,
        page_url=f"javascript:{NASTY}",
        prediction_url="javascript:{id}",
    )
    for page in (render(given), mail(given)):
        elements = Elements(page)
        assert not {tag for tag, _ in elements.found} & {"script", "link", "iframe", "object", "base", "form"}
        assert not [name for _, attributes in elements.found for name in attributes if name.startswith("on")]
        assert "javascript:" not in {str(given.get("href"))[:11] for _, given in elements.found}
        assert "{{ 7*7 }}" in elements.text
        assert "\u202e" not in page


def test_a_page_loads_nothing() -> None:
    for page in (render(content()), mail(content())):
        assert "<script" not in page
        assert not re.search(r"url\(|@import|src=", page)


def test_a_page_of_nothing_says_so() -> None:
    tables = [filled(one.name, " ".join(one.columns), amount=one.amount) for one in content().tables]
    verdict = {"state": "unknown", "text": "No predictions of this period have landed."}
    nothing = content(
        dict.fromkeys(MEASURES, (None, None)) | {"predictions": (0, None)},
        tables=tables,
        summary={"changes": [], "verdict": verdict | {"measure": None, "group": None}},
    )

    assert "No predictions of this period have landed." in words(render(nothing))
    assert "<section" not in render(nothing)
    assert "No predictions of this period" in mail(nothing)


def test_a_page_and_a_mail_are_bounded() -> None:
    long = "&" * 5000
    rows = [(f"{long}{n}", f"{long}{n}", f"{long}{n}", 1, 0.5) for n in range(50)]
    groups = [(f"{long}{n}", 2, 1, 1, 0.5) for n in range(50)]
    tables = [
        filled("by_group", "group predictions succeeded failed failed_share", *groups),
        filled("failure_reasons", "message predictions groups", *((long, 9, 1) for _ in range(50))),
        *(
            filled(name, "id field message fields mean_confidence", *rows, count=10**6)
            for name in (
                *("changes", "failures", "waiting", "late", "left_out", "problems", "processed"),
                *("least_confident", "confidence"),
            )
        ),
    ]
    shown = content().tables
    given = content(
        tables=[*tables, *(one for one in shown if one.name in ("by_time", "time_to_complete"))],
        group=long,
        made_by=long,
        summary={"notes": [long] * 100, "title": long},
    )

    assert len(render(given).encode()) < 500_000
    assert len(mail(given).encode()) < 50_000


def test_a_mail_needs_no_style_sheet_and_says_what_the_page_says() -> None:
    body = mail(content())

    assert not re.search("<style|<svg|<img|var\\(|display:|class=", body)
    assert "Look at document.receipt" in body
    assert f"9.1{NARROW}%" in body
    assert 'href="https://airflow.example.com/report.html"' in body
    assert len(body) < 6000


def test_a_mail_names_a_page_that_has_no_address() -> None:
    body = mail(content(page_url="s3://bucket/report.html"))

    assert "The whole report: s3://bucket/report.html" in body
    assert "<a " not in body


@pytest.mark.parametrize(
    ("highest", "whole", "expected"),
    [
        (0, True, [0, 1]),
        (1, True, [0, 1]),
        (3, True, [0, 1, 2, 3]),
        (20, True, [0, 5, 10, 15, 20]),
        (261, True, [0, 100, 200, 300]),
        (0.4, False, [0, 0.1, 0.2, 0.3, 0.4]),
    ],
)
def test_an_axis_has_whole_steps_from_zero(highest: float, whole: bool, expected: list[float]) -> None:
    assert ticks([[highest / 2, 0], [highest / 2, None]], whole=whole) == pytest.approx(expected)


@pytest.mark.parametrize(
    "highest", [10.0**power * factor for power in range(-6, 13) for factor in (1, 2.3, 9.9)]
)
def test_an_axis_reaches_over_the_highest_amount_in_few_steps(highest: float) -> None:
    found = ticks([[highest]])

    assert found[-1] >= highest * (1 - 1e-6)
    assert 2 <= len(found) <= 6


def test_stacks_have_failed_above_completed_and_waiting_above_both() -> None:
    found = colours(["pending", "failed", "completed"])

    assert list(found.items()) == [("completed", "ok"), ("failed", "bad"), ("pending", "idle")]


def test_labels_name_the_month_where_it_begins() -> None:
    window = make_window(("2026-11-25", "2026-12-05"), "Europe/Oslo", END)

    short = [bucket.short for bucket in window.buckets]
    assert short == ["25 Nov", "26", "27", "28", "29", "30", "1 Dec", "2", "3", "4"]


def test_a_chart_of_too_many_times_is_left_out() -> None:
    window = make_window(("1900-01-01", "2026-01-01"), "UTC", END)
    times = filled("by_time", "time status predictions", ("1900-01", "x", 1), amount="predictions",
                   points={"x": [1] * len(window.buckets)})  # fmt: skip
    tables = [times, *(one for one in content().tables if one.name not in ("by_time", "confidence_by_time"))]

    page = render(replace(content(), window=window, tables=tables))

    assert "<figure" not in page
    assert 'href="by_time.csv"' in page


@pytest.mark.parametrize(
    ("form", "value", "expected"),
    [
        ("share", 0.0912, "9.1 %"),
        ("count", 1234567, "1,234,567"),
        ("credits", 0.012, "0.012"),
        ("credits", 12.34, "12.3"),
        ("seconds", 3725, "1 h 2 min"),
        ("money", 1234.5, "€ 1,234.50"),
        ("share", None, "\u2013"),
        ("count", float("nan"), "\u2013"),
    ],
)
def test_a_number_has_one_format(form: Any, value: float | None, expected: str) -> None:
    assert number(form, value, "EUR").replace(NARROW, " ") == expected


@pytest.mark.parametrize(
    ("form", "now", "before", "expected"),
    [
        ("share", 0.09, 0.03, "+6.0 points"),
        ("share", 0.03, 0.09, "\u22126.0 points"),
        ("count", 90, 100, "\u221210 %"),
        ("count", 1000, 1001, "unchanged"),
        ("count", 5, 0, "new"),
        ("count", 5, None, ""),
    ],
)
def test_a_change_is_told_in_points_or_in_per_cent(form: Any, now: Any, before: Any, expected: str) -> None:
    assert change(form, now, before).replace(NARROW, " ") == expected


def test_texts_and_places_are_short() -> None:
    assert clip("x" * 100) == "x" * 59 + "…"
    assert clip("a\u202eb\0") == "a\ufffdb\ufffd"
    assert clip("") == "none"
    assert place(100 / 3) == "33.33"
    assert place(50) == "50"
    assert link("https://x/{id}", "ä/?") == "https://x/%C3%A4%2F%3F"
    assert link("", "a") == link("javascript:{id}", "a") == link("https://x/{id}", "a" * 1000) == ""


def test_every_measure_has_a_card_that_can_be_written() -> None:
    for service in ("vlmrun", "cradl"):
        given = {measure.name: (1.0, 2.0) for measure in measures_of([service])}
        targets = [
            {"measure": name, "group": None, "min": 1, "max": None, "now": 1.0, "state": "met", "why": ""}
            for name in given
        ]
        page = render(content(given, summary={"targets": targets}))
        assert page.count('<li class="card') >= len(given)
