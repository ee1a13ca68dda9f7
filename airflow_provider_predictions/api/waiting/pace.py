"""Decide when a wait polls next, and how many failed polls it tolerates."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from airflow_provider_predictions.api.errors import PredictionsError, RateLimitedError
from airflow_provider_predictions.api.limits import MAX_FAILURES
from airflow_provider_predictions.api.waiting.decide import Decision
from airflow_provider_predictions.api.wording import Log, quoted

GROWTH = 0.1
"""With ``max_interval``, the interval grows to this share of the wait's age."""
JITTER = 0.1
"""Up to this share is added to an interval, so that waits that began together poll apart."""


@dataclass(frozen=True)
class Pace:
    """How long to wait before the next poll.

    :param interval: seconds, at least.
    :param max_interval: seconds up to which the interval grows with the wait's age; None for no growth.
    """

    interval: float
    max_interval: float | None = None

    def seconds(self, age: float, error: PredictionsError | None = None) -> float:
        """Seconds until the next poll of a wait that began ``age`` seconds ago; ``error`` ended the last."""
        seconds = self.interval
        if self.max_interval:
            seconds = max(seconds, min(age * GROWTH, self.max_interval))
        if error and error.retry_after:
            seconds = max(seconds, error.retry_after)
        return seconds * (1 + JITTER * random.random())


@dataclass
class FailureCounter:
    """Counts the failed polls of one wait, and logs what changes from poll to poll.

    :param limit: this many failed polls in a row end the wait.
    """

    log: Log
    limit: int = MAX_FAILURES
    failures: int = 0
    _last_message: str = ""
    _warned: set[str] = field(default_factory=set)

    def record_failure(self, error: PredictionsError) -> bool:
        """Record a failed poll. Return whether the wait continues. A rate limit does not count."""
        self.failures += not isinstance(error, RateLimitedError)
        continues = error.retryable and self.failures < self.limit
        if continues:
            self.log.warning("%s. The wait continues.", error)
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
            self.log.warning(
                "The status %s is not known; the wait treats it as unfinished (see waiting_statuses)",
                quoted([status]),
            )
        self._warned |= set(decision.unknown)
