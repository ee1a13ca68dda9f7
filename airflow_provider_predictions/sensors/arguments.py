"""The arguments of sensors beside the filters."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

from airflow.providers.common.compat.sdk import conf
from pydantic import Field

from airflow_provider_predictions.api.errors import ConfigurationError
from airflow_provider_predictions.api.filters import Ids, Seconds, Words
from airflow_provider_predictions.api.limits import MAX_FAILURES, MAX_MISSING_SECONDS
from airflow_provider_predictions.api.service import Service
from airflow_provider_predictions.api.waiting.decide import MinPredictions, MissingTimeout
from airflow_provider_predictions.api.wording import joined
from airflow_provider_predictions.tasks.arguments import Argument, Templated, declare

WAITING = declare(
    Templated(
        "prediction_ids",
        "str | int | Collection[str | int | Ref] | Ref | None",
        Ids,
        "wait for these, whatever the filters, as a list or comma-separated text. With an empty list "
        "the wait ends at once",
        needed="give ids, or leave prediction_ids out to wait for all that match the filters",
        not_with=("min_predictions",),
        why_not_with="which waits for all of its ids",
        when_empty="there is nothing to wait for",
        example='["id-1", "id-2"]',
    ),
    Templated(
        "fail_on",
        "str | Collection[str | Ref] | Ref",
        Words,
        "statuses that fail the task; an empty list fails it for none",
        example='["failed"]',
    ),
    Templated(
        "waiting_statuses",
        "str | Collection[str | Ref] | Ref | None",
        Words,
        "statuses to wait for; by default all that are not known to be final",
        when_empty="no status is waited for",
        example='["pending"]',
    ),
    Templated(
        "min_predictions",
        "int | str | Ref",
        MinPredictions,
        "how many predictions must match the filters before the wait can end",
        default=0,
        example="10",
    ),
    Templated(
        "missing_timeout",
        "float | str | Ref",
        MissingTimeout,
        "seconds after which one of ``prediction_ids`` that the service does not know fails the task. "
        "Without them, an unfinished prediction that the list no longer shows is waited for as long",
        default=MAX_MISSING_SECONDS,
        example="3600",
    ),
    Argument(
        "max_interval",
        "timedelta | float | None",
        Seconds | None,
        "the longest interval, a timedelta or seconds. The interval grows up to it, as a tenth of the age of "
        "the wait; by default it does not grow",
        example="timedelta(minutes=10)",
    ),
    Argument(
        "max_failures",
        "int",
        Annotated[int, Field(ge=1)],
        "fail the task after this many failed polls in a row; a retry may help. "
        "Rescheduled tasks count them from Airflow 3.3 on",
        default=MAX_FAILURES,
    ),
    Argument(
        "deferrable",
        "bool",
        bool,
        "wait in the triggerer, without a worker. The worker makes the first poll",
        default=conf.getboolean("operators", "default_deferrable", fallback=False),
        example="True",
        shown_default="False",
    ),
)


def fail_on(service: type[Service[Any]]) -> Argument:
    """``fail_on`` of the sensors of a service."""
    (declared,) = (argument for argument in WAITING if argument.name == "fail_on")
    return replace(declared, default=service.default_fail_on())


def check_wait(known: Any, *, fails_by_default: bool, waits_for_ids: bool) -> None:
    """Refuse arguments of a wait that contradict each other.

    :param known: all arguments as their types; None for a reference, and for what is not given.
    :param fails_by_default: whether ``fail_on`` is not given.
    :param waits_for_ids: whether ``prediction_ids`` is given. Filters do not count then.
    :raises ConfigurationError: naming the arguments.
    """
    longest, interval = known.max_interval, known.poke_interval
    if None not in (longest, interval) and longest < interval:
        raise ConfigurationError(
            f"max_interval: must be at least poke_interval, {interval:g} s; found {longest:g} s"
        )
    least, most = known.min_predictions, known.max_predictions
    if None not in (least, most) and least > most:
        raise ConfigurationError(
            f"min_predictions: {least} is more than max_predictions, {most}, so the wait would never end"
        )
    fail_on = {*(known.fail_on or ())}
    if both := fail_on.intersection(known.waiting_statuses or ()):
        raise ConfigurationError(
            f"waiting_statuses: fail_on also fails the task for {joined(both)}; remove it from one of the two"
        )
    if fails_by_default or waits_for_ids or not fail_on or not known.statuses:
        return
    if not fail_on.intersection(known.statuses):
        raise ConfigurationError(
            f"fail_on: {joined(fail_on)} can never match, since statuses reads only {joined(known.statuses)}"
        )
