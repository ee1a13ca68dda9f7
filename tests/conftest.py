"""Airflow's environment, before anything imports Airflow; the sandbox; both shells of the client."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

# What pytest keeps of the last runs stays where it is; all other temporary files are of this run.
_ROOT = os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", tempfile.gettempdir())
_HOME = tempfile.mkdtemp(prefix="predictions-airflow-", dir=_ROOT)  # deeper, a socket's path is too long
tempfile.tempdir = os.environ["TMPDIR"] = str(Path(_HOME, "tmp"))
Path(tempfile.tempdir).mkdir()
Path(_HOME).chmod(0o711)  # the server of PostgreSQL runs as another user
for name in [name for name in os.environ if name.startswith("AIRFLOW")]:
    del os.environ[name]
os.environ |= {
    "AIRFLOW_HOME": _HOME,
    "AIRFLOW__CORE__DAGS_FOLDER": str(Path(__file__).parent.parent / "example_dags"),
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__PARALLELISM": "4",
    "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
    # The sandbox's token endpoint is plain http, on loopback.
    "OAUTHLIB_INSECURE_TRANSPORT": "1",
    "AWS_EC2_METADATA_DISABLED": "true",
}

import pytest  # noqa: E402

from airflow_provider_predictions.api.cradl import Cradl  # noqa: E402
from airflow_provider_predictions.api.http.auth import BearerAuth, ClientCredentialsAuth, sources  # noqa: E402
from airflow_provider_predictions.api.http.base_client import rate_limiters  # noqa: E402
from airflow_provider_predictions.api.http.client import AsyncClient, Client  # noqa: E402
from airflow_provider_predictions.api.limits import MAX_ATTEMPTS  # noqa: E402
from airflow_provider_predictions.api.models import GetRequest, Prediction  # noqa: E402
from airflow_provider_predictions.api.page import Page  # noqa: E402
from airflow_provider_predictions.api.pagination.base import RequestFlow  # noqa: E402
from airflow_provider_predictions.api.service import Service  # noqa: E402
from airflow_provider_predictions.api.vlmrun import VlmRun  # noqa: E402
from airflow_provider_predictions.sandbox import app  # noqa: E402
from airflow_provider_predictions.sandbox.store import RecordStore  # noqa: E402
from tests import clock  # noqa: E402
from tests.clock import SimulatedTime  # noqa: E402
from tests.faults import FaultySandbox, Seen  # noqa: E402

SERVICES = ("vlmrun", "cradl")


class NoSecrets(logging.Handler):
    """Notes each place of the code that logs a secret of the sandbox, or a token that it has made."""

    secrets = (app.API_KEY, app.CLIENT_SECRET, "sandbox-token-")

    def __init__(self) -> None:
        super().__init__()
        self.places: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        """Look at what is printed, and at what it is made of."""
        exc_info = record.exc_info
        raised = "".join(traceback.format_exception(*exc_info)) if isinstance(exc_info, tuple) else ""
        text = f"{record.getMessage()} {raised} {record.exc_text or ''}"
        if any(secret in text for secret in self.secrets):
            self.places.add(f"{record.name}, {record.pathname}:{record.lineno}, in {current_test()}")


def current_test() -> str:
    """As pytest says it."""
    return os.environ.get("PYTEST_CURRENT_TEST", "no test")


@pytest.fixture(scope="session")
def _no_secrets() -> Iterator[NoSecrets]:
    handler = NoSecrets()
    yield handler
    assert not handler.places, f"Secrets are logged at {sorted(handler.places)}"


@pytest.fixture(autouse=True)
def _no_secret_is_logged(_no_secrets: NoSecrets) -> None:
    """In the whole suite, at the level that is set; those that handle secrets log all."""
    for name in ("airflow_provider_predictions", "requests_oauthlib", "oauthlib"):
        logging.getLogger(name).setLevel(logging.DEBUG)
    # Again for each test: Airflow removes it where it configures logging.
    logging.getLogger().addHandler(_no_secrets)


def pytest_unconfigure() -> None:
    """Remove what the run has left in Airflow's home and in the temporary directory."""
    shutil.rmtree(_HOME, ignore_errors=True)


