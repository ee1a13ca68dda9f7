"""A sandbox whose responses fail: on order, at random, or above a rate limit."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any, ClassVar, Literal

from airflow_provider_predictions.sandbox.server import Sandbox

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
Receive = Callable[[], Awaitable[Message]]
App = Callable[[Message, Receive, Send], Awaitable[None]]
Part = Literal["vlmrun", "cradl", "token", "files"]

HTML = b"<html><head><title>502 Bad Gateway</title></head><body><h1>Bad Gateway</h1></body></html>"
_PREFIXES: dict[str, Part] = {
    "/vlmrun/": "vlmrun",
    "/cradl/": "cradl",
    "/oauth2/": "token",
    "/files/": "files",
}


@dataclass
class Fault:
    """How the next requests to a part of the sandbox fail.

    :param part: whose requests.
    :param how: ``answer`` instead of the service, ``reset`` the connection, ``truncate`` the body, be
        ``slow`` to respond, or ``play`` the script.
    :param times: how many requests fail.
    :param after: how many requests succeed first.
    :param path: only requests whose path ends with it.
    :param seconds: of ``slow``.
    :param script: bytes for the socket, and seconds of silence. Then the connection is closed.
    """

    part: Part
    how: Literal["answer", "reset", "truncate", "slow", "play"] = "answer"
    times: int = 1
    after: int = 0
    status: int = 502
    body: bytes = HTML
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 0
    path: str = ""
    script: tuple[bytes | float, ...] = ()


def rate_limit(part: Part, *, times: int = 1, retry_after: str | None = None) -> Fault:
    """The 429 of a rate limit, in the words of each service."""
    body = b'{"message": "Too Many Requests"}' if part == "cradl" else b'{"detail": "Rate limit exceeded"}'
    headers = {"Retry-After": retry_after} if retry_after else {}
    return Fault(part, status=429, body=body, headers=headers, times=times)


def quota() -> Fault:
    """Cradl's 429 for a monthly quota."""
    return Fault("cradl", status=429, body=b'{"message": "Limit Exceeded"}', times=1_000_000)


@dataclass(frozen=True)
class Seen:
    """One request to the sandbox.

    :param at: when it came, in seconds since 1970.
    """

    part: Part
    path: str
    query: str
    authorization: str | None
    method: str
    at: float


Rule = Callable[[Seen], Fault | None]
"""How a request fails for which no fault was ordered; None if it does not."""


class RandomFaults:
    """A rule by which a share of the requests to a part fails.

    :param part: whose requests.
    :param rate: the share, from 0 to 1.
    :param faults: how they fail, by name. ``times`` are weights.
    :param seed: of the random choice.
    """

    def __init__(self, part: Part, rate: float, faults: Mapping[str, Fault], *, seed: int = 0) -> None:
        self.part = part
        self.rate = rate
        self.faults = faults
        self.observed: Counter[str] = Counter()
        """How often each fault came, by name."""
        self._rng = random.Random(seed)

    def __call__(self, seen: Seen) -> Fault | None:
        if seen.part != self.part or self._rng.random() >= self.rate:
            return None
        weights = [fault.times for fault in self.faults.values()]
        (name,) = self._rng.choices(list(self.faults), weights)
        self.observed[name] += 1
        return self.faults[name]


class RateLimitRule:
    """A rule by which each request above a rate limit gets a 429.

    :param part: whose requests.
    :param requests: how many are allowed in any window.
    :param seconds: the length of the window.
    """

    def __init__(self, part: Part, requests: int, seconds: float) -> None:
        self.part = part
        self.requests = requests
        self.seconds = seconds
        self.refused = 0
        self._taken: deque[float] = deque()

    def __call__(self, seen: Seen) -> Fault | None:
        if seen.part != self.part:
            return None
        while self._taken and self._taken[0] <= seen.at - self.seconds:
            self._taken.popleft()
        if len(self._taken) < self.requests:
            self._taken.append(seen.at)
            return None
        self.refused += 1
        return rate_limit(self.part)


