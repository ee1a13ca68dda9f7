"""Wait until predictions are finished: the same for every service."""

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
    AirflowSkipException,
    BaseOperator,
    BaseSensorOperator,
    Context,
    PokeReturnValue,
)
from typing_extensions import override

from airflow_provider_predictions._compat import (
    AirflowRescheduleException,
    first_reschedule_date,
    is_deferral_timeout,
)
from airflow_provider_predictions.api.coercion import short
from airflow_provider_predictions.api.errors import PredictionsError, RefusedError, TransientError
from airflow_provider_predictions.api.filters import checked, seconds_of
from airflow_provider_predictions.api.http.client import Client
from airflow_provider_predictions.api.limits import MAX_DEFERRAL_SECONDS, MIN_POLL_SECONDS
from airflow_provider_predictions.api.waiting.decide import (
    Decision,
    MissingIds,
    ObservedWords,
    Tally,
    Wait,
    decide,
)
from airflow_provider_predictions.api.waiting.pace import FailureCounter, Pace
from airflow_provider_predictions.api.waiting.query_history import QueryHistory
from airflow_provider_predictions.api.waiting.status_query import StatusQuery
from airflow_provider_predictions.sensors.arguments import WAITING, check_wait, fail_on
from airflow_provider_predictions.tasks.base import PredictionsTask
from airflow_provider_predictions.triggers.base import PredictionsTrigger

POLLS = "polls"
"""The key in the task's state store."""
WAIT_FAILURES = (AirflowFailException, AirflowSensorTimeout)
"""A status of ``fail_on``, an id that never appeared, or the timeout."""


class Waited(TypedDict):
    """What a sensor pushes to XCom.

    :param statuses: status -> count.
    :param looked_at: how many records the last poll read, before filters dropped some.
    """

    statuses: dict[str, int]
    count: int
    looked_at: int


