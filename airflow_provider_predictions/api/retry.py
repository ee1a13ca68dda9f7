"""When to ask again: one policy for answers and tokens, sync and async; and the budget of a connection."""

from __future__ import annotations

import logging
import math
import random
import threading
from collections import deque
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import tenacity

from airflow_provider_predictions.api.errors import PredictionsError, RateLimitedError, TokenRefusedError

log = logging.getLogger(__name__)

ATTEMPTS = 5
LONGEST_WAIT = 120.0
"""Seconds. A service that asks for more is not waited for here: the task's own ``retries`` are for that."""


def retry_after(header: str | None, now: datetime) -> float | None:
    """Seconds that a ``Retry-After`` header asks for, in either of its forms (RFC 9110, section 10.2.3)."""
    if header is None:
        return None
    try:
        seconds = float(header)
    except ValueError:
        try:
            moment = parsedate_to_datetime(header)
        except ValueError:
            return None
        seconds = (moment.replace(tzinfo=moment.tzinfo or UTC) - now).total_seconds()
    return max(0.0, seconds) if math.isfinite(seconds) else None


def is_curable(error: BaseException) -> bool:
    """Whether the next attempt of this very call may work, soon enough to wait for it."""
    return (
        isinstance(error, PredictionsError) and error.retryable and (error.retry_after or 0) <= LONGEST_WAIT
    )


def seconds_to_wait(error: BaseException | None, attempt: int) -> float:
    """Exponential backoff with jitter, and never less than what the service asked for.

    A rate limit counts a minute's requests, so its backoff starts at 5 s: four waits span a minute.

    :param attempt: how many attempts have failed, from 1.
    """
    if isinstance(error, TokenRefusedError):
        return 0
    first = 5.0 if isinstance(error, RateLimitedError) else 1.0
    backoff = min(LONGEST_WAIT, first * 2.0 ** (attempt - 1)) * random.uniform(0.75, 1.25)
    asked = error.retry_after if isinstance(error, PredictionsError) else None
    return max(backoff, asked or 0)


def _outcome(state: tenacity.RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None


def _wait(state: tenacity.RetryCallState) -> float:
    return seconds_to_wait(_outcome(state), state.attempt_number)


def _log(state: tenacity.RetryCallState) -> None:
    wait = state.next_action.sleep if state.next_action else 0
    log.warning("%s. Attempt %d; next in %.1f s.", _outcome(state), state.attempt_number, wait)


def policy(attempts: int) -> dict[str, Any]:
    """The arguments of both ``tenacity.Retrying`` and ``tenacity.AsyncRetrying``.

    :param attempts: how often at most; a fresh token is tried even after the last.
    """

    def stop(state: tenacity.RetryCallState) -> bool:
        return state.attempt_number >= attempts and not isinstance(_outcome(state), TokenRefusedError)

    return {
        "stop": stop,
        "retry": tenacity.retry_if_exception(is_curable),
        "wait": _wait,
        "before_sleep": _log,
        "reraise": True,
    }


class Budget:
    """At most so many requests start in any 60 seconds; callers share it and wait for their turn.

    :param per_minute: None for no limit.
    """

    def __init__(self, per_minute: int | None) -> None:
        self._starts: deque[float] = deque(maxlen=per_minute or 0)
        self._lock = threading.Lock()

    def reserve(self, now: float) -> float:
        """Take the next free turn.

        :param now: monotonic seconds.
        :return: seconds to wait until that turn.
        """
        with self._lock:
            full = self._starts.maxlen == len(self._starts)
            start = max(now, self._starts[0] + 60) if self._starts and full else now
            self._starts.append(start)
            return start - now
