"""Splitting a page into records takes a few times the page, whatever it holds."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import pytest

from airflow_provider_predictions.api.service import Service
from tests.api.services import SERVICES

MOST = 4.0
"""Times the size of the page, with the records that come out."""
SIZE = 500_000
"""Bytes of a page, about."""


VALUES: dict[str, Any] = {
    "a long string": "x" * 50_000,
    "escapes": '\n"\\' * 10_000,
    "another plane": "\U0001f600" * 10_000,
    "small numbers": [1] * 20_000,
    "deep": [[[[["x" * 100]]]]] * 200,
    "short strings": ["ab"] * 10_000,
    "objects": [{"a": None, "b": True}] * 1_000,
}


ODD: dict[str, bytes] = {
    "no number": b"NaN",
    "half a surrogate pair": b'"\\ud800"',
    "no UTF-8": b'"\xff"',
    "lines that end as on Windows": b"\r\n1",
}
"""What lets a page be split by a slower way, or be put on one line."""


def assert_small(service: Service[Any], record: bytes) -> None:
    """A page of such records is split."""
    count = max(1, SIZE // len(record))
    page = b"[" + b",\n".join([record] * count) + b"]"

    tracemalloc.start()
    try:
        rows = service.rows(page)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert len(rows) == count
    assert peak / len(page) < MOST


def record(kind: str, *, is_bare: bool = False) -> bytes:
    """One over several lines: it is made one line."""
    fields = {"id": "a", "predictionId": "a", "value": VALUES[kind]}
    return json.dumps(fields, indent=1, ensure_ascii=is_bare).encode()


@SERVICES
@pytest.mark.parametrize("kind", VALUES)
@pytest.mark.parametrize("is_bare", [False, True], ids=["UTF-8", "escaped"])
def test_a_page_takes_a_few_times_its_size(service: Service[Any], kind: str, is_bare: bool) -> None:
    assert_small(service, record(kind, is_bare=is_bare))


@SERVICES
@pytest.mark.parametrize("kind", ["a long string", "small numbers", "short strings"])
@pytest.mark.parametrize("odd", ODD)
def test_an_odd_page_takes_as_little(service: Service[Any], kind: str, odd: str) -> None:
    assert_small(service, record(kind)[:-1] + b',"odd":' + ODD[odd] + b"}")
