"""A token that is good for a while, again and again."""

from __future__ import annotations

import asyncio

import pytest

from airflow_provider_predictions.api.errors import AuthenticationError
from airflow_provider_predictions.api.http.client import AsyncClient, Client
from airflow_provider_predictions.api.limits import MIN_RENEWAL_SECONDS
from airflow_provider_predictions.api.models import GetRequest
from airflow_provider_predictions.sandbox.server import Sandbox
from tests.clock import SimulatedTime
from tests.conftest import Shell, client_credentials, make_service
from tests.faults import Fault

LIST = GetRequest("predictions")


def test_a_token_that_was_good_is_renewed_each_time_that_it_is_refused(sandbox: Sandbox) -> None:
    with Client(make_service(sandbox, "cradl")) as client:
        for _ in range(3):
            client.get(LIST, bytes)
            sandbox.tokens.revoke()
        client.get(LIST, bytes)

    assert sandbox.wire.requests("token") == 4


def test_a_token_that_is_good_is_fetched_once(sandbox: Sandbox) -> None:
    auth = client_credentials(sandbox)

    assert len({auth.token() for _ in range(3)}) == 1
    assert sandbox.wire.requests("token") == 1


def test_a_refusal_of_another_token_than_the_last_is_no_second_one_in_a_row(sandbox: Sandbox) -> None:
    auth = client_credentials(sandbox)
    first = auth.token()
    assert auth.reject(first, 401)
    second = auth.token()
    assert auth.reject(first, 401)
    assert auth.token() == second
    auth.accept(first)

    assert not auth.reject(second, 401)


def test_a_good_response_shows_that_a_token_is_good(sandbox: Sandbox) -> None:
    with Client(make_service(sandbox, "cradl"), attempts=1) as client:
        client.get(LIST, bytes)
        sandbox.tokens.revoke()
        client.get(LIST, bytes)
        sandbox.wire.order(Fault("cradl", status=401, body=b"{}", times=2))
        with pytest.raises(AuthenticationError):
            client.get(LIST, bytes)

    assert sandbox.wire.requests("cradl") == 5


@pytest.mark.parametrize("status", [401, 403])
def test_a_token_that_is_refused_is_replaced_once_whatever_the_status(
    shell: Shell, sandbox: Sandbox, status: int
) -> None:
    """API Gateway refuses with 403 what its authorizer refuses: a token without claims, or an expired one."""
    sandbox.wire.order(Fault("cradl", status=status, body=b'{"message": "Forbidden"}'))

    shell.get(make_service(sandbox, "cradl"), LIST)

    assert sandbox.wire.requests("token") == 2
    assert sandbox.wire.requests("cradl") == 2


@pytest.mark.parametrize("status", [401, 403])
def test_a_lack_of_rights_costs_one_request_more_and_one_token_a_minute(
    shell: Shell, sandbox: Sandbox, simulated_time: SimulatedTime, status: int
) -> None:
    sandbox.wire.order(Fault("cradl", status=status, body=b'{"message": "Forbidden"}', times=99))
    service = make_service(sandbox, "cradl")

    def refused() -> None:
        with pytest.raises(AuthenticationError) as raised:
            shell.get(service, LIST)
        assert not raised.value.retryable

    refused()
    assert (sandbox.wire.requests("cradl"), sandbox.wire.requests("token")) == (2, 2)
    for _ in range(10):
        refused()
    assert (sandbox.wire.requests("cradl"), sandbox.wire.requests("token")) == (12, 2)
    simulated_time.skip(2 * MIN_RENEWAL_SECONDS)  # somebody may have been given the rights meanwhile
    refused()
    assert (sandbox.wire.requests("cradl"), sandbox.wire.requests("token")) == (14, 3)


def test_what_may_be_read_does_not_make_a_lack_of_rights_elsewhere_cost_tokens(sandbox: Sandbox) -> None:
    sandbox.wire.order(Fault("cradl", status=403, body=b'{"message": "Forbidden"}', times=99, path="/secret"))

    with Client(make_service(sandbox, "cradl")) as client:
        for _ in range(10):
            client.get(LIST, bytes)
            with pytest.raises(AuthenticationError):
                client.get(GetRequest("predictions/secret"), bytes)

    assert sandbox.wire.requests("token") == 2
    assert sandbox.wire.requests("cradl") == 21


def test_a_token_that_was_good_is_renewed_each_time_that_it_is_refused_with_403(sandbox: Sandbox) -> None:
    with Client(make_service(sandbox, "cradl")) as client:
        for _ in range(3):
            client.get(LIST, bytes)
            sandbox.wire.order(Fault("cradl", status=403, body=b"{}"))
        client.get(LIST, bytes)

    assert sandbox.wire.requests("token") == 4


