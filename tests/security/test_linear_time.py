"""The time that a text from outside takes grows with its length and no faster, whatever its shape.

Each function gets a text of a hostile shape and a plain one of the same length. No second is counted: the
bound is a ratio of what the same function takes for the plain one, and of splitting and writing that.
Of ten megabytes, a function gets those shapes that took it longest at one.
"""

from __future__ import annotations

import base64
import gzip
import json
import logging
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

import httpx
import pytest

from airflow_provider_predictions.api import clock, filters, json_slices, models, urls
from airflow_provider_predictions.api.cradl import CradlFilters, CradlPrediction
from airflow_provider_predictions.api.errors import NoAnswerError, PredictionsError, RedirectError, message_in
from airflow_provider_predictions.api.http import files, redaction, retry, token_endpoint
from airflow_provider_predictions.api.http.auth import BearerAuth
from airflow_provider_predictions.api.http.body import Body
from airflow_provider_predictions.api.http.client import Client
from airflow_provider_predictions.api.http.rate_limit import RateLimiter
from airflow_provider_predictions.api.http.redaction import without, without_values
from airflow_provider_predictions.api.models import GetRequest, Prediction
from airflow_provider_predictions.api.state import decode
from airflow_provider_predictions.api.vlmrun import VlmRunPrediction
from airflow_provider_predictions.api.waiting.decide import Wait
from airflow_provider_predictions.operators import arguments, xcom
from airflow_provider_predictions.operators.outlets import identity
from airflow_provider_predictions.report import words
from airflow_provider_predictions.storage import attempt, errors, landings, manifest, objects
from airflow_provider_predictions.storage.checkpoint import Progress
from airflow_provider_predictions.storage.formats import parquet
from airflow_provider_predictions.storage.log import Entry
from airflow_provider_predictions.storage.state import Index, State
from tests.api.services import CRADL, VLMRUN

MEGABYTE = 1_000_000
RATIO = 50
"""How many times what a plain text takes; more than any shape should need, and far less than a square."""
SMALL = 30_000
"""A text of so many characters comes first, so that a failure takes seconds instead of hours."""
SLOWEST = 1
"""So many shapes are tried at ten megabytes, each of which takes seconds."""
SECRET = "the secret of the tests"
PLAIN = "words and more of them, "

SHAPES = {
    "quotes": '"',
    "backslashes": "\\",
    "escaped quotes": '\\"',
    "spaces": " ",
    "line ends": "\r\n",
    "tabs and words": "\t a",
    "open brackets": "[",
    "open braces": '{"":',
    "empty objects": "{},",
    "closed brackets": "[]",
    "base64": base64.b64encode(f"before {SECRET} behind".encode()).decode(),
    "keys": "key=",
    "query": "?key=valuable&",
    "one word": "a",
    "digits": "9",
    "zeros of a fraction": ".0000000",
    "zeros": "0",
    "commas": ",",
    "colons": ":",
    "dots": "../",
    "slashes": "/",
    "percent": "%",
    "angles": "<",
    "ends of schemes": "://",
    "users of URLs": "://@",
    "stars": "*",
    "minus": "-",
    "characters of other planes": "\U0001f600",
    "accents on accents": "\u0315\u0300\u05ae",
    "half a pair": "\ud83d",
    "nothing": "\x00",
}


def as_json(value: object) -> bytes:
    return json.dumps(value).encode()


def as_bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def record(text: str) -> bytes:
    return b'{"id": "a", "status": "failed", "created_at": %s, "message": %s}' % (
        as_json(text),
        as_json(text),
    )


def prediction(text: str) -> Prediction:
    return Prediction("a", "succeeded", None, None, b'{"predictionId": "a", "fileUrl": %s}' % as_json(text))


def answered(body: str, **headers: str) -> None:
    """An error of a service, as the client reads it."""
    request = (
        GetRequest("https://files.test/a", hidden=("valuable",)) if "location" in headers else GetRequest("a")
    )
    with Client(VLMRUN) as client:
        response = httpx.Response(
            302 if headers else 400, headers=[(k, as_bytes(v)) for k, v in headers.items()]
        )
        call = client.call(request, renewed=False)
        call.token = SECRET
        client._error(call, response, as_bytes(body))


def unpacked(packed: bytes) -> None:
    body = Body("VLM Run", "gzip", 1 << 30)
    for at in range(0, len(packed), 1 << 20):
        body.add(packed[at : at + (1 << 20)])
    body.content()


def logged(text: str) -> None:
    redaction._without_query(logging.LogRecord("httpx", logging.INFO, "", 0, "GET %s", (text,), None))


def stored(kind: type[Any]) -> Callable[[str], object]:
    return lambda text: decode(as_bytes(text), kind)


def manifest_of(text: str) -> object:
    content: Any = {"path": text, "parts": [], "rejected_uri": text}
    return manifest.moved(content, PurePosixPath("/landed"))  # type: ignore[arg-type]


