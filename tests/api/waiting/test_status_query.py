"""What one poll asks for, request by request."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_provider_predictions.api.errors import (
    AuthenticationError,
    InvalidRequestError,
    NoAnswerError,
    NotFoundError,
    PredictionsError,
    RateLimitedError,
    ServerError,
)
from airflow_provider_predictions.api.limits import (
    MAX_FAILED_LOOKUPS,
    MAX_FIRST_PAGE_ROWS,
    MAX_SINGLE_LOOKUPS,
)
from airflow_provider_predictions.api.waiting.decide import Tally, Wait
from airflow_provider_predictions.api.waiting.query_history import (
    REQUEST_WEIGHT,
    PageSizes,
    QueryHistory,
    rows_to_read,
)
from airflow_provider_predictions.api.waiting.status_query import StatusQuery, widened
from tests.api.lists import Listing, Row, pages
from tests.api.lists import at as second
from tests.api.services import SERVICES, VLMRUN


def at(hour: int) -> datetime:
    return datetime(2026, 11, 1, hour, tzinfo=UTC)


def poll(*ids: str, service: Any = VLMRUN) -> StatusQuery:
    return StatusQuery(service, [Wait(prediction_ids=[id_]) for id_ in ids])


def asked(poll: StatusQuery, count: int = 1) -> list[str]:
    return [request.path for request in poll.next_requests(count)]


def answer(poll: StatusQuery, *ids: str, hour: int = 12) -> None:
    rows = [{"id": id_, "created_at": f"2026-11-01T{hour - n:02}:00:00"} for n, id_ in enumerate(ids)]
    poll.advance(poll.parse(json.dumps(rows).encode()))


def one_by_one(*ids: str) -> StatusQuery:
    """A poll of few, which are asked for one by one."""
    found = poll(*ids)
    found.next_requests(1)
    return found


def test_few_ids_are_looked_up_and_more_are_read_from_the_list() -> None:
    assert asked(poll("a")) == ["predictions/a"]
    assert sorted(asked(poll("a", "b"), 2)) == ["predictions/a", "predictions/b"]
    assert asked(poll(*"abcdef")) == ["predictions"]
    assert asked(poll()) == []


@pytest.mark.parametrize(
    ("ids", "history", "rows"),
    [
        (MAX_SINGLE_LOOKUPS, QueryHistory(), 0),
        (MAX_SINGLE_LOOKUPS + 1, QueryHistory(), MAX_SINGLE_LOOKUPS + 1),
        (1000, QueryHistory(), MAX_FIRST_PAGE_ROWS),
        (1000, QueryHistory(row_bytes=REQUEST_WEIGHT), 1998),
        (1000, QueryHistory(row_bytes=99 * REQUEST_WEIGHT), 1010),
        (1000, QueryHistory(row_bytes=99 * REQUEST_WEIGHT, is_limited=True), 1100),
        (1000, QueryHistory(row_bytes=2 * REQUEST_WEIGHT, record_bytes=REQUEST_WEIGHT / 2), 0),
        (1000, QueryHistory(sizes=PageSizes(limit=MAX_SINGLE_LOOKUPS)), 0),
    ],
)
def test_rows_of_the_list_cost_no_more_than_single_requests(ids: int, history: Any, rows: int) -> None:
    assert rows_to_read(ids, history, 1000) == pytest.approx(rows, abs=1)


@pytest.mark.parametrize("jumps", [True, False])
def test_a_poll_of_rows_that_moved_says_that_it_may_have_missed_one(jumps: bool) -> None:
    listing = Listing(Row(*row) for row in zip("abcde", (3, 5, 4, 2, 1), strict=True))
    found = StatusQuery(VLMRUN, [Wait(filters={"page_size": 3})])

    def jump() -> None:
        if jumps and len(listing.asked) == 1:
            listing.ever.insert(0, listing.ever.pop())

    read = {id_ for page in pages(found, listing, jump) for id_ in page.by_id}

    assert read == {*"abcde"} - ({"e"} if jumps else set())
    assert bool(found.doubt_of(Wait())) is jumps
    assert not found.doubt_of(Wait(prediction_ids="a"))


@SERVICES
@pytest.mark.parametrize(
    ("filters", "count"),
    [({"created_after": second(18)}, 3), ({"created_before": second(3)}, 2), ({"statuses": "new"}, 0)],
    ids=["newest", "oldest", "statuses"],
)
def test_filters_of_a_wait_hide_no_ids_from_others(service: Any, filters: Any, count: int) -> None:
    listing = Listing(Row(str(n), n) for n in range(20, 0, -1))
    by_filters = Wait(filters=service.filters(**filters).model_dump(mode="json", exclude_none=True))
    ids = [Wait(prediction_ids=row.id) for row in listing.rows]
    query, tally, read = StatusQuery(service, [*ids, by_filters]), Tally(by_filters, service), {*()}

    while (requests := query.next_requests(20)) and requests[0].params:
        page = query.advance(query.parse(listing.answer(requests[0])))
        tally.add(page)
        read |= page.statuses.keys()

    assert len(requests) <= MAX_SINGLE_LOOKUPS
    assert len(read) + len(requests) == len(ids)
    assert tally.statuses.total() == count


def test_an_unknown_id_is_no_failure_and_a_refused_one_is() -> None:
    found = one_by_one("a", "b")
    unknown, refused = (path[-1] for path in asked(found, 2)[:2])
    found.on_error(NotFoundError("404"))
    found.on_error(error := InvalidRequestError("400"))

    assert asked(found) == []
    assert found.error_of(Wait(prediction_ids=[unknown])) is None
    assert found.error_of(Wait(prediction_ids=[unknown, refused])) is error
    assert found.error_of(Wait()) is None


def test_a_list_that_is_refused_is_one_request_more_where_the_credentials_are_wrong() -> None:
    found = poll(*"abcdef")
    found.next_requests(1)
    found.on_error(AuthenticationError("403", status=403))

    with pytest.raises(AuthenticationError):
        found.on_error(AuthenticationError("403", status=403))


def test_after_three_failures_no_other_id_is_looked_up() -> None:
    ids = "abcde"
    found, errors = one_by_one(*ids), [ServerError(f"{n}") for n in range(MAX_FAILED_LOOKUPS)]
    order = [path[-1] for path in asked(found, 5)]
    for error in errors[:-1]:
        found.on_error(error)
        assert asked(found)
    found.on_error(errors[-1])

    assert asked(found) == []
    assert [found.error_of(Wait(prediction_ids=[id_])) for id_ in order] == [*errors, errors[-1], errors[-1]]


@pytest.mark.parametrize(
    "error", [NoAnswerError("no"), ServerError("408", status=408), ServerError("504", status=504)]
)
def test_a_missing_token_says_nothing_about_the_size_of_pages(error: PredictionsError) -> None:
    found = poll(*map(str, range(100)))
    found.next_requests(1)
    error.of_token = True
    found.on_error(error)
    [request] = found.next_requests(1)
    id_ = request.path.rpartition("/")[2]
    found.advance((VLMRUN.read_one(b'{"id": "%s"}' % id_.encode(), id_), 20))

    assert found.history.sizes == QueryHistory().sizes


@pytest.mark.parametrize("error", [RateLimitedError("429"), ServerError("503", retry_after=3)])
def test_an_error_that_concerns_the_whole_service_ends_the_poll(error: Any) -> None:
    with pytest.raises(type(error)):
        one_by_one("a", "b").on_error(error)


def test_filters_are_widened_to_match_all_of_them() -> None:
    def window(after: int | None, before: int | None) -> Any:
        return VLMRUN.filters(created_after=after and at(after), created_before=before and at(before))

    assert widened(VLMRUN, [window(1, 5), window(2, 7)]) == window(1, 7)
    assert widened(VLMRUN, [window(1, None), window(2, 7)]) == window(1, None)
    assert widened(VLMRUN, [window(None, 3), window(2, 7)]) == window(None, 7)
    same = VLMRUN.filters(domains="x", max_predictions=3)
    assert widened(VLMRUN, [same, same]) is same
    assert widened(VLMRUN, [same, window(1, 2)]) == VLMRUN.filters()
