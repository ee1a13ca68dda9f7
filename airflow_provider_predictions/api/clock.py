"""The time by a service's own clock, which also dates its records."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from airflow_provider_predictions.api.http.retry import http_date
from airflow_provider_predictions.api.limits import MAX_CLOCK_ERROR


@dataclass
class ServiceClock:
    """The time by a service's responses. A cache repeats the ``Date`` of its rows, so ``Age`` is ignored."""

    first: datetime | None = None
    last: datetime | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def note_date(self, date: str | None) -> None:
        """Note the ``Date`` of a response, or this machine's time if it has no plausible one."""
        now, told = datetime.now(UTC), http_date(date)
        self.note(told if told and abs(told - now) <= MAX_CLOCK_ERROR else now)

    def note(self, moment: datetime) -> None:
        """Note the time of a response."""
        with self._lock:
            self.first = min(self.first or moment, moment)
            self.last = max(self.last or moment, moment)

    @property
    def earliest(self) -> datetime:
        """The earliest time noted; this machine's time before the first response."""
        return self.first or datetime.now(UTC)

    @property
    def latest(self) -> datetime:
        """The latest time noted; this machine's time before the first response."""
        return self.last or datetime.now(UTC)

    @property
    def cautious(self) -> datetime:
        """The earlier of the service's time and this machine's, since either clock may be ahead."""
        return min(self.earliest, datetime.now(UTC))

    def is_to_come(self, moment: datetime) -> bool:
        """Whether a moment is ahead of both the service's clock and this machine's."""
        return moment > max(self.latest, datetime.now(UTC))


def time_before(moment: datetime, span: timedelta) -> datetime:
    """The moment minus a span; the first moment of year 1 if that is out of range."""
    try:
        return moment - span
    except OverflowError:
        return datetime.min.replace(tzinfo=UTC)