WORK: dict[str, Callable[[str], object]] = {
    "message_in": lambda text: message_in(as_bytes(text)),
    "message_in of a message": lambda text: message_in(b'{"detail": %s}' % as_json(text)),
    "message_in of many": lambda text: message_in(
        b'{"detail": [{"loc": %s, "msg": %s}]}' % ((as_json(text),) * 2)
    ),
    "an error of the client": answered,
    "an error of the client, its message": lambda text: answered(json.dumps({"detail": text})),
    "Retry-After": lambda text: answered("{}", **{"retry-after": text, "date": text}),
    "Location": lambda text: answered("{}", location=text),
    "retry_after": lambda text: retry.retry_after({"Retry-After": text, "Date": text}),
    "retry_after by a date": lambda text: retry.retry_after(
        {"Retry-After": "Fri, 27 Nov 2026 20:00:00 GMT", "Date": text}
    ),
    "http_date": retry.http_date,
    "ServiceClock.note_date": lambda text: clock.ServiceClock().note_date(text),
    "Content-Encoding": lambda text: Body("VLM Run", text, 1),
    "a body that is not gzip": lambda text: unpacked(as_bytes(text)),
    "a gzip body": lambda text: unpacked(gzip.compress(as_bytes(text), 1)),
    "without": lambda text: without(text, SECRET),
    "without a long secret": lambda text: without(PLAIN * 10, text),
    "without_values": lambda text: without_values(PLAIN * 10, text),
    "the log of a URL": logged,
    "expires_in": token_endpoint._lifetime,
    "file_request": lambda text: files.file_request("Cradl", f"https://files.test/{text}"),
    "file_request of a host": lambda text: files.file_request("Cradl", f"https://{text}"),
    "file_request of words": lambda text: files.file_request("Cradl", text),
    "redirected": lambda text: files.redirected(
        "Cradl", GetRequest("https://files.test/a"), RedirectError("", location=text)
    ),
    "naming": lambda text: _named(text),
    "one": VLMRUN.one,
    "url": lambda text: VLMRUN.url(files.file_request("VLM Run", f"https://{text}", anonymous=True)),
    "trusts": lambda text: VLMRUN.trusts(f"https://{text}"),
    "checked_url": urls.checked_url,
    "checked_url of a host": lambda text: urls.checked_url(f"https://{text}"),
    "words": filters.words,
    "filters": lambda text: CradlFilters(statuses=text, created_after=text, model_id=text),  # type: ignore[arg-type]
    "checked filters": lambda text: filters.checked(CradlFilters, {"page_size": text}),
    "Wait": lambda text: filters.checked(Wait, {"prediction_ids": text, "fail_on": text}),
    "as_time": models.as_time,
    "id_by_content": lambda text: models.id_by_content(as_bytes(text)),
    "elements": lambda text: json_slices.elements(as_bytes(text)),
    "elements in an array": lambda text: json_slices.elements(b"[%s, NaN]" % as_json(text)),
    "members": lambda text: json_slices.members(as_bytes(text)),
    "members of an object": lambda text: json_slices.members(b'{"a": %s, "b": NaN}' % as_json(text)),
    "whole": lambda text: json_slices.whole(as_bytes(text)),
    "value": lambda text: json_slices.value(as_bytes(text)),
    "one_line": lambda text: json_slices.one_line(b"\n" + as_bytes(text)),
    "one_line of a string": lambda text: json_slices.one_line(b'{"a":\n %s}' % as_json(text)),
    "rows of VLM Run": lambda text: VLMRUN.split(as_bytes(text)),
    "a row of VLM Run": lambda text: VLMRUN.split(b"[%s]" % record(text)),
    "a record of VLM Run": lambda text: VLMRUN.read_one(record(text), "b"),
    "the message of a record": lambda text: VLMRUN.message(Prediction("a", "", None, None, record(text))),
    "rows of Cradl": lambda text: CRADL.page(as_bytes(text)),
    "a token of Cradl": lambda text: CRADL.page(b'{"predictions": [], "nextToken": %s}' % as_json(text)),
    "refusal": lambda text: CRADL.refusal(429, text),
    "values_request": lambda text: CRADL.values_request(prediction(text)),
    "with_values": lambda text: CRADL.with_values(prediction("a"), as_bytes(text)),
    "the model of VLM Run": lambda text: VlmRunPrediction.model_validate(
        dict.fromkeys(["id", "status", "created_at", "usage", "domain"], text)
    ),
    "the model of Cradl": lambda text: CradlPrediction.model_validate(
        dict.fromkeys(["status", "createdTime", "inferenceTime", "nextPage", "predictions"], text)
    ),
    "XCom": lambda text: xcom.xcom_value({"a": [text]}, Counter()),
    "the identity of a path": lambda text: identity(f"s3://bucket/{text}"),
    "the words of a storage": lambda text: errors._words(OSError(text)),
    "the name of a part": manifest.name_of,
    "a manifest": manifest_of,
    "an object of an attempt": attempt._OWN.fullmatch,
    "a tagged object": attempt._TAGGED.fullmatch,
    "a pattern in a path": objects._MAGIC.search,
    "a finer time": lambda text: parquet._FINER.search(as_bytes(text)),
    "an entry below a source": landings._ENTRY.fullmatch,
    "a manifest below a source": landings._MANIFEST.fullmatch,
    "what a source consists of": arguments._checked_source,
    "a text of the report": words.without_controls,
    "a state": stored(State),
    "an entry of the log": stored(Entry),
    "an index": stored(Index),
    "a checkpoint": stored(Progress),
}