def pytest_collection_finish() -> None:
    """Leave what is imported out of garbage collections: each would hold up all threads for a second."""
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with what starts a whole Airflow: it waits, while other processes of ``pytest -n`` work.

    Note each test's markers in its results, for ``make durations``.
    """
    known = {line.partition(":")[0] for line in config.getini("markers")} - {"hypothesis"}  # its plugin's
    for item in items:
        names = known & {mark.name for mark in item.iter_markers()}
        item.user_properties += [("marker", name) for name in sorted(names)]
    items.sort(key=lambda item: item.get_closest_marker("airflow") is None)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Keep in one process the tests of a file, which share what it starts, and all with a whole Airflow.

    ``--dist loadgroup`` would do it, but xdist 3.8 does not group anything with pytest 9.2.
    """
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return "a whole Airflow" if file.startswith(("tests/integration/", "tests/ui/")) else file

    return ByFile(config, log)


@pytest.fixture(autouse=True)
def _forget() -> None:
    """Begin without tokens and budgets: a sandbox may have the port, so the credentials, of an old one."""
    sources.clear()
    rate_limiters.clear()
    if "airflow" in sys.modules:  # which tests of api/ do without
        from tests.compat import forget_secrets

        forget_secrets()


@pytest.fixture(scope="session")
def _server() -> Iterator[FaultySandbox]:
    with FaultySandbox() as server:
        yield server


@pytest.fixture
def simulated_time(_server: FaultySandbox) -> Iterator[SimulatedTime]:
    """Sleeping takes no time, and moves every clock; see ``tests.clock``."""
    with clock.simulated_time() as time:
        yield time


@pytest.fixture
def tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine whose clock does not show UTC."""
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def sandbox(_server: FaultySandbox) -> FaultySandbox:
    """The sandbox, empty and with nothing ordered."""
    for record_store in (_server.vlmrun, _server.cradl):
        record_store.clear()
    _server.wire.clear()
    _server.tokens.lifetime = 3600
    return _server


@pytest.fixture
def connections(sandbox: FaultySandbox, monkeypatch: pytest.MonkeyPatch) -> FaultySandbox:
    """The sandbox behind the default connections of both services."""
    for name, value in sandbox.environment().items():
        monkeypatch.setenv(name, value)
    return sandbox


@pytest.fixture(scope="session")
def airflow_db() -> None:
    """A migrated SQLite database in the suite's AIRFLOW_HOME."""
    subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], check=True, capture_output=True)


@pytest.fixture(params=SERVICES)
def service_name(request: pytest.FixtureRequest) -> str:
    """Each service in turn."""
    name: str = request.param
    return name


@pytest.fixture
def record_store(sandbox: FaultySandbox, service_name: str) -> RecordStore:
    """The list of the service in the sandbox."""
    record_store: RecordStore = getattr(sandbox, service_name)
    return record_store


def moving(record_store: RecordStore, outcome: str, seconds: float) -> str:
    """Add a prediction that ends so many seconds from now. Its id."""
    row = record_store.add(work=seconds)
    row.outcome = outcome
    return row.id


def on_request(sandbox: FaultySandbox, service_name: str, number: int, do: Callable[[], object]) -> None:
    """Do something when a service gets the request with that number, before its answer."""

    def rule(seen: Seen) -> None:
        if seen.part == service_name and sandbox.wire.requests(service_name) == number:
            do()

    sandbox.wire.rules.append(rule)


def ends_with(sandbox: FaultySandbox, service_name: str, request: int) -> None:
    """Let the predictions of a service end when it gets the request with that number."""
    record_store: RecordStore = getattr(sandbox, service_name)

    def end() -> None:
        for row in record_store.rows:
            row.work = 0

    on_request(sandbox, service_name, request, end)


async def asked(sandbox: FaultySandbox, service_name: str, requests: int) -> None:
    """Wait until a service has got so many requests."""
    async with asyncio.timeout(3600):
        while sandbox.wire.requests(service_name) < requests:  # noqa: ASYNC110  (nobody says so)
            await asyncio.sleep(0.5)


