"""Passes by tokens: the nearer end, and tokens that are refused."""

from __future__ import annotations

import random
from time import thread_time
from typing import Any

import pytest

from airflow_provider_predictions.api.errors import (
    AuthenticationError,
    InvalidRequestError,
    MalformedAnswerError,
    NoAnswerError,
    PredictionsError,
    QuotaExceededError,
    RateLimitedError,
    ServerError,
)
from tests.api.lists import Listing, Row, at, ids_of, pages, paginator_of, reborn, told
from tests.api.services import CRADL

pytestmark = pytest.mark.usefixtures("quiet")


REFUSED = InvalidRequestError("Invalid nextToken", status=400)


def cradl_list(count: int) -> Listing:
    """A row a minute, newest first."""
    return Listing(Row(f"row{n}", (count - n) * 60) for n in range(count))


def orders(listing: Listing) -> list[str]:
    return [asked["order"] for asked in listing.asked]


@pytest.mark.parametrize(
    ("first", "last", "order"),
    [(4700, 4800, "descending"), (200, 300, "ascending"), (2700, 2800, "descending")],
    ids=["newest end", "oldest end", "nearer to the newest"],
)
def test_a_window_is_read_from_the_nearer_end(first: int, last: int, order: str) -> None:
    listing = cradl_list(5000)
    window = {"created_after": at(first * 60), "created_before": at(last * 60)}

    listed = ids_of(pages(paginator_of(CRADL, **window), listing))

    assert set(listed) == {row.id for row in listing.rows if first * 60 <= (row.created or 0) < last * 60}
    assert orders(listing)[-1] == order
    nearer = min(5000 - first, last)
    assert len(listing.asked) <= nearer / 100 + 4


@pytest.mark.parametrize("order", ["ascending", "descending"])
def test_an_order_that_is_asked_for_is_kept(order: str) -> None:
    listing = cradl_list(500)
    window = {"created_after": at(6000), "created_before": at(9000)}

    listed = ids_of(pages(paginator_of(CRADL, order=order, **window), listing))

    wanted = [row.id for row in listing.rows if 6000 <= (row.created or 0) < 9000]
    assert listed == (wanted if order == "descending" else wanted[::-1])
    assert set(orders(listing)) == {order}


def test_a_window_without_a_start_is_read_from_the_oldest_end() -> None:
    listing = cradl_list(5000)

    listed = ids_of(pages(paginator_of(CRADL, created_before=at(6000)), listing))

    assert listed == [f"row{n}" for n in range(4999, 4900, -1)]
    assert set(orders(listing)) == {"ascending"}
    assert len(listing.asked) <= 2


@pytest.mark.parametrize("window", [{}, {"created_after": at(6000)}])
def test_max_predictions_takes_the_newest_ones(window: dict[str, Any]) -> None:
    listing = cradl_list(5000)

    listed = ids_of(pages(paginator_of(CRADL, created_before=at(9000), max_predictions=7, **window), listing))

    assert listed == [f"row{n}" for n in range(4851, 4858)]
    assert set(orders(listing)) == {"descending"}


@pytest.mark.parametrize("times", [range(20, 0, -1), random.Random(1).sample(range(20), 20), [None] * 20])
def test_a_refused_token_begins_the_list_again_and_nothing_comes_twice(times: list[int | None]) -> None:
    listing = told(times).listing
    paginator = paginator_of(CRADL, page_size=3)
    flow = pages(paginator, listing)
    listed = ids_of([next(flow), next(flow)])

    paginator.on_error(REFUSED)

    assert "nextToken" not in paginator.next_requests(1)[0].params
    assert listed + ids_of(flow) == [row.id for row in listing.rows]


