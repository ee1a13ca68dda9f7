"""What time it is by a service's own clock, which its creation times are of. No clock is trusted more."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from airflow_provider_predictions.api.http.retry import http_date
from airflow_provider_predictions.api.limits import MAX_CLOCK_ERROR as PLAUSIBLE


@dataclass
class ServiceClock:
    """The time that the answers of a service tell.

    A ``Date`` that a cache gives again is of the moment of its rows, so ``Age`` does not matter.

    :param first: the earliest time that was told.
    :param last: the latest.
    """

    first: datetime | None = None
    last: datetime | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def hear(self, date: str | None) -> None:
        """Take the ``Date`` of an answer; where it has none that can be true, this machine's clock."""
        now, told = datetime.now(UTC), http_date(date)
        self.note(told if told and abs(told - now) <= PLAUSIBLE else now)

    def note(self, moment: datetime) -> None:
        """Take a moment that an answer was of."""
        with self._lock:
            self.first = min(self.first or moment, moment)
            self.last = max(self.last or moment, moment)

    @property
    def earliest(self) -> datetime:
        """The time when the first answer came, or an earlier one that a later answer told."""
        return self.first or datetime.now(UTC)

    @property
    def latest(self) -> datetime:
        """The latest time that an answer told."""
        return self.last or datetime.now(UTC)

    def is_to_come(self, moment: datetime) -> bool:
        """Whether a moment lies ahead of the service's clock and of this machine's."""
        return moment > max(self.latest, datetime.now(UTC))


def earlier(moment: datetime, span: timedelta) -> datetime:
    """The moment so long before another; the first that there is where none lies so far back."""
    try:
        return moment - span
    except OverflowError:
        return datetime.min.replace(tzinfo=UTC)
