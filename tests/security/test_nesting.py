"""Records that are nested deeply: nothing that reads one ends in a RecursionError.

A page may be split by a thread with a short stack, and what reads its records may stand on a long one. No
parser goes as deep as the last of the depths.
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
from airflow_provider_predictions.api.models import GetRequest, Prediction
from airflow_provider_predictions.hooks.cradl import CradlHook
from airflow_provider_predictions.hooks.vlmrun import VlmRunHook
from airflow_provider_predictions.operators.xcom import WRITTEN, stored
from airflow_provider_predictions.storage.formats.factory import make_format
from tests.api.services import CRADL, VLMRUN

DEPTHS = (800, 900, 950, 10_000)
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
        assert thread.submit(CRADL.values_request, row).result() == GetRequest(url)
    with suppress(UnusableFileError):
        assert below(FRAMES, lambda: CRADL.values_request(row)) == GetRequest(url)


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


@pytest.mark.parametrize("depth", DEPTHS)
def test_values_hold_it_as_text_and_name_the_prediction(
    shape: Callable[[int], bytes], depth: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lines = tmp_path / "lines"
    fine = b'{"id": "fine", "response": {"total": 1}}\n'
    lines.write_bytes(b'%s{"id": "deep", "response": %s}\n%s' % (fine, shape(depth), fine))
    form = make_format("parquet", None, VLMRUN, "values")

    below(FRAMES, lambda: form.convert(lines, tmp_path / "part"))

    rows = pq.read_table(tmp_path / "part").to_pylist()
    assert [row["prediction_id"] for row in rows] == ["fine", "deep", "fine"]
    assert rows[1]["value"].encode() in shape(depth)
    assert "'deep'" in caplog.text


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("where", ["response", "id", "created_at", "completed_at", "domain", "status"])
def test_a_page_is_split_around_it(
    shape: Callable[[int], bytes], depth: int, where: str, tmp_path: Path
) -> None:
    fine, deep = b'{"id": "fine"}', b'{"%s": %s, "x": "]}\\"", "y": 1}' % (where.encode(), shape(depth))

    rows = VLMRUN.rows(b"[%s, %s, %s, %s]" % (fine, deep, shape(depth), fine))

    fine_row = VLMRUN.row(fine)
    assert [row.raw for row in rows] == [fine, deep, shape(depth), fine]
    assert (rows[0], rows[3]) == (fine_row, fine_row)
    assert [bool(row.fault) for row in rows] == [False, False, shape(depth)[:1] == b"[", False]
    (tmp_path / "lines").write_bytes(deep + b"\n")
    for kind in ("records", "values"):
        form = make_format("parquet", None, VLMRUN, kind)
        assert form.convert(tmp_path / "lines", tmp_path / "part").exists()
    assert VlmRunHook.record(rows[1]).model_fields_set


@pytest.mark.parametrize("end", [b"]" * 9_999, b"]" * 9_999 + b"}", b""])
def test_brackets_that_do_not_match_are_refused(end: bytes) -> None:
    with pytest.raises(ValueError, match="brackets do not match"):
        VLMRUN.rows(b'[{"response": ' + b"[" * 10_000 + end + b"}]")
