"""Whether to go on waiting, and when to ask again. Pure: poke and triggers ask here, and only here."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

from airflow_provider_predictions.api.clock import ServiceClock
from airflow_provider_predictions.api.errors import PredictionsError, RateLimitedError
from airflow_provider_predictions.api.filters import Filters, Ids, Number, Words, checked
from airflow_provider_predictions.api.limits import MAX_FAILURES
from airflow_provider_predictions.api.limits import MAX_MISSING_SECONDS as MISSING_TIMEOUT
from airflow_provider_predictions.api.limits import MAX_NAMED as NAMED
from airflow_provider_predictions.api.models import Page, Prediction
from airflow_provider_predictions.api.observed import Observed, doubts
from airflow_provider_predictions.api.service import Service
from airflow_provider_predictions.api.wording import counts

State = Literal["waiting", "done", "failed"]
ADVICE = "The statuses of fail_on fail the task; fail_on=() waits only"
GROWTH = 0.1
"""A wait that may ask less and less often asks after a tenth of its age."""
JITTER = 0.1
"""Waits that began together do not ask together for ever: up to so much is added to an interval."""


MinPredictions = Annotated[int, Field(ge=0), Number]
MissingTimeout = Annotated[float, Field(ge=0, allow_inf_nan=False), Number]


class Log(Protocol):
    """Whatever a task logs with."""

    def info(self, message: str, /, *args: object) -> Any:
        """Say something."""

    def warning(self, message: str, /, *args: object) -> Any:
        """Say it louder."""


class Wait(BaseModel):
    """What is waited for; it crosses the metadata database as JSON.

    :ivar filters: which predictions of the list.
    :ivar prediction_ids: these predictions, whatever the filters; None for all that match the filters.
    :ivar fail_on: statuses that fail the wait.
    :ivar waiting_statuses: statuses that are waited for; None for all but the service's terminal ones.
    :ivar min_predictions: how many must match the filters before the wait can end.
    :ivar missing_timeout: seconds after which an id that the service does not know fails the wait.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    filters: dict[str, Any] = {}
    prediction_ids: Ids | None = None
    fail_on: Words = ("cancelled", "failed")
    waiting_statuses: Words | None = None
    min_predictions: MinPredictions = 0
    missing_timeout: MissingTimeout = MISSING_TIMEOUT

    @property
    def words(self) -> frozenset[str]:
        """The words that were given, which are remembered when they are met."""
        given = (self.filters.get(name) for name in ("statuses", "domains"))
        return frozenset(
            word for words in (*given, self.fail_on, self.waiting_statuses) for word in words or ()
        )

    def doubts(self, service: Service[Any] | type[Service[Any]], observed: Observed) -> str:
        """Which of the words are neither known nor met, in one text; empty where there is none.

        :param met: by all polls.
        """
        filters = self.list_filters(service) or service.filters()
        by_default = Wait.model_fields["fail_on"].default
        fail_on = [word for word in self.fail_on if word not in by_default]
        return doubts(
            service, filters, observed, {"fail_on": fail_on, "waiting_statuses": self.waiting_statuses}
        )

    def list_filters(self, service: Service[Any] | type[Service[Any]]) -> Filters | None:
        """Which part of the list is waited for; None where it is given predictions.

        :raises ConfigurationError: naming the filter that is wrong.
        """
        return checked(service.filters, self.filters) if self.prediction_ids is None else None


class Tally:
    """What one poll has seen for one wait: numbers and a few names, not records."""

    def __init__(self, wait: Wait, service: Service[Any]) -> None:
        self.wait = wait
        self.service = service
        self.clock = ServiceClock()
        """Of the service, when it was asked."""
        self.statuses: Counter[str] = Counter()
        self.failed: dict[str, list[str]] = {}
        """What became of predictions -> their ids, of the first that have failed."""
        self.observed = Observed()
        """What was looked at, before filters dropped records."""
        self.missing = dict.fromkeys(wait.prediction_ids or ())
        """Ids that were not met yet."""
        self._filters = wait.list_filters(service)
        self._left = self._filters.max_predictions if self._filters else None

    def add(self, page: Page) -> None:
        """Count the records of a page that are waited for."""
        if self._filters and not page.listed:
            return  # they are, or are not, among the rows of the list
        chosen = self._chosen(page)
        self.observed.add(page.observed if self._filters else Observed.of(chosen), self.wait.words)
        for prediction in chosen:
            self.statuses[prediction.status] += 1
            if prediction.status in self.wait.fail_on and sum(map(len, self.failed.values())) < NAMED:
                message = self.service.message(prediction)
                what = f"{prediction.status}{message and f': {message}'}"
                self.failed.setdefault(what, []).append(prediction.id)

    def _chosen(self, page: Page) -> Sequence[Prediction]:
        if self._filters is None:
            found = [page.by_id[id_] for id_ in self.missing if id_ in page.by_id]
            for prediction in found:
                del self.missing[prediction.id]
            return found
        chosen = self._filters.choose(page.predictions)[: self._left]
        if self._left is not None:
            self._left -= len(chosen)
        return chosen


