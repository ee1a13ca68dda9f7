"""When to ask again: one policy for answers and tokens, sync and async; and the budget of a connection."""

from __future__ import annotations

import logging
import math
import random
import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import tenacity

from airflow_provider_predictions.api.errors import PredictionsError, RateLimitedError

log = logging.getLogger(__name__)

ATTEMPTS = 5
MAX_DOUBLINGS = 10
"""Windows without a refusal after which a learned limit is forgotten."""
RATE_LIMIT_PATIENCE = 900.0
"""Seconds after which a request is given up that is answered with 429, however many attempts that took; also
the longest wait for a turn."""
MAX_HEADER_LENGTH = 100
"""Characters of a header that says a time; what is longer says none."""
MAX_RETRY_WAIT = 120.0
"""Seconds. A service that asks for more is not waited for here: the task's own ``retries`` are for that."""


def retry_after(header: str | None, date: str | None) -> float | None:
    """Seconds that a ``Retry-After`` header asks for, in either of its forms (RFC 9110, section 10.2.3).

    :param date: the ``Date`` header of the same response, by whose clock a date is meant; without one, this
        machine's clock is taken.
    """
    if header is None or len(header) > MAX_HEADER_LENGTH:
        return None
    try:
        seconds = float(header)
    except ValueError:
        moment = http_date(header)
        if moment is None:
            return None
        seconds = (moment - (http_date(date) or datetime.now(UTC))).total_seconds()
    return max(0.0, seconds) if math.isfinite(seconds) else None


def http_date(header: str | None) -> datetime | None:
    """A date of HTTP in UTC; None where it is none that a calendar holds (RFC 9110, section 5.6.7)."""
    if header is None or len(header) > MAX_HEADER_LENGTH:
        return None
    try:
        moment = parsedate_to_datetime(header)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def is_retryable(error: BaseException) -> bool:
    """Whether the next attempt of this very call may work, soon enough to wait for it."""
    return (
        isinstance(error, PredictionsError) and error.retryable and (error.retry_after or 0) <= MAX_RETRY_WAIT
    )


def seconds_to_wait(error: BaseException | None, attempt: int) -> float:
    """Exponential backoff with jitter, and never less than what the service asked for.

    A rate limit counts a minute's requests, so its backoff is 5 s and then 20 s: four waits span a minute.
    The budget of the connection makes the next attempt wait for its turn besides.

    :param attempt: how many attempts have failed, from 1.
    """
    if isinstance(error, RateLimitedError):
        backoff = (5.0 if attempt == 1 else 20.0) * random.uniform(0.9, 1.1)
    else:
        backoff = min(MAX_RETRY_WAIT, 2.0 ** (attempt - 1)) * random.uniform(0.75, 1.25)
    asked = error.retry_after if isinstance(error, PredictionsError) else None
    return max(backoff, asked or 0)


def _outcome(state: tenacity.RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None


def _wait(state: tenacity.RetryCallState) -> float:
    return seconds_to_wait(_outcome(state), state.attempt_number)


def _log(state: tenacity.RetryCallState) -> None:
    wait = state.next_action.sleep if state.next_action else 0
    log.warning("%s. Attempt %d; next in %.1f s.", _outcome(state), state.attempt_number, wait)


def policy(attempts: int, clock: Callable[[], float] = time.monotonic) -> dict[str, Any]:
    """The arguments of both ``tenacity.Retrying`` and ``tenacity.AsyncRetrying``, for a call that begins now.

    :param attempts: how often at most. A rate limit uses up none: it only slows down; but who allows a single
        attempt gets no more.
    :param clock: seconds.
    """
    began = clock()

    def stop(state: tenacity.RetryCallState) -> bool:
        error = _outcome(state)
        if isinstance(error, RateLimitedError) and attempts > 1:
            return clock() - began >= RATE_LIMIT_PATIENCE
        return state.attempt_number >= attempts

    return {
        "stop": stop,
        "retry": tenacity.retry_if_exception(is_retryable),
        "wait": _wait,
        "before_sleep": _log,
        "reraise": True,
    }


class Reservation:
    """When a request may start: a window after an earlier one has reached the service.

    :param start: monotonic seconds; not before.
    :param behind: the turns that it follows, each with the seconds that lie between.
    """

    __slots__ = ("_behind", "time")

    def __init__(self, start: float, behind: tuple[tuple[Reservation, float], ...]) -> None:
        self.time = start
        """When it starts; once there is an answer, when that came, since the request came no later."""
        self._behind = behind
        self.wait(start)

    def wait(self, now: float) -> float:
        """Seconds until the start; to be asked again then, for an earlier request may have been late."""
        self.time = max([self.time, *(reservation.time + seconds for reservation, seconds in self._behind)])
        return max(0.0, self.time - now)

    def end(self, now: float) -> None:
        """There is an answer, or none will come.

        :param now: monotonic seconds.
        """
        self.time = now
        self._behind = ()


class RateLimiter:
    """When requests may start, for all who share a credential: each waits for its turn.

    Beside the limit that is given, one is learned: after a refusal, no more requests start in the service's
    window than it had taken in the one before, and twice as many in each that follows.

    :param per_minute: None for no limit.
    :param window: seconds over which the service counts.
    """

    def __init__(self, per_minute: int | None = None, *, window: float = 60) -> None:
        self._per_minute = per_minute
        self._window = window
        self._reservations: deque[Reservation] = deque()
        self._history = 0
        self._refused_at = -math.inf
        self._paused_until = -math.inf
        self._lock = threading.Lock()

    def reserve(self, now: float, *, patient: bool = True, longest: float = math.inf) -> Reservation:
        """Take the next free turn.

        :param now: monotonic seconds.
        :param patient: wait also for what was learned. Who asks once and comes back later need not.
        :param longest: seconds; a turn that is farther away is not taken.
        :raises RateLimitedError: where there is none within the longest.
        """
        with self._lock:
            while self._reservations and self._reservations[0].time <= now - 60:
                self._reservations.popleft()
            reservation = self._next_reservation(now, patient=patient)
            if reservation.wait(now) > longest:
                raise RateLimitedError(
                    f"More requests wait for their turn than the rate limit lets pass in {longest:.0f} s. "
                    "Let fewer tasks run at once, or raise extra requests_per_minute if the plan allows more"
                )
            self._reservations.append(reservation)
            return reservation

    def refused(self, reservation: Reservation, now: float, seconds: float | None) -> float:
        """A request was one too many: everybody waits, and goes on more slowly.

        :param turn: of that request.
        :param seconds: what the service asks for; where it does not, its window is waited for.
        :return: seconds until the next turn.
        """
        with self._lock:
            if reservation in self._reservations:
                self._reservations.remove(reservation)
            if seconds is None:
                taken = sum(
                    now - self._window < reservation.time <= now for reservation in self._reservations
                )
                self._history = max(1, taken)
                self._refused_at = now
            else:
                self._paused_until = max(self._paused_until, now + min(seconds, MAX_RETRY_WAIT))
            return self._next_reservation(now, patient=True).wait(now)

    def _next_reservation(self, now: float, *, patient: bool) -> Reservation:
        start = max(now, self._paused_until) if patient else now
        # Another thread may have been refused after this one read the clock.
        windows = max(0.0, now - self._refused_at) / self._window
        history = self._history * 2 ** int(windows) if patient and windows < MAX_DOUBLINGS else 0
        limits = ((self._per_minute, 60.0), (history, self._window))
        full = ((limit, window) for limit, window in limits if limit and len(self._reservations) >= limit)
        return Reservation(start, tuple((self._reservations[-limit], window) for limit, window in full))
