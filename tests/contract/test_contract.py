"""Whatever the specifications allow is read: no crash, no record lost, no byte altered."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from airflow_provider_predictions.api.models import GetRequest
from airflow_provider_predictions.sandbox.server import Sandbox
from tests.conftest import SERVICES, Shell, make_service
from tests.contract.answers import SCHEMAS, Listing, answers_of
from tests.given import HOOK, LAND, LIST, WAIT
from tests.wire import in_front

WAITING = {"pending", "enqueued", "running", "paused"}
PAGE = 2
"""Rows a request, so that there are about as many answers as were made."""


FEW, MANY = 30, int(os.environ.get("ANSWERS", "1000"))
"""Answers of a service; ``ANSWERS=2000 pytest -m slow tests/contract`` takes longer."""


@pytest.fixture(scope="module", params=[FEW, pytest.param(MANY, marks=pytest.mark.slow)])
def made(request: pytest.FixtureRequest) -> dict[str, list[list[dict[str, Any]]]]:
    """The records of many answers of each service."""
    return {service: answers_of(service, request.param) for service in SERVICES}


@pytest.fixture
def rows(made: dict[str, Any], service_name: str) -> list[bytes]:
    """The records with ids that differ, as they are sent: each second one without escapes."""
    id_ = "id" if service_name == "vlmrun" else "predictionId"
    records = [record for answer in made[service_name] for record in answer]
    records = [record | ({id_: f"{n:032x}"} if record.get(id_) else {}) for n, record in enumerate(records)]
    return [json.dumps(record, ensure_ascii=bool(n % 2)).encode() for n, record in enumerate(records)]


@pytest.fixture
def listed(connections: Sandbox, service_name: str, rows: list[bytes]) -> Iterator[list[bytes]]:
    """The records behind the default connection; each once, as a list never shows one twice."""
    once = list(dict.fromkeys(rows))
    with in_front(connections, lambda app: Listing(service_name, once, app)):
        yield once


def test_there_are_as_many_answers_as_promised(made: dict[str, Any], service_name: str, request) -> None:
    count = request.node.callspec.params["made"]

    assert len(made[service_name]) == count
    assert sum(map(len, made[service_name])) > count / 2


def test_each_record_comes_out_of_its_answer_byte_for_byte(
    sandbox: Sandbox, service_name: str, rows: list[bytes]
) -> None:
    service = make_service(sandbox, service_name)
    array = b"[%s]" % b",".join(rows)

    if service_name == "vlmrun":
        found = service.split(array)
    else:
        found, _ = service.page(b'{"nextToken":null,"predictions":%s}' % array)

    assert [row.raw for row in found] == rows
    assert not [row.fault for row in found if row.fault]


def test_each_record_is_a_model_that_keeps_what_it_does_not_know(
    service_name: str, rows: list[bytes]
) -> None:
    record = HOOK[service_name].service_class.record

    for row in rows:
        names = record.model_validate_json(row).model_dump(by_alias=True)
        assert json.loads(row).keys() <= names.keys()


def test_a_hook_reads_them_all(listed: list[bytes], service_name: str) -> None:
    pages = HOOK[service_name]().iter_pages(page_size=PAGE)

    assert [row.raw for page in pages for row in page.predictions] == listed


def test_an_event_loop_reads_them_all(listed: list[bytes], service_name: str) -> None:
    async def read() -> list[bytes]:
        pages = HOOK[service_name]().aiter_pages(page_size=PAGE)
        return [row.raw async for page in pages for row in page.predictions]

    assert asyncio.run(read()) == listed


def test_they_land_byte_for_byte(listed: list[bytes], service_name: str, tmp_path: Path) -> None:
    operator = LAND[service_name](task_id="land", path=f"file://{tmp_path}/landed", page_size=PAGE)

    manifest = operator.execute({})

    assert manifest["rejected"] == 0
    landed = b"".join(Path(part["uri"].removeprefix("file://")).read_bytes() for part in manifest["parts"])
    assert landed.splitlines() == listed


def test_they_are_listed_as_sent(listed: list[bytes], service_name: str) -> None:
    operator = LIST[service_name](task_id="list", page_size=PAGE, max_xcom_bytes=None)

    found = operator.execute({})

    sent = [json.loads(row) for row in listed]
    held = [n for n, record in enumerate(sent) if xcom_holds(record)]
    assert len(held) > len(listed) / 2
    assert [found[n] for n in held] == [sent[n] for n in held]


def xcom_holds(value: Any) -> bool:
    """Whether a list pushes a value as it is: see operators.xcom."""
    if isinstance(value, dict):
        of_airflow = value.keys() & {"__classname__", "__id__", "__type", "__var"}
        return not of_airflow and all(map(xcom_holds, [*value, *value.values()]))
    if isinstance(value, list):
        return all(map(xcom_holds, value))
    return "\0" not in value if isinstance(value, str) else not isinstance(value, int) or abs(value) < 2**63


def test_a_sensor_waits_for_those_that_are_not_finished(listed: list[bytes], service_name: str) -> None:
    statuses = {json.loads(row).get("status", "pending") for row in listed}
    sensor = WAIT[service_name](task_id="wait", fail_on=(), page_size=PAGE)

    assert statuses & WAITING
    assert not sensor.poke({})


def test_the_sandbox_answers_as_the_specification_says(
    shell: Shell, sandbox: Sandbox, service_name: str
) -> None:
    record_store = getattr(sandbox, service_name)
    record_store.fill(200, moving=20)
    request = GetRequest(
        "predictions", {"limit": 1000} if service_name == "vlmrun" else {"maxResults": "100"}
    )

    answer = shell.get(make_service(sandbox, service_name), request)

    jsonschema.validate(json.loads(answer), SCHEMAS[service_name])
