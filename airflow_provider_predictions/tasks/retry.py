"""What Airflow does with a task that has failed: when it tries again, and when it must not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_predictions._compat import RetryPolicy
from airflow_provider_predictions.api.errors import PredictionsError

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context, RetryDecision


@contextmanager
def airflow_errors() -> Iterator[None]:
    """Fail a task at once for what a retry cannot cure; leave the rest to the task's ``retries``."""
    try:
        yield
    except PredictionsError as error:
        if error.retryable:
            raise
        raise AirflowFailException(str(error)) from error


class PredictionsRetryPolicy(RetryPolicy):
    """Retry after what the service asked for in ``Retry-After``, and never what a retry cannot cure.

    The operators and sensors have it by default (Airflow 3.3 or newer); give it to a ``@task`` that uses a
    hook: ``@task(retries=3, retry_policy=PredictionsRetryPolicy())``. A ``Retry-After`` of more than 15
    minutes counts as 15. Every other error is left to the task's ``retry_delay``.
    """

    def evaluate(
        self, exception: BaseException, try_number: int, max_tries: int, context: Context | None = None
    ) -> RetryDecision:
        """What to do after an error of this package; others are left to the task's own settings.

        :param exception: why the attempt has failed.
        :param try_number: of the attempt, from 1.
        :param max_tries: how many the task has.
        :param context: Airflow's context of the task.
        """
        from airflow.providers.common.compat.sdk import RetryDecision

        if not isinstance(exception, PredictionsError):
            return RetryDecision.default()
        name = type(exception).__name__
        if not exception.retryable:
            return RetryDecision.fail(f"{name}: a retry cannot cure it")
        if not exception.retry_after:
            return RetryDecision.default()
        seconds = exception.retry_after
        return RetryDecision.retry(
            timedelta(seconds=seconds), f"{name}: the service asks for {seconds:.0f} s"
        )

    def serialize(self) -> dict[str, Any]:
        """It has no settings; Airflow evaluates the one of the DAG file, on the worker."""
        return {}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> PredictionsRetryPolicy:
        """Read what ``serialize`` gave.

        :param data: empty.
        """
        return cls(**data)
