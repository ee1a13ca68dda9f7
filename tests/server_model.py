"""A model of both services' lists: whatever their contracts allow to happen between any two requests.

A seed makes a history. The model never alters the creation time of a row. It moves a row that stays only if
that is among its habits. It never stops short of the rows that it has at the place where the response before
has stopped: a server that always stops there cannot be told from one whose list ends there.
"""

from __future__ import annotations

import json
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from airflow_provider_predictions.api.http.base_client import options
from airflow_provider_predictions.api.http.client import AsyncClient, Client
from airflow_provider_predictions.api.service import Service

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATE = timedelta(minutes=20)
MOST_REQUESTS = 600
"""No history needs so many."""
REFUSALS = (400, 404, 410, 422, 500)
"""How a service may refuse a token of a page."""
REPLICAS = 4
"""How many changes a replica may be behind."""
DONE = {"vlmrun": "completed", "cradl": "succeeded"}
UNFINISHED = {"vlmrun": "running", "cradl": "pending"}


class EndlessError(AssertionError):
    """A history took more requests than any needs."""


@dataclass(frozen=True)
class Row:
    """A row of the list.

    :param place: where it stands; the front of the list is the smallest.
    """

    id: str
    place: float
    created: datetime | None
    status: str


@dataclass(frozen=True)
class Habits:
    """What a server does beside what every list does: to grow in front, to shrink, and to finish predictions.

    :param in_order: whether the newest rows come first; ties there are.
    :param adds: whether rows come to the list in front.
    :param inserts: whether they come elsewhere.
    :param removes: whether rows leave it.
    :param moves: how rows of VLM Run's list move: to the ``front``, or as a ``trade`` of two places.
    :param cuts: whether a response may hold any prefix of its rows, and the cap may change.
    :param lags: whether some responses come from an older replica.
    :param offsets: whether Cradl's tokens are offsets; else they name the row in front.
    :param expires: whether all of Cradl's tokens expire, once.
    :param least: how many rows a response holds at least that stops short.
    """

    in_order: bool = True
    adds: bool = True
    inserts: bool = True
    removes: bool = True
    moves: tuple[str, ...] = ()
    cuts: bool = True
    lags: bool = True
    offsets: bool = False
    expires: bool = True
    least: int = 0


