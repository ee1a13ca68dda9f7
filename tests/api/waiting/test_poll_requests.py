"""What polls for ids request, one after another, wherever the ids are in the list and whatever fails."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_predictions.api.errors import PredictionsError, RateLimitedError, ServerError
from airflow_provider_predictions.api.limits import MAX_FAILED_LOOKUPS, MAX_PAGE_BYTES, MAX_SINGLE_LOOKUPS
from airflow_provider_predictions.api.models import GetRequest
from airflow_provider_predictions.api.waiting.decide import Wait
from airflow_provider_predictions.api.waiting.query_history import REQUEST_WEIGHT, QueryHistory
from airflow_provider_predictions.api.waiting.status_query import StatusQuery
from tests.api.services import VLMRUN

SMALL, LARGE = 300, 100_000
"""Bytes of a record."""
TIMEOUT = ServerError("504", status=504)


class Polls:
    """Polls of a server without a wire, for waits that never end.

    :param wanted: the places of their predictions in the list.
    :ivar fail: the error of a request for so many rows, which are 0 for a single prediction; None for none.
    :ivar bytes: that the last poll read.
    """

    def __init__(self, wanted: Sequence[int], rows: int, size: int = SMALL) -> None:
        self.list = [f"id-{n}" for n in range(rows)]
        self.ids = [f"id-{n}" for n in wanted]
        self._waits = [Wait(prediction_ids=[id_]) for id_ in self.ids]
        self.fail: Callable[[int], PredictionsError | None] = lambda rows: None
        self.history = QueryHistory()
        self.bytes = 0
        self._padding = "x" * size

    def _record(self, id_: str) -> dict[str, str]:
        return {"id": id_, "status": "running", "response": self._padding}

    def _answer(self, request: GetRequest) -> bytes:
        params: dict[str, Any] = dict(request.params)
        if error := self.fail(params.get("limit", 0)):
            raise error
        if "limit" in params:
            rows = self.list[params["skip"] : params["skip"] + params["limit"]]
            return json.dumps([self._record(id_) for id_ in rows]).encode()
        return json.dumps(self._record(request.path.rpartition("/")[2])).encode()

    def requests(self) -> list[int]:
        """The rows that each request of a poll asks for; 0 for a single prediction."""
        asked, answered, self.bytes = [], {*()}, 0
        query = StatusQuery(VLMRUN, self._waits, self.history)
        while requests := query.next_requests(1):
            asked.append(int(dict(requests[0].params).get("limit", 0)))
            try:
                body = self._answer(requests[0])
            except PredictionsError as error:
                query.on_error(error)
                continue
            self.bytes += len(body)
            answered |= query.advance(query.parse(body)).statuses.keys()
        failed = {id_ for wait in self._waits if query.error_of(wait) for id_ in wait.prediction_ids or ()}
        assert {*self.ids} <= answered | failed
        self.answered = [id_ for id_ in self.ids if id_ in answered]
        return asked


PLACES = st.sampled_from([0, 30, 500, 1_100, 5_000])


@settings(deadline=None, max_examples=12)
@given(newer=PLACES, stride=st.sampled_from([1, 2, 10, 300]), ids=st.sampled_from([6, 40, 300]))
def test_no_poll_costs_much_more_than_single_requests_and_later_ones_no_more_than_the_cheaper_way(
    newer: int, stride: int, ids: int
) -> None:
    wanted = range(newer, newer + ids * stride, stride)
    polls = Polls(wanted, wanted[-1] + 1_000)
    single = ids * (REQUEST_WEIGHT + SMALL)

    costs = [len(polls.requests()) * REQUEST_WEIGHT + polls.bytes for _ in range(8)]

    list_ = (wanted[-1] // 1_000 + 2) * REQUEST_WEIGHT + 1.5 * wanted[-1] * SMALL
    assert max(costs) <= 2.2 * single + 8 * REQUEST_WEIGHT
    assert costs[-1] <= 1.3 * min(single, list_) + 8 * REQUEST_WEIGHT


@pytest.mark.parametrize(("newer", "first", "later"), [(0, 2, 1), (30, 3, 2), (1_100, 4, 3), (9_000, 12, 11)])
def test_rows_of_others_in_front_cost_a_request_for_each_thousand(newer: int, first: int, later: int) -> None:
    polls = Polls(range(newer, newer + 1_000), newer + 3_000)

    assert len(polls.requests()) <= first
    assert [len(polls.requests()) for _ in range(3)] == [later] * 3


def test_rows_of_others_that_come_in_front_of_a_few_cost_few_requests() -> None:
    polls = Polls(range(40), 3_000)
    polls.requests()

    for n in range(20):
        polls.list = [f"other-{n}-{m}" for m in range(30)] + polls.list
        assert len(polls.requests()) <= 1 + MAX_SINGLE_LOOKUPS


@pytest.mark.parametrize("ids", [10, 200])
@pytest.mark.parametrize("newer", [0, 5, 40, 900])
def test_large_records_in_front_are_not_read_for_ids_that_may_come_behind_them(newer: int, ids: int) -> None:
    polls = Polls(range(newer, newer + ids), newer + ids + 100, LARGE)

    for _ in range(4):
        polls.requests()
        assert polls.bytes <= 1.1 * (ids * LARGE + 2 * MAX_PAGE_BYTES)


@pytest.mark.parametrize("newer", [0, 5, 20])
def test_large_records_are_read_in_pages_while_the_ids_come_first(newer: int) -> None:
    polls = Polls(range(newer, newer + 300), newer + 400, LARGE)

    for _ in range(3):
        assert len(polls.requests()) <= 300 * LARGE / MAX_PAGE_BYTES + 10
        assert polls.bytes <= 1.1 * (300 + newer) * LARGE + MAX_PAGE_BYTES


def test_ids_far_behind_are_looked_for_in_the_list_again_after_a_while() -> None:
    polls = Polls(range(60_000, 60_100), 60_200)
    counts = [len(polls.requests()) for _ in range(10)]
    assert max(counts) <= 150
    assert max(counts[1:]) <= 110

    polls.list = polls.ids + polls.list

    assert min(len(polls.requests()) for _ in range(10)) <= 3


@pytest.mark.parametrize("error", [TIMEOUT, ServerError("500", status=500)])
@pytest.mark.parametrize("failed", [1, 2, 5, 20])
def test_a_poll_after_an_outage_requests_what_the_poll_before_it_did(failed: int, error: Any) -> None:
    polls = Polls(range(1_000), 1_500)
    polls.requests()
    before = polls.requests()

    polls.fail = lambda rows: error
    for _ in range(failed):
        assert len(polls.requests()) <= MAX_FAILED_LOOKUPS + 5
    polls.fail = lambda rows: None

    assert polls.requests() == before


@pytest.mark.parametrize("failed", range(1, 7))
def test_a_pass_after_an_outage_returns_to_large_pages_at_once(failed: int) -> None:
    polls, limits = Polls((), 5_000), [0]
    wait = Wait(filters={})

    def run() -> int:
        query, count = StatusQuery(VLMRUN, [wait], polls.history), 0
        while requests := query.next_requests(1):
            count += 1
            try:
                query.advance(query.parse(polls._answer(requests[0])))
            except PredictionsError as error:
                limits.append(dict(requests[0].params)["limit"])
                with pytest.raises(PredictionsError):
                    query.on_error(error)
                break
        return count

    run()
    before = run()
    polls.fail = lambda rows: TIMEOUT
    assert [run() for _ in range(failed)] == [1] * failed
    polls.fail = lambda rows: None
    assert run() <= before + 1
    assert run() == before


@pytest.mark.parametrize("works", [40, 70, 300, 700])
def test_a_list_whose_large_pages_fail_is_read_in_smaller_ones_and_seldom_tries_a_larger_one(
    works: int,
) -> None:
    polls = Polls(range(1_000), 1_200)
    polls.fail = lambda rows: TIMEOUT if rows > works else None

    found = [polls.requests() for _ in range(20)]

    assert all(len(polls.requests()) <= 1_000 / (works / 4) + 10 for _ in range(3))
    assert sum(max(rows) > works for rows in found) <= 10
    assert polls.answered == polls.ids


def test_a_list_that_fails_is_seldom_tried_and_used_at_once_when_it_works_again() -> None:
    polls = Polls(range(200), 400)
    polls.fail = lambda rows: ServerError("500", status=500) if rows else None
    for _ in range(25):
        polls.requests()
    found = [polls.requests() for _ in range(40)]
    assert sum(max(rows) > 0 for rows in found) <= 3

    polls.fail = lambda rows: None

    counts = [len(polls.requests()) for _ in range(70)]
    first = next(n for n, count in enumerate(counts) if count < len(polls.ids))
    assert max(counts[first + 1 :]) <= 3


def test_a_rate_limit_makes_a_poll_read_further() -> None:
    polls = Polls(range(3_000, 3_100), 4_000, 2_000)
    assert polls.requests().count(0) == 100

    polls.fail = lambda rows: RateLimitedError("429")
    with pytest.raises(RateLimitedError):
        polls.requests()
    polls.fail = lambda rows: None

    assert polls.requests().count(0) <= MAX_SINGLE_LOOKUPS
    assert len(polls.requests()) < 30


@pytest.mark.parametrize("answered", [0, 1, 5])
def test_after_a_rate_limit_refused_its_first_page_a_poll_reads_the_list_as_before(answered: int) -> None:
    polls = Polls(range(200), 3_000)
    for _ in range(answered):
        polls.requests()

    polls.fail = lambda rows: RateLimitedError("429")
    with pytest.raises(RateLimitedError):
        polls.requests()
    polls.fail = lambda rows: None

    assert len(polls.requests()) <= 2
    assert len(polls.requests()) <= 2


def test_a_rate_limit_that_always_refuses_the_list_leaves_single_predictions() -> None:
    polls = Polls(range(40), 100)
    polls.fail = lambda rows: RateLimitedError("429") if rows else None
    for _ in range(2):
        with suppress(RateLimitedError):
            polls.requests()

    polls.requests()

    assert {*polls.answered} == {*polls.ids}


@settings(deadline=None, max_examples=12)
@given(seed=st.integers(0, 99), each=st.integers(2, 9))
def test_no_id_starves_where_each_poll_reaches_the_rate_limit(seed: int, each: int) -> None:
    draw = random.Random(seed)
    polls = Polls(draw.sample(range(10**6, 10**7), 40), 0)
    left = [0]

    def limited(rows: int) -> PredictionsError | None:
        left[0] -= 1
        return RateLimitedError("429") if left[0] < 0 else None

    polls.fail = limited
    seen: set[str] = set()
    for _ in range(3 + 2 * 40 // (each - 1)):
        left[0] = each
        polls.requests()
        seen.update(polls.answered)

    assert seen == {*polls.ids}
