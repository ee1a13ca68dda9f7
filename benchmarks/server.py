"""Both services on 127.0.0.1, as fast as Python serves them, in a process of their own.

The base URL says which list is meant: ``/50000/100/0/vlmrun/v1`` is a list of 50,000 predictions of VLM Run,
each page of which takes 100 ms. The third number is the length to which records are filled up; 0 for none.
``serving`` starts the process; as a script, this module is the process.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl

from records import cradl_rows, vlmrun_rows

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
# cradl's SDK knows its way of asking for a token by this name, wherever in the URL it stands.
TOKEN_PATH = "/auth.cradl.ai/oauth2/token"
API_KEY = "benchmark-key"


def _claims(**claims: str) -> str:
    """A token that nobody signed, with the claims that cradl's SDK insists on."""
    return f"e30.{base64.b64encode(json.dumps(claims).encode()).decode().rstrip('=')}.none"


ACCESS_TOKEN = _claims(
    external_app_client_id="benchmark", external_organization_id="benchmark", scope="predictions:read"
)
KEYS = {"vlmrun": API_KEY, "cradl": ACCESS_TOKEN}


@contextmanager
def serving(kept: int = 0) -> Iterator[str]:
    """Serve until the block ends; gives the URL.

    :param kept: the pages of lists up to this length are made once, and kept in memory.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        server = subprocess.Popen(
            [sys.executable, __file__, str(listener.fileno()), str(kept)],
            stdin=subprocess.PIPE,
            pass_fds=[listener.fileno()],
        )
    # Also when this process is killed, the server sees its stdin end, and goes.
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        assert server.stdin is not None
        server.stdin.close()
        server.wait(timeout=10)


# --- the process -------------------------------------------------------------------------------------


ASKED = {"vlmrun": (("skip", "0"), ("limit", "10")), "cradl": (("nextToken", "0"), ("maxResults", "100"))}
"""The first row and the number of rows. A token of Cradl's is simply the number of a row."""


def make(service: str, rows: range, length: int, has_next: bool) -> bytes:
    if service == "vlmrun":
        return b"[" + vlmrun_rows(rows, length) + b"]"
    token = b'"%d"' % rows.stop if has_next else b"null"
    return b'{"predictions":[' + cradl_rows(rows, length) + b'],"nextToken":' + token + b"}"


# Enough for the pages that every contender asks for, those that overlap included.
keep = lru_cache(maxsize=2000)(make)


class App:
    """The ASGI application."""

    def __init__(self, kept: int) -> None:
        self.kept = kept

    async def __call__(self, scope: Message, receive: Any, send: Send) -> None:
        status, body = await self.answer(scope)
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def answer(self, scope: Message) -> tuple[int, bytes]:
        loop, path = asyncio.get_running_loop(), scope["path"]
        began = loop.time()
        if path == TOKEN_PATH:
            token = {"access_token": ACCESS_TOKEN, "expires_in": 86400, "token_type": "bearer"}
            return 200, json.dumps(token).encode()
        if path.endswith("/vlmrun/v1/health"):
            return 200, b'{"status":"ok"}'
        _, count, latency, length, service, version, name = path.split("/")
        if (version, name) != ("v1", "predictions"):
            return 404, b'{"message":"Not found"}'
        if dict(scope["headers"]).get(b"authorization") != f"Bearer {KEYS[service]}".encode():
            return 401, b'{"message":"Unauthorized"}'
        query = dict(parse_qsl(scope["query_string"].decode()))
        start, limit = (int(query.get(*asked)) for asked in ASKED[service])
        rows = range(int(count))[start : start + limit]
        source = keep if int(count) <= self.kept else make
        body = source(service, rows, int(length), rows.stop < int(count))
        if int(latency):
            await asyncio.sleep(began + int(latency) / 1000 - loop.time())
        return 200, body


def leave_with_the_parent() -> None:
    sys.stdin.read()
    os._exit(0)


def main(descriptor: int, kept: int) -> None:
    import uvicorn

    threading.Thread(target=leave_with_the_parent, daemon=True).start()
    config = uvicorn.Config(App(kept), lifespan="off", log_level="warning", access_log=False)
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=descriptor)])


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