@pytest.mark.parametrize("how", ["in order", "shuffled"])
def test_the_time_to_begin_a_list_again_does_not_grow_with_the_square_of_its_length(how: str) -> None:
    def seconds(count: int) -> float:
        times = list(range(count, 0, -1))
        if how == "shuffled":
            random.Random(1).shuffle(times)
        listing = told(times).listing
        paginator = paginator_of(CRADL, page_size=500)
        flow = pages(paginator, listing)
        listed = ids_of(next(flow) for _ in range(count // 500 - 1))
        started = thread_time()

        paginator.on_error(REFUSED)

        assert listed + ids_of(flow) == [row.id for row in listing.rows]
        return thread_time() - started

    assert seconds(16_000) < 24 * seconds(2000)


def test_a_second_refused_token_is_an_error() -> None:
    paginator = paginator_of(CRADL, page_size=3)
    flow = pages(paginator, cradl_list(20))
    next(flow)
    paginator.on_error(REFUSED)
    next(flow)

    with pytest.raises(InvalidRequestError):
        paginator.on_error(REFUSED)


@pytest.mark.parametrize("status", [400, 404, 410, 415, 422, 500])
def test_a_token_is_refused_with_whatever_status(status: int) -> None:
    listing = cradl_list(20)
    paginator = paginator_of(CRADL, page_size=3)
    flow = pages(paginator, listing)
    listed = ids_of([next(flow)])

    paginator.on_error(PredictionsError("no", status=status))

    assert listed + ids_of(flow) == [row.id for row in listing.rows]


@pytest.mark.parametrize(
    "error",
    [
        AuthenticationError("no", status=403),
        QuotaExceededError("no", status=429),
        RateLimitedError("no", status=429),
        NoAnswerError("no"),
    ],
)
def test_what_is_not_said_of_a_token_is_an_error_at_once(error: PredictionsError) -> None:
    paginator = paginator_of(CRADL, page_size=3)
    next(pages(paginator, cradl_list(20)))

    with pytest.raises(type(error)):
        paginator.on_error(error)


def test_a_refusal_of_the_first_page_is_an_error() -> None:
    with pytest.raises(InvalidRequestError):
        paginator_of(CRADL).on_error(REFUSED)


def test_a_token_that_was_refused_after_a_death_begins_the_list_again() -> None:
    listing = cradl_list(20)
    paginator = paginator_of(CRADL, page_size=3)
    flow = pages(paginator, listing)
    listed = ids_of([next(flow), next(flow)])

    other = reborn(paginator, CRADL, listed, page_size=3)
    other.on_error(REFUSED)

    assert listed + ids_of(pages(other, listing)) == [row.id for row in listing.rows]


@pytest.mark.parametrize(
    "error",
    [
        AuthenticationError("no", status=401),
        AuthenticationError("no", status=403),
        InvalidRequestError("no", status=302),
        MalformedAnswerError("no"),
    ],
)
def test_a_token_of_an_earlier_attempt_may_be_the_reason_for_any_refusal(error: PredictionsError) -> None:
    listing = cradl_list(20)
    paginator = paginator_of(CRADL, page_size=3)
    flow = pages(paginator, listing)
    listed = ids_of([next(flow), next(flow)])

    other = reborn(paginator, CRADL, listed, page_size=3)
    other.on_error(error)

    assert listed + ids_of(pages(other, listing)) == [row.id for row in listing.rows]
    with pytest.raises(type(error)):
        other.on_error(error)


def test_an_outage_says_nothing_of_the_token_of_an_earlier_attempt() -> None:
    paginator = paginator_of(CRADL, page_size=3)
    flow = pages(paginator, cradl_list(20))
    listed = ids_of([next(flow), next(flow)])
    of_endpoint = AuthenticationError("no", status=401)
    of_endpoint.of_token = True

    for error in (NoAnswerError("no"), ServerError("no", status=503), of_endpoint):
        with pytest.raises(type(error)):
            reborn(paginator, CRADL, listed, page_size=3).on_error(error)


def test_an_empty_page_with_a_token_is_followed() -> None:
    paginator = paginator_of(CRADL)

    assert paginator.advance(paginator.parse(b'{"predictions": [], "nextToken": "on"}')).predictions == ()
    assert paginator.next_requests(1)[0].params["nextToken"] == "on"


@pytest.mark.parametrize("between", [0, 1, 5])
def test_a_token_that_comes_again_is_an_error(between: int) -> None:
    paginator = paginator_of(CRADL)
    for n in range(between + 1):
        paginator.advance(paginator.parse(b'{"predictions": [], "nextToken": "%d"}' % n))

    with pytest.raises(MalformedAnswerError, match="nextToken"):
        paginator.advance(paginator.parse(b'{"predictions": [], "nextToken": "0"}'))
