"""How a wait ends that has not come to its end well: the same in poke, reschedule and deferred mode."""

from __future__ import annotations

from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
)

from airflow_provider_predictions._compat import is_deferral_timeout
from airflow_provider_predictions.api.errors import PredictionsError

OF_THE_WAIT = (AirflowFailException, AirflowSensorTimeout)
"""What ends a wait by what was waited for: a status of ``fail_on``, an id that never came, the timeout."""


def outcome(error: Exception, *, soft_fail: bool, never_fail: bool) -> Exception:
    """What the task raises.

    ``soft_fail`` skips what ends the wait by what was waited for, ``never_fail`` every error, as Airflow's
    sensors do in poke mode. After a deferral, Airflow looks at other classes of errors, which differ between
    its versions (apache/airflow #72053).

    :param error: what has ended the wait.
    """
    if isinstance(error, AirflowSkipException):
        return error
    if is_deferral_timeout(error):
        error = AirflowSensorTimeout(str(error))
    if never_fail or (soft_fail and isinstance(error, OF_THE_WAIT)):
        name = "never_fail" if never_fail else "soft_fail"
        return AirflowSkipException(f"{error} (skipped: {name}=True)")
    if isinstance(error, PredictionsError) and not error.retryable:
        return AirflowFailException(str(error))
    return error
