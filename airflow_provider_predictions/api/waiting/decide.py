"""Decide whether a wait continues, is done or has failed, for sensors and triggers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from airflow_provider_predictions.api.clock import ServiceClock
from airflow_provider_predictions.api.filters import Filters, Ids, Number, Words, checked
from airflow_provider_predictions.api.limits import MAX_MISSING_SECONDS, MAX_NAMED
from airflow_provider_predictions.api.models import Prediction
from airflow_provider_predictions.api.observed import unmatched_filters
from airflow_provider_predictions.api.page import Observed, Page
from airflow_provider_predictions.api.service import Service
from airflow_provider_predictions.api.wording import counted, counts, encodable

State = Literal["waiting", "done", "failed"]
ADVICE = "The statuses of fail_on fail the task; with fail_on=() they do not"

MinPredictions = Annotated[int, Field(ge=0), Number]
MissingTimeout = Annotated[float, Field(ge=0, allow_inf_nan=False), Number]


class Wait(BaseModel):
    """What to wait for. The metadata database stores it as JSON.

    :ivar filters: filter -> value, for the predictions of the list.
    :ivar prediction_ids: only these predictions, whatever the filters; None for all that match the filters.
    :ivar fail_on: statuses that fail the wait; None for those of ``Service.default_fail_on``.
    :ivar waiting_statuses: statuses to wait for; None for all except the service's terminal ones.
    :ivar min_predictions: how many predictions must match the filters before the wait can end.
    :ivar missing_timeout: seconds after which an id that the service does not know, or no longer knows, fails
        the wait. A wait by filters expects an unfinished prediction that the list no longer shows as long.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    filters: dict[str, Any] = {}
    prediction_ids: Ids | None = None
    fail_on: Words | None = None
    waiting_statuses: Words | None = None
    min_predictions: MinPredictions = 0
    missing_timeout: MissingTimeout = MAX_MISSING_SECONDS

    @cached_property
    def text(self) -> str:
        """The wait as JSON, which is equal for equal waits."""
        return self.model_dump_json()

    def words(self, service: Service[Any] | type[Service[Any]]) -> frozenset[str]:
        """The statuses and groups that the user gave."""
        given = (self.filters.get(name) for name in service.word_filters())
        return frozenset(
            word for words in (*given, self.fail_on, self.waiting_statuses) for word in words or ()
        )

    def failing(self, service: Service[Any] | type[Service[Any]]) -> tuple[str, ...]:
        """The statuses that fail the wait."""
        return service.default_fail_on() if self.fail_on is None else self.fail_on

    def list_filters(self, service: Service[Any] | type[Service[Any]]) -> Filters | None:
        """Check the filters. None for a wait by ids.

        :raises ConfigurationError: naming the filter that is wrong.
        """
        return checked(service.filters, self.filters) if self.prediction_ids is None else None


class ObservedWords:
    """The words of a wait that its polls have seen. A word that no poll sees may be a typo.

    :param words: those that polls of another process have seen.
    """

    def __init__(self, wait: Wait, service: type[Service[Any]], words: Iterable[str] = ()) -> None:
        self.wait = wait
        self.service = service
        self._given = wait.words(service)
        self.observed = Observed(statuses=dict.fromkeys(words, 0), groups=dict.fromkeys(words, 0))

    @property
    def words(self) -> list[str]:
        """The words to hand to another process."""
        return sorted(self._given & (self.observed.statuses.keys() | self.observed.groups.keys()))

    def add(self, tally: Tally) -> None:
        self.observed.add(tally.observed, self._given)
        self.observed.looked_at = tally.observed.looked_at

    def doubts(self) -> str:
        """Describe the words that no poll has seen and the service does not document; may be empty."""
        wait, service = self.wait, self.service
        by_default = service.default_fail_on()
        statuses = {
            "fail_on": [word for word in wait.failing(service) if word not in by_default],
            "waiting_statuses": wait.waiting_statuses,
        }
        return unmatched_filters(
            service, wait.list_filters(service) or service.filters(), self.observed, statuses
        )


class Tally:
    """What one poll finds for one wait: counts and a few ids, no records."""

    def __init__(self, wait: Wait, service: Service[Any]) -> None:
        self.wait = wait
        self.service = service
        self.clock = ServiceClock()
        """The service's clock during the poll."""
        self.statuses: Counter[str] = Counter()
        self.failed: dict[str, list[str]] = {}
        """Status and message of the first failed predictions -> their ids."""
        self.observed = Observed()
        """Counts of what the poll read, before filters."""
        self.missing = dict.fromkeys(wait.prediction_ids or ())
        """Ids that the poll has not found yet."""
        self.unreadable = 0
        """Rows of the list that are not records, so their statuses are not known."""
        self.doubt = ""
        """Why the poll may have missed a row of the list; empty if nothing says so."""
        self.failing = wait.failing(service)
        self._words = wait.words(service)
        self._filters = wait.list_filters(service)

    def add(self, page: Page) -> None:
        """Count the records of a page that belong to the wait."""
        if self._filters and not page.listed:
            return  # the list itself shows whether they match
        if self._filters:
            self.unreadable += len(page.rejected)
        chosen = self._chosen(page)
        self.observed.add(page.observed if self._filters else Observed.of(chosen), self._words)
        for prediction in chosen:
            self.statuses[prediction.status] += 1
            if prediction.status in self.failing and sum(map(len, self.failed.values())) < MAX_NAMED:
                message = self.service.message(prediction)
                what = f"{prediction.status}{message and f': {message}'}"
                self.failed.setdefault(what, []).append(prediction.id)

    @property
    def lasts(self) -> bool:
        """Whether its decision stays the same while no status changes.

        While ids are missing, the age of the wait counts. A failure is counted anew, because its message
        quotes the record.
        """
        return not self.missing and not self.failed

    def repeats(self, before: Tally) -> bool:
        """Whether the poll found for the wait what the poll before found."""
        is_same = (self.statuses, self.observed, self.unreadable, self.doubt) == (
            before.statuses, before.observed, before.unreadable, before.doubt
        )  # fmt: skip
        return is_same and self.lasts and before.lasts

    def _chosen(self, page: Page) -> Sequence[Prediction]:
        if self._filters is None:
            found = [page.by_id[id_] for id_ in self.missing if id_ in page.statuses]
            for prediction in found:
                del self.missing[prediction.id]
            return found
        limit = self._filters.max_predictions
        return self._filters.choose(page.predictions)[: limit and limit - self.statuses.total()]


