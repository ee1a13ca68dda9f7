"""When a request is sent again, and after how long."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_predictions.api.errors import (
    AuthenticationError,
    MalformedAnswerError,
    PredictionsError,
    RateLimitedError,
    ServerError,
)
from airflow_provider_predictions.api.http.retry import is_retryable, policy, retry_after, seconds_to_wait
from airflow_provider_predictions.api.limits import MAX_RATE_LIMIT_WAIT, MAX_RETRY_AFTER, MAX_RETRY_WAIT

DATE = "Sun, 01 Nov 2026 12:00:00 GMT"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("17", 17),
        ("0.5", 0.5),
        ("-1", 0),
        ("inf", None),
        ("nan", None),
        ("soon", None),
        ("", None),
        ("Sun, 01 Nov 2026 12:00:30 GMT", 30),
        ("Sun, 01 Nov 2026 14:00:30 +0200", 30),
        ("Sun, 01 Nov 2026 12:00:30 -0000", 30),
        ("Sun, 01 Nov 2026 11:59:59 GMT", 0),
        ("Sun, 01 Nov 20262026202620262026 12:00:30 GMT", None),
        ("Fri, 31 Dec 9999 23:59:59 -2359", None),
    ],
)
def test_a_retry_after_is_seconds_or_a_date_and_never_in_the_past(header, seconds) -> None:
    headers = {"Date": DATE} | ({"Retry-After": header} if header is not None else {})

    assert retry_after(headers) == seconds


@pytest.mark.parametrize("date", [None, "", "soon", "Sun, 01 Nov 20262026202620262026 12:00:30 GMT"])
def test_a_date_counts_by_this_machines_clock_if_the_response_has_none(date: str | None) -> None:
    in_a_minute = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)

    found = retry_after({"Retry-After": in_a_minute} | ({"Date": date} if date is not None else {}))

    assert found
    assert 50 < found <= 60


@pytest.mark.parametrize(
    ("error", "curable"),
    [
        (ServerError(""), True),
        (ServerError("", retry_after=MAX_RETRY_WAIT), True),
        (ServerError("", retry_after=MAX_RETRY_WAIT + 0.1), False),
        (AuthenticationError(""), False),
        (AuthenticationError("", retry_after=1), False),
        (ValueError(), False),
    ],
)
def test_an_error_that_no_early_retry_cures_is_not_retried(error: BaseException, curable: bool) -> None:
    assert is_retryable(error) is curable


@pytest.mark.parametrize("asked", [3600, 1e9])
def test_an_hour_counts_as_a_quarter_of_one_and_is_left_to_the_tasks_retries(asked: float) -> None:
    error = ServerError("", retry_after=retry_after({"Retry-After": str(asked)}))

    assert error.retry_after == MAX_RETRY_AFTER
    assert not is_retryable(error)


def waits(error: BaseException, attempt: int) -> tuple[float, float]:
    """The shortest and the longest of many."""
    found = [seconds_to_wait(error, attempt) for _ in range(2000)]
    return min(found), max(found)


@pytest.mark.parametrize(
    ("error", "attempt", "shortest", "longest"),
    [
        (ServerError(""), 1, 0.75, 1.25),
        (ServerError(""), 4, 6, 10),
        (ServerError(""), 50, 90, 150),
        (ServerError("", retry_after=1), 4, 6, 10),
        (RateLimitedError(""), 1, 4.5, 5.5),
        (RateLimitedError(""), 2, 18, 22),
        (RateLimitedError(""), 3, 18, 22),
        (ConnectionError(), 2, 1.5, 2.5),
    ],
)
def test_waits_are_spread_around_the_backoff_of_the_attempt(error, attempt, shortest, longest) -> None:
    least, most = waits(error, attempt)

    assert shortest <= least < shortest + (longest - shortest) / 10
    assert longest - (longest - shortest) / 10 < most <= longest


def test_no_wait_is_shorter_than_the_retry_after() -> None:
    assert waits(ServerError("", retry_after=30), 1) == (30, 30)
    assert waits(RateLimitedError("", retry_after=60), 2) == (60, 60)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def stops(error: PredictionsError, *, attempts: int, attempt: int, after: float = 0) -> bool:
    """Whether a policy stops at an attempt that fails ``after`` seconds."""
    clock = Clock()
    stop = policy(attempts, clock)["stop"]
    clock.now += after
    outcome: Any = SimpleNamespace(exception=lambda: error)
    stopped: bool = stop(SimpleNamespace(outcome=outcome, attempt_number=attempt))
    return stopped


def test_attempts_are_counted_and_a_rate_limit_is_no_reason_to_stop() -> None:
    assert [stops(ServerError(""), attempts=5, attempt=n) for n in (4, 5, 6)] == [False, True, True]
    assert [stops(MalformedAnswerError(""), attempts=1, attempt=1, after=s) for s in (0, 9999)] == [
        True,
        True,
    ]
    assert not stops(RateLimitedError(""), attempts=2, attempt=500, after=MAX_RATE_LIMIT_WAIT - 0.1)
    assert stops(RateLimitedError(""), attempts=2, attempt=1, after=MAX_RATE_LIMIT_WAIT)
    assert stops(RateLimitedError(""), attempts=1, attempt=1)
