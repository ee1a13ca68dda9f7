"""What a task does that has matched nothing."""

from __future__ import annotations

from typing import Any, Literal

from airflow.providers.common.compat.sdk import (
    XCOM_RETURN_KEY,
    AirflowFailException,
    AirflowSkipException,
    Context,
)

OnEmpty = Literal["warn", "skip", "fail", "ignore"]


def end_empty(task: Any, context: Context, result: object, text: str) -> None:
    """Do what ``on_empty`` says of a task that has matched nothing.

    :param task: the operator.
    :param result: is pushed before a skip, which would lose it.
    :param text: what was looked at.
    :raises AirflowSkipException: for ``skip``.
    :raises AirflowFailException: for ``fail``: the window of a run that has ended does not fill.
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
