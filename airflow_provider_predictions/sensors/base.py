"""Waiting until predictions are finished: the same for every service."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, ClassVar, TypedDict

from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSensorTimeout,
    BaseOperator,
    BaseSensorOperator,
    Context,
    PokeReturnValue,
)

from airflow_provider_predictions._compat import AirflowRescheduleException, first_reschedule_date
from airflow_provider_predictions.api.errors import (
    PredictionsError,
    RefusedError,
    TransientError,
)
from airflow_provider_predictions.api.filters import checked, seconds_of
from airflow_provider_predictions.api.http.client import Client
from airflow_provider_predictions.api.models import Page
from airflow_provider_predictions.api.waiting.decide import (
    Decision,
    FailureCounter,
    Pace,
    Tally,
    Wait,
    decide,
)
from airflow_provider_predictions.api.waiting.status_query import QueryHistory, StatusQuery
from airflow_provider_predictions.sensors.arguments import WAITING, check_wait
from airflow_provider_predictions.sensors.outcome import outcome
from airflow_provider_predictions.tasks.base import PredictionsTask
from airflow_provider_predictions.triggers.base import PredictionsTrigger

FAILURES = "failed_polls"
"""The key in the task's state store."""
MET = "met_words"
"""Another one."""


class Waited(TypedDict):
    """What a sensor pushes to XCom.

    :param statuses: status -> count.
    :param looked_at: how many records the last poll has read, before filters dropped some.
    """

    statuses: dict[str, int]
    count: int
    looked_at: int


def _pages(client: Client, poll: StatusQuery) -> Iterator[Page]:
    yield poll.known
    yield from client.pages(poll)


