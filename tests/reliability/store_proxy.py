"""A proxy in front of a storage server on loopback, which lets go wrong what a test orders."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Self

HOST = "127.0.0.1"


@dataclass
class StoreFault:
    """One thing that goes wrong with requests to the storage.

    :param method: of the requests, and ``key``, found in their target.
    :param how: ``answer`` instead of the storage, ``reset`` the connection before anything arrives, ``lose``
        the answer after all has arrived, be ``slow``, ``stall`` for good, ``ignore`` the body that comes, or
        go ``away``: refuse connections until ``Proxy.back``.
    :param after: how many such requests are left in peace first.
    :param times: with how many requests.
    :param seconds: of ``slow``.
    :param header: only of requests whose head holds this, in lower case.
    :param meanwhile: runs before an answer is lost, in a thread.
    """

    method: str
    key: str
    how: Literal["answer", "reset", "lose", "slow", "stall", "ignore", "away"] = "answer"
    status: int = 500
    code: str = "InternalError"
    after: int = 0
    times: int = 1_000_000
    seconds: float = 0
    header: str = ""
    meanwhile: Callable[[], object] | None = None

    def meets(self, method: str, target: str, head: str) -> bool:
        """Whether it is for this request."""
        is_meant = re.fullmatch(self.method, method) and re.search(self.key, target)
        if not is_meant or self.header not in head.lower() or self.times == 0:
            return False
        if self.after:
            self.after -= 1
            return False
        self.times -= 1
        return True


class Proxy:
    """Serves from a thread; a context manager.

    :param backend: the port of the storage server.
    """

    def __init__(self, backend: int) -> None:
        self.backend = backend
        self.seen: list[tuple[str, str]] = []
        self._faults: list[StoreFault] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="store-proxy", daemon=True)
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.port = 0

    def order(self, *faults: StoreFault) -> None:
        """Let something go wrong."""
        self._faults.extend(faults)

    def clear(self) -> None:
        """Forget what was ordered and seen; be there again."""
        self._faults.clear()
        self.seen.clear()
        self.back()

    def back(self) -> None:
        """Listen again."""
        if self._server is None:
            asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)

    def __enter__(self) -> Self:
        self._thread.start()
        self.back()
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, HOST, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _stop(self) -> None:
        self._go_away()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _go_away(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = self._loop.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request; the connection is closed behind it."""
        try:
            await self._exchange(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.rstrip().split("\r\n")
        method, target, _ = first.split(" ")
        self.seen.append((method, target))
        fault = next((fault for fault in self._faults if fault.meets(method, target, head)), None)
        how = fault.how if fault else ""
        headers = [line.partition(": ")[::2] for line in lines]
        lengths = [int(value) for name, value in headers if name.lower() == "content-length"]
        if how == "away":
            self._go_away()
        if how in ("away", "reset"):
            _reset(writer)
            return
        if any(name.lower() == "expect" for name, _ in headers):
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if how == "ignore":
            await asyncio.Event().wait()
        body = await reader.readexactly(sum(lengths))
        if how == "stall":
            await asyncio.Event().wait()
        if fault and how == "answer":
            head, text = _answer(fault)
            writer.write(head if method == "HEAD" else head + text)
            return
        if fault and how == "slow":
            await asyncio.sleep(fault.seconds)
        kept = [line for line in lines if not line.lower().startswith(("expect:", "connection:"))]
        sent = "\r\n".join([first, *kept, "Connection: close", "", ""]).encode("latin-1") + body
        answer = await self._forward(sent)
        if fault and how == "lose":
            if fault.meanwhile:
                await asyncio.to_thread(fault.meanwhile)
            _reset(writer)
        else:
            writer.write(answer)

    async def _forward(self, request: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(HOST, self.backend)
        try:
            writer.write(request)
            return await reader.read()
        finally:
            writer.close()


def _reset(writer: asyncio.StreamWriter) -> None:
    no_linger = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, no_linger)
    writer.transport.abort()


def _answer(fault: StoreFault) -> tuple[bytes, bytes]:
    body = f"<Error><Code>{fault.code}</Code><Message>{fault.code} of the test</Message></Error>".encode()
    head = (
        f"HTTP/1.1 {fault.status} Fault\r\nContent-Type: application/xml\r\nx-ms-error-code: {fault.code}\r\n"
    )
    return f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode(), body
