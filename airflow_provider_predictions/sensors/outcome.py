"""How a task ends when its wait fails: the same in poke, reschedule and deferred mode."""

from __future__ import annotations

from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
)

from airflow_provider_predictions._compat import is_deferral_timeout
from airflow_provider_predictions.api.errors import PredictionsError

WAIT_FAILURES = (AirflowFailException, AirflowSensorTimeout)
"""A status of ``fail_on``, an id that never appeared, or the timeout."""


def outcome(error: Exception, *, soft_fail: bool, never_fail: bool) -> Exception:
    """The exception that the task raises.

    ``soft_fail`` skips the task if the wait itself failed, ``never_fail`` for every error, as Airflow's
    sensors do in poke mode. After a deferral, Airflow checks other classes of errors, which differ between
    its versions (apache/airflow #72053).

    :param error: that ended the wait.
    """
    if isinstance(error, AirflowSkipException):
        return error
    if is_deferral_timeout(error):
        error = AirflowSensorTimeout(str(error))
    if never_fail or (soft_fail and isinstance(error, WAIT_FAILURES)):
        name = "never_fail" if never_fail else "soft_fail"
        return AirflowSkipException(f"{error} (skipped: {name}=True)")
    if isinstance(error, PredictionsError) and not error.retryable:
        return AirflowFailException(str(error))
    return error
