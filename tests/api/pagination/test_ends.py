"""Where a list ends, what that costs, and lists that have no end."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_predictions.api.errors import InvalidRequestError, MalformedAnswerError
from airflow_provider_predictions.api.limits import MAX_EMPTY_PAGES, MAX_PAGES_WITHOUT_NEW_ROWS
from airflow_provider_predictions.api.models import GetRequest
from airflow_provider_predictions.api.service import Service
from tests.api.lists import Listing, Row, at, ids_of, is_proven, pages, paginator_of, told
from tests.api.services import CRADL, VLMRUN

pytestmark = pytest.mark.usefixtures("quiet")


def newest_first(count: int, cap: int | None = None) -> Listing:
    return Listing((Row(f"row{n}", count - n) for n in range(count)), cap)


@pytest.mark.parametrize("cut", [0, 1, 2, 7])
def test_a_short_page_in_mid_list_is_read_on_from(cut: int) -> None:
    listing = newest_first(50)

    def restore() -> None:
        listing.cap = cut if len(listing.asked) == 1 else None
        if cut == 0:
            listing.cap = None

    paginator = paginator_of(VLMRUN, page_size=10)

    assert ids_of(pages(paginator, listing, restore)) == [row.id for row in listing.rows]
    assert is_proven(paginator)
    assert len(listing.asked) <= 6 + 3


def test_a_cap_that_falls_between_two_pages_loses_nothing() -> None:
    listing = newest_first(50)

    def restore() -> None:
        listing.cap = 4

    assert len(ids_of(pages(paginator_of(VLMRUN, page_size=10), listing, restore))) == 50


@pytest.mark.parametrize("large", [4, 5, 12, 28])
def test_a_server_that_limits_the_size_of_a_response_ends_no_list_where_two_rows_are_too_large(
    large: int,
) -> None:
    listing = newest_first(30)

    def limit() -> None:
        """Hold three rows a response, but only one of the two large ones."""
        skip = paginator.next_requests(1)[0].params["skip"]
        listing.cap = max(1, min(3, large - int(skip))) if int(skip) < large else 3

    paginator = paginator_of(VLMRUN, page_size=10)
    listing.cap = 3

    assert ids_of(pages(paginator, listing, limit)) == [row.id for row in listing.rows]
    assert paginator.proof.consistent is None


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("resumes", [False, True])
def test_a_server_that_cuts_any_response_loses_none(seed: int, resumes: bool) -> None:
    listing, chance = newest_first(60, cap=4), random.Random(seed)

    def cut() -> None:
        nonlocal paginator
        listing.cap = chance.randrange(2, 5) if len(listing.asked) % 2 else chance.randrange(1, 5)
        if resumes:
            state, paginator = paginator.state(), paginator_of(VLMRUN, page_size=10)
            paginator.restore(state, lambda: list(listed))

    paginator, listed = paginator_of(VLMRUN, page_size=10), []
    while requests := paginator.next_requests(1):
        listed += [
            row.id for row in paginator.advance(paginator.parse(listing.answer(requests[0]))).predictions
        ]
        cut()

    assert listed == [row.id for row in listing.rows]


@pytest.mark.parametrize(
    ("count", "requests"),
    [(0, 2), (1, 3), (2, 2), (9, 2), (10, 3), (11, 3), (19, 4), (20, 4), (28, 5), (100, 13)],
)
def test_the_end_is_asked_for_once_behind_the_last_row(count: int, requests: int) -> None:
    """A list that stands still costs one request more than it did when a short page was believed."""
    listing = newest_first(count)
    first = paginator_of(VLMRUN, page_size=10)

    assert len(ids_of(pages(first, listing))) == count
    assert len(listing.asked) == requests
    assert is_proven(first)


@pytest.mark.parametrize(("count", "requests"), [(0, 1), (1, 1), (9, 1), (10, 2), (11, 2), (100, 12)])
def test_a_poll_of_a_list_whose_end_is_known_costs_its_pages(count: int, requests: int) -> None:
    listing = newest_first(count)
    first, second = (paginator_of(VLMRUN, page_size=10) for _ in range(2))
    list(pages(first, listing))
    listing.asked.clear()
    second.list_end = first.list_end

    assert len(ids_of(pages(second, listing))) == count
    assert len(listing.asked) == requests


def test_behind_the_end_that_an_earlier_poll_knew_is_read_on_where_the_newest_rows_come_last() -> None:
    listing = Listing((Row(f"row{n}", n) for n in range(10)), cap=10)
    first, second = (paginator_of(VLMRUN, page_size=50) for _ in range(2))
    list(pages(first, listing))
    listing.ever += [Row(f"row{n}", n) for n in range(10, 15)]
    second.list_end = first.list_end

    assert ids_of(pages(second, listing)) == [row.id for row in listing.rows]


@pytest.mark.parametrize(("first", "last"), [(100, 209), (0, 109), (291, 401)])
def test_one_row_a_page_is_read_through_a_window(first: int, last: int) -> None:
    listing = newest_first(400, cap=1)
    paginator = paginator_of(VLMRUN, page_size=50, created_after=at(first), created_before=at(last))

    listed = ids_of(pages(paginator, listing))

    assert listed == [row.id for row in listing.rows if first <= (row.created or 0) < last]
    assert paginator.proof.consistent is None


def test_a_row_out_of_order_in_front_of_a_window_is_not_said_to_have_landed() -> None:
    """A search does not look at it."""
    rows = [Row(f"row{n}", 1000 - n) for n in range(1000)]
    rows[55] = Row("astray", 5)
    paginator = paginator_of(VLMRUN, page_size=10, created_after=at(1), created_before=at(9))

    listed = ids_of(pages(paginator, Listing(rows)))

    assert "astray" not in listed
    assert paginator.proof.consistent is None
    assert "order" in (paginator.proof.reason or "")


def answering(listing: Listing, body: Callable[[GetRequest], bytes]) -> Listing:
    def answer(request: GetRequest) -> bytes:
        listing.asked.append(dict(request.params))
        return body(request)

    listing.answer = answer  # type: ignore[method-assign]
    return listing


@pytest.mark.parametrize("page_size", [10, 50])
def test_rows_in_ever_new_order_whatever_skip_says_are_no_list(page_size: int) -> None:
    rng = random.Random(1)
    texts = [row.text("id", "created_at") for row in newest_first(50).rows]
    listing = answering(
        newest_first(50), lambda _: f"[{','.join(rng.sample(texts, 50)[:page_size])}]".encode()
    )

    with pytest.raises(MalformedAnswerError, match="ignores skip"):
        list(pages(paginator_of(VLMRUN, page_size=page_size), listing, most=2 * MAX_PAGES_WITHOUT_NEW_ROWS))


@pytest.mark.parametrize("count", [1, 5])
@pytest.mark.parametrize("page_size", [1, 2, 1000])
def test_one_page_whatever_skip_says_is_no_list_where_a_window_begins(count: int, page_size: int) -> None:
    """A cache that ignores the query; all rows of its page are newer than the window, and of one moment."""
    listing = Listing(Row(f"row{n}", 9) for n in range(count))
    texts = [row.text("id", "created_at") for row in listing.rows]
    answering(listing, lambda request: f"[{','.join(texts[: int(request.params['limit'])])}]".encode())
    paginator = paginator_of(VLMRUN, page_size=page_size, created_before=at(5))

    with pytest.raises(MalformedAnswerError, match="ignores skip"):
        list(pages(paginator, listing, most=MAX_PAGES_WITHOUT_NEW_ROWS + 2))


@pytest.mark.parametrize(
    ("count", "most"),
    [(5, MAX_PAGES_WITHOUT_NEW_ROWS + 1), (0, MAX_EMPTY_PAGES + 1)],
)
def test_ever_new_tokens_with_the_same_page_are_no_list(count: int, most: int) -> None:
    texts = ",".join(row.text("predictionId", "createdTime") for row in newest_first(count).rows)
    listing = newest_first(0)
    answering(
        listing,
        lambda _: f'{{"predictions": [{texts}], "nextToken": "token {len(listing.asked)}"}}'.encode(),
    )

    with pytest.raises(MalformedAnswerError, match="ignores nextToken"):
        list(pages(paginator_of(CRADL), listing, most=most))


@pytest.mark.parametrize("junk", ["null", "n"], ids=["the same", "ever new"])
@pytest.mark.parametrize("count", [1, 5])
@pytest.mark.parametrize("service", [VLMRUN, CRADL], ids=["vlmrun", "cradl"])
def test_ever_more_rows_that_are_no_records_are_no_list(service: Service[Any], count: int, junk: str) -> None:
    listing = newest_first(0)

    def body(_: GetRequest) -> bytes:
        number = len(listing.asked)
        rows = ",".join(junk if junk == "null" else str(number * count + n) for n in range(count))
        if service is VLMRUN:
            return f"[{rows}]".encode()
        return f'{{"predictions": [{rows}], "nextToken": "token {number}"}}'.encode()

    answering(listing, body)

    with pytest.raises(MalformedAnswerError, match="without a new record"):
        list(pages(paginator_of(service), listing, most=MAX_EMPTY_PAGES + 2))


def test_a_long_list_that_is_read_again_is_none_without_an_end() -> None:
    """The pages that were read before its token was refused bring no new row."""
    listing = told(range(400, 0, -1)).listing
    paginator = paginator_of(CRADL, page_size=2)
    flow = pages(paginator, listing, most=1000)
    listed = ids_of(next(flow) for _ in range(150))

    paginator.on_error(InvalidRequestError("Invalid nextToken", status=422))

    assert listed + ids_of(flow) == [row.id for row in listing.rows]


@pytest.mark.parametrize("service", [VLMRUN, CRADL], ids=["vlmrun", "cradl"])
def test_a_service_declares_the_path_of_its_list(service: Service[Any]) -> None:
    kind = type("Elsewhere", (type(service),), {"list_path": "v2/jobs"})
    elsewhere = kind(service.base_url, service.auth)

    assert [request.path for request in paginator_of(elsewhere).next_requests(1)] == ["v2/jobs"]
    assert elsewhere.one("an-id").path == "v2/jobs/an-id"
