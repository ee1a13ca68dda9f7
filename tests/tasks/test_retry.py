"""When Airflow tries a task again."""

from __future__ import annotations

import pytest

from airflow_provider_predictions.api.errors import (
    AuthenticationError,
    ConfigurationError,
    PredictionsError,
    QuotaExceededError,
    RateLimitedError,
    ServerError,
)
from airflow_provider_predictions.api.http.retry import retry_after
from airflow_provider_predictions.operators.vlmrun import VlmRunListPredictionsOperator
from airflow_provider_predictions.sensors.cradl import CradlPredictionsSensor
from airflow_provider_predictions.tasks.retry import PredictionsRetryPolicy
from tests.compat import needs


@pytest.fixture(autouse=True)
def _policies() -> None:
    needs(3, 3, "retries that wait for `Retry-After`")


@pytest.mark.parametrize(
    ("error", "action", "seconds"),
    [
        (RateLimitedError("x", retry_after=42), "retry", 42),
        (ServerError("x", retry_after=retry_after({"Retry-After": "1e9"})), "retry", 900),
        (RateLimitedError("x"), "default", None),
        (AuthenticationError("x", retry_after=5), "fail", None),
        (QuotaExceededError("x", retry_after=5), "fail", None),
        (ConfigurationError("x"), "fail", None),
        (ValueError("x"), "default", None),
    ],
)
def test_the_service_says_when_and_the_error_says_whether(error, action: str, seconds: float | None) -> None:
    decision = PredictionsRetryPolicy().evaluate(error, 1, 3)

    assert decision.action.value == action
    assert (decision.retry_delay and decision.retry_delay.total_seconds()) == seconds
    assert action == "default" or type(error).__name__ in decision.reason


@pytest.mark.parametrize("task", [VlmRunListPredictionsOperator, CradlPredictionsSensor])
def test_tasks_have_the_policy_unless_they_are_given_another(task: type) -> None:
    class Other(PredictionsRetryPolicy):
        """Of somebody else."""

    other = Other()

    assert isinstance(task(task_id="x").retry_policy, PredictionsRetryPolicy)
    assert task(task_id="x", retry_policy=None).retry_policy is None
    assert task(task_id="x", default_args={"retry_policy": other}).retry_policy is other


def test_no_error_is_left_out() -> None:
    def kinds(kind: type[PredictionsError]) -> list[type[PredictionsError]]:
        return [kind, *(leaf for one in kind.__subclasses__() for leaf in kinds(one))]

    for kind in kinds(PredictionsError):
        decision = PredictionsRetryPolicy().evaluate(kind("x", retry_after=5), 1, 3)
        assert decision.action.value == ("retry" if kind.retryable else "fail")
