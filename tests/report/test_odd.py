"""What nobody expects of data: counted, or left out with the reason, and escaped on every page."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_predictions.report.window import make_window
from tests.report.landed import land, left_out, report, table
from tests.report.records import made

START, END = datetime(2026, 11, 2, tzinfo=UTC), datetime(2026, 11, 3, tzinfo=UTC)
WINDOW = make_window((START, END), "UTC", END)
UNREAD = "records that are no JSON that DuckDB reads, or have none of the fields"
NAMES = [
    "<script>alert(1)</script>",
    "</style><img src=x onerror=alert(1)>",
    "$x^2$",
    "_hidden",
    "=cmd()",
    "a\"b'c&d",
    "nul\0and\u202eback",
    "{{ 7 * 7 }}",
    "株式会社",
]


def vlmrun(n: int, **members: Any) -> bytes:
    given = {
        "id": f"{n}",
        "created_at": "2026-11-02T10:00:00",
        "status": "completed",
        "domain": "d",
    } | members
    return json.dumps(given).encode()


def cradl(n: int, **members: Any) -> bytes:
    given = {
        "predictionId": f"{n}",
        "createdTime": "2026-11-02T10:00:00Z",
        "status": "succeeded",
        "modelId": "m",
    }
    return json.dumps(given | members).encode()


def test_a_spreadsheet_takes_no_text_of_a_csv_for_a_formula(tmp_path: Path) -> None:
    texts = [
        "=1+1",
        "x;=1+1",
        "\n=1",
        " =1",
        "\u00a0=1",
        "\ufeff=1",
        "\uff1d1",
        "+1",
        "-1",
        "@x",
        "\t=1",
        "plain",
    ]
    records = [vlmrun(n, domain=text) for n, text in enumerate(texts)]
    land("vlmrun", tmp_path / "landed", records)

    report(str(tmp_path / "landed"), WINDOW, tmp_path / "files")

    lines = (tmp_path / "files/by_group.csv").read_text().split("\n", 1)[1]
    found = {row[0] for row in table(tmp_path / "files", "by_group")}
    assert {text for text in found if not text.startswith("'")} == {"plain", "x;=1+1"}
    assert '"x;=1+1",' in lines  # in quotes, so that one that separates by semicolons does not split it


def test_numbers_that_no_double_holds_are_not_known(tmp_path: Path) -> None:
    land("vlmrun", tmp_path / "landed", [vlmrun(n, usage={"credits_used": 1e308}) for n in range(2)])

    summary = report(str(tmp_path / "landed"), WINDOW, tmp_path / "files")

    assert summary["measures"]["credits"]["now"] is None
    json.loads((tmp_path / "files/summary.json").read_text(), parse_constant=pytest.fail)


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


def test_records_that_cannot_be_read_are_left_out_by_name(tmp_path: Path) -> None:
    unread = [
        b'{"id":"odd","status":"completed","created_at":"2026-11-02T10:00:00","response":"\\ud800"}',
        b'{"id":"odd","status":"completed","created_at":"2026-11-02T10:00:00","response":"\xff"}',
        b'{"other":1}',
    ]
    land("vlmrun", tmp_path / "landed", [vlmrun(1), *unread])

    summary = report(str(tmp_path / "landed"), WINDOW, tmp_path / "files")

    assert summary["count"] == 1
    assert left_out(tmp_path / "files") == {UNREAD: len(unread)}


def test_records_with_odd_content_are_counted(tmp_path: Path) -> None:
    megabytes = b'"' + b"x" * 20_000_000 + b'"'
    odd = [b"NaN", b"1e999", b"[" * 500 + b"]" * 500, b'"\\u0000"', megabytes]
    records = [
        vlmrun(number).removesuffix(b"}") + b',"response":' + response + b"}"
        for number, response in enumerate(odd)
    ]
    land("vlmrun", tmp_path / "landed", [vlmrun(len(odd)), *records])

    assert report(str(tmp_path / "landed"), WINDOW, tmp_path / "files")["count"] == 1 + len(odd)


def test_fields_of_odd_shapes_are_left_out_with_the_reason(tmp_path: Path) -> None:
    deep = {"label": "deep", "value": [[{"label": "x", "value": [], "confidence": 0.5}]]}
    fields = [{"label": "a", "value": "x", "confidence": 0.5}, 7, None, {}, deep]
    fields.append({"label": "flat", "value": ["text", {"label": "y"}]})
    records = [
        cradl(1, predictions=fields),
        cradl(2, predictions={"label": "object"}),
        cradl(3, predictions="text"),
    ]
    land("cradl", tmp_path / "landed", records)

    summary = report(str(tmp_path / "landed"), WINDOW, tmp_path / "files")

    assert [row[:2] for row in table(tmp_path / "files", "confidence")] == [["a", "1"], ["deep.x", "1"]]
    assert summary["left_out"] == {
        "fields without a label, a value and a confidence": 3,
        "line items that are no rows of fields": 1,
        "line items within line items": 1,
        "records whose predictions are no list; their fields are not counted": 2,
    }


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
@pytest.mark.parametrize("predictions", [{"a": {"value": "x", "confidence": 0.5}}, "text", 5])
def test_predictions_that_are_no_list_are_left_out_by_name_where_all_else_is_usual(
    predictions: Any, form: str, tmp_path: Path
) -> None:
    usual = [{"label": "a", "value": "x", "confidence": 0.5}]
    records = [cradl(1, predictions=predictions), cradl(2, predictions=usual), cradl(3)]
    land("cradl", tmp_path / "landed", records, form)

    summary = report(str(tmp_path / "landed"), WINDOW, tmp_path / "files")

    assert summary["measures"]["fields"]["now"] == 1
    assert summary["left_out"] == {"records whose predictions are no list; their fields are not counted": 1}


def test_text_of_the_data_stays_text(service_name: str, tmp_path: Path) -> None:
    make, group = (vlmrun, "domain") if service_name == "vlmrun" else (cradl, "modelId")
    texts = [
        {group: name, "status": name if n % 2 else "failed", "error": name, "documentId": name}
        for n, name in enumerate(NAMES)
    ]
    fields = [{"label": name, "value": name, "confidence": 0.1, "warnings": [name]} for name in NAMES]
    extra = {} if service_name == "vlmrun" else {"predictions": fields, "inferenceTime": 1.5}
    land(service_name, tmp_path / "landed", [make(n, **text, **extra) for n, text in enumerate(texts)])

    summary = report(str(tmp_path / "landed"), WINDOW, tmp_path / "files")

    page = Elements((tmp_path / "files/report.html").read_text("utf-8"))
    assert summary["count"] == len(NAMES)
    assert not {tag for tag, _ in page.found} & {"script", "img", "link", "iframe", "object", "base", "form"}
    assert not [name for _, given in page.found for name in given if name.startswith("on")]
    for name in NAMES:
        assert re.sub("[\0\u202e]", "\ufffd", name) in page.text
    names = [row[0] for row in table(tmp_path / "files", "by_group")]
    assert set(names) == {f"'{name}" if name[0] == "=" else name for name in NAMES}


def test_a_page_asks_nobody_for_anything_and_tells_its_charts_in_words(
    service_name: str, tmp_path: Path
) -> None:
    land(service_name, tmp_path / "landed", made(service_name, START, END, 50))
    report(str(tmp_path / "landed"), WINDOW, tmp_path / "files")

    text = (tmp_path / "files/report.html").read_text("utf-8")
    page = Elements(text)
    loaded = [
        given[name] for _, given in page.found for name in ("src", "xlink:href", "action") if name in given
    ]
    assert loaded == []
    links = {given["href"] for _, given in page.found if "href" in given}
    files = {file.name for file in (tmp_path / "files").iterdir()} - {"report.html"}
    assert {link for link in links if link and not link.startswith("#")} == files
    assert "@import" not in text
    assert re.findall(r"url\(", text) == []
    drawings = [given for tag, given in page.found if tag == "svg"]
    assert len(drawings) >= 2
    assert all(given.get("aria-hidden") == "true" or given["aria-label"] for given in drawings)


def test_thousands_of_names_make_no_large_page(service_name: str, tmp_path: Path) -> None:
    if service_name == "vlmrun":
        records = [vlmrun(n, domain=f"domain {n} {'x' * 300}", status=f"status {n}") for n in range(3000)]
    else:
        fields = [{"label": f"label {n} {'x' * 30}", "value": "x", "confidence": 0.5} for n in range(3000)]
        records = [cradl(n, modelId=f"model {n}", predictions=fields) for n in range(20)]
    land(service_name, tmp_path / "landed", records)

    report(str(tmp_path / "landed"), WINDOW, tmp_path / "files")

    assert (tmp_path / "files/report.html").stat().st_size < 1_000_000
    assert len(table(tmp_path / "files", "by_group" if service_name == "vlmrun" else "confidence")) == 3000


def test_the_first_and_the_last_moment_that_there_are_end_no_report(tmp_path: Path) -> None:
    """In the zone of the report they may lie in no year that there is."""
    for zone, created in (("Asia/Tokyo", "9999-12-31T23:59:59"), ("America/New_York", "0001-01-01T00:00:00")):
        land("vlmrun", tmp_path / created[:4], [vlmrun(1, created_at=created)])

        summary = report(str(tmp_path / created[:4]), make_window((START, END), zone, END), tmp_path / zone)

        assert summary["count"] == 0


def test_a_mean_whose_variance_no_float_can_hold_is_not_compared(tmp_path: Path) -> None:
    hour = timedelta(hours=1)
    for day in (START, END):
        rows = [
            json.dumps(
                {
                    "predictionId": f"{day:%d} {n}",
                    "createdTime": (day - 12 * hour + n * hour / 60).isoformat(),
                    "status": "succeeded",
                    "inferenceTime": 1e200 * n,
                }
            ).encode()
            for n in range(1, 9)
        ]
        land("cradl", tmp_path / "in" / f"{day:%d}", rows)

    summary = report(str(tmp_path / "in"), WINDOW, tmp_path / "files")

    assert summary["changes"] == []
    json.loads((tmp_path / "files/summary.json").read_text(), parse_constant=pytest.fail)
