"""What each response of the token endpoint becomes, on a real socket."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from airflow_provider_predictions.api.errors import (
    AuthenticationError,
    InvalidRequestError,
    MalformedAnswerError,
    NoAnswerError,
    PredictionsError,
    RateLimitedError,
    ServerError,
)
from airflow_provider_predictions.api.http.token_endpoint import fetch
from airflow_provider_predictions.api.limits import (
    MAX_TOKEN_ATTEMPTS,
    MAX_TOKEN_RESPONSE_BYTES,
    TOKEN_LEEWAY_SECONDS,
)
from airflow_provider_predictions.sandbox.server import Sandbox
from tests.conftest import client_credentials
from tests.faults import Fault

pytestmark = pytest.mark.usefixtures("simulated_time")

ENDPOINT = "The token endpoint (extra auth_url)"


def error_of(sandbox: Sandbox, **fault: object) -> PredictionsError:
    sandbox.wire.order(Fault("token", times=99, **fault))
    with pytest.raises(PredictionsError) as raised:
        fetch(client_credentials(sandbox))
    return raised.value


@pytest.mark.parametrize(
    ("status", "kind", "words", "after"),
    [
        (400, AuthenticationError, f"answered 400 {MAX_TOKEN_ATTEMPTS} times: check client id (login)", None),
        (401, AuthenticationError, "answered 401: check client id (login)", None),
        (403, AuthenticationError, "answered 403: check client id (login)", None),
        (404, InvalidRequestError, "answered 404: check the URL", None),
        (204, InvalidRequestError, "answered 204: check the URL", None),
        (408, ServerError, "answered 408", 7),
        (429, RateLimitedError, "answered 429", 7),
        (500, ServerError, "answered 500", 7),
        (503, ServerError, "answered 503", 7),
    ],
)
def test_a_status_becomes_an_error_that_says_what_to_check(
    sandbox: Sandbox, status, kind, words, after
) -> None:
    error = error_of(sandbox, status=status, body=b"", headers={"Retry-After": "7"})

    assert type(error) is kind
    assert str(error).startswith(f"{ENDPOINT} {words}")
    assert (error.status, error.retry_after) == (status, after)


def test_a_date_says_when_to_ask_again_too(sandbox: Sandbox) -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)

    error = error_of(sandbox, status=503, body=b"", headers={"Retry-After": soon})

    assert error.retry_after is not None
    assert 20 < error.retry_after <= 31  # by the clock of the response, which shows whole seconds


@pytest.mark.parametrize(
    "token",
    ["a b", "a\nb", "ä", "", 7, {}],
    ids=["space", "line break", "not ASCII", "empty", "number", "object"],
)
def test_a_token_that_no_header_can_hold_is_refused(sandbox: Sandbox, token: object) -> None:
    body = json.dumps({"access_token": token, "token_type": "Bearer"}).encode()

    error = error_of(sandbox, status=200, body=body)

    assert type(error) is MalformedAnswerError
    assert str(error).startswith(f"{ENDPOINT} sent a token that no header can hold")


@pytest.mark.parametrize("body", [b"{}", b"[]", b"null", b"<html>", b"", b"\xff", b"[" * 200_000])
def test_a_response_without_a_token_names_what_went_wrong(sandbox: Sandbox, body: bytes) -> None:
    error = error_of(sandbox, status=200, body=body)

    assert type(error) is MalformedAnswerError
    assert str(error).startswith(f"{ENDPOINT} sent no token: ")
    assert str(error).endswith("Error")


def test_a_connection_that_breaks_names_what_went_wrong(sandbox: Sandbox) -> None:
    error = error_of(sandbox, how="reset")

    assert type(error) is NoAnswerError
    assert str(error) == f"{ENDPOINT} did not answer: ConnectionError"


def answer(size: int) -> bytes:
    """A good response of ``size`` bytes."""
    text = json.dumps({"access_token": "x", "token_type": "Bearer", "expires_in": 3600}).encode()
    return text + b" " * (size - len(text))


def test_a_response_is_read_up_to_its_largest_size(sandbox: Sandbox) -> None:
    sandbox.wire.order(Fault("token", status=200, body=answer(MAX_TOKEN_RESPONSE_BYTES)))
    assert fetch(client_credentials(sandbox)).value == "x"

    error = error_of(sandbox, status=200, body=answer(MAX_TOKEN_RESPONSE_BYTES + 1))
    assert (
        str(error) == f"{ENDPOINT} answered 200 and more than {MAX_TOKEN_RESPONSE_BYTES} bytes: check the URL"
    )


@pytest.mark.parametrize("status", [200, 201, 203])
def test_a_token_is_taken_that_was_created_for_this_request(sandbox: Sandbox, status: int) -> None:
    sandbox.wire.order(Fault("token", status=status, body=answer(200)))

    assert fetch(client_credentials(sandbox)).value == "x"


@pytest.mark.parametrize("ends", ["0", "-1", '"soon"', "1e999"])
def test_a_token_that_ends_at_once_serves_the_request_that_it_was_fetched_for(
    sandbox: Sandbox, ends: str
) -> None:
    body = '{"access_token": "x", "token_type": "Bearer", "expires_in": %s}' % ends  # noqa: UP031
    sandbox.wire.order(Fault("token", status=200, body=body.encode(), times=2))
    auth = client_credentials(sandbox)

    assert [auth.token(), auth.token()] == ["x", "x"]
    assert sandbox.wire.requests("token") == 2


@pytest.mark.parametrize(
    ("lifetime", "used"),
    [
        (3600, 3600 - TOKEN_LEEWAY_SECONDS),
        ("3600", 3600 - TOKEN_LEEWAY_SECONDS),
        (2 * TOKEN_LEEWAY_SECONDS, TOKEN_LEEWAY_SECONDS),
        (60, 30),
        (1, 0.5),
        (-5, 0),
        (0, 0),
        (0.0, 0),
        ("0", 0),
        ("", 0),
        ("soon", 0),
        (False, 0),
        (True, 0),
        ([], 0),
        ({}, 0),
        (float("nan"), 0),
        (float("inf"), 0),
        (10**4000, 0),
        (None, None),
    ],
)
def test_a_token_is_renewed_a_minute_before_its_end_or_halfway(sandbox: Sandbox, lifetime, used) -> None:
    body = json.dumps({"access_token": "x", "token_type": "Bearer", "expires_in": lifetime}).encode()
    sandbox.wire.order(Fault("token", status=200, body=body))
    began = time.monotonic()

    renewed = fetch(client_credentials(sandbox)).renew_at

    if used is None:
        assert renewed == float("inf")
    else:
        assert began + used <= renewed <= time.monotonic() + used