def test_a_token_that_ends_is_replaced_though_a_right_is_lacking_too(sandbox: Sandbox) -> None:
    sandbox.wire.order(Fault("cradl", status=403, body=b"{}", times=2, path="/secret"))

    with Client(make_service(sandbox, "cradl")) as client:
        client.get(LIST, bytes)
        with pytest.raises(AuthenticationError):
            client.get(GetRequest("predictions/secret"), bytes)
        client.get(LIST, bytes)
        sandbox.tokens.revoke()
        client.get(LIST, bytes)

    assert sandbox.wire.requests("token") == 3


@pytest.mark.parametrize("status", [401, 403])
def test_a_crowd_that_lacks_the_rights_fetches_one_token_more(sandbox: Sandbox, status: int) -> None:
    sandbox.cradl.fill(1)
    service = make_service(sandbox, "cradl")

    async def run() -> list[object]:
        async with AsyncClient(service) as client:
            await client.get(LIST, bytes)
            fault = Fault("cradl", status=status, body=b'{"message": "Forbidden"}', times=1000)
            sandbox.wire.order(fault)
            flow = (client.get(GetRequest(f"predictions/{n}"), bytes) for n in range(30))
            return await asyncio.gather(*flow, return_exceptions=True)

    ended = asyncio.run(run())

    assert {type(error) for error in ended} == {AuthenticationError}
    assert sandbox.wire.requests("token") == 2
    assert sandbox.wire.requests("cradl") <= 1 + 2 * 30


def test_a_server_that_fails_does_not_show_that_a_token_is_good(shell: Shell, sandbox: Sandbox) -> None:
    sandbox.wire.order(Fault("cradl", status=403, body=b"{}"))
    sandbox.wire.order(Fault("cradl", status=429, body=b"{}"))
    sandbox.wire.order(Fault("cradl", status=403, body=b"{}", times=99))

    with pytest.raises(AuthenticationError):
        shell.get(make_service(sandbox, "cradl"), LIST)

    assert sandbox.wire.requests("token") == 2
    assert sandbox.wire.requests("cradl") == 3


def test_a_fixed_key_that_is_refused_is_not_sent_again(shell: Shell, sandbox: Sandbox) -> None:
    sandbox.wire.order(Fault("vlmrun", status=403, body=b"{}", times=9))

    with pytest.raises(AuthenticationError):
        shell.get(make_service(sandbox, "vlmrun"), LIST)

    assert sandbox.wire.requests("vlmrun") == 1


def file_of(sandbox: Sandbox) -> GetRequest:
    return GetRequest(f"{sandbox.url.replace('127.0.0.1', 'localhost')}/files/x")


def test_a_file_that_is_forbidden_costs_no_token_that_the_api_has_accepted(
    shell: Shell, sandbox: Sandbox
) -> None:
    sandbox.wire.order(Fault("files", status=403, body=b"{}", times=99))
    service = make_service(sandbox, "cradl")

    shell.get(service, LIST)
    for _ in range(3):
        with pytest.raises(AuthenticationError):
            shell.get(service, file_of(sandbox))

    assert sandbox.wire.requests("token") == 1
    assert sandbox.wire.requests("files") == 3


def test_a_token_that_nothing_has_accepted_yet_is_replaced_for_a_file_too(
    shell: Shell, sandbox: Sandbox
) -> None:
    sandbox.wire.order(Fault("files", status=403, body=b"{}"))
    sandbox.wire.order(Fault("files", status=200, body=b"[]"))

    assert shell.get(make_service(sandbox, "cradl"), file_of(sandbox)) == b"[]"
    assert sandbox.wire.requests("token") == 2


@pytest.mark.parametrize("path", ["files", "cradl"])
def test_a_server_that_always_sends_401_renews_the_token_once_a_minute(
    shell: Shell, sandbox: Sandbox, simulated_time: SimulatedTime, path: str
) -> None:
    request = file_of(sandbox) if path == "files" else GetRequest("predictions/x")
    sandbox.wire.order(Fault(path, status=401, body=b"{}", times=99, path="/x"))
    service = make_service(sandbox, "cradl")

    def ask() -> None:
        shell.get(service, LIST)
        with pytest.raises(AuthenticationError):
            shell.get(service, request)

    for _ in range(5):
        ask()
    assert sandbox.wire.requests("token") == 2
    simulated_time.skip(2 * MIN_RENEWAL_SECONDS)
    ask()
    assert sandbox.wire.requests("token") == 3
