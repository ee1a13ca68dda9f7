"""When Airflow retries a failed task, and when it must not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowFailException, Context
from typing_extensions import override

from airflow_provider_predictions._compat import RetryPolicy
from airflow_provider_predictions.api.errors import PredictionsError

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import RetryDecision


@contextmanager
def airflow_errors() -> Iterator[None]:
    """Fail a task at once for errors that a retry cannot cure; leave the rest to the task's ``retries``."""
    try:
        yield
    except PredictionsError as error:
        if error.retryable:
            raise
        raise AirflowFailException(str(error)) from error


class PredictionsRetryPolicy(RetryPolicy):
    """Wait as long as the service's ``Retry-After`` asks, and never retry an error that a retry cannot cure.

    The operators and sensors have it by default (Airflow 3.3 or newer); give it to a ``@task`` that uses a
    hook: ``@task(retries=3, retry_policy=PredictionsRetryPolicy())``. A ``Retry-After`` of more than 15
    minutes counts as 15. Every other error is left to the task's ``retry_delay``.
    """

    @override
    def evaluate(
        self, exception: BaseException, try_number: int, max_tries: int, context: Context | None = None
    ) -> RetryDecision:
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

    @override
    def serialize(self) -> dict[str, Any]:
        return {}

    @classmethod
    @override
    def deserialize(cls, data: dict[str, Any]) -> PredictionsRetryPolicy:
        return cls(**data)
