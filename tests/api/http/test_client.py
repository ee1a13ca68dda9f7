"""What the client promises, through both shells, against the sandbox on a socket."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from airflow_provider_predictions.api.errors import (
    AuthenticationError,
    InvalidRequestError,
    MalformedAnswerError,
    NoAnswerError,
    NotFoundError,
    PredictionsError,
    QuotaExceededError,
    RateLimitedError,
    ServerError,
)
from airflow_provider_predictions.api.http.auth import BearerAuth
from airflow_provider_predictions.api.limits import (
    MAX_ATTEMPTS,
    MAX_RATE_LIMIT_WAIT,
    MAX_RETRY_AFTER,
    MAX_RETRY_WAIT,
)
from airflow_provider_predictions.api.models import GetRequest
from tests.conftest import Shell, make_service
from tests.faults import App, Fault, quota, rate_limit
from tests.wire import in_front

LIST = GetRequest("predictions")


def test_every_prediction_is_listed_once_and_as_sent(shell: Shell, service, record_store) -> None:
    record_store.fill(5000)

    listed = shell.all(service)

    assert [prediction.raw for prediction in listed] == record_store.texts()


@pytest.mark.parametrize("count", [0, 1, 2, 3, 9, 10, 11, 20])
@pytest.mark.parametrize("page_size", [1, 2, 10])
def test_lists_around_the_page_size_are_complete(
    shell: Shell, service, record_store, count, page_size
) -> None:
    record_store.fill(count)

    assert [p.raw for p in shell.all(service, page_size=page_size)] == record_store.texts()


@pytest.mark.parametrize("cap", [1, 3, 100])
def test_a_server_that_gives_fewer_rows_than_asked_loses_none(
    shell: Shell, service, record_store, cap
) -> None:
    record_store.fill(25 * cap if cap < 100 else 250)
    record_store.cap = cap

    assert [p.raw for p in shell.all(service, page_size=1000)] == record_store.texts()


def test_a_short_list_costs_two_requests_at_most(shell: Shell, service, record_store) -> None:
    record_store.fill(3)

    shell.all(service)

    assert shell.requests <= 2


@pytest.mark.parametrize(
    ("fault", "times"),
    [
        pytest.param({}, 2, id="5xx with HTML"),
        pytest.param({"status": 200}, 1, id="200 with HTML"),
        pytest.param({"how": "reset"}, 2, id="reset"),
        pytest.param({"how": "truncate"}, 2, id="truncated body"),
        pytest.param({"status": 408, "body": b"{}"}, 1, id="408"),
    ],
)
def test_a_passing_fault_is_retried_and_nothing_is_lost(
    shell: Shell, service, record_store, sandbox, service_name, fault, times
) -> None:
    record_store.fill(25)
    sandbox.wire.order(Fault(service_name, after=1, times=times, **fault))

    assert [p.raw for p in shell.all(service, page_size=10)] == record_store.texts()
    assert len(shell.slept) == times


def test_a_rate_limit_is_waited_out_however_often_it_is_met(
    shell: Shell, service, record_store, sandbox
) -> None:
    record_store.fill(25)
    sandbox.wire.order(rate_limit(service.name, times=2 * MAX_ATTEMPTS))

    assert [p.raw for p in shell.all(service, page_size=10)] == record_store.texts()
    assert sum(shell.slept) > 60


def test_a_rate_limit_without_end_is_left_to_the_task_in_the_end(shell: Shell, service, sandbox) -> None:
    sandbox.wire.order(rate_limit(service.name, times=1000))
    began = shell.clock()

    with pytest.raises(RateLimitedError):
        shell.all(service)

    assert shell.clock() - began >= MAX_RATE_LIMIT_WAIT
    assert sum(shell.slept) <= MAX_RATE_LIMIT_WAIT + 2 * MAX_RETRY_WAIT


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        pytest.param({}, ServerError, id="5xx with HTML"),
        pytest.param({"how": "reset"}, NoAnswerError, id="reset"),
        pytest.param({"how": "truncate"}, NoAnswerError, id="truncated body"),
        pytest.param({"status": 200}, MalformedAnswerError, id="200 with HTML"),
    ],
)
def test_a_lasting_fault_ends_after_five_attempts_as_one_that_a_retry_may_cure(
    shell: Shell, service, sandbox, service_name, fault, error
) -> None:
    sandbox.wire.order(Fault(service_name, times=99, **fault))

    with pytest.raises(error) as caught:
        shell.all(service)

    assert caught.value.retryable
    assert len(sandbox.wire.seen) >= MAX_ATTEMPTS
    assert len([s for s in sandbox.wire.seen if s.part == service_name]) == MAX_ATTEMPTS
    assert "<html>" not in str(caught.value)


def test_waits_between_attempts_grow_and_vary(shell: Shell, service, sandbox, service_name) -> None:
    sandbox.wire.order(Fault(service_name, times=99))

    with pytest.raises(ServerError):
        shell.get(service, LIST)

    assert len(set(shell.slept)) == len(shell.slept) == MAX_ATTEMPTS - 1
    assert all(0.75 * 2**n <= wait <= 1.25 * 2**n for n, wait in enumerate(shell.slept))


def test_rate_limits_without_a_hint_are_waited_for_over_a_minute(shell: Shell, service, sandbox) -> None:
    sandbox.wire.order(rate_limit(service.name, times=MAX_ATTEMPTS - 1))

    shell.get(service, LIST)

    assert sum(shell.slept) > 55


def test_retry_after_in_seconds_is_obeyed(shell: Shell, service, sandbox) -> None:
    sandbox.wire.order(rate_limit(service.name, retry_after="17"))

    shell.get(service, LIST)

    assert shell.slept == [17]


def test_retry_after_as_a_date_is_obeyed(shell: Shell, service, sandbox) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=40), usegmt=True)
    sandbox.wire.order(Fault(service.name, status=503, headers={"Retry-After": date}))

    shell.get(service, LIST)

    assert 35 < shell.slept[0] <= 41  # by the clock of the response, which shows whole seconds


@pytest.mark.parametrize("nonsense", ["soon", "-5", "nan", "inf", ""])
def test_a_retry_after_that_makes_no_sense_leaves_the_backoff(
    shell: Shell, service, sandbox, nonsense
) -> None:
    sandbox.wire.order(Fault(service.name, status=503, headers={"Retry-After": nonsense}))

    shell.get(service, LIST)

    assert 0.75 <= shell.slept[0] <= 1.25


def test_a_retry_after_beyond_all_patience_is_left_to_the_task(shell: Shell, service, sandbox) -> None:
    sandbox.wire.order(rate_limit(service.name, retry_after=str(MAX_RETRY_WAIT * 30)))

    with pytest.raises(RateLimitedError) as caught:
        shell.get(service, LIST)

    assert caught.value.retryable
    assert caught.value.retry_after == MAX_RETRY_AFTER
    assert shell.slept == []


def test_a_used_up_quota_is_not_retried(shell: Shell, sandbox) -> None:
    sandbox.wire.order(quota())

    with pytest.raises(QuotaExceededError) as caught:
        shell.get(make_service(sandbox, "cradl"), LIST)

    assert not caught.value.retryable
    assert shell.slept == []


@pytest.mark.parametrize(
    ("status", "body", "error", "words"),
    [
        (400, b'{"message": "Invalid nextToken"}', InvalidRequestError, "Invalid nextToken"),
        (403, b'{"Message": "Forbidden"}', AuthenticationError, "Forbidden"),
        (404, b'{"detail": "Not found"}', NotFoundError, "Not found"),
        (415, b'{"message": "Unsupported"}', InvalidRequestError, "Unsupported"),
        (422, b'{"detail": [{"loc": ["query", "limit"], "msg": "too big", "type": "x", "input": "hush"}]}',
         InvalidRequestError, "query.limit: too big"),
        (400, b'{"detail": {"error": {"message": "no", "type": "t"}}}', InvalidRequestError, ": no"),
        (402, b'{"error": {"message": "pay first", "id": "i"}}', InvalidRequestError, "pay first"),
        (422, b'{"detail": [{"loc": "limit", "msg": "no"}, 3, {}]}', InvalidRequestError, "limit: no"),
        (400, b'{"detail": {"other": 1}}', InvalidRequestError, "answered 400 to GET"),
        (400, b"[1]", InvalidRequestError, "answered 400 to GET"),
        (302, b"", InvalidRequestError, "Base URL (host)"),
    ],
)  # fmt: skip
def test_a_refusal_is_final_and_quotes_the_service(
    shell: Shell, service, sandbox, status, body, error, words
) -> None:
    headers = {"Location": "https://x/"}
    sandbox.wire.order(Fault(service.name, status=status, body=body, headers=headers, times=2))

    with pytest.raises(error) as caught:
        shell.get(service, GetRequest("predictions", {"skip": 98765}))

    assert words in str(caught.value)
    assert not caught.value.retryable
    assert "hush" not in str(caught.value)
    assert "98765" not in str(caught.value)
    assert shell.slept == []


def test_a_long_message_of_the_service_is_cut(shell: Shell, service, sandbox) -> None:
    sandbox.wire.order(Fault(service.name, status=400, body=b'{"message": "%s"}' % (b"x" * 5000)))

    with pytest.raises(InvalidRequestError) as caught:
        shell.get(service, LIST)

    assert len(str(caught.value)) < 500


def test_an_echoed_secret_is_not_quoted(shell: Shell, sandbox) -> None:
    service = make_service(sandbox, "vlmrun", auth=BearerAuth("sk-very-secret"))
    sandbox.wire.order(Fault("vlmrun", status=401, body=b'{"detail": "bad key sk-very-secret"}'))

    with pytest.raises(AuthenticationError) as caught:
        shell.get(service, LIST)

    assert "sk-very-secret" not in str(caught.value)
    assert "API key (password)" in str(caught.value)


@pytest.mark.parametrize(("page_size", "cap"), [(1, None), (2, None), (100, None), (100, 1)])
def test_an_ordered_list_is_known_as_such_whatever_the_size_of_its_pages(
    shell: Shell, service, record_store, page_size: int, cap: int | None
) -> None:
    record_store.fill(6)
    record_store.cap = cap
    paginator = service.paginator(service.filters(page_size=page_size))

    pages = shell.pages(service, paginator)

    assert sum(len(page.predictions) for page in pages) == 6
    assert paginator.position.seen.proven


def test_an_echoed_token_is_not_quoted(shell: Shell, sandbox) -> None:
    sandbox.cradl.fill(3)
    service = make_service(sandbox, "cradl")
    paginator = service.paginator(service.filters(page_size=2))
    paginator.advance(paginator.parse(shell.get(service, paginator.next_requests(1)[0])))
    (request,) = paginator.next_requests(1)

    for echoed in (service.auth.token(), request.params["nextToken"]):
        body = json.dumps({"message": f"bad <{echoed}>"}).encode()
        sandbox.wire.order(Fault("cradl", status=402, body=body))
        with pytest.raises(InvalidRequestError, match=r"bad <\*\*\*>"):
            shell.get(service, request)


def test_a_server_that_does_not_listen_is_an_error_without_a_query(shell: Shell, sandbox) -> None:
    service = make_service(sandbox, "vlmrun", base_url="http://127.0.0.1:9/v1")

    with pytest.raises(NoAnswerError) as caught:
        shell.get(service, GetRequest("predictions", {"skip": 98765}))

    assert "127.0.0.1:9" in str(caught.value)
    assert "98765" not in str(caught.value)


def test_a_server_that_hangs_is_given_up_after_the_timeout(shell: Shell, sandbox) -> None:
    service = make_service(sandbox, "vlmrun", timeout=0.1)
    sandbox.wire.order(Fault("vlmrun", how="slow", seconds=5, times=99))

    with pytest.raises(NoAnswerError, match="ReadTimeout"):
        shell.get(service, LIST)


@pytest.mark.parametrize("body", [b"{}", b'{"predictions": 3}', b"[", b"null"])
def test_an_answer_of_another_shape_is_an_error_that_holds_nothing_of_it(
    shell: Shell, service, sandbox, body
) -> None:
    sandbox.wire.order(Fault(service.name, status=200, body=body, times=99))

    with pytest.raises(MalformedAnswerError):
        shell.all(service)


def test_the_query_does_not_reach_the_log(shell: Shell, service, record_store, caplog) -> None:
    caplog.set_level(logging.DEBUG, logger="httpx")
    record_store.fill(30)

    shell.all(service, page_size=10)

    lines = [record.getMessage() for record in caplog.records if record.name == "httpx"]
    assert lines
    assert not [line for line in lines if "?" in line]


def test_the_budget_of_a_connection_is_kept_by_all_its_clients(shell: Shell, sandbox) -> None:
    service = make_service(sandbox, "vlmrun", requests_per_minute=3, auth=BearerAuth(f"key of {shell}"))

    for _ in range(4):
        with pytest.raises(AuthenticationError):
            shell.get(service, LIST)

    assert len(shell.slept) == 1
    assert 55 < shell.slept[0] <= 60


def test_an_id_stays_one_segment_of_the_path(shell: Shell, sandbox) -> None:
    service = make_service(sandbox, "cradl")

    with pytest.raises(NotFoundError):
        shell.get(service, service.one("cradl:prediction:../../../secrets?x=1"))

    assert sandbox.wire.seen[-1].path == "/cradl/v1/predictions/cradl:prediction:../../../secrets?x=1"
    assert sandbox.wire.seen[-1].query == ""


def test_every_error_says_whether_a_retry_helps() -> None:
    def tree(kind: type[PredictionsError]) -> list[type[PredictionsError]]:
        return [kind, *(leaf for sub in kind.__subclasses__() for leaf in tree(sub))]

    curable = {kind.__name__ for kind in tree(PredictionsError) if kind.retryable}
    assert {name for name in curable if not name.startswith("_")} == {
        "TransientError", "RateLimitedError", "ServerError", "NoAnswerError", "MalformedAnswerError",
        "TokenRefusedError", "StorageError", "ConflictError",
    }  # fmt: skip


def test_cookies_are_not_kept(shell: Shell, sandbox, service) -> None:
    """They would pile up until the server refuses them with 431."""
    for n in range(MAX_ATTEMPTS - 1):
        cookie = {"Set-Cookie": f"crumb{n}={'x' * 100}; Path=/"}
        sandbox.wire.order(Fault(service.name, status=502, headers=cookie))
    sent: list[bytes] = []

    def cookies(app: App) -> App:
        async def note(scope, receive, send) -> None:
            sent.extend(value for name, value in scope["headers"] if name == b"cookie")
            await app(scope, receive, send)

        return note

    with in_front(sandbox, cookies):
        shell.get(service, LIST)

    assert sandbox.wire.requests(service.name) == MAX_ATTEMPTS
    assert sent == []