class PredictionsSensor(PredictionsTask, BaseSensorOperator):
    """Wait until predictions are finished, and push how many there are of each status.

    Without ``prediction_ids``, the wait ends when no prediction that matches the filters is unfinished. A
    poll that fails for a passing reason does not end the wait, until too many have in a row.

    Polls are ``poke_interval`` seconds apart, at least 5 while deferred. Up to a tenth is added, so that
    tasks that began together do not ask together. ``timeout`` is that of the whole wait, in seconds.
    """

    trigger_class: ClassVar[type[PredictionsTrigger]]
    arguments = WAITING
    ui_color = "#e9f3e4"
    _patience: FailureCounter | None = None
    _started: datetime | None = None
    _error: PredictionsError | None = None

    _doubts = ""

    @classmethod
    def check_together(cls, values: Any) -> None:
        """Refuse arguments that do not go together.

        :param values: all arguments.
        :raises ConfigurationError: naming the argument that is wrong.
        """
        super().check_together(values)
        check_wait(cls.known(values), fails_by_default=values.fail_on is cls.declared["fail_on"].default)

    def execute(self, context: Context) -> Any:
        """Wait here or, when deferrable, in the triggerer.

        :param context: Airflow's context of the task.
        :raises AirflowFailException: for a status of ``fail_on`` and for what a retry cannot cure.
        :raises TransientError: for ``max_failures`` failed polls in a row.
        :raises AirflowSensorTimeout: after ``timeout`` seconds.
        :raises AirflowSkipException: instead, where ``soft_fail`` or ``never_fail`` says so.
        """
        with self._ending():
            return super().execute(context)

    def poke(self, context: Context) -> PokeReturnValue:
        """Poll once.

        :param context: Airflow's context of the task.
        :raises TaskDeferred: when deferrable and there is something to wait for.
        :raises ConfigurationError: naming the argument that is wrong.
        :raises PredictionsError: of a poll that ends the wait.
        """
        wait = self._wait()
        started = self._started = self._started or self._begin(context)
        self._error = None
        with self._remembering(context, wait) as failures:
            try:
                tally = self._poll(wait)
                failures.observe(tally)
                self._doubts = wait.doubts(self.hook_class.service_class, failures.observed)
                decision = decide(tally, (datetime.now(UTC) - started).total_seconds())
            except PredictionsError as error:
                self._error = error
                if not failures.tolerates(error):
                    raise
            else:
                failures.record_success(decision)
                if decision.state != "waiting":
                    return PokeReturnValue(is_done=True, xcom_value=self._result(decision))
        if self.deferrable:
            self._defer(wait, started.timestamp(), failures.observed_of(wait))
        return PokeReturnValue(is_done=False)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Go on after a deferral.

        :param next_method: the name of the method to call.
        :param next_kwargs: its arguments, the event among them.
        :param context: Airflow's context of the task.
        """
        with self._ending():
            # Not that of Airflow's sensors, which decides about errors in its own way.
            return BaseOperator.resume_execution(self, next_method, next_kwargs, context)

    @contextmanager
    def _ending(self) -> Iterator[None]:
        """Decide how the task ends, and say once which words match nothing."""
        try:
            yield
        except AirflowRescheduleException:
            raise
        except Exception as error:
            self._say_doubts()
            found = outcome(error, soft_fail=self.soft_fail, never_fail=self.never_fail)
            if found is error:
                raise
            raise found from error
        self._say_doubts()

    def _say_doubts(self) -> None:
        if self._doubts:
            self.log.warning("%s", self._doubts)

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> Waited:
        """End the wait with what the trigger found.

        :param context: Airflow's context of the task.
        :param event: of the trigger.
        :raises AirflowFailException: for a status of ``fail_on``.
        :raises AirflowSensorTimeout: after ``timeout`` seconds.
        :raises TransientError: where the trigger gave up, and a retry may work.
        """
        event = event or {}
        self._doubts = str(event.get("doubts", ""))
        match event:
            case {"state": "done" | "failed" as state, "message": str(message), "statuses": dict(statuses)}:
                looked_at = event.get("looked_at", sum(statuses.values()))
                return self._result(Decision(state, message, statuses, looked_at=looked_at))
            case {"state": "timeout", "message": str(message)}:
                raise AirflowSensorTimeout(message)
            case {"state": "error", "message": str(message), "retryable": bool(retryable)}:
                raise (TransientError if retryable else RefusedError)(message)
        raise TransientError(f"The trigger fired with an event that is none of its own: {event!r}")

    def _begin(self, context: Context) -> datetime:
        """When the wait began; a rescheduled one does not know it of itself."""
        first = first_reschedule_date(context) if self.reschedule else None
        return first or datetime.now(UTC)

    @contextmanager
    def _remembering(self, context: Context, wait: Wait) -> Iterator[FailureCounter]:
        """What the polls have shown; between two pokes of a rescheduled task, Airflow keeps it from 3.3."""
        failures = self._patience = self._patience or FailureCounter(self.log, self.max_failures)
        store = context.get("task_state_store") if self.reschedule else None
        if store:
            failures.failures = int(str(store.get(FAILURES, 0)))
            failures.restore_observed(json.loads(str(store.get(MET, "[]"))))
        try:
            yield failures
        finally:
            if store:
                store.set(FAILURES, failures.failures)
                store.set(MET, json.dumps(failures.observed_of(wait)))

    def _poll(self, wait: Wait) -> Tally:
        """Ask once: a failed poll is not repeated before the next interval."""
        hook = self.hook
        hook.attempts = 1
        with hook.get_conn() as client:
            tally = Tally(wait, client.service)
            poll = StatusQuery(client.service, [wait], self._history)
            for page in _pages(client, poll):
                tally.add(page)
        if error := poll.error_of(wait):
            raise error
        return tally

    def _get_next_poke_interval(
        self, started_at: datetime | float, run_duration: Callable[[], float], poke_count: int
    ) -> float:
        """Seconds until the next poke: what Airflow says, and never less than the wait's own pace."""
        seconds: float = super()._get_next_poke_interval(started_at, run_duration, poke_count)
        pace = Pace(self.poke_interval, seconds_of(self.max_interval))
        return max(seconds, pace.seconds(run_duration(), self._error))

    def _defer(self, wait: Wait, started: float, observed: list[str]) -> None:
        asked = self._error.retry_after if self._error else None
        trigger = self.trigger_class(
            conn_id=self.hook.conn_id,
            poke_interval=self.poke_interval,
            wait=wait.model_dump(mode="json", exclude_none=True),
            max_interval=seconds_of(self.max_interval),
            started=started,
            deadline=started + self.timeout,
            max_failures=self.max_failures,
            observed=observed,
            not_before=asked and datetime.now(UTC).timestamp() + asked,
        )
        # The trigger ends the wait itself; this is for a triggerer that is down.
        self.defer(trigger=trigger, method_name="execute_complete", timeout=timedelta(seconds=self.timeout))

    @staticmethod
    def _result(decision: Decision) -> Waited:
        if decision.state == "failed":
            raise AirflowFailException(decision.message)
        count = sum(decision.statuses.values())
        return {"statuses": decision.statuses, "count": count, "looked_at": decision.looked_at}

    def _wait(self) -> Wait:
        """What is waited for, of the rendered arguments."""
        given = self.rendered()
        filters = self.filters(given).model_dump(mode="json", exclude_none=True)
        names = Wait.model_fields.keys() - {"filters"}
        return checked(Wait, {name: getattr(given, name) for name in names} | {"filters": filters})

    @cached_property
    def _history(self) -> QueryHistory:
        return QueryHistory()
