"""Waiting until predictions are finished: the same for every service."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Any, ClassVar

from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    BaseSensorOperator,
    Context,
    PokeReturnValue,
    conf,
)

from airflow_provider_predictions.api.arguments import checked
from airflow_provider_predictions.api.errors import PredictionsError, RefusedError, TransientError
from airflow_provider_predictions.api.waiting import Patience, Tally, Verdict, Wait, judge
from airflow_provider_predictions.hooks.base import airflow_errors
from airflow_provider_predictions.tasks.base import PredictionsTask, is_template
from airflow_provider_predictions.triggers.base import PredictionsTrigger


class PredictionsSensor(PredictionsTask, BaseSensorOperator):
    """Wait until predictions are finished, and push how many there are of each status.

    Without ``prediction_ids``, the wait ends when no prediction that matches the filters is unfinished. A
    poll that fails for a passing reason does not end the wait, unless it is the fifth in a row.

    :param prediction_ids: wait for these, whatever the filters; a list or comma-separated text (templated).
    :param fail_on: statuses that fail the task; empty to wait only (templated).
    :param waiting_statuses: statuses that are waited for; by default every one that is not known to be final
        (templated).
    :param poke_interval: seconds between polls; at least 5 while deferred.
    :param timeout: seconds; of the whole wait.
    :param deferrable: wait in the triggerer, without a worker. The first poll is made by the worker.
    """

    trigger_class: ClassVar[type[PredictionsTrigger]]
    template_fields: Sequence[str] = ("prediction_ids", "fail_on", "waiting_statuses")
    ui_color = "#e9f3e4"

    def __init__(
        self,
        *,
        prediction_ids: Collection[str] | str | None = None,
        fail_on: Collection[str] | str = ("failed", "cancelled"),
        waiting_statuses: Collection[str] | str | None = None,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.prediction_ids = prediction_ids
        self.fail_on = fail_on
        self.waiting_statuses = waiting_statuses
        self.deferrable = deferrable
        self._patience = Patience()
        given = self._wait_arguments()
        checked(Wait, {name: value for name, value in given.items() if not is_template(value)})

    def execute(self, context: Context) -> Any:
        """Wait here or, when deferrable, in the triggerer."""
        with airflow_errors():
            return super().execute(context)

    def poke(self, context: Context) -> PokeReturnValue:
        """Poll once. Raises TaskDeferred when deferrable and there is something to wait for."""
        wait = checked(Wait, self._wait_arguments() | {"filters": self._filters_as_json()})
        try:
            verdict = self._poll(wait)
        except PredictionsError as error:
            if not self._patience.bears(error):
                raise
            self.log.warning("%s. The wait goes on.", error)
        else:
            self._patience.reset()
            self.log.info(verdict.message)
            if verdict.state != "waiting":
                return PokeReturnValue(is_done=True, xcom_value=self._result(verdict))
        if self.deferrable:
            self._defer(wait)
        return PokeReturnValue(is_done=False)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Go on after a deferral."""
        with airflow_errors():
            return super().resume_execution(next_method, next_kwargs, context)

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """End the wait with what the trigger found."""
        match event:
            case {"state": "done" | "failed" as state, "message": str(message), "statuses": dict(statuses)}:
                return self._result(Verdict(state, message, statuses))
            case {"state": "error", "message": str(message), "retryable": bool(retryable)}:
                raise (TransientError if retryable else RefusedError)(message)
        raise TransientError(f"The trigger fired with an event that is none of its own: {event!r}")

    def _poll(self, wait: Wait) -> Verdict:
        """Ask once: a failed poll is not repeated before the next interval."""
        hook = self.hook
        hook.attempts = 1
        tally = Tally()
        with hook.get_conn() as client:
            for page in client.pages(wait.asking(client.service)):
                tally.add(page, wait)
        return judge(tally, wait, client.service)

    def _defer(self, wait: Wait) -> None:
        trigger = self.trigger_class(
            conn_id=self.hook.conn_id,
            poke_interval=self.poke_interval,
            wait=wait.model_dump(mode="json", exclude_none=True),
        )
        self.defer(trigger=trigger, method_name="execute_complete", timeout=timedelta(seconds=self.timeout))

    @staticmethod
    def _result(verdict: Verdict) -> dict[str, Any]:
        if verdict.state == "failed":
            raise AirflowFailException(verdict.message)
        return {"statuses": verdict.statuses, "count": sum(verdict.statuses.values())}

    def _wait_arguments(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in Wait.model_fields if name != "filters"}

    def _filters_as_json(self) -> dict[str, Any]:
        return self.filters().model_dump(mode="json", exclude_none=True)
