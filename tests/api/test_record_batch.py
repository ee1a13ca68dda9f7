"""A page that is read by column holds what the same page holds when it is read row by row.

A line break behind a page changes nothing of it, but no such page is read by column.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from zlib import crc32

import pytest
from msgspec import structs

from airflow_provider_predictions.api.errors import MalformedAnswerError
from airflow_provider_predictions.api.limits import MAX_COLUMN_BYTES
from airflow_provider_predictions.api.models import Prediction
from airflow_provider_predictions.api.page import Observed, Page
from airflow_provider_predictions.api.pagination.base import Paginator
from airflow_provider_predictions.api.record_batch import ColumnBatch, RecordBatch
from airflow_provider_predictions.api.service import Service
from tests.api.services import CRADL, VLMRUN
from tests.server_model import NOW, Habits, ModelClient, ServerModel

SERVICES = {"vlmrun": VLMRUN, "cradl": CRADL}
NAMES = {"vlmrun": ("id", "created_at", "domain"), "cradl": ("predictionId", "createdTime", "modelId")}
SEPARATORS = [(",", ":"), (", ", ": "), (" , ", " : "), (",\r", ":"), (",\t", ":")]
TIMES = [
    "2026-01-01T00:00:00.123456", "2026-01-01T00:00:00", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00.5Z",
    "2026-01-01T02:00:00+02:00", "2026-01-01 00:00:00.000001", "2026-01-01T00:00:00.0000009",
    "2026-01-01T00:00:00.0+00:00", "2026-02-30T00:00:00", "0001-01-01T00:00:00+23:59", "20260101", "", "soon",
    None, 1767225600, True, ["2026-01-01T00:00:00"],
]  # fmt: skip
WORDS = ["completed", "succeeded", "failed", "pending", "new \u00e9", "", None, 7, {"a": 1}, "\ud800"]
SPELLINGS = [*["2026-01-01T00:{:02}:{:02}"] * 4, "2026010100{:02}{:02}Z", "2026-01-0100{:02}{:02}+00:00"]
"""Of all times of a page."""
NESTED = [
    '},{"id":', '"}, {"id": ', [{"id": 1}, {"id": 2}], {"predictions": [{"id": 1}, {"id": 2}]}, "line\nbreak",
    "\\", "}]", "[{", [[]], 1e400, 10**30, {"predictionId": "x"},
]  # fmt: skip


@pytest.fixture(params=[*SERVICES])
def service(request: pytest.FixtureRequest) -> Service[Any]:
    return SERVICES[request.param]


class Pages:
    """Makes pages as a service may send them: most of them usual, the others odd somewhere."""

    def __init__(self, service: Service[Any], seed: int) -> None:
        self.rng = random.Random(seed)
        self.service = service
        self.oddity = self.rng.choice([0, 0, 0.02, 0.3])
        self.spelling = self.rng.choice(SPELLINGS) if seed else SPELLINGS[0]
        self.separators = self.rng.choice(SEPARATORS if self.oddity else SEPARATORS[:2])

    def _some(self, usual: Any, odd: list[Any]) -> Any:
        return self.rng.choice(odd) if self.rng.random() < self.oddity else usual

    def record(self, number: int) -> Any:
        id_, created, group = NAMES[self.service.name]
        record = {
            id_: self._some(f"id-{number:04}", ["", None, 5, "id-0001", "\ud800", "a\nb"]),
            created: self._some(self.spelling.format(*divmod(number, 60)), TIMES),
            "status": self._some("completed", WORDS),
            group: self._some("a", [None, "b", 3]),
            "response": self._some({"n": number}, NESTED),
        }
        for name in [name for name in record if self.rng.random() < self.oddity / 5]:
            del record[name]
        if self.rng.random() < self.oddity / 3:
            record = dict(sorted(record.items(), key=lambda _: self.rng.random()))
        return self._some(record, [None, 3, [], {}, "text", record])

    def page(self) -> bytes:
        rows = [self.record(number) for number in range(self.rng.choice([0, 1, 2, 3, 20]))]
        page = rows if self.service is VLMRUN else self._envelope(rows)
        text = json.dumps(page, separators=self.separators, ensure_ascii=self.rng.random() < 0.5)
        body = text.encode("utf-8", "surrogatepass")
        if self.rng.random() < 0.1:  # a comma is missing, and nothing else is odd
            body = body.replace(b"},", self.rng.choice([b"}", b"} "]), self.rng.choice([1, -1]))
        if self.rng.random() < self.oddity:
            edge = self.rng.choice([b"[{", b"}]", b"},", b'{"', b'":'])
            space = self.rng.choice([b" ", b"\t", b"\r"])
            body = body.replace(edge, edge[:1] + space + edge[1:], self.rng.choice([1, -1]))
        if self.rng.random() < self.oddity:
            at = self.rng.randrange(len(body) + 1)
            body = (
                body[:at]
                + self.rng.choice([b" ", b"\n", b"\r", b"\x00", b"}", b"{", b",", b"\xff"])
                + body[at:]
            )
        return self._some(body, [b"\xef\xbb\xbf" + body, body + b" ", body + b"}", body[:-1]])

    def _envelope(self, rows: list[Any]) -> Any:
        page = {"predictions": rows, "nextToken": self._some("token", [None, "", 5, "x" * 9000])}
        page |= self._some(
            {}, [{"metadata": rows}, {"a": {"predictions": rows}}, {"a": '"predictions":[{'}, {"b": [{}]}]
        )
        return self._some(
            page, [rows, dict(reversed(page.items())), {"predictions": page}, {"nextToken": None}]
        )


def read(service: Service[Any], body: bytes) -> tuple[Any, Any]:
    """The rows of a page and its token, or the class of the error."""
    try:
        page = service.split(body) if service is VLMRUN else service.page(body)
    except MalformedAnswerError as error:
        return type(error), None
    return (page, None) if service is VLMRUN else page


def by_row(body: bytes) -> bytes:
    """The same page, of which each row is read on its own."""
    return body + b"\n"


@pytest.mark.parametrize(
    "seeds", [range(600), pytest.param(range(600, 6_000), marks=pytest.mark.slow)], ids=len
)
def test_each_page_gives_the_same_rows_by_column_as_row_by_row(service: Service[Any], seeds: range) -> None:
    by_column = 0
    for seed in seeds:
        body = Pages(service, seed).page()
        (rows, token), (wanted, wanted_token) = read(service, body), read(service, by_row(body))

        assert (rows, token) == (wanted, wanted_token), f"seed {seed}: {body!r}"
        assert not isinstance(wanted, ColumnBatch)
        if isinstance(rows, ColumnBatch):
            by_column += 1
            assert (rows.ids, rows.statuses, rows.times, rows.groups) == (
                wanted.ids, wanted.statuses, wanted.times, wanted.groups
            ), f"seed {seed}"  # fmt: skip
            assert text_of(rows) == text_of(wanted)
    assert by_column > len(seeds) / 4


def text_of(batch: RecordBatch) -> bytes:
    """What is written of a batch, but for its last line break."""
    pieces = [bytes(text) for text, _ in batch.texts]
    assert sum(count for _, count in batch.texts) == len(batch)
    return b"\n".join(pieces)


def usual_rows(service: Service[Any], count: int, separators: tuple[str, str] = SEPARATORS[0]) -> RecordBatch:
    pages = Pages(service, 0)
    pages.oddity = 0
    rows = [pages.record(number) for number in range(count)]
    page = rows if service is VLMRUN else {"predictions": rows, "nextToken": "token"}
    found, token = read(service, json.dumps(page, separators=separators).encode())
    assert isinstance(found, ColumnBatch)
    assert token == (None if service is VLMRUN else "token")
    return found


@pytest.mark.parametrize("separators", SEPARATORS[:2], ids=["compact", "as json.dumps writes it"])
def test_a_usual_page_is_read_by_column(service: Service[Any], separators: tuple[str, str]) -> None:
    rows = usual_rows(service, 3, separators)

    assert text_of(rows).split(b"\n") == [row.raw for row in rows]


@pytest.mark.parametrize(
    "oddity",
    [
        {"status": None},
        {"status": ""},
        {"id": "", "predictionId": ""},
        {"domain": 5, "modelId": 5},
        {"first": 1},
        {"x": float("nan")},
        {"x": "\ud800"},
        {"created_at": "1576091531538498159", "createdTime": "1576091531538498159"},
    ],
    ids=str,
)
def test_a_page_with_one_odd_record_is_read_row_by_row(service: Service[Any], oddity: dict[str, Any]) -> None:
    rows = [json.loads(row.raw) for row in usual_rows(service, 3)]
    rows[1] = oddity | rows[1] if "first" in oddity else rows[1] | oddity
    found, _ = read(service, json.dumps(rows if service is VLMRUN else {"predictions": rows}).encode())

    assert not isinstance(found, ColumnBatch)
    assert [json.loads(row.raw).keys() for row in found] == [row.keys() for row in rows]


@pytest.mark.parametrize("start", [0, 1, 4, 9, 10])
@pytest.mark.parametrize("stop", [0, 1, 5, 9, 10, None])
def test_a_slice_holds_the_columns_and_the_text_of_its_rows(
    service: Service[Any], start: int, stop: int | None
) -> None:
    rows = usual_rows(service, 10)
    part, wanted = rows[start:stop], [*rows][start:stop]

    assert part == wanted
    assert text_of(part) == b"\n".join(row.raw for row in wanted)
    assert part[1:].ids == [row.id for row in wanted[1:]]
    assert text_of(part[1:]) == b"\n".join(row.raw for row in wanted[1:])
    assert Observed.of(part) == Observed.of(wanted)


def test_rows_are_selected_by_a_mask(service: Service[Any]) -> None:
    rows = usual_rows(service, 4)

    assert rows.select([True] * 4) is rows
    assert rows.select([False, True, False, True]) == [rows[1], rows[3]]


class Reading:
    """A pass over a list of the model, some of whose records are odd.

    :param change: of each page before it is read.
    """

    def __init__(self, service: Service[Any], seed: int, change: Callable[[bytes], bytes]) -> None:
        self.seed = seed
        self.by_column = 0
        rng = random.Random(seed)
        self.oddity = rng.choice([0, 0, 20, 4])
        window = (
            {"created_after": NOW.replace(year=2025), "created_before": NOW} if rng.random() < 0.3 else {}
        )
        filters = rng.choice([{}, {}, {"statuses": ["completed", "succeeded"]}, {"max_predictions": 7}])
        self.server = ServerModel(service.name, seed, Habits(in_order=rng.random() < 0.8))
        self.paginator: Paginator = service.paginator(
            service.filters(page_size=rng.choice([3, 5, 50]), **filters, **window)
        )
        self.paginator.endpoint = replace(self.paginator.endpoint, parse=self._parse(self.paginator, change))
        with ModelClient(service, self.server) as client:
            self.pages = [self._seen(page) for page in client.pages(self.paginator)]

    def _parse(self, paginator: Paginator, change: Callable[[bytes], bytes]) -> Callable[[bytes], Any]:
        parse = paginator.endpoint.parse

        def changed(body: bytes) -> Any:
            page = json.loads(body)
            for record in page if isinstance(page, list) else page["predictions"]:
                self._make_odd(record)
            response = parse(change(json.dumps(page, separators=(",", ":")).encode()))
            self.by_column += isinstance(response if isinstance(page, list) else response[0], ColumnBatch)
            return response

        return changed

    def _make_odd(self, record: dict[str, Any]) -> None:
        """What is odd about a record is the same each time."""
        number = crc32(f"{self.seed} {record.get('id') or record.get('predictionId')}".encode())
        if self.oddity and number % self.oddity == 0:
            record.update(
                [{"status": None}, {"x": float("nan")}, {"x": [{"id": 1}, {"id": 2}]}][number // 99 % 3]
            )

    @staticmethod
    def _seen(page: Page) -> tuple[list[Prediction], int, list[Prediction], Observed | None]:
        return [*page.predictions], page.duplicates, [*page.rejected], page.observed


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize(
    "seeds", [range(100), pytest.param(range(100, 1_000), marks=pytest.mark.slow)], ids=len
)
def test_a_history_is_the_same_whether_pages_are_read_by_column_or_row_by_row(
    service: Service[Any], seeds: range
) -> None:
    by_column = 0
    for seed in seeds:
        fast, slow = Reading(service, seed, bytes), Reading(service, seed, by_row)

        assert fast.pages == slow.pages, f"seed {seed}"
        assert fast.paginator.state() == slow.paginator.state(), f"seed {seed}"
        assert (fast.paginator.proof, fast.server.requests) == (slow.paginator.proof, slow.server.requests)
        assert not slow.by_column
        by_column += fast.by_column
    assert by_column > 2 * len(seeds)


def test_records_without_a_comma_between_them_are_no_page(service: Service[Any]) -> None:
    lines = [row.raw for row in usual_rows(service, 4)]
    for first in (b"%s%s" % (lines[0], lines[1]), b"%s %s" % (lines[0], lines[1])):
        array = b"[%s]" % b",".join([first, *lines[2:]])
        body = array if service is VLMRUN else b'{"predictions":%s}' % array

        assert read(service, body) == (MalformedAnswerError, None)


def test_slices_with_a_step_are_those_of_a_list(service: Service[Any]) -> None:
    rows = usual_rows(service, 7)
    for at in (slice(None, None, 2), slice(None, None, -1), slice(5, 0, -2), slice(-2, None), slice(3, 1)):
        assert rows[at] == RecordBatch([*rows])[at] == [*rows][at]
        assert rows[at].ids == [row.id for row in [*rows][at]]


def test_a_page_of_cradl_whose_list_is_the_text_that_stands_for_a_list_is_refused() -> None:
    line = usual_rows(CRADL, 1)[0].raw

    assert read(CRADL, b'{"predictions":"cut out","other":[%s]}' % line) == (MalformedAnswerError, None)


def test_what_a_landing_does_with_usual_pages_makes_no_predictions(service: Service[Any]) -> None:
    rows = usual_rows(service, 6)
    Observed.of(rows)
    for part in (rows, rows[1:], rows[:4], rows[6:], rows.select([True] * 6)):
        columns = (part.ids, part.span, [*part.texts], part.rejected, part.without_values)
        assert len(columns) == 5
        assert "_rows" not in vars(part)
    assert service.filters().choose(rows) is rows
    assert "_rows" not in vars(rows)


def test_a_large_page_is_written_in_pieces(service: Service[Any]) -> None:
    row = usual_rows(service, 1)[0]
    large = structs.replace(row, raw=row.raw.ljust(MAX_COLUMN_BYTES // 3))
    pieces = [*RecordBatch([large] * 10).texts]

    assert [count for _, count in pieces] == [4, 4, 2]
    assert b"\n".join(bytes(text) for text, _ in pieces) == b"\n".join([large.raw] * 10)
