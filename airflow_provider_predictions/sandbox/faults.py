"""What goes wrong on the wire, ordered by tests."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any, Literal

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
    """One thing that goes wrong with the next requests to a part of the sandbox.

    :param part: whose requests.
    :param how: ``answer`` instead of the service, ``reset`` the connection, ``truncate`` the body, be
        ``slow`` before the answer, or ``play`` the script.
    :param times: with how many requests.
    :param after: how many requests are left in peace first.
    :param path: only with requests whose path ends so.
    :param seconds: of ``slow``.
    :param script: bytes that go onto the socket as they are, and seconds of silence; at its end the
        connection is closed.
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
    """The 429 that asks for patience, as each service words it."""
    body = b'{"message": "Too Many Requests"}' if part == "cradl" else b'{"detail": "Rate limit exceeded"}'
    headers = {"Retry-After": retry_after} if retry_after else {}
    return Fault(part, status=429, body=body, headers=headers, times=times)


def quota() -> Fault:
    """Cradl's 429 of a monthly quota."""
    return Fault("cradl", status=429, body=b'{"message": "Limit Exceeded"}', times=1_000_000)


@dataclass(frozen=True)
class Seen:
    """One request that the sandbox got."""

    part: Part
    path: str
    query: str
    authorization: str | None
    method: str


class Wire:
    """ASGI middleware: notes each request and does to it what was ordered."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.seen: deque[Seen] = deque(maxlen=100_000)
        self._orders: list[Fault] = []

    def order(self, fault: Fault) -> None:
        """Let something go wrong; orders are served in turn."""
        self._orders.append(fault)

    def clear(self) -> None:
        """Forget what was ordered and seen."""
        self._orders.clear()
        self.seen.clear()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one request."""
        part = next((p for start, p in _PREFIXES.items() if scope.get("path", "").startswith(start)), None)
        if scope["type"] != "http" or part is None:
            await self.app(scope, receive, send)
            return
        headers = {name.decode().lower(): value.decode() for name, value in scope["headers"]}
        query = scope["query_string"].decode()
        self.seen.append(Seen(part, scope["path"], query, headers.get("authorization"), scope["method"]))
        fault = self._next(part, scope["path"])
        if fault is None:
            await self.app(scope, receive, send)
        elif fault.how == "slow":
            await asyncio.sleep(fault.seconds)
            await self.app(scope, receive, send)
        elif fault.how == "play":
            await _play(receive, fault.script)
        elif fault.how == "reset":
            await _reset(receive)
        elif fault.how == "truncate":
            await self.app(scope, receive, _truncating(receive, send))
        else:
            await _answer(send, fault)

    def _next(self, part: Part, path: str) -> Fault | None:
        orders = (order for order in self._orders if order.part == part and path.endswith(order.path))
        fault = next(orders, None)
        if fault is None:
            return None
        if fault.after:
            fault.after -= 1
            return None
        fault.times -= 1
        if not fault.times:
            self._orders.remove(fault)
        return fault


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
    # ASGI has no word for this: uvicorn's receive is a method of the object that holds the transport.
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
