"""Choose the requests of one poll, which answers all waits of a connection."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from airflow_provider_predictions.api.errors import (
    AuthenticationError,
    NoAnswerError,
    NotFoundError,
    PredictionsError,
    QuotaExceededError,
    RateLimitedError,
)
from airflow_provider_predictions.api.filters import Filters
from airflow_provider_predictions.api.limits import MAX_FAILED_LOOKUPS, MIN_POLL_SECONDS
from airflow_provider_predictions.api.models import GetRequest
from airflow_provider_predictions.api.page import Page
from airflow_provider_predictions.api.service import Service
from airflow_provider_predictions.api.waiting.decide import Wait
from airflow_provider_predictions.api.waiting.list_pass import ListPass, WantedIds
from airflow_provider_predictions.api.waiting.query_history import QueryHistory
from airflow_provider_predictions.api.wording import joined

ListKey = tuple[object, ...]


class SingleLookups:
    """Ids to look up one by one. Those that were not looked up for longest come first."""

    def __init__(self, history: QueryHistory) -> None:
        self._history = history
        self.ids: list[str] = []
        """The next one is the last."""
        self.failed: dict[str, PredictionsError] = {}

    def start(self, ids: Collection[str]) -> None:
        """Look up these ids."""
        self.ids = [id_ for id_ in self._history.turns if id_ in ids][::-1]

    def pop(self) -> str:
        """The next id, whose turn is over."""
        id_ = self.ids.pop()
        self._history.take_turn([id_])
        return id_

    def on_error(self, error: PredictionsError) -> None:
        """Skip the id whose lookup failed; after several failures, skip all.

        An id that the service does not know may still appear, so it is no failure.
        """
        id_ = self.pop()
        if isinstance(error, NotFoundError):
            return
        self.failed[id_] = error
        if sum(is_of_all(failed) for failed in self.failed.values()) >= MAX_FAILED_LOOKUPS:
            self.failed |= dict.fromkeys(self.ids, error)
            self.ids.clear()


class StatusQuery:
    """One poll for many waits.

    All waits by filters share one pass over the list, with filters wide enough for each. It also shows ids.
    Of the rest, a few are looked up one by one. For more ids, the poll reads pages of the list first, as long
    as that pays off. If the list fails or is slow, ids are looked up one by one.

    :param waits: no two are equal.
    :param history: of the polls before. This one adds to it.
    """

    def __init__(
        self, service: Service[Any], waits: Sequence[Wait], history: QueryHistory | None = None
    ) -> None:
        self.service = service
        self.history = history or QueryHistory()
        self.stopped_by: PredictionsError | None = None
        """The error by which the service asked for a pause and ended this poll early."""
        self._wanted = WantedIds(service, waits, self.history)
        self._lookups = SingleLookups(self.history)
        self._has_answers = False
        self._list_error: PredictionsError | None = None
        """Of the pass by filters; without one, of the pass for ids."""
        self._doubt = ""
        """Why the pass over the list may have missed a row."""
        self._asked_at = 0.0
        sizes = [int(size) for wait in waits if (size := wait.filters.get("page_size"))]
        by_filters = [found for wait in waits if (found := wait.list_filters(service))]
        self._all = service.filters(page_size=min(sizes, default=None))
        filters = self._all
        if by_filters:
            filters = widened(service, by_filters, shows_ids=bool(self._wanted.missing))
            sizes.append(filters.page_size or service.default_page_size)
            filters = filters.model_copy(update={"page_size": min(sizes)})
        self._hides_for = max(
            (wait.missing_timeout for wait in waits if wait.prediction_ids is None), default=0
        )
        self.history.hidden.begin()
        self._by_filters = bool(by_filters)
        self._listing = ListPass(service, filters, self.history, by_filters=self._by_filters)
        if service.requests_per_minute:
            self.history.add_limit()
        self.history.begin(self._wanted.missing)
        if not self._listing.start(self._wanted.near):
            self._lookups.start(self._wanted.missing)

    @property
    def known(self) -> Page:
        """Predictions that an earlier poll found finished."""
        return self._wanted.known

    @property
    def _seconds(self) -> float:
        """How long the last request took, including its wait for the rate limit."""
        return time.monotonic() - self._asked_at

    def next_requests(self, count: int) -> list[GetRequest]:
        """The next page of the list, or lookups of the ids that no page has shown."""
        self._asked_at = time.monotonic()
        while self._listing.paginator:
            if requests := self._listing.paginator.next_requests(1):
                return list(requests)
            self._end_listing()
        return [self.service.one(id_) for id_ in self._lookups.ids[::-1][:count]]

    def _end_listing(self) -> None:
        proof = self._listing.paginator.proof
        if self._listing.by_filters and proof.consistent is False:
            self._doubt = proof.reason or ""
        if self._remembers and not self._list_error:
            self.history.hidden.end(time.monotonic(), self._hides_for)
        self._listing.paginator = None
        if self._listing.has_window and not self._list_error:
            # The ids that are outside of the window may be in the list, too.
            self._listing = self._pass_for_ids()
            if self._listing.start(self._wanted.near):
                return
        if self._listing.is_over:
            self.history.turns |= dict.fromkeys(self._wanted.missing, True)
        self._lookups.start(self._wanted.missing)

    def _pass_for_ids(self) -> ListPass:
        return ListPass(self.service, self._all, self.history, by_filters=False)

    @property
    def _remembers(self) -> bool:
        """Whether the pass shows which predictions the list hides. The first ones of a list may change."""
        return self._listing.by_filters and self._listing.filters.max_predictions is None

    def parse(self, body: bytes) -> Any:
        """The content of a response, and its size in bytes."""
        if self._listing.paginator:
            return self._listing.paginator.parse(body), len(body)
        return self.service.read_one(body, self._lookups.ids[-1]), len(body)

    def advance(self, answer: Any) -> Page:
        """The records of a response."""
        found, size = answer
        self._has_answers, self.history.is_refused = True, False
        if self._listing.paginator:
            page = self._listing.advance(found, size, self._seconds, self._wanted)
            if self._remembers:
                self.history.hidden.add(page, self.service.terminal_statuses)
            # Waits by filters have counted the rows of their own pass.
            is_second = self._by_filters and not self._listing.by_filters
            return replace(page, listed=False) if is_second else page
        is_first = not self.history.record_seconds
        self.history.add_lookup(size, self._seconds)
        resumes = self._listing.resume()
        self._lookups.pop()
        page = Page((found,), listed=False)
        self._wanted.remove(page)
        is_slow = is_first and self.history.page_seconds > MIN_POLL_SECONDS
        if resumes and self._listing.by_filters:
            # What failed for the waits by filters may work for the many ids.
            self._listing = self._pass_for_ids()
        if (is_slow or resumes) and not self._listing.by_filters:
            # The first lookup may show that the slow list is still faster.
            self._listing.start(self._wanted.near)
        return page

    def on_error(self, error: PredictionsError) -> None:
        """Continue without what failed, or raise the error."""
        if isinstance(error, QuotaExceededError) or error.status == 401:
            raise error
        if isinstance(error, RateLimitedError) or error.retry_after:
            self._stop(error)
        elif self._listing.paginator:
            self._on_page_error(error)
        elif isinstance(error, AuthenticationError) and self._list_error and not self._has_answers:
            raise error
        else:
            self._lookups.on_error(error)

    def _stop(self, error: PredictionsError) -> None:
        """End the poll; the next one comes later and requests the rest."""
        self.stopped_by = error
        if isinstance(error, RateLimitedError):
            self.history.add_limit()
        if self._listing.paginator:
            self._note_list_error(error)
            self._listing.paginator = None
            # The next poll may not come as far, either. At its first request, the list may not be the reason.
            if self._has_answers or self.history.is_refused:
                self.history.turns |= dict.fromkeys(self._wanted.missing, True)
            self.history.is_refused = not self._has_answers
        else:
            # Now fewer requests matter more than fast ones.
            self.history.page_seconds = 0
        self._lookups.failed |= dict.fromkeys(self._wanted.missing, error)
        self._lookups.ids.clear()
        if not (self._has_answers or self.known.predictions):
            raise error

    def _on_page_error(self, error: PredictionsError) -> None:
        """Request another page, or look up each id."""
        try:
            self._listing.on_error(error, self._seconds, self._wanted.near)
        except PredictionsError as failure:
            self._note_list_error(failure)
            self._end_listing()
            if self._listing.by_filters and not self._wanted.missing:
                raise

    def _note_list_error(self, error: PredictionsError) -> None:
        if self._listing.by_filters or not self._by_filters:
            self._list_error = error

    @property
    def has_failed(self) -> bool:
        """Whether ``error_of`` a wait may be an error."""
        return bool(self._list_error or self._lookups.failed)

    def error_of(self, wait: Wait) -> PredictionsError | None:
        """Why this poll cannot answer a wait; errors of other predictions do not count."""
        if wait.prediction_ids is None:
            return self._list_error
        if isinstance(self._list_error, NotFoundError) and not self._has_answers:
            return self._list_error
        failed, missing = self._lookups.failed, self._wanted.missing
        if not failed:
            return None
        return next((failed[id_] for id_ in wait.prediction_ids if id_ in failed and id_ in missing), None)

    def doubt_of(self, wait: Wait) -> str:
        """Why this poll may have missed a prediction of a wait; empty if nothing says so."""
        if wait.prediction_ids is not None:
            return ""
        hidden = self.history.hidden.of(wait, type(self.service), time.monotonic())
        return self._doubt or (f"the list no longer shows {joined(hidden)}" if hidden else "")


def is_of_connection(error: PredictionsError) -> bool:
    """Whether every other request with these credentials would fail the same way now."""
    is_refused = isinstance(error, QuotaExceededError | RateLimitedError) or error.status == 401
    return is_refused or isinstance(error, NoAnswerError) or error.retry_after is not None


def is_of_all(error: PredictionsError) -> bool:
    """Whether lookups of other predictions probably fail the same way."""
    return error.retryable or isinstance(error, AuthenticationError)


def widened(service: Service[Any], filters: Sequence[Filters], *, shows_ids: bool = False) -> Filters:
    """The narrowest filters that match whatever any of these matches.

    :param filters: of waits with the same :func:`list_of`.
    :param shows_ids: whether to match all predictions of the time window, since waits by ids need them, too.
    """
    first, *others = filters
    if not shows_ids and all(other == first for other in others):
        return first
    starts = [found.created_after for found in filters]
    ends = [found.created_before for found in filters]
    return service.filters(
        created_after=None if None in starts else min(time for time in starts if time),
        created_before=None if None in ends else max(time for time in ends if time),
        **{name: getattr(first, name) for name in _of_list(type(service))},
    )


def list_of(service: type[Service[Any]], wait: Wait, *, apart: bool = False) -> ListKey:
    """A key that is equal for waits that one pass over the list can answer.

    Filters that the service applies, and the order, make another list. So does ``max_predictions``, since the
    first predictions depend on where the pass begins. All other filters are applied here. Waits by ids need
    the whole list.

    :param apart: whether waits by ids share no pass with waits by filters.
    """
    names = _of_list(service)
    if wait.prediction_ids is not None:
        return ("prediction_ids",) if apart else (None,) * len(names)
    if wait.filters.get("max_predictions") is not None:
        return (wait.model_dump_json(include={"filters"}),)
    return tuple(wait.filters.get(name) for name in names)


@cache
def _of_list(service: type[Service[Any]]) -> list[str]:
    return [name for name in (*service.server_filters, "order") if name in service.filters.model_fields]
