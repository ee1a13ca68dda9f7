"""The requests of one poll, which answers all waits of a connection."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from airflow_provider_predictions.api.arguments import Filters
from airflow_provider_predictions.api.errors import (
    NotFoundError,
    PredictionsError,
    RateLimitedError,
    RefusedError,
    TransientError,
)
from airflow_provider_predictions.api.models import Page
from airflow_provider_predictions.api.service import Service
from airflow_provider_predictions.api.waiting import Wait

MOST_A_PAGE = 1000
MOST_FAILED = 3
"""So many predictions that a service fails to answer for, and it is asked for no other."""


class Poll:
    """One look at all that is waited for.

    One page of the list answers many ids, so it is read first, and further ones while they answer more than
    one each; the rest is asked for one by one, in any order. What is waited for by filters is read in one
    pass, through filters that are as wide as all of them.

    :param waits: which differ from each other.
    :param list_end: of the poll before, its ``list_end``.
    """

    def __init__(self, service: Service[Any], waits: Sequence[Wait], *, list_end: str = "") -> None:
        self.service = service
        filters = [found for found in (wait.list_filters(service) for wait in waits) if found]
        self._reads_on = bool(filters)
        self._missing = {id_ for wait in waits for id_ in wait.prediction_ids or ()}
        self._one_by_one: list[str] | None = None
        self._failed: dict[str, PredictionsError] = {}
        if filters:
            self._walk = service.walk(widened(service, filters))
        elif len(self._missing) > 1:
            size = min(MOST_A_PAGE, max(service.default_page_size, len(self._missing)))
            self._walk = service.walk(service.filters(page_size=size))
        else:
            self._walk = service.walk(service.filters())
            self._walk.ended = True
        self._walk.list_end = list_end

    @property
    def list_end(self) -> str:
        """The id of the list's last row, where this poll has seen the list to end."""
        return self._walk.list_end

    def ahead(self, count: int) -> list[Any]:
        """The next page of the list, or what no page has shown."""
        if self._one_by_one is None:
            requests = self._walk.ahead(1) if self._reads_on or len(self._missing) > 1 else []
            if requests:
                return requests
            self._one_by_one = random.sample([*self._missing], len(self._missing))
        return [self.service.one(id_) for id_ in self._one_by_one[-count:][::-1]]

    def read(self, body: bytes) -> Any:
        """What an answer holds."""
        return self._walk.read(body) if self._one_by_one is None else self.service.read_one(body)

    def take(self, answer: Any) -> Page:
        """The records of an answer."""
        if self._one_by_one is not None:
            self._one_by_one.pop()
            return Page((answer,))
        page = self._walk.take(answer)
        found = self._missing.intersection(page.by_id)
        self._missing -= found
        if not self._reads_on and len(found) < 2:
            self._walk.ended = True
        return page

    def refuse(self, error: RefusedError) -> None:
        """Go on without an id that is not known, since it may come to be, or that is refused."""
        if self._one_by_one is None:
            self._walk.refuse(error)
            return
        id_ = self._one_by_one.pop()
        if not isinstance(error, NotFoundError):
            self._failed[id_] = error

    def goes_on_without(self, error: TransientError) -> bool:
        """Whether there is more to ask, though the service has failed to answer for one prediction."""
        if self._one_by_one is None or isinstance(error, RateLimitedError) or error.retry_after:
            return False
        self._failed[self._one_by_one.pop()] = error
        if sum(failed.retryable for failed in self._failed.values()) >= MOST_FAILED:
            self._failed |= dict.fromkeys(self._one_by_one, error)
            self._one_by_one.clear()
        return True

    def error_of(self, wait: Wait) -> PredictionsError | None:
        """Why this wait is not answered, where only predictions that it waits for are the reason."""
        return next((self._failed[id_] for id_ in wait.prediction_ids or () if id_ in self._failed), None)


def widened(service: Service[Any], filters: Sequence[Filters]) -> Filters:
    """Filters that let everything pass that any of these does, and as little else as possible."""
    first, *others = filters
    if all(other == first for other in others):
        return first
    starts = [found.created_after for found in filters]
    ends = [found.created_before for found in filters]
    return service.filters(
        created_after=None if None in starts else min(time for time in starts if time),
        created_before=None if None in ends else max(time for time in ends if time),
    )
