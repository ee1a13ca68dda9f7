"""Waiting without a worker: the same for every service."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Collection
from dataclasses import asdict
from typing import Any, ClassVar

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_predictions.api.errors import PredictionsError
from airflow_provider_predictions.api.filters import checked
from airflow_provider_predictions.api.limits import MAX_FAILURES
from airflow_provider_predictions.api.waiting.decide import (
    Decision,
    FailureCounter,
    Pace,
    Tally,
    Wait,
    decide,
)
from airflow_provider_predictions.hooks.base import PredictionsHook
from airflow_provider_predictions.triggers.poller import Poller


class PredictionsTrigger(BaseTrigger):
    """Poll until the predictions are finished, then fire once.

    All triggers of a process that wait on one connection are answered by the same polls. Only names, filters
    and times cross the metadata database, no secret; the connection is read anew.

    :param conn_id: the Airflow connection.
    :param poke_interval: seconds between polls, and before the first; at least 5 before the first.
    :param wait: what is waited for, the fields of ``api.waiting.decide.Wait``.
    :param max_interval: seconds up to which the interval grows with the age of the wait; None for no growth.
    :param started: when the wait began, in seconds since 1970; by default now.
    :param deadline: when it ends, in seconds since 1970; None for never.
    :param max_failures: the failed poll in a row with this number ends the wait.
    :param observed: words of the wait that polls before the deferral have met.
    :param not_before: until when the service asked for time, in seconds since 1970; None where it did not.
    """

    hook_class: ClassVar[type[PredictionsHook[Any]]]
    _serialized = (
        "conn_id",
        "poke_interval",
        "wait",
        "max_interval",
        "started",
        "deadline",
        "max_failures",
        "observed",
        "not_before",
    )

    def __init__(
        self,
        *,
        conn_id: str,
        poke_interval: float,
        wait: dict[str, Any],
        max_interval: float | None = None,
        started: float | None = None,
        deadline: float | None = None,
        max_failures: int = MAX_FAILURES,
        observed: Collection[str] = (),
        not_before: float | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.conn_id = conn_id
        self.poke_interval = poke_interval
        self.wait = wait
        self.max_interval = max_interval
        self.started = time.time() if started is None else started
        self.deadline = deadline
        self.max_failures = max_failures
        self.observed = list(observed)
        self._doubts = ""
        self.not_before = not_before

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """The class and its arguments, as the metadata database keeps them."""
        path = f"{type(self).__module__}.{type(self).__qualname__}"
        return path, {name: getattr(self, name) for name in self._serialized}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, and fire when there is nothing to wait for any more."""
        left = None if self.deadline is None else max(0.0, self.deadline - time.time())
        try:
            async with asyncio.timeout(left) as bound:
                payload = asdict(await self._decision())
        except TimeoutError:
            if self.deadline is None or not bound.expired():
                raise
            within = self.deadline - self.started
            payload = {"state": "timeout", "message": f"Not finished within {within:.0f} s"}
        except PredictionsError as error:
            payload = {"state": "error", "message": str(error), "retryable": error.retryable}
        yield TriggerEvent(payload | ({"doubts": self._doubts} if self._doubts else {}))

    async def _decision(self) -> Decision:
        wait, pace = checked(Wait, self.wait), Pace(self.poke_interval, self.max_interval)
        wait.list_filters(self.hook_class.service_class)
        failures = FailureCounter(self.log, self.max_failures)
        failures.restore_observed(self.observed)
        poller = Poller.of(self.hook_class, self.conn_id)
        poller.put_off((self.not_before or 0) - time.time())
        async with poller.subscribe(wait, Tally, pace, self._age()) as subscription:
            while True:
                outcome = await subscription.outcome()
                if isinstance(outcome, Tally):
                    failures.observe(outcome)
                    self._doubts = wait.doubts(self.hook_class.service_class, failures.observed)
                    decision = decide(outcome, self._age())
                    failures.record_success(decision)
                    if decision.state != "waiting":
                        return decision
                elif not failures.tolerates(outcome):
                    raise outcome

    def _age(self) -> float:
        return max(0.0, time.time() - self.started)
