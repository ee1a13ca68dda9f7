"""What no specification allows, and a service may send all the same: nothing breaks, and nothing is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_predictions.sandbox.server import Sandbox
from tests.contract.answers import Listing
from tests.given import HOOK, LAND, LIST, WAIT
from tests.wire import in_front

ID = {"vlmrun": b'"id"', "cradl": b'"predictionId"'}
DEEP = 500
MEGABYTES = 10 << 20

ODD: dict[str, bytes] = {
    "an unknown status": b'"status":"archived"',
    "extra keys": b'"new":{"x":[1,null]},"\xc3\xa9":2',
    "no status": b'"other":1',
    "wrong types": b'"status":{"a":1},"created_at":[],"createdTime":7,"domain":3,"modelId":[1],"usage":"x"',
    "nesting": b'"response":' + b'{"a":[' * (DEEP // 2) + b"]}" * (DEEP // 2),
    "ten megabytes": b'"response":"' + b"x" * MEGABYTES + b'"',
    "half a surrogate pair": rb'"response":"\ud800 \udc00\ud800"',
    "NUL": rb'"response":"a\u0000b"',
    "a key twice": b'"response":1,"response":2',
    "NaN and Infinity": b'"response":[NaN,Infinity,-Infinity]',
    "a number without end": b'"response":[1e400,' + b"7" * 5000 + b"]",
    "bytes that are no UTF-8": b'"response":"\xff\xfe"',
}


@pytest.fixture(params=ODD)
def listed(request: pytest.FixtureRequest, connections: Sandbox, service_name: str) -> Iterator[list[bytes]]:
    """An odd record between two good ones, behind the default connection."""
    id_ = ID[service_name]
    rows = [
        b'{%s:"a","status":"failed"}' % id_,
        b"{%s:%s,%s}" % (id_, b'"odd"', ODD[request.param]),
        b'{%s:"z","status":"failed"}' % id_,
    ]
    with in_front(connections, lambda app: Listing(service_name, rows, app)):
        yield rows


def test_a_hook_reads_it(listed: list[bytes], service_name: str) -> None:
    pages = HOOK[service_name]().iter_pages()

    assert [row.raw for page in pages for row in page.predictions] == listed


def test_an_event_loop_reads_it(listed: list[bytes], service_name: str) -> None:
    async def read() -> list[bytes]:
        return [row.raw async for page in HOOK[service_name]().aiter_pages() for row in page.predictions]

    assert asyncio.run(read()) == listed


def test_it_lands_byte_for_byte(listed: list[bytes], service_name: str, tmp_path: Path) -> None:
    operator = LAND[service_name](task_id="land", path=f"file://{tmp_path}/landed")

    manifest = operator.execute({})

    (part,) = manifest["parts"]
    assert Path(part["uri"].removeprefix("file://")).read_bytes() == b"".join(row + b"\n" for row in listed)
    assert manifest["count"] == 3
    assert manifest["rejected"] == 0


def test_it_is_listed_with_its_neighbours(listed: list[bytes], service_name: str) -> None:
    found: list[dict[str, Any]] = LIST[service_name](task_id="list", max_xcom_bytes=None).execute({})

    assert [next(iter(record.values())) for record in found] == ["a", "odd", "z"]


def test_a_sensor_names_its_neighbours(listed: list[bytes], service_name: str) -> None:
    sensor = WAIT[service_name](task_id="wait", fail_on=("failed",))

    with pytest.raises(Exception, match="2 of 3 predictions: a, z are failed"):
        sensor.execute({})
