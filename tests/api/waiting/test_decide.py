"""What a poll means for a wait, and when the next one may come."""

from __future__ import annotations

import json
import logging
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_predictions.api.errors import (
    AuthenticationError,
    PredictionsError,
    QuotaExceededError,
    RateLimitedError,
    ServerError,
)
from airflow_provider_predictions.api.limits import MAX_RETRY_AFTER
from airflow_provider_predictions.api.models import Page
from airflow_provider_predictions.api.service import Service
from airflow_provider_predictions.api.waiting.decide import (
    ADVICE,
    JITTER,
    NAMED,
    Decision,
    FailureCounter,
    Pace,
    Tally,
    Wait,
    decide,
)
from tests.api.services import CRADL, SERVICES, VLMRUN

EXAMPLES = settings(deadline=None, derandomize=True)


def records(service: Service[Any], **statuses: str) -> Page:
    """A page of records, by id and status."""
    id_ = "id" if service is VLMRUN else "predictionId"
    return Page(
        tuple(service.row(json.dumps({id_: name, "status": s}).encode()) for name, s in statuses.items())
    )


def decision(page: Page, *, service: Service[Any] = VLMRUN, age: float = 0, **wait: Any) -> Decision:
    tally = Tally(Wait(**wait), service)
    tally.add(page)
    return decide(tally, age)


@pytest.mark.parametrize("status", ["pending", "enqueued", "running", "paused"])
def test_each_status_in_between_is_waited_for(status: str) -> None:
    found = decision(records(VLMRUN, a="completed", b=status))

    assert found.state == "waiting"
    assert found.unknown == ()


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
def test_each_final_status_ends_the_wait(status: str) -> None:
    assert decision(records(VLMRUN, a=status), fail_on=()).state == "done"


@SERVICES
def test_a_cancelled_prediction_fails_the_wait_by_default(service: Service[Any]) -> None:
    assert decision(records(service, a="cancelled"), service=service).state == "failed"


@SERVICES
def test_an_unknown_status_is_waited_for_and_named(service: Service[Any]) -> None:
    found = decision(records(service, a="archived"), service=service)

    assert (found.state, found.unknown) == ("waiting", ("archived",))


def test_statuses_that_are_given_leave_nothing_unknown() -> None:
    found = decision(records(VLMRUN, a="archived"), waiting_statuses="running")

    assert (found.state, found.unknown) == ("done", ())


@pytest.mark.parametrize(("count", "state"), [(0, "waiting"), (2, "waiting"), (3, "done"), (4, "done")])
def test_fewer_than_the_least_are_waited_for(count: int, state: str) -> None:
    page = records(VLMRUN, **{f"p{n}": "completed" for n in range(count)})

    assert decision(page, min_predictions=3).state == state


def test_ids_that_are_not_there_are_waited_for_until_their_timeout() -> None:
    page = records(VLMRUN, a="completed")

    assert decision(page, prediction_ids=["a", "b"], missing_timeout=60, age=59).state == "waiting"
    late = decision(page, prediction_ids=["a", "b"], missing_timeout=60, age=60)
    assert late.state == "failed"
    assert late.message.startswith("prediction_ids: VLM Run has not known b for 60 s")


@pytest.mark.parametrize(
    ("service", "record", "text"),
    [
        (VLMRUN, {"id": "a", "message": "no pages"}, "a is failed: no pages"),
        (VLMRUN, {"id": "a", "error": "no\npages"}, "a is failed: no pages"),
        (VLMRUN, {"id": "a", "usage": {"message": "no credits"}}, "a is failed: no credits"),
        (VLMRUN, {"id": "a", "usage": None}, "a is failed"),
        (CRADL, {"predictionId": "a", "error": "no model"}, "a is failed: no model"),
        (CRADL, {"predictionId": "a", "errors": ["one", "two"]}, "a is failed: one; two"),
    ],
)
def test_a_failure_is_told_in_the_services_words(service, record: dict[str, Any], text: str) -> None:
    page = Page((service.row(json.dumps(record | {"status": "failed"}).encode()),))

    assert decision(page, service=service).message.endswith(f"1 of 1 predictions: {text}. {ADVICE}")


