"""Cradl's token: fetched once, shared, renewed in time and once after a refusal. In simulated time."""

from __future__ import annotations

import asyncio
import logging
import os
import socketserver
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs

import pytest

from airflow_provider_predictions.api.errors import (
    AuthenticationError,
    ConfigurationError,
    InvalidRequestError,
    MalformedAnswerError,
    NoAnswerError,
    NotFoundError,
    ServerError,
    TransientError,
)
from airflow_provider_predictions.api.http.auth import ClientCredentialsAuth
from airflow_provider_predictions.api.http.client import AsyncClient
from airflow_provider_predictions.api.limits import MAX_TOKEN_ATTEMPTS
from airflow_provider_predictions.api.models import GetRequest
from airflow_provider_predictions.sandbox import app
from airflow_provider_predictions.sandbox.server import Sandbox
from tests.clock import STEP, SimulatedTime
from tests.conftest import Shell, client_credentials, make_service
from tests.faults import Fault
from tests.held import Held, held
from tests.wire import Noted, in_front

pytestmark = pytest.mark.usefixtures("simulated_time")

LIST = GetRequest("predictions")
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 999999\r\n\r\n"
MANY_BYTES = 500
"""With ``STEP`` between them, they last for seconds."""


@pytest.fixture
def fresh(sandbox: Sandbox) -> Sandbox:
    """The sandbox with a few predictions and no token issued."""
    sandbox.cradl.fill(3)
    return sandbox


def token_requests(server: Sandbox) -> int:
    return server.wire.requests("token")


@pytest.fixture
def first_token(fresh: Sandbox) -> Iterator[Held]:
    """The first token, held until the test releases it."""
    with held(fresh, 1, "/oauth2/token") as request:
        yield request
    join_fetches()


def join_fetches() -> None:
    for thread in threading.enumerate():
        if thread.name == "predictions-token":
            thread.join()


def test_one_token_serves_all_pages(shell: Shell, fresh: Sandbox) -> None:
    fresh.cradl.fill(50)

    shell.all(make_service(fresh, "cradl"), page_size=5)

    assert token_requests(fresh) == 1


def test_the_credentials_go_in_the_form_body_with_the_audience(fresh: Sandbox) -> None:
    with in_front(fresh, Noted) as noted:
        client_credentials(fresh).token()

    (request,) = noted.requests
    assert parse_qs(request.body.decode()) == {
        "grant_type": ["client_credentials"],
        "client_id": [app.CLIENT_ID],
        "client_secret": [app.CLIENT_SECRET],
        "audience": [app.AUDIENCE],
    }
    assert fresh.wire.seen[0].authorization is None


def test_on_token_gets_each_token_once_and_equal_credentials_share_it(fresh: Sandbox) -> None:
    told: list[str] = []
    credentials = replace(client_credentials(fresh), on_token=told.append)

    assert {credentials.token(), credentials.token(), client_credentials(fresh).token()} == set(told)
    assert len(told) == 1
    with pytest.raises(AuthenticationError):
        client_credentials(fresh, client_secret="wrong").token()


def test_a_new_secret_is_of_the_same_account_and_another_client_is_not(fresh: Sandbox) -> None:
    auth = client_credentials(fresh)

    assert replace(auth, client_secret="new").account == auth.account
    assert replace(auth, client_id="other").account != auth.account
    assert auth.client_secret not in auth.account


def test_neither_the_secret_nor_the_token_is_in_a_redacted_text(fresh: Sandbox) -> None:
    credentials = client_credentials(fresh)

    assert credentials.redact(f"bad {app.CLIENT_SECRET}") == "bad ***"
    assert credentials.redact(f"bad {credentials.token()}") == "bad ***"


@pytest.mark.parametrize("ask", ["token", "atoken"])
def test_a_fetch_that_takes_too_long_fails_and_the_next_request_starts_another(
    fresh: Sandbox, simulated_time: SimulatedTime, ask: str
) -> None:
    """However quick the steps of its request are."""
    credentials = client_credentials(fresh)
    given_up, is_over = threading.Event(), threading.Event()
    told: list[str] = []

    def take_long(token: str) -> None:
        told.append(token)
        if len(told) == 1:
            while not given_up.wait(STEP):  # again and again, since the waiter may not have begun
                simulated_time.skip(5 * credentials.timeout)
            is_over.wait()

    credentials = replace(credentials, on_token=take_long)

    with pytest.raises(NoAnswerError, match=r"sent no token within 300 s, 5 times extra timeout"):
        credentials.token() if ask == "token" else asyncio.run(credentials.atoken())
    given_up.set()

    assert credentials.token() == told[1]
    assert token_requests(fresh) == 2
    is_over.set()
    join_fetches()


