"""Lists that change while they are read."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_predictions.api.errors import MalformedAnswerError
from airflow_provider_predictions.api.models import GetRequest
from airflow_provider_predictions.api.page import Page
from airflow_provider_predictions.api.pagination.base import RequestFlow
from airflow_provider_predictions.api.service import Service
from airflow_provider_predictions.api.waiting.decide import Tally, Wait
from airflow_provider_predictions.api.waiting.status_query import StatusQuery
from airflow_provider_predictions.sandbox.store import RecordStore
from tests.conftest import Shell, make_service
from tests.faults import Fault


class Between:
    """A pass with something happening on the server before each request but the first."""

    def __init__(self, paginator: RequestFlow, happens: Callable[[], None]) -> None:
        self.paginator, self.happens, self.asked = paginator, happens, 0
        self.parse, self.advance, self.on_error = paginator.parse, paginator.advance, paginator.on_error

    def next_requests(self, count: int) -> list[GetRequest]:
        self.asked += 1
        if self.asked > 1:
            self.happens()
        return self.paginator.next_requests(count)


def ids_of(pages: list[Page]) -> list[str]:
    return [prediction.id for page in pages for prediction in page.predictions]


def test_rows_added_in_front_are_not_read_twice_and_come_last_or_not_at_all(
    shell: Shell, service, record_store: RecordStore
) -> None:
    record_store.fill(60)
    before = [row.id for row in record_store.rows]

    pages = shell.pages(service, Between(service.paginator(service.filters(page_size=10)), record_store.add))

    listed = ids_of(pages)
    assert listed[:60] == before
    assert len(set(listed)) == len(listed)
    if service.name == "vlmrun":
        assert sum(page.duplicates for page in pages) > 0
        came = [row.id for row in record_store.rows if row.id not in before]
        assert listed[60:] == came[-len(listed[60:]) :]
    else:
        assert listed == before


@pytest.mark.parametrize("page_size", [2, 7, 30])
def test_rows_removed_in_front_do_not_hide_others(shell: Shell, sandbox, page_size: int) -> None:
    service, record_store = make_service(sandbox, "vlmrun"), sandbox.vlmrun
    record_store.fill(60)
    before = [row.id for row in record_store.rows]
    times = iter(range(5))

    def remove_some() -> None:
        if next(times, None) is not None:
            record_store.remove([row.id for row in record_store.rows[:3]])

    pages = shell.pages(
        service, Between(service.paginator(service.filters(page_size=page_size)), remove_some)
    )

    listed = ids_of(pages)
    assert len(set(listed)) == len(listed)
    assert set(listed) >= {row.id for row in record_store.rows}
    assert set(listed) <= set(before)


def test_rows_removed_behind_a_short_page_do_not_end_the_list(shell: Shell, sandbox) -> None:
    """A server that gives four rows at once, whatever is asked, while two of them are removed."""
    service, record_store = make_service(sandbox, "vlmrun"), sandbox.vlmrun
    record_store.fill(6)
    record_store.cap = 4
    wanted = [row.id for row in record_store.rows]
    removals = iter([wanted[:2]])

    paginator = Between(service.paginator(service.filters()), lambda: record_store.remove(next(removals, [])))

    assert ids_of(shell.pages(service, paginator)) == wanted


def test_a_server_whose_pages_vary_in_size_loses_none(shell: Shell, sandbox) -> None:
    service, record_store = make_service(sandbox, "vlmrun"), sandbox.vlmrun
    record_store.fill(60)
    rng = random.Random(1)

    def vary() -> None:
        record_store.cap = rng.randrange(2, 12)

    vary()
    pages = shell.pages(service, Between(service.paginator(service.filters()), vary))

    assert ids_of(pages) == [row.id for row in record_store.rows]


@pytest.mark.parametrize(
    "seed", [*range(5), *(pytest.param(n, marks=pytest.mark.slow) for n in range(5, 40))]
)
def test_what_was_there_all_the_time_is_read_once_whatever_happens(sandbox, shell: Shell, seed: int) -> None:
    rng = random.Random(seed)
    service, record_store = make_service(sandbox, "vlmrun"), sandbox.vlmrun
    record_store.fill(rng.randrange(5, 80))
    record_store.cap = rng.choice([None, None, 4])
    changes = iter(range(40))

    def change() -> None:
        if next(changes, None) is None:
            return
        for _ in range(rng.randrange(4)):
            if rng.random() < 0.5:
                record_store.add()
            elif record_store.rows:
                record_store.remove([rng.choice(record_store.rows).id])

    before = {row.id for row in record_store.rows}
    size = rng.choice([2, 3, 5, 10])
    listed = ids_of(shell.pages(service, Between(service.paginator(service.filters(page_size=size)), change)))

    assert len(set(listed)) == len(listed)
    assert set(listed) >= before & {row.id for row in record_store.rows}


def test_a_server_that_ignores_skip_is_not_read_for_ever(shell: Shell, sandbox) -> None:
    sandbox.vlmrun.fill(5)
    body = b"[" + b",".join(sandbox.vlmrun.texts()) + b"]"
    sandbox.wire.order(Fault("vlmrun", status=200, body=body, times=10_000))

    with pytest.raises(MalformedAnswerError, match="skip"):
        shell.all(make_service(sandbox, "vlmrun"), page_size=5)


def test_an_empty_page_with_a_token_is_not_the_end(shell: Shell, sandbox) -> None:
    sandbox.cradl.fill(5)
    empty = b'{"predictions": [], "nextToken": "go on"}'
    sandbox.wire.order(Fault("cradl", status=200, body=empty))
    # The real first page is what the made-up token leads to.
    rest = b'{"predictions": [' + b",".join(sandbox.cradl.texts()) + b'], "nextToken": null}'
    sandbox.wire.order(Fault("cradl", status=200, body=rest))

    assert len(shell.all(make_service(sandbox, "cradl"))) == 5
    assert "nextToken=go" in sandbox.wire.seen[-1].query


def test_a_token_that_comes_again_is_refused(shell: Shell, sandbox) -> None:
    body = b'{"predictions": [], "nextToken": "round and round"}'
    sandbox.wire.order(Fault("cradl", status=200, body=body, times=10_000))

    with pytest.raises(MalformedAnswerError, match="nextToken"):
        shell.all(make_service(sandbox, "cradl"))

    assert len(sandbox.wire.seen) < 20


def test_every_page_of_cradl_is_asked_with_the_same_filters(shell: Shell, sandbox) -> None:
    sandbox.cradl.fill(60)
    model = sandbox.cradl.rows[0].group

    listed = shell.all(make_service(sandbox, "cradl"), model_id=model, page_size=5, order="ascending")

    assert [p.raw for p in listed] == [
        sandbox.cradl.text(row) for row in reversed(sandbox.cradl.rows) if row.group == model
    ]
    assert all("modelId=" in s.query and "order=ascending" in s.query for s in sandbox.wire.seen
               if s.part == "cradl")  # fmt: skip


def test_statuses_and_windows_are_filtered_here(shell: Shell, service, record_store: RecordStore) -> None:
    record_store.fill(200, moving=5, days=20)
    now = datetime.now(UTC)
    after, before = now - timedelta(days=10), now - timedelta(days=5)
    done = "completed" if service.name == "vlmrun" else "succeeded"

    listed = shell.all(service, statuses=[done], created_after=after, created_before=before, page_size=20)

    assert [p.id for p in listed] == [
        row.id
        for row in record_store.rows
        if after <= row.created < before and record_store.status(row) == done
    ]
    assert listed


def test_the_window_takes_its_start_and_leaves_its_end(
    shell: Shell, service, record_store: RecordStore
) -> None:
    record_store.fill(10)
    after, before = record_store.rows[6].created, record_store.rows[2].created

    listed = shell.all(service, created_after=after, created_before=before)

    assert [p.id for p in listed] == [row.id for row in record_store.rows[3:7]]


def test_paging_stops_where_the_window_does(shell: Shell, service, record_store: RecordStore) -> None:
    record_store.fill(500, days=50)

    listed = shell.all(service, created_after=datetime.now(UTC) - timedelta(days=2), page_size=50)

    assert 15 <= len(listed) <= 20
    assert shell.requests == 1


def test_rows_out_of_order_are_not_taken_for_the_end_of_the_window(
    shell: Shell, service, record_store: RecordStore
) -> None:
    record_store.fill(50, days=50)
    record_store.rows[5], record_store.rows[40] = record_store.rows[40], record_store.rows[5]
    after = datetime.now(UTC) - timedelta(days=20)

    listed = shell.all(service, created_after=after, page_size=10)

    assert {p.id for p in listed} == {row.id for row in record_store.rows if row.created >= after}


@pytest.mark.parametrize("page_size", [1, 2, 10])
def test_an_order_is_not_assumed_before_it_is_seen(
    shell: Shell, service, record_store: RecordStore, page_size
) -> None:
    """Oldest first, and the first ones of one moment: nothing says yet that newer ones do not follow."""
    now = datetime.now(UTC)
    for days in (9, 9, 9, 3, 2, 1):
        record_store.rows.append(
            record_store.kind.make(random.Random(len(record_store.rows)), now - timedelta(days), 0)
        )

    listed = shell.all(service, created_after=now - timedelta(days=5), page_size=page_size)

    assert len(listed) == 3


def test_cradl_lists_oldest_first_through_a_window(shell: Shell, sandbox) -> None:
    sandbox.cradl.fill(50, days=50)
    after = datetime.now(UTC) - timedelta(days=20)

    listed = shell.all(make_service(sandbox, "cradl"), created_after=after, order="ascending", page_size=1)

    assert [p.id for p in listed] == [r.id for r in reversed(sandbox.cradl.rows) if r.created >= after]


def test_domains_are_filtered_here(shell: Shell, sandbox) -> None:
    sandbox.vlmrun.fill(60)

    listed = shell.all(make_service(sandbox, "vlmrun"), domains="document.invoice, document.receipt")

    wanted = ("document.invoice", "document.receipt")
    assert [p.id for p in listed] == [row.id for row in sandbox.vlmrun.rows if row.group in wanted]


def test_no_more_is_read_than_was_asked_for(shell: Shell, service, record_store: RecordStore) -> None:
    record_store.fill(100)

    listed = shell.all(service, max_predictions=25, page_size=10)

    assert [p.raw for p in listed] == record_store.texts()[:25]
    assert shell.requests == 3


def looked_up(shell: Shell, service: Service[Any], *ids: str) -> Tally:
    wait = Wait(prediction_ids=ids)
    tally = Tally(wait, service)
    for page in shell.pages(service, StatusQuery(service, [wait])):
        tally.add(page)
    return tally


def test_pages_that_answer_many_ids_are_read_and_the_rest_is_asked_one_by_one(
    shell: Shell, service, record_store: RecordStore
) -> None:
    record_store.fill(3500)
    wanted = [record_store.rows[n].id for n in (*range(20), 3000, 3400)]

    tally = looked_up(shell, service, *wanted)

    assert tally.statuses.total() == 22
    assert not tally.missing
    assert shell.requests == 1 + 2


def test_one_id_costs_one_request(shell: Shell, service, record_store: RecordStore) -> None:
    record_store.fill(10)

    assert looked_up(shell, service, record_store.rows[5].id).statuses.total() == 1
    assert shell.requests == 1


def test_ids_that_nobody_knows_are_missing_and_hide_no_others(
    shell: Shell, service, record_store: RecordStore
) -> None:
    record_store.fill(1200)
    known = record_store.rows[1100].id

    tally = looked_up(shell, service, "nobody", known, "nothing")

    assert tally.statuses.total() == 1
    assert set(tally.missing) == {"nobody", "nothing"}


def test_waits_of_many_filters_are_answered_by_one_pass(
    shell: Shell, service, record_store: RecordStore
) -> None:
    record_store.fill(300)
    times = [row.created for row in record_store.rows]
    waits = [
        Wait(filters={"created_after": times[250].isoformat(), "created_before": times[200].isoformat()}),
        Wait(filters={"created_after": times[100].isoformat()}),
        Wait(filters={"created_after": times[200].isoformat(), "statuses": "failed"}),
        Wait(filters={"created_after": times[290].isoformat(), "max_predictions": 7}),
        Wait(prediction_ids=[record_store.rows[5].id]),
    ]
    tallies = [Tally(wait, service) for wait in waits]

    for page in shell.pages(service, StatusQuery(service, waits)):
        for tally in tallies:
            tally.add(page)

    alone = [len(shell.all(service, **wait.filters)) for wait in waits[:4]]
    assert [tally.statuses.total() for tally in tallies] == [*alone, 1]
    assert alone[3] == 7
