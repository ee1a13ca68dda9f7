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
SIZE = 2_000_000
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


@SERVICES
@pytest.mark.parametrize("kind", VALUES)
@pytest.mark.parametrize("is_bare", [False, True], ids=["UTF-8", "escaped"])
def test_a_page_takes_a_few_times_its_size(service: Service[Any], kind: str, is_bare: bool) -> None:
    record = {"id": "a", "predictionId": "a", "value": VALUES[kind]}
    one = json.dumps(record, indent=1, ensure_ascii=is_bare).encode()  # over lines: each is made one line
    count = max(1, SIZE // len(one))
    page = b"[" + b",\n".join([one] * count) + b"]"

    tracemalloc.start()
    try:
        rows = service.rows(page)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert len(rows) == count
    assert peak / len(page) < MOST
