"""A request that waits until a test lets it go."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.faults import App, FaultySandbox, Message, Receive, Send
from tests.wire import in_front

LONGEST = 60
"""Seconds after which a request that does not come fails the test."""


class Held:
    """ASGI middleware that lets one request wait, and no other.

    :param app: the sandbox.
    :param number: of the request, among those whose path ends with ``path``.
    """

    def __init__(self, app: App, number: int, path: str) -> None:
        self.app = app
        self.path = path
        self._left = number
        self._came = threading.Event()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["path"].endswith(self.path):
            self._left -= 1
            if self._left == 0:
                self._loop, self._go = asyncio.get_running_loop(), asyncio.Event()
                self._came.set()
                await self._go.wait()
        await self.app(scope, receive, send)

    def came(self) -> None:
        """Wait until it has come."""
        assert self._came.wait(LONGEST)

    def go(self) -> None:
        """Let it go, if it has come."""
        if self._came.is_set():
            self._loop.call_soon_threadsafe(self._go.set)


@contextmanager
def held(sandbox: FaultySandbox, number: int, path: str = "/predictions") -> Iterator[Held]:
    """Let the request with that number, by default for a list, wait until the block ends."""
    request = Held(sandbox.wire.app, number, path)
    try:
        with in_front(sandbox, lambda _: request):
            yield request
    finally:
        request.go()
