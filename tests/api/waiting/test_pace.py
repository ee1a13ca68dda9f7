"""When a wait polls next, and how many failed polls it tolerates."""

from __future__ import annotations

import logging
import math

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
from airflow_provider_predictions.api.http.retry import retry_after
from airflow_provider_predictions.api.limits import MAX_RETRY_AFTER
from airflow_provider_predictions.api.waiting.decide import Decision
from airflow_provider_predictions.api.waiting.pace import JITTER, FailureCounter, Pace

EXAMPLES = settings(deadline=None, derandomize=True)
intervals = st.floats(1, 3600)


def asked(seconds: float) -> float | None:
    """What a client makes of a ``Retry-After``."""
    return retry_after({"Retry-After": str(seconds)})


errors = st.none() | st.builds(
    RateLimitedError, st.just(""), retry_after=st.none() | st.floats(0, 1e9, allow_nan=False).map(asked)
)


@given(intervals, st.none() | st.floats(1, 7200), st.lists(errors, min_size=1, max_size=50))
@EXAMPLES
def test_polls_in_any_time_are_at_most_its_intervals_plus_one(
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
def test_an_interval_grows_up_to_max_interval(
    interval: float, factor: float, age: float, error: PredictionsError | None
) -> None:
    most = interval * factor
    bound = max(most, MAX_RETRY_AFTER if error and error.retry_after else 0)

    assert interval <= Pace(interval, most).seconds(age, error) <= bound * (1 + JITTER)


def test_waits_that_began_together_poll_apart() -> None:
    assert len({Pace(60).seconds(0) for _ in range(20)}) > 10


def test_without_max_interval_the_interval_does_not_grow() -> None:
    assert Pace(60).seconds(1e6) <= 66


@pytest.mark.parametrize(
    ("pace", "age", "error", "least"),
    [
        (Pace(10), 0, None, 10),
        (Pace(0.1), 600, ServerError(""), 0.1),
        (Pace(10, 300), 50, None, 10),
        (Pace(10, 300), 600, None, 60),
        (Pace(10, 300), 3600, None, 300),
        (Pace(10, 300), 600, ServerError(""), 60),
        (Pace(10), 0, ServerError("", retry_after=200), 200),
        (Pace(10), 0, ServerError("", retry_after=asked(1e6)), MAX_RETRY_AFTER),
    ],
)
def test_the_longest_of_interval_growth_and_retry_after_counts_plus_jitter(
    pace: Pace, age: float, error: PredictionsError | None, least: float
) -> None:
    found = [pace.seconds(age, error) for _ in range(1000)]

    assert least <= min(found) < 1.01 * least
    assert 1.09 * least < max(found) <= 1.1 * least


@pytest.mark.parametrize("error", [AuthenticationError(""), QuotaExceededError("")])
def test_an_error_that_a_retry_cannot_cure_is_not_tolerated(error: PredictionsError) -> None:
    assert not FailureCounter(logging.getLogger("test")).record_failure(error)


def test_fewer_than_five_failures_in_a_row_are_tolerated() -> None:
    failures = FailureCounter(logging.getLogger("test"))
    done = Decision("waiting", "", {})

    for _ in range(3):
        assert all(failures.record_failure(ServerError("")) for _ in range(4))
        failures.record_success(done)
    assert [failures.record_failure(ServerError("")) for _ in range(5)] == [True] * 4 + [False]


def test_an_unknown_status_is_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    failures = FailureCounter(logging.getLogger("test"))

    for unknown in [("archived",), ("archived",), ("archived", "odd")]:
        failures.record_success(Decision("waiting", "", {}, unknown))

    warned = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert [text.split("'")[1] for text in warned] == ["archived", "odd"]


def test_an_unchanged_message_is_not_logged_again(caplog) -> None:
    caplog.set_level(logging.INFO)
    failures = FailureCounter(logging.getLogger("test"))

    for message in ("1 unfinished", "1 unfinished", "0 unfinished", "1 unfinished"):
        failures.record_success(Decision("waiting", message, {}))

    assert caplog.messages == ["1 unfinished", "0 unfinished", "1 unfinished"]


def test_a_wait_that_failed_counts_from_zero_again() -> None:
    failures = FailureCounter(logging.getLogger("test"), limit=2)

    assert [failures.record_failure(ServerError("")) for _ in range(4)] == [True, False, True, False]


def test_a_tolerated_failure_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    failures = FailureCounter(logging.getLogger("test"), limit=2)
    for _ in range(2):
        failures.record_failure(ServerError("VLM Run answered 500"))

    assert caplog.messages == ["VLM Run answered 500. The wait continues."]


def test_an_unknown_status_is_logged_once_however_often_it_comes_and_goes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING)
    failures = FailureCounter(logging.getLogger("test"))
    for status in ("odd", "strange", "odd"):
        failures.record_success(Decision("waiting", "", {}, (status,)))

    assert [message.split(" is not")[0] for message in caplog.messages] == [
        "The status 'odd'",
        "The status 'strange'",
    ]
