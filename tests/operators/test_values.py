"""Values that lie in files beside the list: what lands where one does not come, and when the task fails."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_predictions.api.errors import ConfigurationError, PredictionsError
from airflow_provider_predictions.operators.cradl import CradlPredictionsToObjectStorageOperator
from airflow_provider_predictions.sandbox.data import Record
from airflow_provider_predictions.sandbox.server import Sandbox
from tests.faults import Fault, FaultySandbox
from tests.given import LAND, connect, context_of
from tests.instant import Waits, instant
from tests.wire import in_front

GONE = b'{"message": "Not found"}'
WAITS = Waits()
"""One for all, since the budget of a connection outlives its client."""


@pytest.fixture
def rows(connections: Sandbox) -> list[Record]:
    """Six predictions that have succeeded."""
    start = datetime.now(UTC) - timedelta(days=1)
    return [succeeded(connections, start + timedelta(minutes=n)) for n in range(6)]


def succeeded(sandbox: Sandbox, created: datetime) -> Record:
    row = sandbox.cradl.add(created=created)
    row.outcome = "succeeded"
    return row


def land(path: Path, context: dict[str, Any] | None = None, **arguments: Any) -> dict[str, Any]:
    operator = instant(LAND["cradl"], WAITS)
    given = {"fetch_values": True} | arguments
    return dict(operator(task_id="land", path=f"file://{path}", **given).execute(context or context_of()))


def refused(sandbox: Sandbox, row: Record, status: int, body: bytes = GONE, **fault: Any) -> None:
    """Let the file of a prediction be answered so, always."""
    sandbox.wire.order(
        Fault("files", status=status, body=body, times=1_000, path=row.id, **fault),
    )


def landed(manifest: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for part in manifest["parts"]:
        yield from map(json.loads, Path(part["url"]).read_text().splitlines())


def lacking(manifest: dict[str, Any]) -> list[str]:
    return [record["predictionId"] for record in landed(manifest) if record["predictions"] is None]


@pytest.mark.parametrize("status", [403, 404, 410, 400])
@pytest.mark.parametrize("prefetch", [1, 4])
@pytest.mark.parametrize("incremental", [False, True])
def test_a_record_whose_file_is_gone_lands_without_values_and_once(
    connections: Sandbox, rows: list[Record], tmp_path: Path, status: int, prefetch: int, incremental: bool
) -> None:
    refused(connections, rows[2], status)

    manifest = land(tmp_path, prefetch=prefetch, incremental=incremental)
    again = land(tmp_path, context_of("next"), incremental=True) if incremental else None

    assert manifest["count"] == 6
    assert lacking(manifest) == [rows[2].id] == manifest["values_missing_ids"]
    assert manifest["values_missing"] == 1
    assert manifest["values_missing_reasons"] == {f"the file was answered with {status}": 1}
    assert again is None or again["count"] == 0
    assert connections.wire.requests("token") == 1


def test_a_failure_of_the_token_endpoint_costs_no_record_its_values(
    connections: FaultySandbox, rows: list[Record], tmp_path: Path
) -> None:
    connections.wire.order(Fault("files", status=401, body=GONE, times=1_000))
    connections.wire.order(Fault("token", after=1, status=404, body=b"{}", times=1_000))

    with pytest.raises(AirflowFailException, match="token endpoint"):
        land(tmp_path)

    assert not list(tmp_path.rglob("_manifest.json"))


def test_a_message_names_the_prediction_and_the_host_of_the_file_and_not_the_client_id(
    connections: Sandbox,
    rows: list[Record],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    refused(connections, rows[2], 403)

    land(tmp_path)

    # Before Airflow 3.3, what the task itself logs is here, too: how many are missing, and an example.
    texts = [record.getMessage() for record in caplog.records if record.name.startswith("airflow_provider")]
    (told,) = [text for text in texts if "403" in text and "localhost" in text]
    assert rows[2].id in told
    assert "client id" not in caplog.text
    assert "1 of 6 records landed without their values" in capsys.readouterr().out


def test_more_missing_values_than_allowed_fail_the_task_once_all_has_landed(
    connections: Sandbox, rows: list[Record], tmp_path: Path
) -> None:
    for row in rows[:2]:
        refused(connections, row, 404)

    with pytest.raises(AirflowFailException, match=r"^max_values_missing: 2 of 6 records .* 404"):
        land(tmp_path, max_values_missing=1, incremental=True)
    requests = connections.wire.requests("files")
    with pytest.raises(AirflowFailException, match=r"^max_values_missing: 2 of 6 records"):
        land(tmp_path, context_of(attempt=2), max_values_missing=1, incremental=True)

    assert connections.wire.requests("files") == requests
    (manifest,) = (json.loads(file.read_text()) for file in tmp_path.glob("0*/*/_manifest.json"))
    assert (manifest["count"], manifest["values_missing"]) == (6, 2)
    assert land(tmp_path, context_of("next"), max_values_missing=1, incremental=True)["count"] == 0


def test_as_many_missing_values_as_allowed_fail_nothing(
    connections: Sandbox, rows: list[Record], tmp_path: Path
) -> None:
    refused(connections, rows[0], 404)

    assert land(tmp_path, max_values_missing=1)["values_missing"] == 1


def test_up_to_ten_ids_are_named(connections: Sandbox, rows: list[Record], tmp_path: Path) -> None:
    start = datetime.now(UTC) - timedelta(hours=1)
    more = [succeeded(connections, start + timedelta(seconds=n)) for n in range(7)]
    for row in (*rows, *more):
        refused(connections, row, 404)

    manifest = land(tmp_path)

    assert manifest["values_missing"] == 13
    assert manifest["values_missing_ids"] == [row.id for row in connections.cradl.rows[:10]]


def test_a_retry_keeps_count_of_what_an_interrupted_attempt_has_missed(
    connections: Sandbox, rows: list[Record], tmp_path: Path
) -> None:
    refused(connections, rows[-1], 404)
    # All but the first page fail, whatever is tried.
    connections.wire.order(Fault("cradl", status=503, body=b"{}", after=1, times=5))
    with pytest.raises(PredictionsError):
        land(tmp_path, page_size=2)

    manifest = land(tmp_path, context_of(attempt=2), page_size=2)

    assert (manifest["count"], manifest["values_missing"]) == (6, 1)
    assert manifest["values_missing_ids"] == [rows[-1].id]
    assert len([seen for seen in connections.wire.seen if seen.path.endswith(rows[-1].id)]) == 1


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"not json", "the file is not the JSON of values"),
        (b"null", "the file is not the JSON of values"),
        (b"3", "the file is not the JSON of values"),
        (b'"text"', "the file is not the JSON of values"),
        (b"[1", "the file is not the JSON of values"),
        (b"", "the file is not the JSON of values"),
        (b'[{"confidence": NaN}]', "the file is not the JSON of values"),
        (b'[{"confidence": -Infinity}]', "the file is not the JSON of values"),
        (b'[{"label": "caf\xe9"}]', "the file is not the JSON of values"),
        (b'[{"label": "a\nb"}]', "the file is not the JSON of values"),
        (b" <!doctype html><title>Sign in</title>", "localhost sent a web page instead of the file"),
        (b"[" + b"1," * 2000 + b"1]", "the file is larger than max_response_bytes"),
    ],
    ids=str,
)
def test_a_file_without_values_is_missing_for_its_reason(
    connections: Sandbox,
    rows: list[Record],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    body: bytes,
    reason: str,
) -> None:
    if len(body) > 1000:
        connection = connections.connection("cradl")
        connection["extra"] |= {"max_response_bytes": 4000}
        connect(monkeypatch, connection, "cradl_default")
    refused(connections, rows[2], 200, body)

    manifest = land(tmp_path, page_size=1)

    assert lacking(manifest) == [rows[2].id] == manifest["values_missing_ids"]
    assert manifest["values_missing_reasons"] == {reason: 1}


def test_a_page_of_a_login_in_place_of_a_file_is_not_about_the_base_url(
    connections: Sandbox, rows: list[Record], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    refused(connections, rows[2], 200, b"<html>Sign in</html>")

    land(tmp_path, page_size=1)

    assert "It looks like a web page" in caplog.text
    assert rows[2].id in caplog.text
    assert "Base URL" not in caplog.text


def test_a_file_that_is_too_large_is_not_about_the_page_size(
    connections: Sandbox,
    rows: list[Record],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    connection = connections.connection("cradl")
    connection["extra"] |= {"max_response_bytes": 4000}
    connect(monkeypatch, connection, "cradl_default")
    refused(connections, rows[2], 200, b"[" + b"1," * 2000 + b"1]")

    land(tmp_path, page_size=1)

    assert "more than 4000 bytes" in caplog.text
    assert "page_size" not in caplog.text


@pytest.mark.parametrize("status", [500, 503, 408, 429])
def test_a_file_that_may_come_later_fails_the_task_which_a_retry_may_cure(
    connections: Sandbox, rows: list[Record], tmp_path: Path, status: int
) -> None:
    refused(connections, rows[2], status, b'{"message": "Too Many Requests"}')

    with pytest.raises(PredictionsError) as raised:
        land(tmp_path)

    assert raised.value.retryable
    assert rows[2].id in str(raised.value)
    assert "localhost" in str(raised.value)
    connections.wire.clear()
    assert land(tmp_path, context_of(attempt=2))["values_missing"] == 0


@pytest.mark.parametrize("how", ["reset", "truncate"])
def test_a_file_that_is_cut_off_names_its_prediction(
    connections: Sandbox, rows: list[Record], tmp_path: Path, how: Any
) -> None:
    refused(connections, rows[2], 200, how=how)

    with pytest.raises(PredictionsError) as raised:
        land(tmp_path)

    assert raised.value.retryable
    assert rows[2].id in str(raised.value)


@pytest.mark.parametrize("length", [b"abc", b"-5", b"5, 6"])
def test_a_file_whose_length_is_no_number_is_missing(
    connections: Sandbox, rows: list[Record], tmp_path: Path, length: bytes
) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %s\r\n\r\n[]" % length
    refused(connections, rows[2], 200, how="play", script=(answer,))

    manifest = land(tmp_path)

    assert manifest["values_missing_ids"] == [rows[2].id]
    assert manifest["values_missing_reasons"] == {"the file is not the JSON of values": 1}


class Shown:
    """ASGI middleware that changes the text of the list of Cradl.

    :param app: the sandbox.
    :param changes: what is replaced, and by what.
    """

    def __init__(self, app: Any, *changes: tuple[bytes, bytes]) -> None:
        self.app = app
        self.changes = changes

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def change(message: Any) -> None:
            if message["type"] == "http.response.start":
                headers = [(name, value) for name, value in message["headers"] if name != b"content-length"]
                message = {**message, "headers": headers}
            else:
                body = message["body"]
                for old, new in self.changes:
                    body = body.replace(old, new)
                message = {**message, "body": body}
            await send(message)

        await self.app(scope, receive, change if scope["path"].startswith("/cradl/") else send)


@pytest.mark.parametrize("url", [b"null", b'""', b'"x"', b'"http://files.test/a"', b'"https://"'])
def test_a_record_that_has_succeeded_and_names_no_file_that_may_be_opened_lacks_its_values(
    connections: Sandbox, rows: list[Record], tmp_path: Path, url: bytes
) -> None:
    named = f'"http://localhost:{connections.port}/files/{rows[2].id}"'.encode()
    with in_front(connections, lambda app: Shown(app, (named, url))):
        manifest = land(tmp_path)

    assert lacking(manifest) == [rows[2].id] == manifest["values_missing_ids"]
    assert manifest["values_missing_reasons"] == {"the record names no file that may be opened": 1}


def test_what_has_failed_has_no_values_to_miss(connections: Sandbox, tmp_path: Path) -> None:
    connections.cradl.add().outcome = "failed"
    connections.cradl.add(work=3600)

    assert land(tmp_path)["values_missing"] == 0


# --- redirects ---------------------------------------------------------------------------------------


def redirected(sandbox: Sandbox, row: Record, location: str, status: int = 302, **more: Any) -> None:
    refused(sandbox, row, status, b"", headers={"Location": location}, **more)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_of_a_file_is_followed_without_the_token(
    connections: Sandbox, rows: list[Record], tmp_path: Path, status: int
) -> None:
    target = f"http://localhost:{connections.port}/elsewhere/file?sig=s3cr%2Ft"
    redirected(connections, rows[2], target, status)
    with in_front(connections, Elsewhere) as elsewhere:
        manifest = land(tmp_path)

    assert manifest["values_missing"] == 0
    (record,) = [found for found in landed(manifest) if found["predictionId"] == rows[2].id]
    assert record["predictions"] == [{"label": "signed"}]
    assert elsewhere.asked == [(b"sig=s3cr%2Ft", None)]


class Elsewhere:
    """ASGI middleware that has a file, and notes who asks for it.

    :param app: the sandbox.
    """

    def __init__(self, app: Any) -> None:
        self.app = app
        self.asked: list[tuple[bytes, bytes | None]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if not scope["path"].startswith("/elsewhere/"):
            await self.app(scope, receive, send)
            return
        self.asked.append((scope["query_string"], dict(scope["headers"]).get(b"authorization")))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b'[{"label": "signed"}]'})


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.1:1/files/x",
        "http://files.test/x",
        "https://127.0.0.1:{port}/x",
        "https://127\u30020\u30020\u30021:{port}/x",
        "https://2130706433/x",
        "https://localhost./x",
        "https://169.254.169.254/x",
        "https://[::ffff:10.0.0.1]/x",
        "file:///etc/passwd",
        "https://",
        "",
    ],
)
def test_a_redirect_to_where_no_file_may_be_opened_is_not_followed(
    connections: Sandbox, rows: list[Record], tmp_path: Path, location: str
) -> None:
    redirected(connections, rows[2], location.format(port=connections.port))

    manifest = land(tmp_path)

    assert manifest["values_missing_ids"] == [rows[2].id]
    assert connections.wire.requests("files") == 6


def test_a_redirect_is_followed_once(connections: Sandbox, rows: list[Record], tmp_path: Path) -> None:
    redirected(connections, rows[2], f"/files/{rows[2].id}")

    manifest = land(tmp_path)

    assert manifest["values_missing_reasons"] == {"the file was answered with 302": 1}
    assert connections.wire.requests("files") == 7


def test_a_host_that_gets_no_token_and_refuses_is_not_about_the_credentials(
    connections: Sandbox, rows: list[Record], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    redirected(connections, rows[2], f"/files/{rows[3].id}")  # which wants a token

    manifest = land(tmp_path)

    assert manifest["values_missing_reasons"] == {"the file was answered with 401": 1}
    assert len([seen for seen in connections.wire.seen if seen.part == "token"]) == 1
    assert "client id" not in caplog.text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"max_values_missing": 1}, "max_values_missing: goes with fetch_values=True only"),
        ({"max_values_missing": -1, "fetch_values": True}, "max_values_missing: "),
        ({"max_values_missing": "1", "fetch_values": True}, "max_values_missing: "),
    ],
)
def test_a_bound_that_cannot_be_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^{message}"):
        CradlPredictionsToObjectStorageOperator(task_id="land", path="/tmp/x", **arguments)
