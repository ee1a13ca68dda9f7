"""Read pages that name the next one by a token."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Literal

from typing_extensions import override

from airflow_provider_predictions.api.errors import (
    AuthenticationError,
    MalformedAnswerError,
    NoAnswerError,
    PredictionsError,
    QuotaExceededError,
    RateLimitedError,
)
from airflow_provider_predictions.api.filters import Filters
from airflow_provider_predictions.api.models import GetRequest, ListEndpoint
from airflow_provider_predictions.api.page import Page
from airflow_provider_predictions.api.pagination.base import Paginator, Position, Proof
from airflow_provider_predictions.api.pagination.seen import SeenRows
from airflow_provider_predictions.api.record_batch import RecordBatch

log = logging.getLogger(__name__)

CursorPage = tuple[RecordBatch, str | None]
"""The rows of a page, and the token of the next page; None at the end."""


class CursorPosition(Position, kw_only=True):
    """A position in a list with page tokens.

    :ivar token: of the next page; None for the first.
    :ivar above: creation time of the row before the next page.
    :ivar may_turn: whether the pass may still turn to the other end of the list.
    :ivar probes: whether the next request is for the row at the other end.
    """

    token: str | None = None
    above: datetime | None = None
    may_turn: bool = False
    probes: bool = False


class CursorPaginator(Paginator):
    """Pages by ``nextToken``.

    An empty page with a token is not the end. A token that comes again means a loop. If the service refuses a
    token, with any status, the list is read again from its start, once. A 401 or 403 is about the
    credentials, unless the token is one that an earlier attempt has saved.

    :param order: of the rows; None to read a time window from the nearer end of the list.
    """

    parameter = "nextToken"
    position: CursorPosition

    def __init__(
        self,
        endpoint: ListEndpoint[CursorPage],
        filters: Filters,
        order: Literal["ascending", "descending"] | None = None,
    ) -> None:
        page_size, left = filters.page_size or endpoint.page_size, filters.max_predictions
        may_turn = bool(filters.created_before) and not (order or left)
        super().__init__(endpoint, filters, CursorPosition(page_size=page_size, left=left, may_turn=may_turn))
        self._tokens: set[int] = set()
        self._restarted = False
        if order == "ascending" or (may_turn and not filters.created_after):
            self._read_oldest_first()

    @override
    def next_requests(self, count: int) -> list[GetRequest]:
        at = self.position
        if at.ended:
            return []
        params: dict[str, str | int] = {
            "maxResults": 1 if at.probes else at.page_size,
            "order": "descending" if at.seen.newest_first != at.probes else "ascending",
        }
        if not at.token or at.probes:
            return [self._page_request(params)]
        return [self._page_request({**params, "nextToken": at.token}, (at.token,))]

    @override
    def advance(self, response: CursorPage) -> Page:
        at, (rows, token) = self.position, response
        if at.probes:
            self._compare_ends(rows)
            return Page(())
        if token and hash(token) in self._tokens:
            raise MalformedAnswerError(f"{self.endpoint.title} sent a nextToken again: its pages are a loop")
        at.token, at.ended = token, token is None
        self._tokens.add(hash(token))
        times = rows.times_to_compare
        self.note_order([at.above, *times] if at.above else times)
        if times:
            at.above = times[-1]
        page = self.new_rows(rows)
        at.probes = at.may_turn and not at.ended and self._lies_in_front()
        at.may_turn = False
        return page

    @override
    def on_error(self, error: PredictionsError) -> None:
        at = self.position
        may_shrink = self._shrinks and error.asks_for_less
        if not at.token or at.probes or self._restarted or may_shrink or not self._may_be_token(error):
            super().on_error(error)
            return
        log.warning("%s. Reading the list again from its start", error)
        self._restart()
        self._restarted = True
        self._guard.expect_again(at.seen.count)

    def _may_be_token(self, error: PredictionsError) -> bool:
        """Whether the token of the next page may be the reason for an error."""
        if error.of_token or isinstance(error, QuotaExceededError | RateLimitedError | NoAnswerError):
            return False
        # One that an earlier attempt has saved may be refused in any way: a 401, a redirect, a web page.
        is_saved = not self._tokens
        if isinstance(error, AuthenticationError | MalformedAnswerError):
            return is_saved
        return (300 if is_saved else 400) <= (error.status or 0) <= 500

    @property
    @override
    def proof(self) -> Proof:
        # A token may be anything, so a row missed between two pages leaves no trace.
        return Proof(None, f"{self.endpoint.title}'s page tokens cannot show a missed row")

    @property
    @override
    def _asks_for_page(self) -> bool:
        return not self.position.probes

    def _restart(self) -> None:
        self.position.token = self.position.above = None
        self._tokens.clear()

    def _read_oldest_first(self) -> None:
        self.position.seen, self.position.may_turn = SeenRows(newest_first=False), False
        self._restart()

    def _lies_in_front(self) -> bool:
        """Whether the page ends before the time window begins."""
        seen, before = self.position.seen, self.filters.created_before
        return bool(seen.ordered and seen.last and before and seen.last >= before)

    def _compare_ends(self, rows: RecordBatch) -> None:
        """Turn to the other end if its row is nearer to the time window than the page."""
        self.position.probes = False
        oldest = rows.times[0] if rows else None
        last, after, before = self.position.seen.last, self.filters.created_after, self.filters.created_before
        if oldest and last and after and before and after - oldest < last - before:
            self._read_oldest_first()
