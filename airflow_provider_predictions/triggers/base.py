"""Wait without a worker: the same for every service."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Collection
from dataclasses import asdict, dataclass, field, fields
from typing import Any, ClassVar

from airflow.triggers.base import BaseTrigger, TriggerEvent
from typing_extensions import override

from airflow_provider_predictions.api.errors import PredictionsError
from airflow_provider_predictions.api.filters import checked
from airflow_provider_predictions.api.limits import MAX_FAILURES, MAX_RETRY_AFTER
from airflow_provider_predictions.api.waiting.decide import (
    Decision,
    MissingIds,
    ObservedWords,
    Tally,
    Wait,
    decide,
)
from airflow_provider_predictions.api.waiting.hidden_rows import SavedRow
from airflow_provider_predictions.api.waiting.pace import FailureCounter, Pace
from airflow_provider_predictions.hooks.base import PredictionsHook
from airflow_provider_predictions.triggers.poller import Poller


@dataclass(kw_only=True, eq=False, repr=False)
class PredictionsTrigger(BaseTrigger):
    """Poll until the predictions are finished, then fire once.

    All triggers of a process that wait on one connection share their polls. The metadata database stores
    names, filters and times, but no secret: each poll reads the connection anew.

    :param conn_id: the Airflow connection.
    :param poke_interval: seconds between polls, and before the first; at least 5.
    :param wait: what to wait for: the fields of ``api.waiting.decide.Wait``.
    :param max_interval: seconds up to which the interval grows with the age of the wait; None for no growth.
    :param started: when the wait began, in seconds since 1970; by default now.
    :param deadline: when the wait ends, in seconds since 1970; None for never.
    :param max_failures: so many failed polls in a row end the wait.
    :param observed: words of the wait that polls before the deferral saw.
    :param unfinished: predictions that polls before the deferral found unfinished: id, status, creation time
        and group of each.
    :param missing: ids that the last poll before the deferral missed; None if there was none.
    :param not_before: when the service allows the next request, in seconds since 1970; None for any time.
    """

    hook_class: ClassVar[type[PredictionsHook[Any]]]

    conn_id: str
    poke_interval: float
    wait: dict[str, Any]
    max_interval: float | None = None
    started: float = field(default_factory=time.time)
    deadline: float | None = None
    max_failures: int = MAX_FAILURES
    observed: Collection[str] = field(default_factory=list)
    unfinished: Collection[SavedRow] = field(default_factory=list)
    missing: Collection[str] | None = None
    not_before: float | None = None

    def __post_init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    @override
    def serialize(self) -> tuple[str, dict[str, Any]]:
        path = f"{type(self).__module__}.{type(self).__qualname__}"
        return path, {one.name: getattr(self, one.name) for one in fields(self)}

    @override
    async def run(self) -> AsyncIterator[TriggerEvent]:
        left = None if self.deadline is None else max(0.0, self.deadline - time.time())
        found: dict[str, str] = {}
        try:
            async with asyncio.timeout(left) as bound:
                async for decision, doubts in self._decisions():
                    payload, found = asdict(decision), {"doubts": doubts} if doubts else {}
        except TimeoutError:
            if self.deadline is None or not bound.expired():
                raise
            within = self.deadline - self.started
            payload = {"state": "timeout", "message": f"Not finished within {within:.0f} s"}
        except PredictionsError as error:
            payload = {"state": "error", "message": str(error), "retryable": error.retryable}
        yield TriggerEvent(payload | found)

    async def _decisions(self) -> AsyncIterator[tuple[Decision, str]]:
        """What each poll means, and its doubts about the words of the wait; ends with the wait."""
        wait, service_class = checked(Wait, self.wait), self.hook_class.service_class
        wait.list_filters(service_class)
        words = ObservedWords(wait, service_class, self.observed)
        failures = FailureCounter(self.log, self.max_failures)
        poller = Poller.of(self.hook_class, self.conn_id)
        # The clock of another machine wrote it.
        poller.delay(min((self.not_before or 0) - time.time(), MAX_RETRY_AFTER))
        pace = Pace(self.poke_interval, self.max_interval)
        async with poller.subscribe(wait, Tally, pace, self._age(), self.unfinished) as subscription:
            state, missing = "waiting", MissingIds(self.missing)
            while state == "waiting":
                outcome = await subscription.outcome()
                if isinstance(outcome, Tally):
                    words.add(outcome)
                    age = self._age()
                    decision = decide(outcome, age, missing.record(outcome, age))
                    failures.record_success(decision)
                    yield decision, words.doubts()
                    state = decision.state
                elif not failures.record_failure(outcome):
                    raise outcome

    def _age(self) -> float:
        return max(0.0, time.time() - self.started)
