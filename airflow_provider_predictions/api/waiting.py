"""Whether to go on waiting. Pure: poke and trigger both ask here, and only here."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from airflow_provider_predictions.api.arguments import Words, checked
from airflow_provider_predictions.api.errors import PredictionsError
from airflow_provider_predictions.api.models import Page
from airflow_provider_predictions.api.service import Asking, Lookup, Service

State = Literal["waiting", "done", "failed"]
NAMED = 10
"""How many failed predictions a message names."""


class Wait(BaseModel):
    """What is waited for; it crosses the metadata database as JSON.

    :param filters: which predictions of the list.
    :param prediction_ids: these predictions, whatever the filters; None for all that match the filters.
    :param fail_on: statuses that fail the wait.
    :param waiting_statuses: statuses that are waited for; None for all but the service's terminal ones.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    filters: dict[str, Any] = {}
    prediction_ids: Words | None = None
    fail_on: Words = ("cancelled", "failed")
    waiting_statuses: Words | None = None

    def asking(self, service: Service[Any]) -> Asking:
        """The requests of one poll."""
        if self.prediction_ids is not None:
            return Lookup(service, self.prediction_ids)
        return service.walk(checked(service.filters, self.filters))


@dataclass
class Tally:
    """What one poll has seen so far: numbers, not records."""

    statuses: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)

    def add(self, page: Page, wait: Wait) -> None:
        """Count a page."""
        for prediction in page.predictions:
            self.statuses[prediction.status] += 1
            if prediction.status in wait.fail_on and len(self.failed) < NAMED:
                self.failed.append(f"{prediction.id} is {prediction.status}")


@dataclass(frozen=True)
class Verdict:
    """What a poll means.

    :param state: go on waiting, done, or failed.
    :param message: for the log.
    :param statuses: status -> count of the predictions that were looked at.
    """

    state: State
    message: str
    statuses: dict[str, int]


def judge(tally: Tally, wait: Wait, service: Service[Any]) -> Verdict:
    """Keep waiting, done, or failed."""
    statuses = dict(sorted(tally.statuses.items()))
    count = sum(statuses.values())
    failed = sum(n for status, n in statuses.items() if status in wait.fail_on)
    if failed:
        more = f" and {failed - len(tally.failed)} more" if failed > len(tally.failed) else ""
        names = ", ".join(tally.failed)
        return Verdict("failed", f"{service.title}: {failed} of {count} predictions: {names}{more}", statuses)
    unfinished = sum(n for status, n in statuses.items() if _is_unfinished(status, wait, service))
    message = f"{service.title}: {unfinished} of {count} predictions are unfinished; statuses: {statuses}"
    return Verdict("waiting" if unfinished else "done", message, statuses)


def _is_unfinished(status: str, wait: Wait, service: Service[Any]) -> bool:
    if wait.waiting_statuses is None:
        return status not in service.terminal_statuses
    return status in wait.waiting_statuses


@dataclass
class Patience:
    """How many failed polls in a row are borne.

    :param limit: the failure with this number ends the wait.
    """

    limit: int = 5
    failures: int = 0

    def bears(self, error: PredictionsError) -> bool:
        """Whether to go on after a failed poll."""
        self.failures += 1
        return error.retryable and self.failures < self.limit

    def reset(self) -> None:
        """A poll has worked."""
        self.failures = 0
