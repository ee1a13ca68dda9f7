"""Lists of a server that change between any two requests, and passes over them without a wire.

A paginator is given the responses to its requests, so anything that can happen on a server can be shown to
it. Hypothesis writes random stories.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest
from hypothesis import strategies as st

from airflow_provider_predictions.api.models import GetRequest
from airflow_provider_predictions.api.page import Page
from airflow_provider_predictions.api.pagination.base import Paginator
from airflow_provider_predictions.api.service import Service

ENDLESS = 300
"""No story needs so many requests."""
START = datetime(2026, 1, 1, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


class Row(NamedTuple):
    """A row of a list.

    :param created: seconds since some moment.
    :param junk: what stands there instead of a record.
    """

    id: str
    created: int | None = None
    junk: str | None = None

    def text(self, id_: str, created_at: str) -> str:
        time = None if self.created is None else at(self.created).isoformat()
        return self.junk or json.dumps({id_: self.id, created_at: time, "status": "x"})


class Listing:
    """A list of a server, by offsets and by tokens.

    :param cap: how many rows an answer holds at most.
    """

    def __init__(self, rows: Iterable[Row], cap: int | None = None) -> None:
        self.ever = list(rows)
        """Removed ones, too; a token stays good when the row that it leads behind is gone."""
        self._gone: set[str] = set()
        self.cap = cap
        self.asked: list[dict[str, Any]] = []

    @property
    def rows(self) -> list[Row]:
        return [row for row in self.ever if row.id not in self._gone]

    def insert(self, index: int, row: Row) -> None:
        rows = self.rows
        place = self.ever.index(rows[index]) if index < len(rows) else len(self.ever)
        self.ever.insert(place, row)

    def remove(self, index: int) -> None:
        self._gone.add(self.rows[index].id)

    def answer(self, request: GetRequest) -> bytes:
        params = dict(request.params)
        self.asked.append(params)
        if "skip" in params:
            skip, limit = params["skip"], params["limit"]
            rows = self.rows[skip : skip + min(limit, self.cap or limit)]
            return f"[{','.join(row.text('id', 'created_at') for row in rows)}]".encode()
        size = min(params["maxResults"], self.cap or params["maxResults"])
        rows = self._behind(params.get("nextToken"), is_ascending=params["order"] == "ascending")
        texts = ",".join(row.text("predictionId", "createdTime") for row in rows[:size])
        token = json.dumps(rows[size - 1].id if len(rows) > size else None)
        return f'{{"predictions": [{texts}], "nextToken": {token}}}'.encode()

    def _behind(self, token: str | None, *, is_ascending: bool) -> list[Row]:
        rows = self.ever[::-1] if is_ascending else self.ever
        start = 0 if token is None else [row.id for row in rows].index(token) + 1
        return [row for row in rows[start:] if row.id not in self._gone]


def nothing() -> None:
    """Happen between two requests."""


def pages(
    paginator: Paginator, listing: Any, between: Callable[[], None] = nothing, most: int = ENDLESS
) -> Iterator[Page]:
    """Answer a paginator's requests until it has no more."""
    for n in range(most):
        requests = paginator.next_requests(1)
        if not requests:
            return
        if n:
            between()
        yield paginator.advance(paginator.parse(listing.answer(requests[0])))
    pytest.fail("the pass does not end")


def ids_of(pages: Iterable[Page]) -> list[str]:
    return [prediction.id for page in pages for prediction in page.predictions]


class Ahead:
    """The same with requests in flight, as ``Client.pages`` sends and forgets them.

    :param count: how many are in flight.
    :param luck: whether an answer is made now, whenever there is a chance to; it is once it is asked for.
    """

    def __init__(self, listing: Listing, count: int, luck: Iterator[bool]) -> None:
        self._listing, self._count, self._luck = listing, count, luck
        self._flying: list[tuple[GetRequest, list[bytes]]] = []

    def pages(self, paginator: Paginator, between: Callable[[], None]) -> Iterator[Page]:
        for _ in range(ENDLESS):
            requests = paginator.next_requests(self._count)
            if not requests:
                return
            self._start(requests)
            between()
            _, body = self._flying.pop(0)
            page = paginator.advance(paginator.parse(body[0] if body else self._listing.answer(requests[0])))
            self._start(paginator.next_requests(self._count))
            between()
            yield page
        pytest.fail("the pass does not end")

    def _start(self, requests: list[GetRequest]) -> None:
        flying = [(request, body) for request, body in self._flying if request in requests]
        known = [request for request, _ in flying]
        flying += [(request, []) for request in requests if request not in known]
        self._flying = sorted(flying, key=lambda flight: requests.index(flight[0]))
        for request, body in self._flying:
            if not body and next(self._luck):
                body.append(self._listing.answer(request))