def _named(text: str) -> None:
    with files.naming_prediction(Prediction(text, "", None, None, b""), GetRequest("https://files.test/a")):
        raise NoAnswerError("timed out")


def yardstick(text: str) -> object:
    return text.split(), json.dumps(text), text.encode()


def seconds(work: Callable[[str], object], text: str) -> float:
    """Of this thread on the processor."""
    start = time.thread_time()
    with suppress(PredictionsError, ValueError, RecursionError):
        work(text)
    return time.thread_time() - start


def of_length(unit: str, size: int) -> str:
    return (unit * (size // len(unit) + 1))[:size]


def bound(work: Callable[[str], object], size: int) -> float:
    """What any shape may take; the text of a list is plain, too, for what reads one."""
    plain, listed = of_length(PLAIN, size), "[" + of_length("'a', ", size - size % 5) + "]"
    return RATIO * (max(seconds(work, plain), seconds(work, listed)) + seconds(yardstick, plain))


@pytest.mark.parametrize("name", WORK)
def test_a_long_text_of_any_shape_takes_as_long_as_a_plain_one(name: str) -> None:
    assert slow_shapes(WORK[name], SMALL, MEGABYTE // 10) == {}


@pytest.mark.slow
@pytest.mark.parametrize("name", WORK)
def test_ten_megabytes_of_any_shape_take_as_long_as_plain_ones(name: str) -> None:
    assert slow_shapes(WORK[name], SMALL, MEGABYTE, 10 * MEGABYTE) == {}


def slow_shapes(work: Callable[[str], object], *sizes: int) -> dict[str, str]:
    """The shapes that take too long, and how long."""
    shapes: list[str] = [*SHAPES]
    for size in sizes:
        if size > MEGABYTE:
            shapes = shapes[:SLOWEST]
        most, took = bound(work, size), {}
        for shape in shapes:
            text = of_length(SHAPES[shape], size)
            took[shape] = seconds(work, text)
            if took[shape] > most:  # it may have been late on a busy machine
                took[shape] = min(took[shape], seconds(work, text))
        if slow := {shape: taken for shape, taken in took.items() if taken > most}:
            return {
                shape: f"{size} characters take {taken / most * RATIO:.0f} times as long"
                for shape, taken in slow.items()
            }
        shapes.sort(key=took.__getitem__, reverse=True)
    return {}


def test_a_gzip_body_of_many_members_takes_as_long_in_one_piece_as_in_many() -> None:
    """Behind each member, all that follows was copied."""
    packed = gzip.compress(b"") * (MEGABYTE // 20)

    def unpack(step: int) -> float:
        body = Body("VLM Run", "gzip", 1)
        start = time.thread_time()
        for at in range(0, len(packed), step):
            body.add(packed[at : at + step])
        return time.thread_time() - start

    assert unpack(len(packed)) < 5 * unpack(1 << 12)


@pytest.mark.parametrize("secret", ["hushhush", "key/with+signs=", "\u00fcber"])
def test_of_a_message_that_is_cut_no_half_of_a_secret_is_shown(secret: str) -> None:
    """Where the others shrink to asterisks, the end of what was searched is among what is shown."""
    service = replace(VLMRUN, auth=BearerAuth(secret))
    for shift in range(len(secret)):
        said = "x" * shift + secret * 10_000
        with Client(service) as client:
            call = client.call(GetRequest("a"), renewed=False)
            call.token = secret
            error = client._error(call, httpx.Response(400), as_json({"detail": said}))
        assert secret[:3] not in str(error)


@pytest.mark.parametrize("clock_of_refusal", [0.5, 2.0, 90.0, 1e6])
def test_a_clock_before_the_last_refusal_breaks_no_turn(clock_of_refusal: float) -> None:
    """A thread reads the clock, and another one is refused before it takes its turn."""
    rate_limiter = RateLimiter(window=1)
    rate_limiter.reserve(clock_of_refusal)
    rate_limiter.refused(rate_limiter.reserve(clock_of_refusal), clock_of_refusal, None)

    assert rate_limiter.reserve(0.0).time >= 0