@pytest.fixture
def trickling(simulated_time: SimulatedTime) -> Iterator[socketserver.BaseServer]:
    """A token endpoint that sends a byte each 50 s, first of the headers and then of the body."""

    class Trickle(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            request = self.request.recv(1 << 16)
            part = HEAD if b"/body" in request else HEAD.partition(b"\r\n")[0] + b"\r\nX: "
            with suppress(OSError):
                self.request.sendall(part)
                for number in range(MANY_BYTES):
                    if number < 10:
                        simulated_time.skip(50)
                    self.request.sendall(b" ")
                    over.wait(STEP)
            left.append(number)

    over, left = threading.Event(), list[int]()
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Trickle) as server:
        server.left = left  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, args=(STEP,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.mark.parametrize("part", ["headers", "body"])
@pytest.mark.parametrize("ask", ["token", "atoken"])
def test_a_fetch_that_is_given_up_leaves_no_thread_and_no_connection(
    trickling: Any, ask: str, part: str
) -> None:
    url = f"http://127.0.0.1:{trickling.server_address[1]}/{part}"
    credentials = ClientCredentialsAuth(url, client_id="me", client_secret="hush", audience="api")

    with pytest.raises(NoAnswerError, match=r"sent no token within 300 s, 5 times extra timeout"):
        credentials.token() if ask == "token" else asyncio.run(credentials.atoken())
    join_fetches()
    trickling.server_close()  # joins its threads

    assert trickling.left
    assert trickling.left[0] < MANY_BYTES - 1


@pytest.mark.parametrize("ask", ["token", "atoken"])
def test_a_fetch_may_take_almost_five_timeouts(
    fresh: Sandbox, simulated_time: SimulatedTime, ask: str
) -> None:
    credentials = client_credentials(fresh)
    waits = threading.Event()

    def take_long(token: str) -> None:
        for _ in range(8):  # some of them after the waiter has begun
            simulated_time.skip(credentials.timeout / 2)
            waits.wait(STEP)

    credentials = replace(credentials, on_token=take_long)

    assert credentials.token() if ask == "token" else asyncio.run(credentials.atoken())


def test_a_fetch_does_not_keep_a_process_alive(fresh: Sandbox, first_token: Held) -> None:
    flow = threading.Thread(target=client_credentials(fresh).token)
    flow.start()
    first_token.came()

    found = [thread for thread in threading.enumerate() if thread.name == "predictions-token"]
    first_token.go()
    flow.join()

    assert [thread.daemon for thread in found] == [True]


def test_threads_share_one_fetch(fresh: Sandbox, first_token: Held) -> None:
    began = threading.Semaphore(0)

    def ask(_: int) -> str:
        began.release()
        return client_credentials(fresh).token()

    with ThreadPoolExecutor(16) as pool:
        flow = pool.map(ask, range(64))
        for _ in range(16):
            assert began.acquire(timeout=60)
        first_token.came()
        first_token.go()
        tokens = set(flow)

    assert len(tokens) == 1
    assert token_requests(fresh) == 1


def test_tasks_of_an_event_loop_share_one_fetch_with_threads_and_never_block(
    fresh: Sandbox, first_token: Held
) -> None:
    async def run() -> set[str]:
        flow = [asyncio.create_task(client_credentials(fresh).atoken()) for _ in range(100)]
        await asyncio.sleep(0)  # all have begun
        first_token.go()
        return set(await asyncio.gather(*flow))

    thread = threading.Thread(target=client_credentials(fresh).token)
    thread.start()
    first_token.came()
    # One that blocked the loop would wait for a token that does not come.
    tokens = asyncio.run(run())
    thread.join()

    assert len(tokens) == 1
    assert token_requests(fresh) == 1


def test_a_waiter_that_is_cancelled_leaves_the_fetch_to_the_others(fresh: Sandbox, first_token: Held) -> None:
    async def run() -> str:
        hasty, patient = (asyncio.create_task(client_credentials(fresh).atoken()) for _ in range(2))
        await asyncio.to_thread(first_token.came)
        hasty.cancel()
        await asyncio.gather(hasty, return_exceptions=True)
        first_token.go()
        return await patient

    assert ".sandbox-token-" in asyncio.run(run())
    assert token_requests(fresh) == 1


def test_a_token_is_renewed_before_it_ends(
    shell: Shell, fresh: Sandbox, simulated_time: SimulatedTime
) -> None:
    service = make_service(fresh, "cradl")

    shell.get(service, LIST)
    simulated_time.skip(fresh.tokens.lifetime - 120)
    shell.get(service, LIST)
    assert token_requests(fresh) == 1

    simulated_time.skip(90)
    shell.get(service, LIST)
    assert token_requests(fresh) == 2
    assert fresh.wire.requests("cradl") == 3


def test_a_refused_token_is_renewed_once_without_waiting(shell: Shell, fresh: Sandbox) -> None:
    service = make_service(fresh, "cradl")
    shell.get(service, LIST)
    fresh.tokens.revoke()

    shell.get(service, LIST)

    assert token_requests(fresh) == 2
    assert shell.slept == []


def test_a_token_refused_in_the_middle_of_a_list_loses_nothing(shell: Shell, fresh: Sandbox) -> None:
    fresh.cradl.fill(40)
    fresh.wire.order(Fault("cradl", status=401, body=b'{"message": "Unauthorized"}', after=2))

    listed = shell.all(make_service(fresh, "cradl"), page_size=10)

    assert [p.raw for p in listed] == fresh.cradl.texts()


def test_a_fresh_token_that_is_refused_too_is_final(shell: Shell, fresh: Sandbox) -> None:
    fresh.wire.order(Fault("cradl", status=401, body=b'{"message": "Unauthorized"}', times=99))

    with pytest.raises(AuthenticationError) as caught:
        shell.get(make_service(fresh, "cradl"), LIST)

    assert not caught.value.retryable
    assert "client secret (password)" in str(caught.value)
    assert fresh.wire.requests("cradl") == 2


def test_many_callers_refused_at_once_fetch_one_new_token(fresh: Sandbox) -> None:
    service = make_service(fresh, "cradl")

    async def run() -> None:
        async with AsyncClient(service) as client:
            await client.get(LIST, bytes)
            fresh.tokens.revoke()
            await asyncio.gather(*(client.get(LIST, bytes) for _ in range(30)))

    asyncio.run(run())

    assert token_requests(fresh) == 2


def test_a_spurious_400_of_the_token_endpoint_is_tried_again(fresh: Sandbox) -> None:
    fresh.wire.order(Fault("token", status=400, body=b'{"error": "invalid_request"}'))

    assert client_credentials(fresh).token()


def test_a_wrong_secret_names_the_fields_and_not_the_secret(fresh: Sandbox) -> None:
    auth = client_credentials(fresh, client_secret="not-the-secret")

    with pytest.raises(AuthenticationError) as caught:
        auth.token()

    assert "client secret (password)" in str(caught.value)
    assert "not-the-secret" not in str(caught.value) + repr(auth)
    assert not caught.value.retryable
    assert token_requests(fresh) == MAX_TOKEN_ATTEMPTS


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"status": 502}, ServerError),
        ({"how": "reset"}, NoAnswerError),
        ({"status": 200}, MalformedAnswerError),
        ({"status": 401, "body": b"{}"}, AuthenticationError),
    ],
)
def test_a_token_endpoint_that_fails_is_an_error_of_ours(fresh: Sandbox, fault, error) -> None:
    fresh.wire.order(Fault("token", times=99, **fault))

    with pytest.raises(error, match="auth_url"):
        client_credentials(fresh).token()