class ServerModel:
    """A server whose list changes between any two requests, until ``changes`` gaps have passed.

    :param seed: of the history.
    :param changes: how many gaps between requests have changes.
    :param now: the clock by which rows are dated.
    """

    def __init__(
        self,
        service: str,
        seed: int,
        habits: Habits,
        *,
        most_rows: int = 25,
        changes: int = 15,
        now: Callable[[], datetime] = lambda: NOW,
    ) -> None:
        self.rng = random.Random(seed)
        self.service = service
        self.habits = habits
        self.changes = changes
        self.requests = 0
        self.lasting: set[str] = set()
        self.expired = False
        self.failures: list[int] = []
        """Which requests fail."""
        self.told: set[str] = set()
        """The ids of all rows that a response has shown unfinished."""
        self._now = now
        self.made = 0
        """How many rows there ever were."""
        self._cap: int | None = None
        self._stopped_at: str | None = None
        self._tokens: dict[str, tuple[str, float]] = {}
        self.rows: list[Row] = []
        for _ in range(self.rng.randrange(most_rows + 1)):
            self._insert(len(self.rows))
        self._states = deque([tuple(self.rows)], maxlen=REPLICAS)
        self.began()
        self.requests = 0

    def began(self) -> None:
        """Count from here what lasts: what every list holds that is served from now on."""
        self.lasting = {row.id for row in self.rows}
        self.requests = 1

    def lasts(self) -> set[str]:
        """What was there all the time since ``began``."""
        return self.lasting & {row.id for row in self.rows}

    def finish(self) -> None:
        """Let all predictions finish."""
        self.rows = [replace(row, status=DONE[self.service]) for row in self.rows]
        self._note()

    def answer(self, request: httpx.Request) -> httpx.Response:
        """Let things happen, and answer."""
        if self.requests and self.changes > 0:
            self.changes -= 1
            for _ in range(self.rng.randrange(4)):
                self._happen()
            self._note()
        self.requests += 1
        if self.requests > MOST_REQUESTS:
            raise EndlessError(f"more than {MOST_REQUESTS} requests")
        if self.requests in self.failures:
            return _json({"message": "Bad gateway"}, 502)
        *_, last = request.url.path.split("/")
        if last != "predictions":
            found = next((row for row in self.rows if row.id == last), None)
            return _json(self._shown(found)) if found else _json({"message": "Not found"}, 404)
        params = {name: str(value) for name, value in request.url.params.items()}
        return self._page(params) if self.service == "vlmrun" else self._token_page(params)

    def _page(self, params: dict[str, str]) -> httpx.Response:
        rows, skip = self._served(), int(params["skip"])
        front = rows[skip - 1].id if 0 < skip <= len(rows) else None
        return _json([self._shown(row) for row in self._cut(rows[skip:], int(params["limit"]), front)])

    def _token_page(self, params: dict[str, str]) -> httpx.Response:
        token, is_ascending = params.get("nextToken"), params["order"] == "ascending"
        if token is not None and token not in self._tokens:
            return _json({"message": "Invalid nextToken"}, self.rng.choice(REFUSALS))
        rows = self._served()[:: -1 if is_ascending else 1]
        sign = -1 if is_ascending else 1
        start = 0
        if token is not None:
            front, where = self._tokens[token]
            start = int(where) if self.habits.offsets else sum(row.place * sign <= where for row in rows)
        else:
            front, where = "", float("-inf")
        shown = self._cut(rows[start:], int(params["maxResults"]), front)
        following = None
        if start + len(shown) < len(rows):
            last = shown[-1] if shown else None
            at = start + len(shown) if self.habits.offsets else last.place * sign if last else where
            following = f"token-{len(self._tokens)}-{self.rng.random()}"
            self._tokens[following] = (last.id if last else front, at)
        return _json({"predictions": [self._shown(row) for row in shown], "nextToken": following})

    def _served(self) -> list[Row]:
        """The list as the replica has it that answers."""
        is_late = self.habits.lags and self.changes > 0 and self.rng.random() < 0.15
        rows = list(self.rng.choice(self._states)) if is_late else self.rows
        self.lasting &= {row.id for row in rows}
        return rows

    def _cut(self, rows: list[Row], asked: int, front: str | None) -> list[Row]:
        """As many of the rows as the server gives."""
        whole = min(asked, len(rows))
        size = min(whole, self._cap or whole)
        if self.habits.cuts and self.changes > 0 and self.rng.random() < 0.2:
            size = self.rng.randrange(min(size, self.habits.least), size + 1)

        def stop() -> str | None:
            return rows[size - 1].id if size else front

        if size < whole and stop() == self._stopped_at:
            size += 1
        self._stopped_at = stop() if size < asked else None
        return rows[:size]

    def _happen(self) -> None:
        usual = ["add", "add", "insert", "remove", "remove", "finish", "cap", "expire"]
        what = self.rng.choice([*usual, *self.habits.moves])
        if what == "add" and self.habits.adds:
            self._insert(0)
        elif what == "insert" and self.habits.inserts:
            self._insert(self.rng.randrange(len(self.rows) + 1))
        elif what == "remove" and self.rows and self.habits.removes:
            for _ in range(self.rng.choice([1, 1, 1, 5])):
                if self.rows:
                    del self.rows[self.rng.choice([0, self.rng.randrange(len(self.rows))])]
        elif what == "finish" and self.rows:
            index = self.rng.randrange(len(self.rows))
            self.rows[index] = replace(self.rows[index], status=DONE[self.service])
        elif what == "front" and self.rows:
            self.rows.insert(0, self.rows.pop(self.rng.randrange(len(self.rows))))
        elif what == "trade" and self.rows:
            one, other = (self.rng.randrange(len(self.rows)) for _ in range(2))
            self.rows[one], self.rows[other] = self.rows[other], self.rows[one]
        elif what == "cap" and self.habits.cuts:
            self._cap = self.rng.choice([None, 2, 3, 5])
        elif what == "expire" and self.habits.expires and not self.expired:
            self.expired = bool(self._tokens)
            self._tokens.clear()

    def _insert(self, index: int) -> None:
        before = self.rows[index - 1] if index else None
        behind = self.rows[index] if index < len(self.rows) else None
        low = before.place if before else (behind.place - 2 if behind else 0)
        high = behind.place if behind else low + 2
        self.made += 1
        status = self.rng.choice([DONE[self.service], DONE[self.service], UNFINISHED[self.service]])
        row = Row(f"row{self.made}", (low + high) / 2, self._time(before, behind), status)
        self.rows.insert(index, row)

    def _time(self, before: Row | None, behind: Row | None) -> datetime | None:
        now = self._now()
        if not self.habits.in_order:
            age = self.rng.randrange(12)
            return None if age == 11 and self.rng.random() < 0.3 else now - timedelta(minutes=10 * age)
        newest = before.created if before and before.created else now
        oldest = behind.created if behind and behind.created else newest - LATE
        if before is None:  # it comes to the list soon after it was made, as the newest one
            oldest = max([newest - LATE, *(row.created for row in self.rows if row.created)])
        seconds = max(0, int((newest - oldest).total_seconds()))
        return oldest + timedelta(seconds=self.rng.choice([0, self.rng.randrange(seconds + 1)]))

    def _note(self) -> None:
        self._states.append(tuple(self.rows))

    def _shown(self, row: Row) -> dict[str, Any]:
        if row.status != DONE[self.service]:
            self.told.add(row.id)
        created = row.created and row.created.isoformat()
        if self.service == "vlmrun":
            return {"id": row.id, "status": row.status, "created_at": created}
        return {"predictionId": row.id, "status": row.status, "createdTime": created}


def _json(content: Any, status: int = 200) -> httpx.Response:
    return httpx.Response(status, stream=httpx.ByteStream(json.dumps(content).encode()))


class ModelClient(Client):
    """A client of the model; it waits in no time."""

    def __init__(self, service: Service[Any], server: ServerModel, **arguments: Any) -> None:
        super().__init__(service, **arguments)
        self._http = httpx.Client(transport=httpx.MockTransport(server.answer), **options(service))
        self.sleep = lambda _: None


class AsyncModelClient(AsyncClient):
    """The same on the event loop."""

    def __init__(self, service: Service[Any], server: ServerModel, **arguments: Any) -> None:
        super().__init__(service, **arguments)
        self._http = httpx.AsyncClient(transport=httpx.MockTransport(server.answer), **options(service))
