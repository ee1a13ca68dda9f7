"""Decide when to retry a failed request. Requests and tokens, sync and async, share this policy."""

from __future__ import annotations

import logging
import math
import random
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import tenacity

from airflow_provider_predictions.api.errors import PredictionsError, RateLimitedError
from airflow_provider_predictions.api.limits import (
    MAX_HEADER_LENGTH,
    MAX_RATE_LIMIT_WAIT,
    MAX_RETRY_AFTER,
    MAX_RETRY_WAIT,
)

log = logging.getLogger(__name__)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Read ``Retry-After`` in seconds, at most ``MAX_RETRY_AFTER`` (RFC 9110, section 10.2.3).

    A date is compared with the header ``Date``, or with this machine's clock if there is none.
    """
    header = headers.get("Retry-After")
    if header is None or len(header) > MAX_HEADER_LENGTH:
        return None
    try:
        seconds = float(header)
    except ValueError:
        moment = http_date(header)
        if moment is None:
            return None
        seconds = (moment - (http_date(headers.get("Date")) or datetime.now(UTC))).total_seconds()
    return min(max(0.0, seconds), MAX_RETRY_AFTER) if math.isfinite(seconds) else None


def http_date(header: str | None) -> datetime | None:
    """Read a date of HTTP in UTC (RFC 9110, section 5.6.7). None if it is not a date."""
    if header is None or len(header) > MAX_HEADER_LENGTH:
        return None
    try:
        moment = parsedate_to_datetime(header)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def is_retryable(error: BaseException) -> bool:
    """Whether to try again here. If the service asks for a longer wait, the task's ``retries`` wait."""
    return (
        isinstance(error, PredictionsError) and error.retryable and (error.retry_after or 0) <= MAX_RETRY_WAIT
    )


def seconds_to_wait(error: BaseException | None, attempt: int) -> float:
    """Exponential backoff with jitter, but at least what the service asks for.

    After a 429 it is 5 s, then 20 s each, since a rate limit counts a minute: four waits span a minute.

    :param attempt: failed attempts so far, from 1.
    """
    if isinstance(error, RateLimitedError):
        backoff = (5.0 if attempt == 1 else 20.0) * random.uniform(0.9, 1.1)
    else:
        backoff = min(MAX_RETRY_WAIT, 2.0 ** (attempt - 1)) * random.uniform(0.75, 1.25)
    asked = error.retry_after if isinstance(error, PredictionsError) else None
    return max(backoff, asked or 0)


def _error(state: tenacity.RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None


def _log(state: tenacity.RetryCallState) -> None:
    wait = state.next_action.sleep if state.next_action else 0
    log.warning("%s. Attempt %d failed; the next is in %.1f s.", _error(state), state.attempt_number, wait)


def policy(
    attempts: int, clock: Callable[[], float] = time.monotonic, *, shrinks: bool = False
) -> dict[str, Any]:
    """Arguments of ``tenacity.Retrying`` and ``tenacity.AsyncRetrying`` for a call that begins now.

    :param attempts: at most. Unless it is 1, a 429 uses up none. Those retries end after 15 minutes.
    :param clock: in seconds.
    :param shrinks: whether a smaller page can be requested. Then a page too large or slow is not retried.
    """
    began = clock()

    def is_retried(error: BaseException) -> bool:
        too_much = isinstance(error, PredictionsError) and error.asks_for_less and error.retry_after is None
        return is_retryable(error) and not (shrinks and too_much)

    def stop(state: tenacity.RetryCallState) -> bool:
        if isinstance(_error(state), RateLimitedError) and attempts > 1:
            return clock() - began >= MAX_RATE_LIMIT_WAIT
        return state.attempt_number >= attempts

    return {
        "stop": stop,
        "retry": tenacity.retry_if_exception(is_retried),
        "wait": lambda state: seconds_to_wait(_error(state), state.attempt_number),
        "before_sleep": _log,
        "reraise": True,
    }
