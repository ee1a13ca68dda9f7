"""What a landing, and a list on an event loop, do when a service fails: how they end, and what a retry does.

Each fault is a row of the first table in docs/reliability.md, which ``make reliability`` writes.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_predictions.api.auth import sources
from airflow_provider_predictions.api.client import AsyncClient, Client
from airflow_provider_predictions.api.errors import (
    AnswerTooLargeError,
    AuthenticationError,
    ConfigurationError,
    InvalidRequestError,
    MalformedAnswerError,
    NoAnswerError,
    PredictionsError,
    QuotaExceededError,
    RateLimitedError,
    ServerError,
)
from airflow_provider_predictions.api.retry import ATTEMPTS, LONGEST_WAIT, RATE_LIMIT_PATIENCE
from airflow_provider_predictions.api.transport import TIMEOUTS
from airflow_provider_predictions.hooks.base import PredictionsHook
from airflow_provider_predictions.hooks.cradl import CradlHook
from airflow_provider_predictions.hooks.vlmrun import VlmRunHook
from airflow_provider_predictions.operators.cradl import CradlPredictionsToObjectStorageOperator
from airflow_provider_predictions.operators.vlmrun import VlmRunPredictionsToObjectStorageOperator
from airflow_provider_predictions.sandbox.faults import Fault, quota, rate_limit
from airflow_provider_predictions.sandbox.server import Sandbox
from tests.conftest import SERVICES

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
COUNT, SIZE = 40, 10
TIMEOUT = 0.5
"""Seconds of a step, where a fault is about time."""
PATIENT = 10
"""Seconds of a step elsewhere, which no busy machine takes."""
SLACK = 30
"""Seconds that a busy machine may add."""
LARGEST = 1 << 20
FOREVER = 1_000_000
BACKOFF = 1.25 * (1 + 2 + 4 + 8)
"""Seconds that the four waits between five attempts take at most."""
PAGES = COUNT // SIZE + 1
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@dataclass(frozen=True)
class Case:
    """A fault of a service, from its second page on, and what becomes of a landing.

    :param name: as the table has it.
    :param faults: for the part ``service``, which stands for the service's own.
    :param ends: the error; None where the landing succeeds.
    :param asked: how many requests the service gets at most before it ends.
    :param waits: seconds between attempts at most.
    :param steps: how many times the timeout of a step passes at most.
    :param services: whose.
    :param connection: fields to replace while the fault lasts.
    :param timeout: seconds of a step.
    :param token_lifetime: seconds.
    """

    name: str
    faults: tuple[Fault, ...] = ()
    ends: type[PredictionsError] | None = None
    asked: int = ATTEMPTS + 1
    waits: float = BACKOFF
    steps: int = 0
    services: tuple[str, ...] = SERVICES
    connection: dict[str, Any] = field(default_factory=dict)
    timeout: float = PATIENT
    token_lifetime: float = 3600


def service(**fault: Any) -> tuple[Fault, ...]:
    return (Fault("service", **{"times": FOREVER, "after": 1} | fault),)  # type: ignore[arg-type]


def plays(*script: bytes | float, **fault: Any) -> tuple[Fault, ...]:
    return service(how="play", script=script, **fault)


def token(**fault: Any) -> tuple[Fault, ...]:
    return (Fault("token", **{"times": FOREVER, "status": 200, "body": b"{}"} | fault),)


def limited(times: int = 1, retry_after: str | None = None) -> tuple[Fault, ...]:
    return (replace(rate_limit("service", times=times, retry_after=retry_after), after=1),)  # type: ignore[arg-type]


def spent() -> tuple[Fault, ...]:
    return (replace(quota(), part="service", after=1),)  # type: ignore[arg-type]


def in_seconds(seconds: float) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


SOON = "the date in 30 s"
PACKED = {"Content-Encoding": "gzip"}
PACKED_TWICE = {"Content-Encoding": "gzip, gzip"}
BOMB = gzip.compress(b" " * (64 << 20))
DRIP = (b" ", TIMEOUT / 2) * 60
LONG = HEAD + b"Content-Length: 9999\r\n\r\n"
ELSEWHERE = {"Location": "https://elsewhere.invalid/v1/predictions"}
BARE_TOKEN = b'{"access_token": "a-token", "token_type": "bearer"}'
DELAYS = 1.1 * (5 + 20 * 3)
MINUTE = 61
"""Seconds of a window of the rate limit, in which no more is asked than was answered in the one before."""
CASES = [
    Case("connection refused", ends=NoAnswerError, asked=0, connection={"host": "http://127.0.0.1:1/v1"}),
    Case("the name is not known", ends=NoAnswerError, asked=0, connection={"host": "https://it.invalid"}),
    Case("reset before the answer", service(how="reset"), NoAnswerError),
    Case("reset in the body", plays(LONG + b"[{", 0.01), NoAnswerError),
    Case("body cut, with a length", service(how="truncate"), NoAnswerError),
    Case("body cut, in chunks", plays(HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n[{"), NoAnswerError),
    Case("body cut, without a length", plays(HEAD + b"Connection: close\r\n\r\n[{"), MalformedAnswerError),
    Case("no answer at all", plays(10.0), NoAnswerError, steps=ATTEMPTS, timeout=TIMEOUT),
    Case("a body that stalls", plays(LONG + b"[", 10.0), NoAnswerError, steps=ATTEMPTS, timeout=TIMEOUT),
    Case("a body that trickles once", plays(LONG, *DRIP, times=1), steps=TIMEOUTS + 1, timeout=TIMEOUT),
    Case("headers that trickle once", plays(HEAD + b"X: ", *DRIP, times=1), steps=TIMEOUTS + 1,
         timeout=TIMEOUT),
    Case("a body that trickles for ever", plays(LONG, *DRIP), NoAnswerError,
         steps=ATTEMPTS * (TIMEOUTS + 1), timeout=TIMEOUT, services=("vlmrun",)),
    Case("200 with a web page", service(status=200), MalformedAnswerError),
    Case("gzip bomb", service(status=200, body=BOMB, headers=PACKED), AnswerTooLargeError, 2, 0),
    Case("gzip in gzip", service(status=200, body=BOMB, headers=PACKED_TWICE), MalformedAnswerError),
    Case("too large an answer", service(status=200, body=b" " * (LARGEST + 1)), AnswerTooLargeError, 2, 0),
    Case("302 to another host", service(status=302, headers=ELSEWHERE), InvalidRequestError, 2, 0),
    Case("401 in mid-list, once", service(status=401, times=1), None, PAGES + 1, 0, services=("cradl",)),
    Case("401 in mid-list", service(status=401), AuthenticationError, 2, 0, services=("vlmrun",)),
    Case("401 with a fresh token, too", service(status=401), AuthenticationError, 3, 0, services=("cradl",)),
    Case("403", service(status=403), AuthenticationError, 2, 0),
    Case("429 four times, without Retry-After", limited(4), None, PAGES + 4, DELAYS + PAGES * MINUTE),
    Case("429, Retry-After: 0", limited(1, "0"), None, PAGES + 1, 1.1 * 5),
    Case("429, Retry-After: 5", limited(1, "5"), None, PAGES + 1, 1.1 * 5),
    Case("429, Retry-After: a date in 30 s", limited(1, SOON), None, PAGES + 1, 31),
    Case("429, Retry-After: 1000000000", limited(1, "1000000000"), RateLimitedError, 2, 0),
    Case("429, Retry-After: soon", limited(1, "soon"), None, PAGES + 1, 1.1 * 5 + PAGES * MINUTE),
    Case("429 for ever", limited(FOREVER), RateLimitedError, 100, RATE_LIMIT_PATIENCE + 2 * LONGEST_WAIT),
    Case("the monthly quota is used up", spent(), QuotaExceededError, 2, 0, services=("cradl",)),
    Case("502 once", service(times=1), None, PAGES + 1, 1.25),
    Case("502 for ever", service(), ServerError),
    Case("token endpoint: a spurious 400", token(times=1, status=400), None, PAGES, 0, services=("cradl",)),
    Case("token endpoint: 400 for ever", token(status=400), AuthenticationError, 0, 0, services=("cradl",)),
    Case("token endpoint: 500 for ever", token(status=500), ServerError, 0, services=("cradl",)),
    Case("token endpoint: no token", token(), MalformedAnswerError, 0, services=("cradl",)),
    Case("token endpoint: megabytes", token(body=b" " * (2 * LARGEST)), MalformedAnswerError, 0,
         services=("cradl",)),
    Case("token endpoint: no answer", token(how="play", script=(10.0,)), NoAnswerError, 0, steps=ATTEMPTS,
         timeout=TIMEOUT, services=("cradl",)),
    Case("token endpoint: an answer that trickles", token(how="play", script=(LONG, *DRIP)), NoAnswerError, 0,
         steps=ATTEMPTS * TIMEOUTS, timeout=TIMEOUT, services=("cradl",)),
    Case("token endpoint: 302", token(status=302, headers=ELSEWHERE), ConfigurationError, 0, 0,
         services=("cradl",)),
    Case("a token without scope and expiry", token(times=1, body=BARE_TOKEN), None, PAGES + 1, 0,
         services=("cradl",)),
    Case("a token that expires at every page", service(how="slow", seconds=1.2, after=0), None, PAGES, 0,
         services=("cradl",), token_lifetime=2),
]  # fmt: skip


class Slept:
    """A client's time: what it would have slept has passed."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds

    async def asleep(self, seconds: float) -> None:
        self.seconds += seconds

    def clock(self) -> float:
        return time.monotonic() + self.seconds


