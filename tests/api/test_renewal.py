"""A token that is good for a while, again and again."""

from __future__ import annotations

import pytest

from airflow_provider_predictions.api.client import Client
from airflow_provider_predictions.api.errors import AuthenticationError
from airflow_provider_predictions.api.models import PageRequest
from airflow_provider_predictions.sandbox.faults import Fault
from airflow_provider_predictions.sandbox.server import Sandbox
from tests.conftest import client_credentials, make_service

LIST = PageRequest("predictions")


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
    assert auth.reject(first)
    second = auth.token()
    assert auth.reject(first)
    assert auth.token() == second
    auth.accept(first)

    assert not auth.reject(second)


def test_an_answer_of_another_kind_shows_that_a_token_is_good(sandbox: Sandbox) -> None:
    with Client(make_service(sandbox, "cradl"), attempts=1) as client:
        client.get(LIST, bytes)
        sandbox.tokens.revoke()
        client.get(LIST, bytes)
        sandbox.wire.order(Fault("cradl", status=401, body=b"{}", times=2))
        with pytest.raises(AuthenticationError):
            client.get(LIST, bytes)

    assert sandbox.wire.requests("cradl") == 5