class PredictionsSensor(PredictionsTask, BaseSensorOperator):
    """Wait until predictions are finished, and push how many there are of each status.

    Without ``prediction_ids``, the wait ends when every prediction that matches the filters is finished. A
    poll that fails for a transient reason does not end the wait, unless several fail in a row.

    Polls are ``poke_interval`` seconds apart, at least 5 while deferred. Up to a tenth is added, so that
    tasks that began together poll apart. ``timeout`` limits the whole wait, in seconds.
    """

    trigger_class: ClassVar[type[PredictionsTrigger]]
    arguments = WAITING
    ui_color = "#e9f3e4"
    _started: datetime | None = None
    _error: PredictionsError | None = None
    """Of the last poll."""
    _words: ObservedWords | None = None
    _doubts = ""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Let the sensor of a service fail for the statuses that the service declares."""
        if "trigger_class" in vars(cls):
            service = cls.trigger_class.hook_class.service_class
            cls.arguments = (fail_on(service), *vars(cls).get("arguments", ()))
        super().__init_subclass__(**kwargs)

    @classmethod
    @override
    def check_together(cls, values: Any) -> None:
        super().check_together(values)
        check_wait(
            cls.known(values),
            fails_by_default=values.fail_on is cls.declared["fail_on"].default,
            waits_for_ids=values.prediction_ids is not None,
        )

    @override
    def execute(self, context: Context) -> Any:
        """Wait here or, when deferrable, in the triggerer.

        :raises AirflowFailException: for a status of ``fail_on``, and for errors that a retry cannot cure.
        :raises TransientError: for ``max_failures`` failed polls in a row.
        :raises AirflowSensorTimeout: after ``timeout`` seconds.
        :raises AirflowSkipException: instead, if ``soft_fail`` or ``never_fail`` is set.
        """
        with self._ending():
            return super().execute(context)

    @override
    def poke(self, context: Context) -> PokeReturnValue:
        wait = self._wait()
        rescheduled = first_reschedule_date(context) if self.reschedule else None
        is_first = not (self._started or rescheduled)
        started = self._started = self._started or rescheduled or datetime.now(UTC)
        self._error = None
        with self._progress(context, wait, is_first=is_first) as (failures, words):
            try:
                tally = self._poll(wait, is_first=is_first)
                age = (datetime.now(UTC) - started).total_seconds()
                if self.reschedule and tally.missing and age >= wait.missing_timeout:
                    # This process polls no more, and a single poll may have met a replica that lags.
                    self._missing.record(tally, age)
                    tally = self._poll(wait, is_first=is_first)
            except PredictionsError as error:
                self._error = error
                if not failures.record_failure(error):
                    raise
            else:
                words.add(tally)
                self._doubts = words.doubts()
                decision = decide(tally, age, self._missing.record(tally, age))
                failures.record_success(decision)
                if decision.state != "waiting":
                    return PokeReturnValue(is_done=True, xcom_value=self._result(decision))
        if self.deferrable:
            self._defer(wait, started.timestamp(), words.words)
        return PokeReturnValue(is_done=False)

    @override
    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        with self._ending():
            # Airflow's sensors handle errors here in their own way, so skip theirs.
            return BaseOperator.resume_execution(self, next_method, next_kwargs, context)

    @contextmanager
    def _ending(self) -> Iterator[None]:
        """End the task the same way in every mode, and warn once of words that match nothing."""
        try:
            yield
        except AirflowRescheduleException:
            raise
        except Exception as error:
            self._warn_of_doubts()
            if (found := self._outcome(error)) is error:
                raise
            raise found from error
        self._warn_of_doubts()

    def _outcome(self, error: Exception) -> Exception:
        """The exception that the task raises.

        ``soft_fail`` skips the task if the wait itself failed, ``never_fail`` for every error, as Airflow's
        sensors do in poke mode. After a deferral, Airflow checks other classes of errors, which differ
        between its versions (apache/airflow #72053).
        """
        if isinstance(error, AirflowSkipException):
            return error
        if is_deferral_timeout(error):
            error = AirflowSensorTimeout(str(error))
        if self.never_fail or (self.soft_fail and isinstance(error, WAIT_FAILURES)):
            name = "never_fail" if self.never_fail else "soft_fail"
            return AirflowSkipException(f"{error} (skipped: {name}=True)")
        if isinstance(error, PredictionsError) and not error.retryable:
            return AirflowFailException(str(error))
        return error

    def _warn_of_doubts(self) -> None:
        if self._doubts:
            self.log.warning("%s", self._doubts)

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> Waited:
        """End the wait with what the trigger found.

        :raises AirflowFailException: for a status of ``fail_on``.
        :raises AirflowSensorTimeout: after ``timeout`` seconds.
        :raises TransientError: if the trigger gave up and a retry may work.
        :raises RefusedError: if the trigger gave up and a retry cannot work.
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
        raise TransientError(f"The trigger fired with an event that it never sends: {short(event)}")

    @contextmanager
    def _progress(
        self, context: Context, wait: Wait, *, is_first: bool
    ) -> Iterator[tuple[FailureCounter, ObservedWords]]:
        """What earlier polls showed. From Airflow 3.3 on, a rescheduled task stores it between pokes."""
        failures, service = self._failures, self.hook_class.service_class
        words = self._words or ObservedWords(wait, service)
        store = context.get("task_state_store") if self.reschedule else None
        # Airflow keeps what the task stored before a person cleared it.
        if store and not is_first and (stored := store.get(POLLS)):
            failures.failures, observed = json.loads(str(stored))
            words = ObservedWords(wait, service, observed)
        self._words = words
        try:
            yield failures, words
        finally:
            if store:
                store.set(POLLS, json.dumps([failures.failures, words.words]))

    def _client(self, *, is_first: bool) -> Client:
        """A client for one poll. For the first one, any error ends the wait: the conn_id may be wrong."""
        hook = self.hook_class(self.hook.conn_id, attempts=1)
        try:
            return hook.get_conn()
        except Exception as error:
            if is_first or isinstance(error, PredictionsError):
                raise
            raise TransientError(f"{hook.conn_id}: {type(error).__name__}: {error}") from error

    def _poll(self, wait: Wait, *, is_first: bool) -> Tally:
        """Poll once. A failed poll is not repeated before the next interval."""
        with self._client(is_first=is_first) as client:
            tally = Tally(wait, client.service)
            query = StatusQuery(client.service, [wait], self._history)
            tally.add(query.known)
            for page in client.pages(query):
                tally.add(page)
        tally.doubt = query.doubt_of(wait)
        if error := query.error_of(wait):
            raise error
        return tally

    @override
    def _get_next_poke_interval(
        self, started_at: datetime | float, run_duration: Callable[[], float], poke_count: int
    ) -> float:
        """Seconds until the next poke: Airflow's interval, but never less than the pace of the wait."""
        seconds: float = super()._get_next_poke_interval(started_at, run_duration, poke_count)
        pace = Pace(self.poke_interval, seconds_of(self.max_interval))
        return max(seconds, pace.seconds(run_duration(), self._error))

    def _defer(self, wait: Wait, started: float, observed: list[str]) -> None:
        now = datetime.now(UTC).timestamp()
        # Airflow may fail a task whose deferral ends before the scheduler has seen it.
        deadline = max(started + self.timeout, now + MIN_POLL_SECONDS)
        delay = self._error.retry_after if self._error else None
        trigger = self.trigger_class(
            conn_id=self.hook.conn_id,
            poke_interval=self.poke_interval,
            wait=wait.model_dump(mode="json", exclude_none=True),
            max_interval=seconds_of(self.max_interval),
            started=started,
            deadline=deadline,
            max_failures=self.max_failures,
            observed=observed,
            unfinished=self._history.hidden.save(wait, self.hook_class.service_class),
            missing=self._missing.ids,
            not_before=delay and now + delay,
        )
        # The trigger itself ends the wait. This timeout is for a triggerer that is down.
        timeout = timedelta(seconds=min(max(self.timeout, MIN_POLL_SECONDS), MAX_DEFERRAL_SECONDS))
        self.defer(trigger=trigger, method_name="execute_complete", timeout=timeout)

    @staticmethod
    def _result(decision: Decision) -> Waited:
        if decision.state == "failed":
            raise AirflowFailException(decision.message)
        count = sum(decision.statuses.values())
        return {"statuses": decision.statuses, "count": count, "looked_at": decision.looked_at}

    def _wait(self) -> Wait:
        given = self.rendered()
        filters = self.filters(given).model_dump(mode="json", exclude_none=True)
        names = Wait.model_fields.keys() - {"filters"}
        return checked(Wait, {name: getattr(given, name) for name in names} | {"filters": filters})

    @cached_property
    def _failures(self) -> FailureCounter:
        return FailureCounter(self.log, self.max_failures)

    @cached_property
    def _missing(self) -> MissingIds:
        return MissingIds()

    @cached_property
    def _history(self) -> QueryHistory:
        return QueryHistory()
