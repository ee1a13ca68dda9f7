"""An id is one segment of a path, whatever it holds; no id reaches another endpoint."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from urllib.parse import unquote

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, TaskDeferred

from airflow_provider_predictions.api.errors import ConfigurationError, NotFoundError, PredictionsError
from airflow_provider_predictions.sandbox.server import Sandbox
from tests.clock import SimulatedTime
from tests.given import HOOK, WAIT
from tests.wire import Noted, in_front

ODD = [
    "a/b",
    "/",
    "//",
    "/predictions",
    "../predictions",
    "../../oauth2/token",
    "..\\..\\x",
    "x/../../..",
    "./x",
    "%2e",
    "%2e%2e",
    "%2E%2E/x",
    "%252e",
    ".%2e",
    "...",
    ". .",
    "a?skip=0&limit=1",
    "?",
    "#",
    "a#b",
    "a;b",
    "a&b=c",
    "a=b",
    "a+b",
    "%",
    "%zz",
    "%00",
    "a\x00b",
    "a\tb",
    "a\r\nX-Header: b",
    "\\",
    "http://evil.example/",
    "//evil.example/",
    "@evil.example",
    "cradl:prediction:1",
    "ø/é",
    "株式会社",
    "\u202e\ufeff",
    "\uff0e\uff0e",
    "\U0001f600",
    '"<>{}|^`',
    "a" * 5000,
]
NONE = ["", ".", "..", "a\ud800b", "\udfff"]


def paths(noted: Noted, service_name: str) -> set[bytes]:
    """What a service was asked for, as it stood on the wire."""
    return {
        request.path for request in noted.requests if request.path.startswith(f"/{service_name}/".encode())
    }


@pytest.fixture
def noted(connections: Sandbox, simulated_time: SimulatedTime) -> Iterator[Noted]:
    """Every request of the test."""
    with in_front(connections, Noted) as noted:
        yield noted


def in_trigger(service_name: str, id_: str) -> str:
    """What a trigger says that waits for an id; a wrong one may be refused when it is made."""
    hook = HOOK[service_name]
    trigger = WAIT[service_name].trigger_class(
        conn_id=hook.default_conn_name,
        poke_interval=60,
        wait={"prediction_ids": [id_], "missing_timeout": 60},
    )

    async def fire() -> object:
        return (await asyncio.wait_for(anext(trigger.run()), 3600)).payload

    return str(asyncio.run(fire()))


def test_an_odd_id_is_asked_for_as_one_segment(
    connections: Sandbox, noted: Noted, service_name: str, subtests: pytest.Subtests
) -> None:
    base = f"/{service_name}/v1/predictions/".encode()
    for id_ in ODD:
        noted.requests.clear()
        connections.wire.seen.clear()
        with subtests.test(id_=ascii(id_)[:30]):
            ask_for(id_, service_name)

            asked = paths(noted, service_name)
            assert {raw.removeprefix(base).count(b"/") for raw in asked} == {0}
            assert {unquote(raw.removeprefix(base).decode()) for raw in asked} == {id_}
            assert all(seen.query == "" for seen in connections.wire.seen if seen.part == service_name)


def ask_for(id_: str, service_name: str) -> None:
    """Ask in each way for a prediction that there is not."""
    hook = HOOK[service_name](attempts=1)
    with pytest.raises(NotFoundError):
        hook.get_prediction(id_)
    with pytest.raises(NotFoundError):
        asyncio.run(hook.aget_prediction(id_))
    if "," not in id_ and id_.strip() == id_:
        sensor = WAIT[service_name](task_id="t", prediction_ids=[id_], missing_timeout=60, timeout=3600)
        with suppress(TaskDeferred), pytest.raises(AirflowFailException, match=r"not know|missing|404"):
            sensor.execute({})
        in_trigger(service_name, id_)


def test_an_odd_id_that_there_is_is_found(connections: Sandbox, service_name: str) -> None:
    row = getattr(connections, service_name).add()
    for id_ in (id_ for id_ in ODD if "\n" not in id_):  # the sandbox's router takes no line breaks
        row.id = id_
        getattr(connections, service_name)._texts.clear()
        assert id_ in HOOK[service_name]().get_prediction(id_).model_dump().values()


def test_what_is_no_id_is_refused_before_any_request(
    noted: Noted, service_name: str, subtests: pytest.Subtests
) -> None:
    hook = HOOK[service_name](attempts=1)
    for id_ in NONE:
        with subtests.test(id_=ascii(id_)):
            with pytest.raises(ConfigurationError, match="prediction_id: "):
                hook.get_prediction(id_)
            with pytest.raises(ConfigurationError, match="prediction_id: "):
                asyncio.run(hook.aget_prediction(id_))
            with pytest.raises((ConfigurationError, AirflowFailException), match="prediction_ids: "):
                WAIT[service_name](task_id="t", prediction_ids=[id_]).execute({})
            assert "prediction_ids: " in in_trigger(service_name, id_)

    assert paths(noted, service_name) == set()


def test_what_is_no_text_reaches_no_endpoint(noted: Noted, service_name: str) -> None:
    for id_ in (None, 7, b"a", ["a"]):
        with pytest.raises((PredictionsError, TypeError, AttributeError)):
            HOOK[service_name](attempts=1).get_prediction(id_)  # type: ignore[arg-type]

    assert paths(noted, service_name) == set()
