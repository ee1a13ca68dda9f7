"""A REST catalog over one in SQLite, which loses what it is told to lose."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from pyiceberg.catalog.rest import CommitTableRequest, CreateTableRequest
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import (
    CommitFailedException,
    NamespaceAlreadyExistsError,
    NoSuchNamespaceError,
    NoSuchTableError,
    TableAlreadyExistsError,
)
from pyiceberg.table import Table

STATUSES = {
    CommitFailedException: 409,
    NamespaceAlreadyExistsError: 409,
    TableAlreadyExistsError: 409,
    NoSuchNamespaceError: 404,
    NoSuchTableError: 404,
}
LONGEST = 60.0


class RestCatalog:
    """A server. A context manager.

    :ivar faults: what happens to the next commits of rows: a status, or None to cut the connection; and
        whether the commit is made nevertheless.
    :ivar gate: called before a commit of rows; it may wait.
    :ivar meanwhile: called after a commit of rows, before its response.
    :ivar asked: how many commits of rows there were.
    :ivar done: released when one of them was made, or was lost.
    """

    def __init__(self, directory: Path) -> None:
        self.catalog = SqlCatalog(
            "rest", uri=f"sqlite:///{directory}/rest.db", warehouse=f"file://{directory}/rest-warehouse"
        )
        self.faults: list[tuple[int | None, bool]] = []
        self.gate: Callable[[], None] = lambda: None
        self.meanwhile: Callable[[], None] = lambda: None
        self.asked = 0
        self.done = threading.Semaphore(0)
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> RestCatalog:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self.catalog.close()

    def answer(self, method: str, path: list[str], body: bytes) -> tuple[int | None, Any]:
        """A status and a body; the status is None where the connection is cut."""
        match method, path:
            case "GET", ["config"]:
                return 200, {"defaults": {}, "overrides": {}}
            case "POST", ["namespaces"]:
                with self._lock:
                    self.catalog.create_namespace(tuple(json.loads(body)["namespace"]))
                return 200, json.loads(body)
            case "GET" | "HEAD", ["namespaces", name]:
                self.catalog.load_namespace_properties(name)
                return 200, {"namespace": [name], "properties": {}}
            case "POST", ["namespaces", name, "tables"]:
                return 200, self._create(name, body)
            case "GET" | "HEAD", ["namespaces", name, "tables", table]:
                return 200, _shown(self.catalog.load_table((name, table)))
            case "POST", ["namespaces", name, "tables", table]:
                return self._commit((name, table), body)
        return 404, {}

    def _create(self, name: str, body: bytes) -> dict[str, Any]:
        asked = CreateTableRequest.model_validate({"location": None} | json.loads(body))
        with self._lock:
            table = self.catalog.create_table(
                (name, asked.name), asked.table_schema, partition_spec=asked.partition_spec,
                properties=asked.properties,
            )  # fmt: skip
        return _shown(table)

    def _commit(self, name: tuple[str, str], body: bytes) -> tuple[int | None, Any]:
        asked = CommitTableRequest.model_validate_json(body)
        if not any(update.action == "add-snapshot" for update in asked.updates):
            return 200, self._made(name, asked)
        self.asked += 1
        self.gate()
        try:
            status, is_made = self.faults.pop(0) if self.faults else (200, True)
            content = self._made(name, asked) if is_made else {}
            self.meanwhile()
            return status, content if status == 200 else {}
        finally:
            self.done.release()

    def _made(self, name: tuple[str, str], asked: CommitTableRequest) -> dict[str, Any]:
        with self._lock:
            self.catalog.commit_table(self.catalog.load_table(name), asked.requirements, asked.updates)
        return _shown(self.catalog.load_table(name))

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        catalog = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self) -> None:
                """Answer any method in one place."""
                self.raw_requestline = self.rfile.readline(65537)
                if not self.raw_requestline or not self.parse_request():
                    self.close_connection = True
                    return
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                path = self.path.partition("?")[0].strip("/").split("/")[1:]
                try:
                    status, content = catalog.answer(self.command, path, body)
                except tuple(STATUSES) as error:
                    status = STATUSES[type(error)]
                    content = {"error": {"message": str(error), "type": type(error).__name__, "code": status}}
                if status is None:
                    self.close_connection = True
                    return
                text = json.dumps(content).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(text)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        return Handler


def _shown(table: Table) -> dict[str, Any]:
    return {
        "metadata-location": table.metadata_location,
        "metadata": json.loads(table.metadata.model_dump_json()),
        "config": {},
    }
