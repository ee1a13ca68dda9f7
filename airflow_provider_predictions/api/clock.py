"""The time by a service's own clock, which also dates its records. No clock is trusted more."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from airflow_provider_predictions.api.http.retry import http_date
from airflow_provider_predictions.api.limits import MAX_CLOCK_ERROR


@dataclass
class ServiceClock:
    """The time that the responses of a service tell.

    A cache repeats the ``Date`` of its rows, so ``Age`` does not matter.

    :param first: the earliest time so far.
    :param last: the latest.
    """

    first: datetime | None = None
    last: datetime | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def hear(self, date: str | None) -> None:
        """Take the ``Date`` of a response, or this machine's time if it has no plausible one."""
        now, told = datetime.now(UTC), http_date(date)
        self.note(told if told and abs(told - now) <= MAX_CLOCK_ERROR else now)

    def note(self, moment: datetime) -> None:
        """Take the time of a response."""
        with self._lock:
            self.first = min(self.first or moment, moment)
            self.last = max(self.last or moment, moment)

    @property
    def earliest(self) -> datetime:
        """The earliest time that a response told."""
        return self.first or datetime.now(UTC)

    @property
    def latest(self) -> datetime:
        """The latest time that a response told."""
        return self.last or datetime.now(UTC)

    def is_to_come(self, moment: datetime) -> bool:
        """Whether a moment is ahead of the service's clock and of this machine's."""
        return moment > max(self.latest, datetime.now(UTC))


def earlier(moment: datetime, span: timedelta) -> datetime:
    """The moment by a span earlier, or the first moment of year 1."""
    try:
        return moment - span
    except OverflowError:
        return datetime.min.replace(tzinfo=UTC)
