"""Records that are nested as deeply as a page is split: nothing that reads one ends in a RecursionError.

A page may be split by a thread with a short stack, and what reads its records may stand on a long one.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from airflow_provider_predictions.api.errors import UnusableFileError
from airflow_provider_predictions.api.models import PageRequest, Prediction
from airflow_provider_predictions.hooks.cradl import CradlHook
from airflow_provider_predictions.hooks.vlmrun import VlmRunHook
from airflow_provider_predictions.operators.xcom import WRITTEN, stored
from airflow_provider_predictions.storage.formats import make_format
from tests.api.services import CRADL, VLMRUN

DEPTHS = (800, 900, 950)
FRAMES = 80
"""Of a task under Airflow."""
SHAPES = {
    "arrays": lambda depth: b"[" * depth + b"]" * depth,
    "objects": lambda depth: b'{"a":' * depth + b"1" + b"}" * depth,
}


@pytest.fixture(params=SHAPES)
def shape(request: pytest.FixtureRequest) -> Callable[[int], bytes]:
    found: Callable[[int], bytes] = SHAPES[request.param]
    return found


def below(frames: int, function: Callable[[], Any]) -> Any:
    """What a function returns at the end of a long stack."""
    return below(frames - 1, function) if frames else function()


def split(service: Any, record: bytes) -> Prediction:
    """A record as a thread reads it."""
    with ThreadPoolExecutor(1) as thread:
        row: Prediction = thread.submit(service.row, record).result()
    return row


@pytest.mark.parametrize("depth", DEPTHS)
def test_a_message_is_words_or_nothing(shape: Callable[[int], bytes], depth: int) -> None:
    inner = shape(depth)
    vlmrun = split(VLMRUN, b'{"id": "a", "status": "failed", "message": %s}' % inner)
    cradl = split(CRADL, b'{"predictionId": "a", "status": "failed", "errors": [%s]}' % inner)

    for service, row in ((VLMRUN, vlmrun), (CRADL, cradl)):
        assert len(below(FRAMES, lambda service=service, row=row: service.message(row))) <= 300


@pytest.mark.parametrize("depth", DEPTHS)
def test_a_file_is_asked_for_or_missing(shape: Callable[[int], bytes], depth: int) -> None:
    url = "https://files.test/a"
    record = b'{"predictionId": "a", "fileUrl": "%s", "postprocessConfig": %s}' % (url.encode(), shape(depth))
    row = split(CRADL, record)

    with ThreadPoolExecutor(1) as thread:
        assert thread.submit(CRADL.values_request, row).result() == PageRequest(url)
    with suppress(UnusableFileError):
        assert below(FRAMES, lambda: CRADL.values_request(row)) == PageRequest(url)


@pytest.mark.parametrize("depth", DEPTHS)
def test_a_model_keeps_it(shape: Callable[[int], bytes], depth: int) -> None:
    rows = [
        (VlmRunHook, split(VLMRUN, b'{"id": "a", "response": %s}' % shape(depth))),
        (CradlHook, split(CRADL, b'{"predictionId": "a", "metadata": {"a": %s}}' % shape(depth))),
    ]
    for hook, row in rows:
        assert hook.record(row).model_fields_set


@pytest.mark.parametrize("depth", DEPTHS)
def test_xcom_gets_it_as_text(shape: Callable[[int], bytes], depth: int) -> None:
    inner, changed = shape(depth), Counter[str]()
    record = stored(b'{"id": "a", "n": NaN, "response": %s}' % inner, changed)

    assert (record["id"], record["n"]) == ("a", None)
    assert json.dumps(record)
    assert changed[WRITTEN] == 1
    assert sum(changed.values()) == 2


@pytest.mark.parametrize("depth", DEPTHS)
def test_parquet_keeps_it(shape: Callable[[int], bytes], depth: int, tmp_path: Path) -> None:
    inner, lines = shape(depth), tmp_path / "lines"
    lines.write_bytes(b'{"id": "a", "response": %s}\n' % inner)
    form = make_format("parquet", None, VLMRUN)

    below(FRAMES, lambda: form.convert(lines, tmp_path / "part"))

    assert pq.read_table(tmp_path / "part")["response"].to_pylist() == [inner.decode()]
