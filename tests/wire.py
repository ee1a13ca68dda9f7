"""What a test puts in front of the sandbox, to look at requests, to answer them or to hold one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from tests.faults import App, FaultySandbox, Message, Receive, Send

Middleware = TypeVar("Middleware", bound=App)


@contextmanager
def in_front(sandbox: FaultySandbox, make: Callable[[App], Middleware]) -> Iterator[Middleware]:
    """Let requests pass a middleware before the sandbox, until the block ends.

    :param make: the middleware, given the app behind it.
    """
    app = sandbox.wire.app
    sandbox.wire.app = middleware = make(app)
    try:
        yield middleware
    finally:
        sandbox.wire.app = app


@dataclass
class Request:
    """What came on the wire.

    :param path: as it was written.
    """

    path: bytes
    body: bytes = b""


class Noted:
    """ASGI middleware that notes every request.

    :param app: the sandbox.
    """

    def __init__(self, app: App) -> None:
        self.app = app
        self.requests: list[Request] = []

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one request."""
        request = Request(scope["raw_path"])
        self.requests.append(request)

        async def note() -> Message:
            message = await receive()
            request.body += message.get("body", b"")
            return message

        await self.app(scope, note, send)