class MissingIds:
    """Since when polls miss ids. A service may hide for a while what it has shown.

    :param before: ids that the last poll of another process missed; None if there was none.
    """

    def __init__(self, before: Iterable[str] | None = None) -> None:
        self._since = None if before is None else dict.fromkeys(before, 0.0)
        self._has_polled = False

    @property
    def ids(self) -> list[str] | None:
        """What the last poll missed, for another process; None if there was none."""
        return None if self._since is None else [*self._since]

    def record(self, tally: Tally, age: float) -> Mapping[str, float]:
        """Record which ids a poll has missed. Return id -> age of the wait since which it is missing.

        An id that is missing from the first poll on has the age 0. Only ids that the poll before has missed,
        too, are returned, since a single poll may have met a replica that lags.

        :param age: of the wait, in seconds, at the poll of the tally.
        """
        before, now = self._since or {}, 0.0 if self._since is None else age
        self._since = {id_: before.get(id_, now) for id_ in tally.missing}
        again = self._since.keys() & before.keys() if self._has_polled else ()
        self._has_polled = True
        return {id_: self._since[id_] for id_ in again}


@dataclass(frozen=True)
class Decision:
    """What a poll means for a wait.

    :param statuses: status -> count of the predictions that belong to the wait.
    :param unknown: statuses that the service does not document. The wait treats them as unfinished.
    :param looked_at: how many records the poll read, before filters.
    """

    state: State
    message: str
    statuses: dict[str, int]
    unknown: tuple[str, ...] = ()
    looked_at: int = 0


def decide(tally: Tally, age: float, missing_since: Mapping[str, float] | None = None) -> Decision:
    """Decide what a poll means for a wait that began ``age`` seconds ago.

    :param missing_since: id -> age of the wait since which it is missing. Other ids may still appear. By
        default, all are missing from the start.
    """
    statuses: Counter[str] = Counter()
    for status, number in sorted(tally.statuses.items()):
        statuses[encodable(status)] += number
    state, message = _failure(tally, age, missing_since) or _progress(tally, statuses)
    documented = tally.service.terminal_statuses | tally.service.unfinished_statuses
    unknown = tuple(s for s in statuses if s not in documented and tally.wait.waiting_statuses is None)
    return Decision(state, message, dict(statuses), unknown, tally.observed.looked_at)


def _failure(tally: Tally, age: float, missing_since: Mapping[str, float] | None) -> tuple[State, str] | None:
    """Why the wait has failed, if it has."""
    wait, title = tally.wait, tally.service.title
    if failed := sum(tally.statuses[status] for status in {*tally.failing}):
        names = "; ".join(
            f"{', '.join(map(encodable, ids))} {'is' if len(ids) == 1 else 'are'} {what}"
            for what, ids in tally.failed.items()
        )
        count = f"{failed} of {tally.statuses.total()} predictions"
        return "failed", f"{title}: {count}: {names}{_more(failed)}. {ADVICE}"
    since = dict.fromkeys(tally.missing, 0.0) if missing_since is None else missing_since
    missing = {id_: age - since[id_] for id_ in tally.missing if id_ in since}
    if late := [id_ for id_, seconds in missing.items() if seconds >= wait.missing_timeout]:
        names, seconds = ", ".join(late[:MAX_NAMED]) + _more(len(late)), max(missing.values())
        return (
            "failed",
            f"prediction_ids: {title} does not know {names} after {seconds:.0f} s (missing_timeout)",
        )
    return None


def _progress(tally: Tally, statuses: dict[str, int]) -> tuple[State, str]:
    """Whether there is anything left to wait for."""
    wait, final, count = tally.wait, tally.service.terminal_statuses, tally.statuses.total()
    awaited = (
        {s for s in statuses if s not in final} if wait.waiting_statuses is None else wait.waiting_statuses
    )
    unfinished = sum(number for status, number in statuses.items() if status in awaited)
    message = f"{tally.service.title}: {unfinished} of {count} predictions are unfinished"
    if statuses:
        message += f"; statuses: {counts(statuses)}"
    if tally.missing:
        message += f"; {counted(len(tally.missing), 'id')} not known yet"
    if count < wait.min_predictions:
        message += f"; the wait needs {wait.min_predictions} (min_predictions)"
    # With waiting_statuses, only these are waited for, and a row without a status has none of them.
    unreadable = tally.unreadable if wait.waiting_statuses is None else 0
    if unreadable:
        message += f"; {counted(unreadable, 'row')} without a JSON object may be unfinished"
    if tally.doubt:
        message += f"; predictions may be missing: {tally.doubt}"
    is_waiting = unfinished or tally.missing or count < wait.min_predictions or unreadable or tally.doubt
    return "waiting" if is_waiting else "done", message


def _more(count: int) -> str:
    return f" and {count - MAX_NAMED} more" if count > MAX_NAMED else ""