SLEPT = Slept()


class Quick(PredictionsHook[Any]):
    """Waits in no time."""

    def get_conn(self) -> Client:
        client = super().get_conn()
        client.sleep, client.clock = SLEPT.sleep, SLEPT.clock
        return client

    async def aget_conn(self) -> AsyncClient:
        client = await super().aget_conn()
        client.sleep, client.clock = SLEPT.asleep, SLEPT.clock
        return client


class QuickVlmRunHook(Quick, VlmRunHook):
    pass


class QuickCradlHook(Quick, CradlHook):
    pass


class LandVlmRun(VlmRunPredictionsToObjectStorageOperator):
    hook_class = QuickVlmRunHook


class LandCradl(CradlPredictionsToObjectStorageOperator):
    hook_class = QuickCradlHook


HOOKS: dict[str, type[PredictionsHook[Any]]] = {"vlmrun": QuickVlmRunHook, "cradl": QuickCradlHook}
LANDINGS: dict[str, Any] = {"vlmrun": LandVlmRun, "cradl": LandCradl}


class Task:
    """A landing of a service, and its list on an event loop.

    :param name: of the service.
    :param path: to land under.
    """

    def __init__(self, name: str, path: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
        self.name = name
        self.path = path
        self.sandbox = sandbox
        self._set = monkeypatch.setenv

    def connect(self, timeout: float, **changes: Any) -> None:
        connection = self.sandbox.connection(self.name, **changes)
        extra = {"timeout": timeout, "max_response_bytes": LARGEST}
        connection["extra"] = connection.get("extra", {}) | extra
        self._set(f"AIRFLOW_CONN_{self.name.upper()}_DEFAULT", json.dumps(connection))

    def land(self, attempt: int) -> dict[str, Any]:
        ids = {"dag_id": "dag", "run_id": "run", "task_id": "land", "map_index": -1}
        context: Any = {"ti": SimpleNamespace(**ids, try_number=attempt)}
        arguments: dict[str, Any] = {"page_size": SIZE, "records_per_part": SIZE}
        operator = LANDINGS[self.name](task_id="land", path=str(self.path), **arguments)
        return dict(operator.execute(context))

    def list(self) -> list[bytes]:
        hook = HOOKS[self.name]()

        async def rows() -> list[bytes]:
            return [row.raw async for page in hook.aiter_pages(page_size=SIZE) for row in page.predictions]

        return asyncio.run(rows())

    def asked(self) -> int:
        return self.sandbox.wire.requests(self.name)

    def parts(self) -> dict[str, bytes]:
        return {file.name: file.read_bytes() for file in sorted(self.path.glob("part-*"))}

    def expected(self) -> dict[str, bytes]:
        lines = [text + b"\n" for text in getattr(self.sandbox, self.name).texts()]
        starts = range(0, COUNT, SIZE)
        return {f"part-{n:05}.jsonl": b"".join(lines[at : at + SIZE]) for n, at in enumerate(starts)}


Arrange = Callable[[Case, str], Task]


@pytest.fixture
def arrange(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Arrange:
    """A task of a service to which the fault of a case is about to happen."""

    def arrange(case: Case, name: str) -> Task:
        getattr(sandbox, name).fill(COUNT)
        sandbox.tokens.lifetime = case.token_lifetime
        for fault in case.faults:
            if fault.headers.get("Retry-After") == SOON:
                fault = replace(fault, headers={"Retry-After": in_seconds(30)})
            sandbox.wire.order(replace(fault, part=name if fault.part == "service" else fault.part))  # type: ignore[comparison-overlap]
        task = Task(name, tmp_path / "landed", sandbox, monkeypatch)
        task.connect(case.timeout, **case.connection)
        SLEPT.seconds = 0
        return task

    return arrange


EACH = pytest.mark.parametrize(
    ("case", "name"),
    [pytest.param(case, name, id=f"{name}: {case.name}") for case in CASES for name in case.services],
)


@EACH
def test_a_fault_of_a_service_ends_a_landing_well(
    case: Case, name: str, arrange: Arrange, record_property: Callable[[str, object], None]
) -> None:
    task, begin = arrange(case, name), time.monotonic()

    error = failure(lambda: task.land(1))

    assert type(error) is (case.ends or type(None)), error
    assert time.monotonic() - begin <= case.steps * case.timeout + SLACK
    assert SLEPT.seconds <= case.waits
    asked, waited = task.asked(), SLEPT.seconds
    assert asked <= case.asked
    assert task.parts().items() <= task.expected().items()
    assert task.path.joinpath("_manifest.json").exists() == (error is None)
    if error is not None:
        assert_says_nothing_of_the_answer(error)
        task.sandbox.wire.clear()
        sources.clear()
        task.connect(case.timeout)
        assert failure(lambda: task.land(2)) is None
        # The page that failed, those behind it, and the one that proves the end.
        assert task.asked() <= PAGES + (0 if task.sandbox.wire.seen else 1)
    assert task.parts() == task.expected()
    if name == case.services[0]:
        record_property("wire", json.dumps(row(case, error, asked, waited)))


@EACH
def test_a_fault_of_a_service_ends_a_list_on_an_event_loop_alike(
    case: Case, name: str, arrange: Arrange
) -> None:
    task, begin = arrange(case, name), time.monotonic()

    error = failure(task.list)

    assert type(error) is (case.ends or type(None)), error
    assert time.monotonic() - begin <= case.steps * case.timeout + SLACK
    assert SLEPT.seconds <= case.waits
    assert task.asked() <= case.asked


def failure(attempt: Callable[[], object]) -> PredictionsError | None:
    """The error of ours with which an attempt ends, whatever Airflow is told of it."""
    try:
        attempt()
    except AirflowFailException as error:
        cause = error.__cause__
        if isinstance(cause, PredictionsError) and not cause.retryable:
            return cause
        raise
    except PredictionsError as error:
        return error
    return None


def assert_says_nothing_of_the_answer(error: PredictionsError) -> None:
    """A line for a person, without what came or what was asked."""
    text = str(error)
    assert 20 < len(text) < 500
    assert [word for word in ("<html>", "[{", "\n", "?", "elsewhere") if word in text] == []


def title(case: Case) -> str:
    return case.name if len(case.services) > 1 else f"{case.name} ({HOOKS[case.services[0]].hook_name})"


def row(case: Case, error: PredictionsError | None, asked: int, waited: float) -> list[str]:
    """A line of the table; the longest time is that with a timeout of 60 s."""
    return [
        title(case),
        f"`{type(error).__name__}`" if error else "lands all",
        "" if error is None else "yes" if error.retryable else "no",
        str(asked),
        f"{waited:.0f}",
        f"{case.waits + 60 * case.steps:.0f}",
    ]


@EACH
def test_every_fault_is_in_the_table(case: Case, name: str) -> None:
    assert PAGE.read_text().count(f"| {title(case)} |") == 1
