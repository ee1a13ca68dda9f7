"""The whole message of the error for each status, on a real socket."""

from __future__ import annotations

import json

import pytest

from airflow_provider_predictions.api.errors import (
    AuthenticationError,
    InvalidRequestError,
    NotFoundError,
    PredictionsError,
    RateLimitedError,
    ServerError,
)
from airflow_provider_predictions.api.http.client import Client
from airflow_provider_predictions.api.http.files import file_request
from airflow_provider_predictions.api.limits import MAX_MESSAGE_LENGTH, MIN_VALUE_LENGTH
from airflow_provider_predictions.api.models import GetRequest
from airflow_provider_predictions.sandbox.server import Sandbox
from tests.conftest import make_service
from tests.faults import Fault

LIST = GetRequest("predictions", {"skip": 0})
ONE = GetRequest("predictions/a-1")
FIELDS = "Check API key (password) of the connection"
BASE = "Check Base URL (host) of the connection"


@pytest.mark.parametrize("status", [401, 403])
def test_a_request_without_credentials_is_not_refused_because_of_them(sandbox: Sandbox, status: int) -> None:
    sandbox.wire.order(Fault("files", status=status))
    request = file_request("Cradl", f"{sandbox.url}/files/a", anonymous=True)

    with (
        Client(make_service(sandbox, "cradl"), attempts=1) as client,
        pytest.raises(InvalidRequestError, match=f"answered {status}"),
    ):
        client.get(request, bytes)


def error_of(
    sandbox: Sandbox, request: GetRequest, service: str = "vlmrun", **fault: object
) -> PredictionsError:
    sandbox.wire.order(Fault(service, **fault))
    with (
        Client(make_service(sandbox, service), attempts=1) as client,
        pytest.raises(PredictionsError) as raised,
    ):
        client.get(request, bytes)
    return raised.value


@pytest.mark.parametrize(
    ("status", "request_", "kind", "text"),
    [
        (400, LIST, InvalidRequestError, "400 to GET /vlmrun/v1/predictions"),
        (401, LIST, AuthenticationError, f"401 to GET /vlmrun/v1/predictions. {FIELDS}"),
        (403, ONE, AuthenticationError, f"403 to GET /vlmrun/v1/predictions/a-1. {FIELDS}"),
        (404, LIST, NotFoundError, f"404 to GET /vlmrun/v1/predictions. {BASE}"),
        (
            404,
            ONE,
            NotFoundError,
            "404 to GET /vlmrun/v1/predictions/a-1. Check the id, and Base URL (host) of the connection",
        ),
        (405, LIST, InvalidRequestError, f"405 to GET /vlmrun/v1/predictions. {BASE}"),
        (300, LIST, InvalidRequestError, f"300 to GET /vlmrun/v1/predictions. {BASE}"),
        (307, LIST, InvalidRequestError, f"307 to GET /vlmrun/v1/predictions. {BASE}"),
        (408, LIST, ServerError, "408 to GET /vlmrun/v1/predictions"),
        (429, LIST, RateLimitedError, "429 to GET /vlmrun/v1/predictions"),
        (499, LIST, InvalidRequestError, "499 to GET /vlmrun/v1/predictions"),
        (500, LIST, ServerError, "500 to GET /vlmrun/v1/predictions"),
        (299, LIST, InvalidRequestError, "299 to GET /vlmrun/v1/predictions"),
    ],
)
def test_an_error_names_its_status_and_what_to_check(sandbox: Sandbox, status, request_, kind, text) -> None:
    error = error_of(sandbox, request_, status=status, body=b"", headers={"Retry-After": "7"})

    assert type(error) is kind
    assert str(error) == f"VLM Run answered {text}"
    assert (error.status, error.retry_after) == (status, 7)


def test_the_words_of_the_service_stand_between_and_are_cut(sandbox: Sandbox) -> None:
    error = error_of(sandbox, LIST, status=403, body=b'{"detail": "%s"}' % (b"x" * 999))

    assert str(error) == (
        f"VLM Run answered 403 to GET /vlmrun/v1/predictions: {'x' * MAX_MESSAGE_LENGTH}. {FIELDS}"
    )
    assert error.retry_after is None


def test_cradl_is_called_by_its_name_and_its_fields(sandbox: Sandbox) -> None:
    error = error_of(sandbox, LIST, "cradl", status=403, body=b'{"message": "Forbidden"}', times=2)

    assert str(error) == (
        "Cradl answered 403 to GET /cradl/v1/predictions: Forbidden. "
        "Check client id (login) and client secret (password) of the connection"
    )


def test_what_a_request_hides_is_not_quoted(sandbox: Sandbox) -> None:
    request = GetRequest("predictions", {"nextToken": "t-o-k-e-n"}, ("t-o-k-e-n",))

    error = error_of(sandbox, request, status=400, body=b'{"detail": "t-o-k-e-n is unknown"}')

    assert str(error) == "VLM Run answered 400 to GET /vlmrun/v1/predictions: *** is unknown"


@pytest.mark.parametrize(
    ("body", "quoted"),
    [
        (
            b'{"detail": "cannot open https://files.test/a?sig=0123 now"}',
            ": cannot open https://files.test/a?*** now",
        ),
        (b'{"detail": [{"loc": ["limit"], "msg": "too large"}, {"id": "a"}]}', ": limit: too large"),
        (b'[{"id": "a", "status": "completed"}]', ""),
    ],
    ids=["a signed URL", "an error of validation", "rows of the list"],
)
def test_of_a_response_only_its_message_is_quoted(sandbox: Sandbox, body: bytes, quoted: str) -> None:
    error = error_of(sandbox, LIST, status=400, body=body)

    assert str(error) == f"VLM Run answered 400 to GET /vlmrun/v1/predictions{quoted}"


def test_a_connection_that_breaks_is_named_and_its_query_is_not(sandbox: Sandbox) -> None:
    error = error_of(sandbox, LIST, how="reset")

    host = sandbox.url.removeprefix("http://")
    assert str(error) == f"VLM Run did not answer at {host}: ReadError"


def test_requests_are_counted_with_those_that_are_sent_again(sandbox: Sandbox) -> None:
    sandbox.wire.order(Fault("vlmrun", status=502, times=2))
    with Client(make_service(sandbox, "vlmrun")) as client:
        client.sleep = lambda seconds: None
        assert client.get(LIST, bytes) == b"[]"

        assert client.requests == 3


def test_a_short_value_of_a_query_hides_no_letters_of_a_message(sandbox: Sandbox) -> None:
    hidden = ("e", "v2", "r" * (MIN_VALUE_LENGTH - 1), "s" * MIN_VALUE_LENGTH)
    text = " ".join(("document v2", *hidden[2:]))

    error = error_of(
        sandbox,
        GetRequest("predictions", {}, hidden),
        status=400,
        body=json.dumps({"detail": text}).encode(),
    )

    assert str(error).endswith(f": document v2 {hidden[2]} ***")


@pytest.mark.parametrize("id_", ["a" * 70_000, "€" * 20_000])
def test_an_id_that_no_url_can_hold_is_not_about_a_file(sandbox: Sandbox, shell, id_: str) -> None:
    service = make_service(sandbox, "vlmrun")

    with pytest.raises(InvalidRequestError, match=r"^prediction_id: .* no URL can hold$"):
        shell.once(service, service.one(id_))
