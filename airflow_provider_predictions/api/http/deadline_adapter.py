"""Let requests read responses until a deadline. Its timeouts are for single reads, which could trickle on."""

from __future__ import annotations

import io
import time
from typing import TYPE_CHECKING, Any

from requests.adapters import HTTPAdapter
from typing_extensions import override

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class DeadlineAdapter(HTTPAdapter):
    """Sends requests directly or through a proxy, and ends the reading of their responses.

    :param deadline: in monotonic seconds.
    """

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline
        super().__init__()

    @override
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self._limit(self.poolmanager)

    @override
    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        self._limit(manager)
        return manager

    def _limit(self, manager: Any) -> None:
        pools = manager.pool_classes_by_scheme
        manager.pool_classes_by_scheme = {
            scheme: _limited(pool, self._deadline) for scheme, pool in pools.items()
        }


def _limited(pool: Any, deadline: float) -> Any:
    """A class of urllib3's pools whose connections read until the deadline."""

    class Connection(pool.ConnectionCls):  # type: ignore[misc]
        sock: Any

        def connect(self) -> None:
            super().connect()
            self.sock = _Socket(self.sock, deadline)

    return type(pool.__name__, (pool,), {"ConnectionCls": Connection})


class _Socket:
    """A socket whose files read until the deadline. http.client reads responses from a file."""

    def __init__(self, sock: Any, deadline: float) -> None:
        self._sock = sock
        self._deadline = deadline

    def makefile(self, *_: object, **__: object) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self._sock, self._deadline))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


class _Reader(io.RawIOBase):
    def __init__(self, sock: Any, deadline: float) -> None:
        self._sock = sock
        # Holds the connection open when http.client closes the socket early.
        self._file = sock.makefile("rb", buffering=0)
        self._deadline = deadline

    @override
    def readable(self) -> bool:
        return True

    @override
    def readinto(self, buffer: WriteableBuffer) -> int | None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the response takes too long")
        step = self._sock.gettimeout()
        self._sock.settimeout(left if step is None else min(step, left))
        try:
            found: int | None = self._file.readinto(buffer)
        finally:
            self._sock.settimeout(step)
        return found

    @override
    def close(self) -> None:
        self._file.close()
        super().close()
