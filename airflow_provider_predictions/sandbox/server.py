"""The sandbox on a real socket, served by a thread."""

from __future__ import annotations

import json
import threading
import time
from typing import Any, ClassVar, Self

import uvicorn
from starlette.types import ASGIApp

from airflow_provider_predictions.sandbox import app
from airflow_provider_predictions.sandbox.data import CRADL, VLMRUN
from airflow_provider_predictions.sandbox.store import RecordStore


class Sandbox:
    """VLM Run and Cradl on 127.0.0.1. The context manager serves from a thread.

    :param port: 0 for a free one.
    :param count: finished predictions of each service at the start.
    :param moving: predictions of each service that finish within 16 seconds. They are the newest.
    :param seed: equal seeds give equal predictions, except for their times.
    :param token_lifetime: seconds until an access token of Cradl expires.
    """

    date_header: ClassVar[bool] = True
    """Whether the server adds ``Date`` to responses."""

    def __init__(
        self, *, port: int = 0, count: int = 0, moving: int = 0, seed: int = 7, token_lifetime: float = 3600
    ) -> None:
        self.vlmrun = RecordStore(VLMRUN, seed)
        self.cradl = RecordStore(CRADL, seed + 1)
        self.tokens = app.Tokens(token_lifetime)
        config = uvicorn.Config(
            self.asgi_app(), host="127.0.0.1", port=port, http="h11", lifespan="off", log_level="warning",
            date_header=self.date_header,
        )  # fmt: skip
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, name="sandbox", daemon=True)
        for record_store in (self.vlmrun, self.cradl):
            record_store.fill(count)
        self.receive(moving)

    def asgi_app(self) -> ASGIApp:
        """Both services and the token endpoint. A subclass can put middleware in front of them."""
        return app.build(self.vlmrun, self.cradl, self.tokens)

    def receive(self, count: int) -> None:
        """Add unfinished predictions to both lists. They finish within 4 to 16 seconds."""
        for record_store in (self.vlmrun, self.cradl):
            record_store.fill(0, moving=count)

    def __enter__(self) -> Self:
        self._thread.start()
        while not self._server.started:
            if not self._thread.is_alive():
                raise OSError("The sandbox did not start; is the port in use?")
            time.sleep(0.01)
        self.cradl.files = f"http://localhost:{self.port}/files"
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(timeout=10)

    def wait(self) -> None:
        """Serve until the thread ends."""
        while self._thread.is_alive():
            self._thread.join(timeout=0.5)

    @property
    def port(self) -> int:
        port: int = self._server.servers[0].sockets[0].getsockname()[1]
        return port

    @property
    def url(self) -> str:
        """The base of all URLs, without a trailing slash."""
        return f"http://127.0.0.1:{self.port}"

    def connection(self, service: str, **changes: Any) -> dict[str, Any]:
        """The Airflow connection of a service as JSON values, with changed fields."""
        connections: dict[str, dict[str, Any]] = {
            "vlmrun": {"conn_type": "vlmrun", "host": f"{self.url}/vlmrun/v1", "password": app.API_KEY},
            "cradl": {
                "conn_type": "cradl",
                "host": f"{self.url}/cradl/v1",
                "login": app.CLIENT_ID,
                "password": app.CLIENT_SECRET,
                "extra": {"auth_url": f"{self.url}/oauth2/token", "file_hosts": "localhost"},
            },
        }
        return connections[service] | changes

    def environment(self) -> dict[str, str]:
        """The environment variables that define both connections for Airflow."""
        return {
            f"AIRFLOW_CONN_{service.upper()}_DEFAULT": json.dumps(self.connection(service))
            for service in ("vlmrun", "cradl")
        }
