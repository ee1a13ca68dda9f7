"""What a landing, and a list on an event loop, do when a service fails: how they end, and what a retry does.

Each fault is a row of the first table in docs/reliability.md, which ``make reliability`` writes.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_predictions.api.errors import PredictionsError
from airflow_provider_predictions.api.http.auth import sources
from airflow_provider_predictions.api.limits import MAX_TIMEOUTS
from airflow_provider_predictions.sandbox.server import Sandbox
from tests.clock import SimulatedTime
from tests.conftest import Shell, make_service
from tests.faults import Fault
from tests.given import HOOK, LAND, connect, context_of, untagged
from tests.instant import Waits, instant, instant_hook
from tests.reliability.wire import CASES, COUNT, HEAD, LARGEST, PAGES, PATIENT, SIZE, SOON, Case

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
SLACK = 30
"""Seconds that a busy machine may add."""


class Task:
    """A landing of a service, and its list on an event loop.

    :param name: of the service.
    :param path: to land under.
    """

    def __init__(self, name: str, path: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
        self.name = name
        self.path = path
        self.sandbox = sandbox
        self.waits = Waits()
        self.patch = monkeypatch

    def connect(self, timeout: float, **changes: Any) -> None:
        connection = self.sandbox.connection(self.name, **changes)
        extra = {"timeout": timeout, "max_response_bytes": LARGEST}
        connection["extra"] = connection.get("extra", {}) | extra
        connect(self.patch, connection, f"{self.name}_default")

    def land(self, attempt: int) -> dict[str, Any]:
        arguments: dict[str, Any] = {"page_size": SIZE, "records_per_part": SIZE}
        made = instant(LAND[self.name], self.waits)
        operator = made(task_id="land", path=str(self.path), **arguments)
        return dict(operator.execute(context_of(attempt=attempt)))

    def list(self) -> list[bytes]:
        hook = instant_hook(HOOK[self.name], self.waits)()

        async def rows() -> list[bytes]:
            return [row.raw async for page in hook.aiter_pages(page_size=SIZE) for row in page.predictions]

        return asyncio.run(rows())

    def asked(self) -> int:
        return self.sandbox.wire.requests(self.name)

    def parts(self) -> dict[str, bytes]:
        return {untagged(file.name): file.read_bytes() for file in sorted(self.path.glob("part-*"))}

    def expected(self) -> dict[str, bytes]:
        lines = [text + b"\n" for text in getattr(self.sandbox, self.name).texts()]
        starts = range(0, COUNT, SIZE)
        return {f"part-{n:05}.jsonl": b"".join(lines[at : at + SIZE]) for n, at in enumerate(starts)}


def in_seconds(seconds: float) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


Arrange = Callable[[Case, str], Task]


@pytest.fixture
def arrange(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Arrange:
    """A task of a service to which the fault of a case is about to happen."""

    def arrange(case: Case, name: str) -> Task:
        if case.is_quick:
            clock: SimulatedTime = request.getfixturevalue("simulated_time")
            if case.passes:
                sandbox.wire.rules.append(lambda seen: clock.skip(case.passes) if seen.part == name else None)
        getattr(sandbox, name).fill(COUNT)
        sandbox.tokens.lifetime = case.token_lifetime
        for fault in case.faults:
            if fault.headers.get("Retry-After") == SOON:
                fault = replace(fault, headers={"Retry-After": in_seconds(30)})
            sandbox.wire.order(replace(fault, part=name if fault.part == "service" else fault.part))  # type: ignore[comparison-overlap]
        task = Task(name, tmp_path / "landed", sandbox, monkeypatch)
        task.connect(case.timeout, **case.connection)
        return task

    return arrange


EACH = pytest.mark.parametrize(
    ("case", "name"),
    [
        pytest.param(case, name, id=f"{name}: {case.name}", marks=() if case.is_quick else pytest.mark.faults)
        for case in CASES
        for name in case.services
    ],
)


@EACH
def test_a_fault_of_a_service_ends_a_landing_well(
    case: Case, name: str, arrange: Arrange, record_property: Callable[[str, object], None]
) -> None:
    task, begin = arrange(case, name), time.monotonic()

    error = failure(lambda: task.land(1))

    assert type(error) is (case.ends or type(None)), error
    assert time.monotonic() - begin <= case.steps * case.timeout + SLACK
    assert task.waits.seconds <= case.waits
    asked, waited = task.asked(), task.waits.seconds
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
    assert task.waits.seconds <= case.waits
    assert task.asked() <= case.asked


def test_a_response_that_trickles_in_for_longer_than_it_may_take_is_asked_for_again(
    sandbox: Sandbox, shell: Shell, simulated_time: SimulatedTime
) -> None:
    """It would be whole in the end, and no step takes as long as a step may."""
    sandbox.vlmrun.fill(3)
    body = b"[" + b" " * (10 * MAX_TIMEOUTS) + b"]"
    script = trickling(body, PATIENT / 2, simulated_time)
    sandbox.wire.order(Fault("vlmrun", how="play", script=script))  # type: ignore[arg-type]

    found = shell.all(make_service(sandbox, "vlmrun", timeout=PATIENT))

    assert [row.raw for row in found] == sandbox.vlmrun.texts()


def trickling(body: bytes, seconds: float, clock: SimulatedTime) -> Iterator[bytes | float]:
    """A response of which a byte comes in so many seconds; its client has a moment to read each."""
    yield HEAD + b"Content-Length: %d\r\n\r\n" % len(body)
    for byte in body:
        clock.skip(seconds)
        yield bytes([byte])
        yield 0.005


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
    return case.name if len(case.services) > 1 else f"{case.name} ({HOOK[case.services[0]].hook_name})"


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


def test_the_table_has_every_fault_and_no_other() -> None:
    table = PAGE.read_text().split("make reliability, wire -->\n")[1].split("<!--")[0]

    assert re.findall(r"^\| (?!fault|---)(.*?) \|", table, re.MULTILINE) == list(map(title, CASES))