def test_a_message_without_end_is_cut() -> None:
    page = Page((VLMRUN.row(json.dumps({"id": "a", "status": "failed", "message": "x" * 9999}).encode()),))

    assert len(decision(page).message) < 500


def test_ten_failures_are_named_and_the_others_counted() -> None:
    page = records(VLMRUN, **{f"p{n:02}": "failed" for n in range(12)})

    message = decision(page).message

    assert f"p00, {', '.join(f'p{n:02}' for n in range(1, NAMED))} are failed and 2 more. " in message


def test_those_that_failed_for_another_reason_are_named_apart() -> None:
    reasons = {"a": "no pages", "b": "no credits", "c": "no pages"}
    page = Page(tuple(
        VLMRUN.row(json.dumps({"id": id_, "status": "failed", "message": text}).encode())
        for id_, text in reasons.items()
    ))  # fmt: skip

    message = decision(page).message

    assert "a, c are failed: no pages; b is failed: no credits. " in message
    assert message.endswith("fail_on=() waits only")


# --- pace --------------------------------------------------------------------------------------------

intervals = st.floats(1, 3600)
errors = st.none() | st.builds(
    RateLimitedError, st.just(""), retry_after=st.none() | st.floats(0, 1e9, allow_nan=False)
)


@given(intervals, st.none() | st.floats(1, 7200), st.lists(errors, min_size=1, max_size=50))
@EXAMPLES
def test_in_any_time_there_are_no_more_polls_than_its_intervals_and_one(
    interval: float, most: float | None, outcomes: list[PredictionsError | None]
) -> None:
    pace, now, polls = Pace(interval, most and max(most, interval)), 0.0, [0.0]
    for error in outcomes:
        now += pace.seconds(now, error)
        polls.append(now)

    for first, start in enumerate(polls):
        for last in range(first, len(polls)):
            assert last - first + 1 <= math.ceil((polls[last] - start) / interval) + 1


@given(intervals, st.floats(1, 100), st.floats(0, 1e6), errors)
@EXAMPLES
def test_an_interval_grows_up_to_the_longest_and_no_further(
    interval: float, factor: float, age: float, error: PredictionsError | None
) -> None:
    most = interval * factor
    bound = max(most, MAX_RETRY_AFTER if error and error.retry_after else 0)

    assert interval <= Pace(interval, most).seconds(age, error) <= bound * (1 + JITTER)


def test_waits_that_began_together_ask_apart() -> None:
    assert len({Pace(60).seconds(0) for _ in range(20)}) > 10


def test_without_a_longest_interval_it_does_not_grow() -> None:
    assert Pace(60).seconds(1e6) <= 66


# --- patience ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [AuthenticationError(""), QuotaExceededError("")])
def test_what_a_retry_cannot_cure_is_not_borne(error: PredictionsError) -> None:
    assert not FailureCounter(logging.getLogger("test")).tolerates(error)


def test_failures_are_borne_while_they_are_not_five_in_a_row() -> None:
    failures = FailureCounter(logging.getLogger("test"))
    done = Decision("waiting", "", {})

    for _ in range(3):
        assert all(failures.tolerates(ServerError("")) for _ in range(4))
        failures.record_success(done)
    assert [failures.tolerates(ServerError("")) for _ in range(5)] == [True] * 4 + [False]


def test_an_unknown_status_is_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    failures = FailureCounter(logging.getLogger("test"))

    for unknown in [("archived",), ("archived",), ("archived", "odd")]:
        failures.record_success(Decision("waiting", "", {}, unknown))

    warned = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert [text.split("'")[1] for text in warned] == ["archived", "odd"]


def test_what_has_not_changed_since_the_last_poll_is_not_said_again(caplog) -> None:
    caplog.set_level(logging.INFO)
    failures = FailureCounter(logging.getLogger("test"))

    for message in ("1 unfinished", "1 unfinished", "0 unfinished", "1 unfinished"):
        failures.record_success(Decision("waiting", message, {}))

    assert caplog.messages == ["1 unfinished", "0 unfinished", "1 unfinished"]