def test_a_failed_fetch_is_not_remembered(fresh: Sandbox) -> None:
    fresh.wire.order(Fault("token", how="reset"))
    with pytest.raises(TransientError):
        client_credentials(fresh).token()

    assert client_credentials(fresh).token()


def test_the_secret_does_not_follow_a_redirect(fresh: Sandbox) -> None:
    elsewhere = f"{fresh.url}/cradl/v1/stolen"
    fresh.wire.order(Fault("token", status=307, body=b"", headers={"Location": elsewhere}))

    with pytest.raises(ConfigurationError, match="auth_url"):
        client_credentials(fresh).token()

    assert [seen.part for seen in fresh.wire.seen] == ["token"]


def test_plain_http_needs_a_word_for_loopback(fresh: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OAUTHLIB_INSECURE_TRANSPORT")

    with pytest.raises(ConfigurationError, match="auth_url: must start with https"):
        client_credentials(fresh).token()


def test_the_bearer_goes_to_the_hosts_of_api_and_files_only(shell: Shell, fresh: Sandbox) -> None:
    url = f"http://localhost:{fresh.port}/files/x"

    with pytest.raises(NotFoundError):
        shell.get(make_service(fresh, "cradl", file_hosts=("localhost",)), GetRequest(url))

    assert [seen.authorization is not None for seen in fresh.wire.seen if seen.part == "files"] == [True]


def test_a_file_on_this_machine_is_opened_only_if_the_connection_names_the_host(
    shell: Shell, fresh: Sandbox
) -> None:
    url = f"http://localhost:{fresh.port}/files/x"

    with pytest.raises(InvalidRequestError, match="not https://; it was not opened"):
        shell.get(make_service(fresh, "cradl", file_hosts=()), GetRequest(url))

    assert not [seen for seen in fresh.wire.seen if seen.part == "files"]


def test_neither_secret_nor_token_reaches_the_log(shell: Shell, fresh: Sandbox, caplog) -> None:
    caplog.set_level(logging.DEBUG)
    service = make_service(fresh, "cradl")

    shell.all(service)

    assert token_requests(fresh) == 1
    assert caplog.records
    assert service.auth.token() not in caplog.text
    assert app.CLIENT_SECRET not in caplog.text


def test_a_forked_process_fetches_its_own_token(fresh: Sandbox, first_token: Held) -> None:
    auth = client_credentials(fresh)
    fetching = threading.Thread(target=auth.token)
    fetching.start()
    first_token.came()

    child = os.fork()
    if child == 0:
        os._exit(0 if ClientCredentialsAuth(**vars(auth)).token() else 1)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    first_token.go()
    fetching.join()
