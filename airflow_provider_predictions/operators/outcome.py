"""How a task ends that met rejected rows, records without values, or no record at all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from airflow.providers.common.compat.sdk import (
    XCOM_RETURN_KEY,
    AirflowFailException,
    AirflowSkipException,
    Context,
)

from airflow_provider_predictions.api.errors import MissingValuesError, RejectedRowsError
from airflow_provider_predictions.api.limits import MAX_MESSAGE_LENGTH
from airflow_provider_predictions.api.wording import counted
from airflow_provider_predictions.storage.manifest import Manifest

OnEmpty = Literal["warn", "skip", "fail", "ignore"]


def end_empty(task: Any, context: Context, result: object, text: str) -> None:
    """End a task that matched nothing, as its ``on_empty`` says.

    :param result: pushed before a skip, since Airflow pushes nothing after one.
    :param text: what the task read.
    :raises AirflowSkipException: for ``skip``.
    :raises AirflowFailException: for ``fail``. No retry: the window of a run has passed, so it stays empty.
    """
    match task.on_empty:
        case "warn":
            task.log.warning("%s", text)
        case "ignore":
            task.log.info("%s", text)
        case "skip":
            ti = context.get("ti")
            if ti and task.do_xcom_push:
                ti.xcom_push(key=XCOM_RETURN_KEY, value=result)
            raise AirflowSkipException(f"{text} (on_empty='skip')")
        case "fail":
            raise AirflowFailException(f"{text} (on_empty='fail')")


def judge_values(content: Manifest, most: int | None) -> str:
    """A text that describes the records that landed without their values; empty if there are none.

    :param most: how many are allowed; None for any number.
    :raises MissingValuesError: for more.
    """
    if not (missing := content["values_missing"]):
        return ""
    text = _without_values(content)
    if most is not None and missing > most:
        raise MissingValuesError(
            f"max_values_missing: {text}. They are not fetched again. To let more pass, raise "
            "max_values_missing or set it to None"
        )
    return text


def _without_values(content: Manifest) -> str:
    missing, named = content["values_missing"], content["values_missing_ids"]
    ids = ", ".join(id_[:MAX_MESSAGE_LENGTH] for id_ in named) + (", …" if missing > len(named) else "")
    return (
        f"{missing} of {content['count']} records landed without their values "
        f"({_counted(content['values_missing_reasons'])}): {ids}"
    )


def judge_rejected(content: Manifest, most: int | None) -> None:
    """Fail a landing with too many rows that are no records.

    :param most: how many are allowed; None for any number.
    :raises RejectedRowsError: for more.
    """
    if most is not None and content["rejected"] > most:
        raise RejectedRowsError(
            f"max_rejected: found {counted(content['rejected'], 'row')} without a JSON object "
            f"({_counted(content['rejected_reasons'])}), kept in {content['rejected_uri']}. "
            f"Landed {counted(content['count'], 'record')}. To let such rows pass, raise max_rejected or set "
            "it to None"
        )


def _counted(reasons: Mapping[str, int]) -> str:
    return ", ".join(f"{count} x {reason}" for reason, count in reasons.items())
