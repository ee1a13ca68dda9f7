"""Which request fetches the values of a Cradl record, and which of its values messages hide."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_predictions.api.errors import (
    InvalidRequestError,
    MalformedAnswerError,
    NotFoundError,
    QuotaExceededError,
    UnusableFileError,
)
from airflow_provider_predictions.api.http.client import Client
from airflow_provider_predictions.api.http.files import MissingFiles, naming_prediction
from airflow_provider_predictions.api.limits import MAX_NAMED_HOSTS
from airflow_provider_predictions.api.models import GetRequest
from tests.api import services
from tests.conftest import make_service

CRADL = replace(services.CRADL, file_hosts=("files.test",))
OURS = "https://files.test/a?sig=s1&X=s%2F2"
THEIRS = "https://bucket.test/a?sig=s1"


def asked(**record: Any) -> GetRequest | None:
    return CRADL.values_request(CRADL.row(json.dumps({"predictionId": "p"} | record).encode()))


def test_values_in_the_record_or_nowhere_need_no_request() -> None:
    assert asked() is None
    assert asked(fileUrl="") is None
    assert asked(fileUrl=OURS, predictions=[]) is None
    assert asked(fileUrl=OURS, predictions=None) == GetRequest(OURS, {}, ("s1", "s/2"))


@pytest.mark.parametrize(
    ("url", "config", "params"),
    [
        (OURS, {"outputFormat": "v2"}, {"predictionsFormat": "v2"}),
        (OURS, {"outputFormat": 2}, {}),
        (OURS, {}, {}),
        (OURS, [], {}),
        (THEIRS, {"outputFormat": "v2"}, {}),
        (THEIRS, None, {}),
    ],
)
def test_the_format_is_asked_for_where_it_is_known_and_the_host_is_ours(url, config, params) -> None:
    request = asked(fileUrl=url, postprocessConfig=config)

    assert (request.path, request.params) == (url, params)
    assert request.hidden[0] == "s1"


@pytest.mark.parametrize(
    ("url", "target"),
    [
        (OURS, b"/a?sig=s1&X=s%2F2&predictionsFormat=v2"),
        (f"{OURS}#page", b"/a?sig=s1&X=s%2F2&predictionsFormat=v2"),
        ("https://files.test/a", b"/a?predictionsFormat=v2"),
        ("https://files.test/a?", b"/a?predictionsFormat=v2"),
    ],
)
def test_the_format_is_added_to_the_query_of_a_file(url: str, target: bytes) -> None:
    request = asked(fileUrl=url, postprocessConfig={"outputFormat": "v2"})

    with Client(CRADL) as client:
        assert client.build(client.call(request, renewed=False)).url.raw_path == target


@pytest.mark.parametrize(
    "url",
    [
        "predictions",
        "https://",
        "https://[",
        "https://a:port/",
        "https://a:0/",
        "//a/b",
        "https://a..b/x",
        "https://xn--/x",
        f"https://{'a' * 64}.example/x",
        "https://.example/x",
        f"https://{'a.' * 127}example/x",
        f"https://{'ä.' * 63}example/x",
        "https://300.1.1.1/x",
        "https://files.1.2.3.999/x",
        "https://files.example.0x/x",
        " https://files.test/x",
        "https://%66iles.test/x",
        "https://files!.test/x",
    ],
)
def test_what_is_no_whole_url_is_not_opened(url: str) -> None:
    with pytest.raises(InvalidRequestError, match="names a fileUrl that is not a URL; it was not opened"):
        asked(fileUrl=url)


def test_values_take_their_place_and_every_other_member_keeps_its_bytes() -> None:
    row = CRADL.row(b'{"predictionId":"p", "x": 1.50,"predictions":null}')

    found = CRADL.with_values(row, b'\xef\xbb\xbf [\n{"label": "a"}]\n')

    assert found.raw == b'{"predictionId":"p","x":1.50,"predictions":[{"label":"a"}]}'
    assert found.id == "p"
    with pytest.raises(MalformedAnswerError, match=r"It looks like a web page, such as that of a login$"):
        CRADL.with_values(row, b" <html>")
    with pytest.raises(MalformedAnswerError) as raised:
        CRADL.with_values(row, b"\xef\xbb\xbf<html>")
    assert raised.value.is_web_page
    with pytest.raises(
        MalformedAnswerError, match=r"^The server sent 1 bytes that are not the JSON of values"
    ):
        CRADL.with_values(row, b"x")


def test_only_a_429_that_speaks_of_a_limit_exceeded_is_a_quota() -> None:
    assert CRADL.refusal(429, "Limit Exceeded for the month") is QuotaExceededError
    assert CRADL.refusal(429, "Too Many Requests") is None
    assert CRADL.refusal(403, "Limit Exceeded") is None


def test_a_path_that_api_gateway_does_not_know_is_not_about_the_credentials(sandbox, shell) -> None:
    service = make_service(sandbox, "cradl", base_url=f"{sandbox.url}/cradl/v2")

    with pytest.raises(NotFoundError, match=r"Token\. Check Base URL \(host\) of the connection$"):
        shell.all(service)


@pytest.mark.parametrize("body", [b"null", b"3", b'"a"', b"true"])
def test_values_are_an_array_or_an_object(body: bytes) -> None:
    row = CRADL.row(b'{"predictionId":"p","predictions":null}')

    assert b'"predictions":{"a":1}' in CRADL.with_values(row, b'{"a":1}').raw
    with pytest.raises(MalformedAnswerError, match="instead of values"):
        CRADL.with_values(row, body)


def test_a_prediction_that_has_succeeded_is_to_have_values() -> None:
    for record in ({"status": "succeeded"}, {"inferenceTime": 1}):
        with pytest.raises(UnusableFileError, match="Cradl names no fileUrl, though the prediction has succ"):
            asked(**record)
    assert asked(status="succeeded", predictions=[]) is None
    assert asked(status="failed") is asked(status="pending") is None


@pytest.mark.parametrize(
    ("body", "token", "count"),
    [
        (b'{"predictions": [{}, {}], "nextToken": "t"}', "t", 2),
        (b'{"predictions": [], "nextToken": null}', None, 0),
        (b'{"predictions": [1], "nextToken": ""}', None, 1),
        (b'{"predictions": []}', None, 0),
    ],
)
def test_a_page_holds_rows_and_perhaps_a_token(body: bytes, token: str | None, count: int) -> None:
    rows, found = CRADL.page(body)

    assert (len(rows), found) == (count, token)
    assert CRADL.page(body)[0] == rows


def test_of_many_hosts_that_send_web_pages_a_few_are_named() -> None:
    lacking, reasons = MissingFiles(), Counter[str]()
    for n in range(2 * MAX_NAMED_HOSTS):
        row, request = CRADL.row(b'{"predictionId": "p"}'), GetRequest(f"https://files-{n}.test/a")
        with pytest.raises(MalformedAnswerError) as raised, naming_prediction(row, request):
            CRADL.with_values(row, b"<html>")
        reasons[lacking.record(row, raised.value).lacks_values] += 1

    assert reasons["files-0.test sent a web page instead of the file"] == 1
    assert reasons["another host sent a web page instead of the file"] == MAX_NAMED_HOSTS
    assert len(reasons) == MAX_NAMED_HOSTS + 1


def test_a_host_that_a_name_server_may_know_is_asked() -> None:
    for host in (
        "files.example.",
        "3files.example",
        "a_b.example",
        "files.1a",
        "127.1",
        "0x7f.1",
        "bücher.example",
        "[::ffff:10.0.0.1]",
        "10.0.0.1.",
    ):
        assert asked(fileUrl=f"https://{host}/x") is not None


@pytest.mark.parametrize("token", ["a" * 100_000, "€" * 10_000, "\ud83d"])
def test_a_token_that_no_url_can_hold_is_not_about_a_file(token: str) -> None:
    page = json.dumps({"predictions": [], "nextToken": token}).encode()

    with pytest.raises(MalformedAnswerError, match="nextToken that no URL can hold"):
        CRADL.page(page)


def test_the_longest_token_of_the_specification_is_taken() -> None:
    token = "/" * 4096

    assert CRADL.page(json.dumps({"predictions": [], "nextToken": token}).encode()) == ([], token)


@pytest.mark.parametrize("body", [b'{"nextToken": "t"}', b'{"predictions": [], "nextToken": 7}', b"[]", b"{"])
def test_another_shape_is_no_page(body: bytes) -> None:
    with pytest.raises(MalformedAnswerError, match=f"Cradl sent {len(body)} bytes that are not the JSON"):
        CRADL.page(body)
