"""Decide when requests may start. All clients with the same credentials share a limiter."""

from __future__ import annotations

import math
import threading
from collections import deque

from airflow_provider_predictions.api.errors import RateLimitedError
from airflow_provider_predictions.api.limits import MAX_DOUBLINGS

MINUTE = 60.0
"""Seconds over which ``requests_per_minute`` counts."""


class Reservation:
    """When a request may start: one window after an earlier request reached the service.

    :param start: monotonic seconds. The request starts no earlier.
    :param behind: earlier reservations, each with the seconds that must lie between.
    """

    __slots__ = ("_behind", "time")

    def __init__(self, start: float, behind: tuple[tuple[Reservation, float], ...]) -> None:
        self.time = start
        """The start. Once there is a response, its time, since the request arrived no later."""
        self._behind = behind
        self.refresh(start)

    def refresh(self, now: float) -> float:
        """Move the start behind requests that are late. Return the seconds until then.

        Call it again after these seconds, since an earlier request may be even later.
        """
        self.time = max([self.time, *(reservation.time + seconds for reservation, seconds in self._behind)])
        return max(0.0, self.time - now)

    def end(self, now: float) -> None:
        """Note that the request has its response, or will get none."""
        self.time = now
        self._behind = ()


class RateLimiter:
    """Gives each request a turn.

    Beside the given limit, it learns one. After a refusal, at most as many requests start in a window as the
    service accepted in the window before. The number doubles with each window that follows.

    :param per_minute: requests; None for no limit.
    :param window: seconds over which the service counts.
    """

    def __init__(self, per_minute: int | None = None, *, window: float = MINUTE) -> None:
        self._per_minute = per_minute
        self._window = window
        self._reservations: deque[Reservation] = deque()
        self._learned = 0
        self._refused_at = -math.inf
        self._paused_until = -math.inf
        self._lock = threading.Lock()

    def reserve(self, now: float, *, patient: bool = True, longest: float = math.inf) -> Reservation:
        """Reserve the next free turn.

        :param now: monotonic seconds.
        :param patient: whether to respect the learned limit, too. A single attempt need not.
        :param longest: seconds until the turn, at most.
        :raises RateLimitedError: if no turn is free within ``longest``.
        """
        with self._lock:
            while self._reservations and self._reservations[0].time <= now - MINUTE:
                self._reservations.popleft()
            reservation = self._next(now, patient=patient)
            if reservation.refresh(now) > longest:
                raise RateLimitedError(
                    f"Too many requests wait: the turn of this one is more than {longest:.0f} s away. "
                    "Run fewer tasks at once, or raise extra requests_per_minute if your plan allows more"
                )
            self._reservations.append(reservation)
            return reservation

    def refused(self, reservation: Reservation, now: float, seconds: float | None) -> float:
        """Slow down all requests after the service refused one. Return the seconds until the next turn.

        :param now: monotonic seconds.
        :param seconds: the pause that the service asks for, bounded; None to wait for its window.
        """
        with self._lock:
            if reservation in self._reservations:
                self._reservations.remove(reservation)
            if seconds is None:
                taken = sum(now - self._window < each.time <= now for each in self._reservations)
                self._learned = max(1, taken)
                self._refused_at = now
            else:
                self._paused_until = max(self._paused_until, now + seconds)
            return self._next(now, patient=True).refresh(now)

    def _next(self, now: float, *, patient: bool) -> Reservation:
        start, learned = now, 0
        # Another thread may have been refused after this one read the clock.
        windows = max(0.0, now - self._refused_at) / self._window
        if patient:
            start = max(now, self._paused_until)
            learned = self._learned * 2 ** int(windows) if windows < MAX_DOUBLINGS else 0
        limits = ((self._per_minute, MINUTE), (learned, self._window))
        full = ((limit, window) for limit, window in limits if limit and len(self._reservations) >= limit)
        return Reservation(start, tuple((self._reservations[-limit], window) for limit, window in full))
