"""What one poll asks for, request by request."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_provider_predictions.api.errors import (
    AuthenticationError,
    InvalidRequestError,
    NotFoundError,
    RateLimitedError,
    ServerError,
)
from airflow_provider_predictions.api.poll import MOST_FAILED, Poll, widened
from airflow_provider_predictions.api.waiting import Wait
from tests.api.services import CRADL, VLMRUN


def at(hour: int) -> datetime:
    return datetime(2026, 11, 1, hour, tzinfo=UTC)


def poll(*ids: str, service: Any = VLMRUN) -> Poll:
    return Poll(service, [Wait(prediction_ids=[id_]) for id_ in ids])


def asked(poll: Poll, count: int = 1) -> list[str]:
    return [request.path for request in poll.ahead(count)]


def answer(poll: Poll, *ids: str, hour: int = 12) -> None:
    rows = [{"id": id_, "created_at": f"2026-11-01T{hour - n:02}:00:00"} for n, id_ in enumerate(ids)]
    poll.take(poll.read(json.dumps(rows).encode()))


def one_by_one(*ids: str) -> Poll:
    """A poll that has read a page in which none of them is."""
    found = poll(*ids)
    found.ahead(1)
    answer(found, "other")
    found.ahead(1)
    return found


def test_one_id_is_asked_for_and_more_are_looked_for_in_the_list() -> None:
    assert asked(poll("a")) == ["predictions/a"]
    assert asked(poll("a", "b")) == ["predictions"]
    assert asked(poll()) == []


@pytest.mark.parametrize(
    ("service", "count", "size"),
    [(VLMRUN, 2, 1000), (VLMRUN, 1500, 1000), (CRADL, 2, 100), (CRADL, 150, 150)],
)
def test_a_page_is_as_large_as_there_are_ids_within_bounds(service: Any, count: int, size: int) -> None:
    (request,) = poll(*map(str, range(count)), service=service).ahead(1)

    assert (request.params.get("limit") or request.params.get("maxResults")) == size


def test_pages_are_read_while_they_answer_more_than_one_and_the_rest_one_by_one() -> None:
    found = poll("a", "b", "c", "d")
    assert asked(found, 3) == ["predictions"]
    answer(found, "a", "b", *map(str, range(8)))
    assert asked(found, 3) == ["predictions"]
    answer(found, "7", "c", hour=3)
    assert asked(found, 3) == ["predictions/d"]


def test_ids_are_asked_for_in_the_order_in_which_their_answers_are_taken() -> None:
    found = one_by_one("a", "b", "c")
    first, *_ = ahead = asked(found, 2)
    assert len(ahead) == 2
    found.take(found.read(json.dumps({"id": first[-1]}).encode()))

    assert asked(found, 3)[0] == ahead[1]
    assert len(asked(found, 3)) == 2


def test_an_id_that_is_not_known_is_no_failure_and_one_that_is_refused_is() -> None:
    found = one_by_one("a", "b")
    unknown, refused = (path[-1] for path in asked(found, 2))
    found.refuse(NotFoundError("404"))
    found.refuse(error := InvalidRequestError("400"))

    assert asked(found) == []
    assert found.error_of(Wait(prediction_ids=[unknown])) is None
    assert found.error_of(Wait(prediction_ids=[unknown, refused])) is error
    assert found.error_of(Wait()) is None


def test_a_list_that_is_refused_ends_the_poll() -> None:
    found = poll("a", "b")
    found.ahead(1)

    with pytest.raises(AuthenticationError):
        found.refuse(AuthenticationError("403"))


def test_after_three_failures_no_other_is_asked_for() -> None:
    ids = "abcde"
    found, errors = one_by_one(*ids), [ServerError(f"{n}") for n in range(MOST_FAILED)]
    order = [path[-1] for path in asked(found, 5)]
    for error in errors[:-1]:
        assert found.goes_on_without(error)
        assert asked(found)
    assert found.goes_on_without(errors[-1])

    assert asked(found) == []
    assert [found.error_of(Wait(prediction_ids=[id_])) for id_ in order] == [*errors, errors[-1], errors[-1]]


@pytest.mark.parametrize("error", [RateLimitedError("429"), ServerError("503", retry_after=3)])
def test_what_concerns_all_of_a_service_ends_the_poll(error: Any) -> None:
    assert not one_by_one("a", "b").goes_on_without(error)
    assert not poll("a", "b").goes_on_without(ServerError("500"))


def test_filters_are_widened_to_what_any_of_them_lets_pass() -> None:
    def window(after: int | None, before: int | None) -> Any:
        return VLMRUN.filters(created_after=after and at(after), created_before=before and at(before))

    assert widened(VLMRUN, [window(1, 5), window(2, 7)]) == window(1, 7)
    assert widened(VLMRUN, [window(1, None), window(2, 7)]) == window(1, None)
    assert widened(VLMRUN, [window(None, 3), window(2, 7)]) == window(None, 7)
    same = VLMRUN.filters(domains="x", max_predictions=3)
    assert widened(VLMRUN, [same, same]) is same
    assert widened(VLMRUN, [same, window(1, 2)]) == VLMRUN.filters()