@dataclass(frozen=True)
class Decision:
    """What a poll means.

    :param state: go on waiting, done, or failed.
    :param message: for the log.
    :param statuses: status -> count of the predictions that were looked at.
    :param unknown: statuses that are waited for though nobody has heard of them.
    :param looked_at: how many records were looked at, before filters dropped some.
    """

    state: State
    message: str
    statuses: dict[str, int]
    unknown: tuple[str, ...] = ()
    looked_at: int = 0


def decide(tally: Tally, age: float) -> Decision:
    """Keep waiting, done, or failed.

    :param age: seconds since the wait began.
    """
    wait, service = tally.wait, tally.service
    statuses = dict(sorted(tally.statuses.items()))
    count = sum(statuses.values())
    known = {*service.terminal_statuses, *service.waiting_statuses, *(wait.waiting_statuses or ())}
    unknown = tuple(status for status in statuses if status not in known) if not wait.waiting_statuses else ()

    def decision(state: State, message: str) -> Decision:
        return Decision(state, message, statuses, unknown, tally.observed.looked_at)

    failed = sum(n for status, n in statuses.items() if status in wait.fail_on)
    if failed:
        names = "; ".join(
            f"{', '.join(ids)} {'is' if len(ids) == 1 else 'are'} {what}"
            for what, ids in tally.failed.items()
        )
        message = f"{service.title}: {failed} of {count} predictions: {names}{_more(failed)}"
        return decision("failed", f"{message}. {ADVICE}")
    if tally.missing and age >= wait.missing_timeout:
        names = _some(list(tally.missing), len(tally.missing))
        message = f"prediction_ids: {service.title} has not known {names} for {age:.0f} s (missing_timeout)"
        return decision("failed", message)
    unfinished = sum(n for status, n in statuses.items() if _is_unfinished(status, wait, service))
    message = f"{service.title}: {unfinished} of {count} predictions are unfinished"
    if statuses:
        message += f"; statuses: {counts(statuses)}"
    if tally.missing:
        message += f"; {len(tally.missing)} are not there yet"
    if count < wait.min_predictions:
        message += f"; {wait.min_predictions} are waited for (min_predictions)"
    is_waiting = unfinished or tally.missing or count < wait.min_predictions
    return decision("waiting" if is_waiting else "done", message)


def _some(names: list[str], count: int) -> str:
    return ", ".join(names[:NAMED]) + _more(count)


def _more(count: int) -> str:
    return f" and {count - NAMED} more" if count > NAMED else ""


def _is_unfinished(status: str, wait: Wait, service: Service[Any]) -> bool:
    if wait.waiting_statuses is None:
        return status not in service.terminal_statuses
    return status in wait.waiting_statuses


@dataclass(frozen=True)
class Pace:
    """How long to wait before the next poll. No answer makes it shorter than the interval.

    :param interval: seconds.
    :param max_interval: seconds up to which the interval grows with the age of the wait; None for no growth.
    """

    interval: float
    max_interval: float | None = None

    def seconds(self, age: float, error: PredictionsError | None = None) -> float:
        """Seconds until the next poll.

        :param age: seconds since the wait began.
        :param error: of the poll before, where it failed.
        """
        grown = min(age * GROWTH, self.max_interval or 0)
        asked = error.retry_after or 0 if error else 0
        return max(self.interval, grown, asked) * (1 + random.uniform(0, JITTER))


@dataclass
class FailureCounter:
    """One wait over all its polls: what failed ones and odd ones mean for it.

    :param log: of the task.
    :param limit: the failure in a row with this number ends the wait.
    """

    log: Log
    limit: int = MAX_FAILURES
    failures: int = 0
    observed: Observed = field(default_factory=Observed)
    """The words that all polls have met, and how many records the last one has looked at."""
    _said: str = ""
    _warned: set[str] = field(default_factory=set)

    def tolerates(self, error: PredictionsError) -> bool:
        """Whether to go on after a failed poll; one that met the rate limit is no failure."""
        self.failures += not isinstance(error, RateLimitedError)
        goes_on = error.retryable and self.failures < self.limit
        if goes_on:
            self.log.warning("%s. The wait goes on.", error)
        else:
            self.failures = 0
        return goes_on

    def observe(self, tally: Tally) -> None:
        """Remember the words that a poll has met."""
        self.observed.add(tally.observed, tally.wait.words)
        self.observed.looked_at = tally.observed.looked_at

    def restore_observed(self, words: Iterable[str]) -> None:
        """Take up words that polls of another process have met."""
        for word in words:
            self.observed.statuses.setdefault(word, 0)
            self.observed.groups.setdefault(word, 0)

    def observed_of(self, wait: Wait) -> list[str]:
        """The words of a wait that were met, for another process."""
        return sorted(wait.words & (self.observed.statuses.keys() | self.observed.groups.keys()))

    def record_success(self, decision: Decision) -> None:
        """A poll has worked."""
        self.failures = 0
        if decision.message != self._said:
            self.log.info(decision.message)
            self._said = decision.message
        for status in set(decision.unknown) - self._warned:
            self.log.warning("The status %r is not known; it is waited for (see waiting_statuses)", status)
        self._warned |= set(decision.unknown)