@contextmanager
def event_loop_free(sandbox: FaultySandbox) -> Iterator[None]:
    """Let each answer wait for a turn of the event loop; fail where a request has blocked the loop."""
    loop = asyncio.get_running_loop()
    blocked: list[str] = []

    def wait_for_turn(seen: Seen) -> None:
        turned = threading.Event()
        loop.call_soon_threadsafe(turned.set)
        if not turned.wait(10):
            blocked.append(seen.path)

    sandbox.wire.rules.append(wait_for_turn)
    yield
    assert not blocked


@pytest.fixture
def service(sandbox: FaultySandbox, service_name: str) -> Service:
    """The service, with the sandbox's credentials."""
    return make_service(sandbox, service_name)


def make_service(sandbox: FaultySandbox, name: str, **changes: object) -> Service:
    """A service of the sandbox, with fields changed."""
    if name == "vlmrun":
        fields = {"base_url": f"{sandbox.url}/vlmrun/v1", "auth": BearerAuth(app.API_KEY)}
        return VlmRun(**fields | changes)
    fields = {
        "base_url": f"{sandbox.url}/cradl/v1",
        "auth": client_credentials(sandbox),
        "file_hosts": ("localhost",),
    }
    return Cradl(**fields | changes)


def client_credentials(sandbox: FaultySandbox, **changes: str) -> ClientCredentialsAuth:
    """The credentials of the sandbox's Cradl, with fields changed."""
    fields = {
        "auth_url": f"{sandbox.url}/oauth2/token",
        "client_id": app.CLIENT_ID,
        "client_secret": app.CLIENT_SECRET,
        "audience": app.AUDIENCE,
    }
    return ClientCredentialsAuth(**fields | changes)


class Shell(ABC):
    """One way to move the client; notes what it would have slept."""

    def __init__(self) -> None:
        self.slept: list[float] = []
        self.requests = 0
        self.attempts = MAX_ATTEMPTS

    def all(self, service: Service, **filters: object) -> list[Prediction]:
        """Every prediction that matches."""
        pages = self.pages(service, service.paginator(service.filters(**filters)))
        return [prediction for page in pages for prediction in page.predictions]

    @abstractmethod
    def pages(self, service: Service, flow: RequestFlow) -> list[Page]:
        """Every page."""

    @abstractmethod
    def get(self, service: Service, request: GetRequest) -> bytes:
        """The body of one answer."""

    def once(self, service: Service, request: GetRequest) -> bytes:
        """The body of one answer, asked for once."""
        self.attempts = 1
        return self.get(service, request)

    def note(self, seconds: float) -> None:
        """Sleep in no time."""
        if seconds:
            self.slept.append(seconds)

    def clock(self) -> float:
        """The time it would be after the sleeps."""
        return time.monotonic() + sum(self.slept)


class SyncShell(Shell):
    @contextmanager
    def _client(self, service: Service) -> Iterator[Client]:
        with Client(service, attempts=self.attempts) as client:
            client.sleep, client.clock = self.note, self.clock
            yield client
            self.requests = client.requests

    def pages(self, service: Service, flow: RequestFlow) -> list[Page]:
        with self._client(service) as client:
            return list(client.pages(flow))

    def get(self, service: Service, request: GetRequest) -> bytes:
        with self._client(service) as client:
            return client.get(request, bytes)


class AsyncShell(Shell):
    async def note_async(self, seconds: float) -> None:
        self.note(seconds)

    @asynccontextmanager
    async def _client(self, service: Service) -> AsyncIterator[AsyncClient]:
        async with AsyncClient(service, attempts=self.attempts) as client:
            client.sleep, client.clock = self.note_async, self.clock
            yield client
            self.requests = client.requests

    def pages(self, service: Service, flow: RequestFlow) -> list[Page]:
        async def run() -> list[Page]:
            async with self._client(service) as client:
                return [page async for page in client.pages(flow)]

        return asyncio.run(run())

    def get(self, service: Service, request: GetRequest) -> bytes:
        async def run() -> bytes:
            async with self._client(service) as client:
                return await client.get(request, bytes)

        return asyncio.run(run())


@pytest.fixture(params=[SyncShell, AsyncShell], ids=["sync", "async"])
def shell(request: pytest.FixtureRequest) -> Shell:
    """Each way to move the client in turn."""
    shell: Shell = request.param()
    return shell