class FaultMiddleware:
    """ASGI middleware that records each request, and lets it fail as ordered or as a rule says."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.seen: deque[Seen] = deque(maxlen=100_000)
        self.rules: list[Rule] = []
        self.date: Callable[[], str | None] = _now
        """The ``Date`` of the next response; None to send none."""
        self._orders: list[Fault] = []

    def order(self, fault: Fault) -> None:
        """Let requests fail. Orders are served in turn."""
        self._orders.append(fault)

    def requests(self, part: Part) -> int:
        """How many requests a part has received."""
        return len([seen for seen in list(self.seen) if seen.part == part])

    def clear(self) -> None:
        """Drop all orders, rules and recorded requests."""
        self._orders.clear()
        self.rules.clear()
        self.date = _now
        self.seen.clear()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        part = next((p for start, p in _PREFIXES.items() if scope.get("path", "").startswith(start)), None)
        if scope["type"] != "http" or part is None:
            await self.app(scope, receive, send)
            return
        headers = {name.decode().lower(): value.decode() for name, value in scope["headers"]}
        query = scope["query_string"].decode()
        authorization = headers.get("authorization")
        send = self._dated(send)
        seen = Seen(part, scope["path"], query, authorization, scope["method"], time.time())
        self.seen.append(seen)
        fault = self._next(seen)
        if fault is None:
            await self.app(scope, receive, send)
        elif fault.how == "slow":
            app = self.app  # another test may replace it in the meantime
            await asyncio.sleep(fault.seconds)
            await app(scope, receive, send)
        elif fault.how == "play":
            await _play(receive, fault.script)
        elif fault.how == "reset":
            await _reset(receive)
        elif fault.how == "truncate":
            await self.app(scope, receive, _truncating(receive, send))
        else:
            await _answer(send, fault)

    def _dated(self, send: Send) -> Send:
        async def dated(message: Message) -> None:
            if message["type"] == "http.response.start" and (date := self.date()) is not None:
                message = {**message, "headers": [*message["headers"], (b"date", date.encode("latin-1"))]}
            await send(message)

        return dated

    def _next(self, seen: Seen) -> Fault | None:
        orders = (
            order for order in self._orders if order.part == seen.part and seen.path.endswith(order.path)
        )
        fault = next(orders, None)
        if fault is None:
            return next(filter(None, (rule(seen) for rule in self.rules)), None)
        if fault.after:
            fault.after -= 1
            return None
        fault.times -= 1
        if not fault.times:
            self._orders.remove(fault)
        return fault


class FaultySandbox(Sandbox):
    """A sandbox that fails as a test orders it.

    :ivar wire: takes the orders.
    """

    date_header: ClassVar[bool] = False  # the middleware dates responses

    def asgi_app(self) -> App:
        self.wire = FaultMiddleware(super().asgi_app())
        return self.wire


def _now() -> str:
    return formatdate(time.time(), usegmt=True)


async def _answer(send: Send, fault: Fault) -> None:
    headers = {"content-type": "text/html" if fault.body.startswith(b"<") else "application/json"}
    headers |= {"content-length": str(len(fault.body))} | fault.headers
    pairs = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": fault.status, "headers": pairs})
    await send({"type": "http.response.body", "body": fault.body})


async def _play(receive: Receive, script: tuple[bytes | float, ...]) -> None:
    transport = receive.__self__.transport  # type: ignore[attr-defined]
    for step in script:
        if transport.is_closing():
            break
        if isinstance(step, bytes):
            transport.write(step)
        else:
            end = time.monotonic() + step
            while (left := end - time.monotonic()) > 0 and not transport.is_closing():  # noqa: ASYNC110
                await asyncio.sleep(min(left, 0.05))
    transport.close()
    await receive()


async def _reset(receive: Receive) -> None:
    # ASGI has no message for this: uvicorn's receive is a method of the object that holds the transport.
    transport = receive.__self__.transport  # type: ignore[attr-defined]
    no_linger = struct.pack("ii", 1, 0)
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, no_linger)
    transport.abort()
    await receive()


def _truncating(receive: Receive, send: Send) -> Send:
    async def half(message: Message) -> None:
        if message["type"] == "http.response.body":
            body = message.get("body", b"")
            await send({**message, "body": body[: len(body) // 2], "more_body": True})
            receive.__self__.transport.close()  # type: ignore[attr-defined]
        else:
            await send(message)

    return half
