"""Follow pages that name the next one."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_predictions.api.errors import (
    AuthenticationError,
    MalformedAnswerError,
    PredictionsError,
    QuotaExceededError,
    RateLimitedError,
)
from airflow_provider_predictions.api.models import Page, PageRequest, Prediction
from airflow_provider_predictions.api.pagination.base import Paginator, Proof
from airflow_provider_predictions.api.pagination.seen import SeenRows

if TYPE_CHECKING:
    from airflow_provider_predictions.api.cradl import Cradl, CradlFilters

log = logging.getLogger(__name__)

_UNKNOWN = Proof(None, "Cradl's page tokens cannot show a missed row")


def _is_of_token(error: PredictionsError) -> bool:
    """Whether a token may be why its page was refused: by the service, not by what stands in front of it."""
    is_of_request = isinstance(error, AuthenticationError | QuotaExceededError | RateLimitedError)
    return not is_of_request and 400 <= (error.status or 0) <= 500


class CursorPaginator(Paginator):
    """Pages by ``nextToken``.

    An empty page with a token is not the end; a token that comes again is a loop; where a token is refused,
    with whatever status, the list is read again from its start, once. A window is read from that end of the
    list that is nearer, unless an order is asked for.
    """

    parameter = "nextToken"
    service: Cradl
    filters: CradlFilters

    def __init__(self, service: Cradl, filters: CradlFilters) -> None:
        super().__init__(service, filters)
        self._token: str | None = None
        self._tokens: set[int] = set()
        self._above: list[datetime | None] = []
        """The time of the row in front of the next page."""
        self._probes = False
        self._restarted = False
        if filters.order:
            self.seen = SeenRows(newest_first=filters.order == "descending")
            self._may_turn = False
        else:
            self._may_turn = bool(filters.created_before) and not filters.max_predictions
        if self._may_turn and not filters.created_after:
            self._turn()

    def next_requests(self, count: int) -> list[PageRequest]:
        """The next page, with the same filters as the first; its token tells the one behind it."""
        if self.ended:
            return []
        params: dict[str, str | int] = {
            "maxResults": 1 if self._probes else self.page_size,
            "sortBy": "createdTime",
            "order": "descending" if self.seen.newest_first != self._probes else "ascending",
        }
        if self.filters.model_id:
            params["modelId"] = self.filters.model_id
        if self._token and not self._probes:
            params["nextToken"] = self._token
            return [self._page_request(params, (self._token,))]
        return [self._page_request(params)]

    def read(self, body: bytes) -> tuple[list[Prediction], str | None]:
        """The rows of a page, and the token of the next."""
        return self.service.page(body)

    def advance(self, answer: tuple[list[Prediction], str | None]) -> Page:
        """The new rows of a page."""
        rows, token = answer
        if self._probes:
            self._compare_ends(rows)
            return Page(())
        if token and hash(token) in self._tokens:
            raise MalformedAnswerError(f"{self.service.title} sent a nextToken again: its pages are a loop")
        self._token = token
        self._tokens.add(hash(token))
        self.ended = token is None
        times = [row.created_at for row in rows if row.fault is None]
        self.watch([*self._above, *times])
        self._above = times[-1:] or self._above
        page = self.new_rows(rows)
        self._probes = self._may_turn and not self.ended and self._lies_in_front()
        self._may_turn = False
        return page

    def on_error(self, error: PredictionsError) -> None:
        """Begin again, once, where a token is refused, as an expired one is; no row is handed out twice."""
        may_be_smaller = self._shrinks and error.asks_for_less
        if not self._token or self._probes or self._restarted or may_be_smaller or not _is_of_token(error):
            super().on_error(error)
            return
        log.warning("%s. Reading the list again from its start", error)
        self._token, self._above, self._restarted = None, [], True
        self._tokens.clear()
        self._to_reread = self._yielded

    @property
    def proof(self) -> Proof:
        """Nothing shows a row that was missed between two pages, since a token may be anything."""
        return _UNKNOWN

    @property
    def _asks_for_page(self) -> bool:
        return not self._probes

    def state(self) -> dict[str, Any]:
        """Where the walk is."""
        own = {"token": self._token, "may_turn": self._may_turn, "probes": self._probes}
        return super().state() | own

    def restore(self, state: dict[str, Any], earlier: Callable[[], Iterable[str]]) -> None:
        """Go on from where another walk was."""
        super().restore(state, earlier)
        self._token, self._may_turn = state["token"], state["may_turn"]
        self._probes = state["probes"]
        self._above = [self.seen.last] if self.seen.last else []

    def _turn(self) -> None:
        """Read from the other end."""
        self.seen = SeenRows(newest_first=False)
        self._token, self._above, self._may_turn = None, [], False
        self._tokens.clear()

    def _lies_in_front(self) -> bool:
        last, before = self.seen.last, self.filters.created_before
        return bool(self.seen.ordered and last and before and last >= before)

    def _compare_ends(self, rows: list[Prediction]) -> None:
        """Turn, where the oldest row is nearer to the window than the page that was read."""
        self._probes = False
        oldest = rows[0].created_at if rows else None
        last, after, before = self.seen.last, self.filters.created_after, self.filters.created_before
        if oldest and last and after and before and after - oldest < last - before:
            self._turn()
