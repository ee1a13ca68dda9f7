"""A page that is too large or too slow is asked for again at half its size."""

from __future__ import annotations

import re

import pytest

from airflow_provider_predictions.api.errors import (
    AnswerTooLargeError,
    InvalidRequestError,
    NoAnswerError,
    PredictionsError,
    ServerError,
)
from airflow_provider_predictions.api.http.client import Client
from airflow_provider_predictions.api.limits import MAX_ATTEMPTS, MIN_PAGE_SIZE
from airflow_provider_predictions.sandbox.server import Sandbox
from tests.conftest import Shell, make_service
from tests.faults import Fault, Seen

COUNT = 150


def size_of(seen: Seen) -> int:
    found = re.search(r"(?:limit|maxResults)=(\d+)", seen.query)
    return int(found[1]) if found else 0


def too_much(sandbox: Sandbox, service: str, most: int, **fault: object) -> None:
    """Let every page of more rows fail."""

    def rule(seen: Seen) -> Fault | None:
        is_larger = seen.part == service and size_of(seen) > most
        return Fault(service, **fault) if is_larger else None  # type: ignore[arg-type]

    sandbox.wire.rules.append(rule)


def sizes(sandbox: Sandbox, service: str) -> list[int]:
    return [size_of(seen) for seen in sandbox.wire.seen if seen.part == service]


@pytest.mark.parametrize("status", [504, 413, 524])
def test_a_page_that_is_too_much_is_asked_for_at_half_its_size(
    shell: Shell, service, record_store, sandbox: Sandbox, status: int
) -> None:
    record_store.fill(COUNT)
    too_much(sandbox, service.name, 30, status=status)

    listed = shell.all(service, page_size=100)

    assert [prediction.raw for prediction in listed] == record_store.texts()
    asked = sizes(sandbox, service.name)
    assert asked[:3] == [100, 50, 25]
    assert set(asked[2:]) == {25}
    assert not shell.slept


def test_a_page_that_takes_too_long_is_asked_for_at_half_its_size(
    shell: Shell, record_store, sandbox: Sandbox, service_name: str
) -> None:
    record_store.fill(20)
    too_much(sandbox, service_name, 30, how="slow", seconds=3)

    listed = shell.all(make_service(sandbox, service_name, timeout=0.5), page_size=50)

    assert [prediction.raw for prediction in listed] == record_store.texts()
    assert sizes(sandbox, service_name)[:2] == [50, 25]


def test_a_page_of_too_many_bytes_is_asked_for_at_half_its_size(
    shell: Shell, record_store, sandbox: Sandbox, service_name: str
) -> None:
    record_store.fill(COUNT)
    most = sum(map(len, record_store.texts())) // 2
    service = make_service(sandbox, service_name, max_response_bytes=most)

    listed = shell.all(service, page_size=200)

    assert [prediction.raw for prediction in listed] == record_store.texts()


@pytest.mark.parametrize("prefetch", [1, 4])
def test_pages_in_flight_that_are_too_much_lose_and_double_nothing(
    service, record_store, sandbox: Sandbox, prefetch: int
) -> None:
    record_store.fill(COUNT)
    too_much(sandbox, service.name, 30, status=504)

    with Client(service) as client:
        pages = client.pages(service.paginator(service.filters(page_size=40)), prefetch=prefetch)
        listed = [prediction.raw for page in pages for prediction in page.predictions]

    assert listed == record_store.texts()


@pytest.mark.parametrize(
    ("status", "error", "asked"), [(504, ServerError, MAX_ATTEMPTS), (413, InvalidRequestError, 1)]
)
def test_a_page_that_is_small_is_asked_for_as_often_as_any(
    shell: Shell,
    service,
    record_store,
    sandbox: Sandbox,
    status: int,
    error: type[PredictionsError],
    asked: int,
) -> None:
    record_store.fill(20)
    too_much(sandbox, service.name, 0, status=status)

    with pytest.raises(error, match=f"The page had {MIN_PAGE_SIZE} rows; see page_size") as caught:
        shell.all(service, page_size=50)

    assert sizes(sandbox, service.name) == [50, 25, 12, *[MIN_PAGE_SIZE] * asked]
    assert caught.value.status == status


@pytest.mark.parametrize("status", [500, 502])
def test_a_server_that_fails_may_do_so_for_large_pages_only(
    shell: Shell, service, record_store, sandbox: Sandbox, status: int
) -> None:
    """A gateway sends 502 for a response that is larger than its upstream may send."""
    record_store.fill(20)
    too_much(sandbox, service.name, 30, status=status)

    with pytest.raises(ServerError, match=r"The page had 50 rows; see page_size$") as caught:
        shell.all(service, page_size=50)

    assert sizes(sandbox, service.name) == [50] * MAX_ATTEMPTS
    assert caught.value.status == status
    assert len(shell.all(service, page_size=25)) == 20


def test_a_server_that_fails_for_small_pages_fails_for_another_reason(
    shell: Shell, service, record_store, sandbox: Sandbox
) -> None:
    record_store.fill(20)
    too_much(sandbox, service.name, 0, status=502)

    with pytest.raises(ServerError, match=r"^((?!page_size).)*$"):
        shell.all(service, page_size=MIN_PAGE_SIZE)


def test_a_service_that_asks_for_time_gets_it(shell: Shell, service, record_store, sandbox: Sandbox) -> None:
    record_store.fill(20)
    sandbox.wire.order(Fault(service.name, status=504, headers={"Retry-After": "7"}))

    shell.all(service, page_size=50)

    assert shell.slept == [7]
    assert set(sizes(sandbox, service.name)) == {50}


@pytest.mark.parametrize("status", [500, 502, 504, 524])
def test_a_fault_of_the_token_endpoint_is_retried_at_the_size_of_the_page(
    shell: Shell, sandbox: Sandbox, status: int
) -> None:
    sandbox.cradl.fill(20)
    sandbox.wire.order(Fault("token", status=status, times=MAX_ATTEMPTS - 1))

    listed = shell.all(make_service(sandbox, "cradl"), page_size=100)

    assert len(listed) == 20
    assert len(shell.slept) == MAX_ATTEMPTS - 1
    assert set(sizes(sandbox, "cradl")) == {100}


@pytest.mark.parametrize("status", [500, 502, 504, 524])
def test_a_token_endpoint_that_stays_away_is_no_matter_of_the_page_size(
    shell: Shell, sandbox: Sandbox, status: int
) -> None:
    sandbox.wire.order(Fault("token", status=status, times=99))

    with pytest.raises(ServerError, match=rf"answered {status}$") as caught:
        shell.all(make_service(sandbox, "cradl"), page_size=100)

    assert caught.value.of_token
    assert sandbox.wire.requests("token") == MAX_ATTEMPTS
    assert len(shell.slept) == MAX_ATTEMPTS - 1


@pytest.mark.parametrize("error", [NoAnswerError("no"), ServerError("no", status=502)])
def test_what_no_size_cures_is_no_reason_to_ask_for_less(service, error: PredictionsError) -> None:
    paginator = service.paginator(service.filters(page_size=50))

    with pytest.raises(type(error)):
        paginator.on_error(error)

    assert paginator.position.page_size == 50
    assert AnswerTooLargeError("much").asks_for_less


def test_the_log_says_what_size_was_too_much(service, record_store, shell, sandbox: Sandbox, caplog) -> None:
    record_store.fill(20)
    too_much(sandbox, service.name, 30, status=504)

    shell.all(service, page_size=50)

    assert "Requesting 25 rows a page instead of 50 (page_size)" in caplog.text
