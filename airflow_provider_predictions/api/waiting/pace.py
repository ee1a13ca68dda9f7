"""When a wait polls next, and how many failed polls it takes."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from airflow_provider_predictions.api.errors import PredictionsError, RateLimitedError
from airflow_provider_predictions.api.limits import MAX_FAILURES
from airflow_provider_predictions.api.waiting.decide import Decision
from airflow_provider_predictions.api.wording import Log

GROWTH = 0.1
"""With ``max_interval``, the interval grows to this share of the age of the wait."""
JITTER = 0.1
"""Up to this share is added to an interval, so that waits that began together poll apart."""


@dataclass(frozen=True)
class Pace:
    """How long to wait before the next poll; never less than the interval.

    :param interval: seconds.
    :param max_interval: seconds up to which the interval grows with the age of the wait; None for no growth.
    """

    interval: float
    max_interval: float | None = None

    def seconds(self, age: float, error: PredictionsError | None = None) -> float:
        """Seconds until the next poll.

        :param age: seconds since the wait began.
        :param error: of the last poll, if it failed.
        """
        grown = min(age * GROWTH, self.max_interval or 0)
        requested = (error.retry_after or 0) if error else 0
        return max(self.interval, grown, requested) * (1 + random.uniform(0, JITTER))


@dataclass
class FailureCounter:
    """Counts the failed polls of one wait, and logs what changes from poll to poll.

    :param log: of the task.
    :param limit: the failed poll in a row with this number ends the wait.
    """

    log: Log
    limit: int = MAX_FAILURES
    failures: int = 0
    _last_message: str = ""
    _warned: set[str] = field(default_factory=set)

    def tolerates(self, error: PredictionsError) -> bool:
        """Whether the wait continues after a failed poll. A rate limit does not count as a failure."""
        self.failures += not isinstance(error, RateLimitedError)
        continues = error.retryable and self.failures < self.limit
        if continues:
            self.log.warning("%s. The wait goes on.", error)
        else:
            self.failures = 0
        return continues

    def record_success(self, decision: Decision) -> None:
        """Reset the count, and log a new message and each unknown status once."""
        self.failures = 0
        if decision.message != self._last_message:
            self.log.info(decision.message)
            self._last_message = decision.message
        for status in set(decision.unknown) - self._warned:
            self.log.warning("The status %r is not known; it is waited for (see waiting_statuses)", status)
        self._warned |= set(decision.unknown)