class Change(NamedTuple):
    """Something that happens to a list.

    :param where: a row, counted round and round.
    :param when: chooses the creation time of a new row.
    """

    what: str
    where: int
    when: int


@dataclass
class Story:
    """A list, and what happens to it between the first requests; then it stays as it is."""

    listing: Listing
    order: str
    page_size: int
    changes: list[list[Change]]
    times: Iterator[list[Change]] = field(init=False)

    def __post_init__(self) -> None:
        self.times = iter(self.changes)
        self.at_first = [row.id for row in self.listing.rows]
        self._made = 0

    def __repr__(self) -> str:
        return f"{self.listing.rows} {self.listing.cap=} {self.page_size=} {self.changes}"

    @property
    def adds_among_others(self) -> bool:
        """Whether a row comes to the list elsewhere than in front."""
        return any(change.what not in ("add", "remove") for changes in self.changes for change in changes)

    def restore(self) -> None:
        """Let the next changes happen."""
        for change in next(self.times, ()):
            rows = self.listing.rows
            if change.what == "remove":
                if rows:
                    self.listing.remove(change.where % len(rows))
            else:
                index = 0 if change.what == "add" else change.where % (len(rows) + 1)
                self._made += 1
                self.listing.insert(index, Row(f"new{self._made}", self._time(index, change.when)))

    def _time(self, index: int, when: int) -> int | None:
        if self.order == "in order":
            times = [row.created or 0 for row in self.listing.rows]
            low = times[index] if index < len(times) else (times or [0])[-1] - 2
            high = times[index - 1] if index else low + 2
            return low + when % (high - low + 1)
        return None if self.order == "without times" and when % 2 else when

    def lasting(self) -> set[str]:
        """What was there from the first to the last request."""
        return set(self.at_first) & {row.id for row in self.listing.rows}


def times_of(order: str) -> st.SearchStrategy[list[int | None]]:
    time = st.integers(0, 12)
    if order == "without times":
        return st.lists(time | st.none(), max_size=25)
    times = st.lists(time, max_size=25)
    return times.map(lambda given: sorted(given, reverse=True)) if order == "in order" else times


SEVERAL_ROWS_A_PAGE = st.integers(2, 7)
FEW_ROWS_A_PAGE = st.integers(1, 3)


def stories(
    order: str, page_sizes: st.SearchStrategy[int] = SEVERAL_ROWS_A_PAGE, *, is_quiet: bool = False
) -> st.SearchStrategy[Story]:
    change = st.builds(
        Change, st.sampled_from(["add", "insert", "remove"]), st.integers(0, 30), st.integers(0, 12)
    )
    changes = st.just([]) if is_quiet else st.lists(st.lists(change, max_size=4), max_size=12)
    rows = times_of(order).map(lambda times: [Row(f"row{n}", time) for n, time in enumerate(times)])
    listings = st.builds(Listing, rows, st.none() | page_sizes)
    return st.builds(Story, listings, st.just(order), page_sizes, changes)


ORDERS = ["in order", "in any order", "without times"]
in_every_order = pytest.mark.parametrize("order", ORDERS)


def paginator_of(service: Service[Any], **filters: Any) -> Paginator:
    return service.paginator(service.filters(**filters))


def is_proven(paginator: Paginator) -> bool:
    return paginator.proof.consistent is True


def missed(story: Story, listed: list[str]) -> set[str]:
    """What was not yielded although it lasted. Nothing is yielded twice."""
    assert len(set(listed)) == len(listed)
    return story.lasting() - set(listed)


def told(times: Sequence[int | None], *changes: str, page_size: int = 2, cap: int | None = None) -> Story:
    """A story by hand: before each request but the first, ``+`` adds a row in front and ``-`` removes one."""
    rows = [Row(f"row{n}", time) for n, time in enumerate(times)]
    kinds = {"+": Change("add", 0, 0), "-": Change("remove", 0, 0)}
    return Story(Listing(rows, cap), "in order", page_size, [[kinds[sign] for sign in c] for c in changes])


def reborn(paginator: Paginator, service: Service[Any], earlier: Sequence[str], **filters: Any) -> Paginator:
    """The paginator in another process: all that is left of it is JSON, and the ids that it yielded."""
    left = json.dumps(paginator.state())
    other = paginator_of(service, **filters)
    other.restore(json.loads(left), lambda: iter(list(earlier)))
    return other
