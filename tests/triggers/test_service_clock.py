"""Watching a list whose creation times, or whose clock, are wrong, in simulated time."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from typing import Any

import pytest

from airflow_provider_predictions.api.state import dump
from airflow_provider_predictions.api.waiting.finished_events import FinishedEvents
from airflow_provider_predictions.sandbox.data import Record
from airflow_provider_predictions.sandbox.store import RecordStore
from tests.conftest import moving
from tests.given import DONE, WATCH
from tests.triggers.watching import INTERVAL, Store, ids_of, state_in

pytestmark = pytest.mark.usefixtures("simulated_time", "has_watchers")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def now() -> datetime:
    return datetime.now(UTC)


def add(record_store: RecordStore, created: datetime, seconds: float = 0) -> Record:
    """A prediction that is finished so many seconds from now, whenever it was created."""
    return record_store.add(created=created, work=seconds + (now() - created).total_seconds())


def watermark(store: Store) -> datetime:
    return datetime.fromisoformat(state_in(store)["feed"]["watermark"])


def test_rows_dated_in_the_future_are_reported_once_and_hide_no_others(
    connections, record_store: RecordStore, service_name: str, store: Store, watched
) -> None:
    watched(1, store)
    rows = [add(record_store, now() + by) for by in (DAY * 2_000_000, 3 * HOUR)]
    first = watched(2, store)
    rows.append(add(record_store, now(), 30))

    told = first + watched(3, store)

    assert sorted(ids_of(told)) == sorted(row.id for row in rows)
    assert watermark(store) <= now() - HOUR


def test_a_watch_recovers_from_a_state_in_the_future(
    connections, record_store: RecordStore, service_name: str, store: Store, watched
) -> None:
    """As a service may have left it whose clock was wrong."""
    told: dict[str, datetime | None] = {"x": datetime(2099, 1, 1, tzinfo=UTC)}
    feed = FinishedEvents(datetime(2098, 1, 1, tzinfo=UTC), told)
    watched(1, store)
    store.values = dict.fromkeys(store.values, json.dumps({"feed": dump(feed), "pending": []}))
    ids = [moving(record_store, DONE[service_name], seconds) for seconds in (0, 200)]

    assert sorted(ids_of(watched(6, store))) == sorted(ids)
    assert watermark(store) <= now()


@pytest.mark.parametrize("by", [DAY, -DAY], ids=["a day ahead", "a day behind"])
def test_a_watcher_follows_the_clock_of_the_service(
    connections, record_store: RecordStore, service_name: str, store: Store, watched, by: timedelta
) -> None:
    """Seen from a service that is right, the triggerer's clock is a day behind, or ahead."""
    connections.wire.date = lambda: formatdate(time.time() + by.total_seconds(), usegmt=True)
    add(record_store, now() + by - 9 * HOUR, 200)
    waited_for = [add(record_store, now() + by - age, 200) for age in (4 * HOUR, timedelta(0))]

    told = watched(7, store, max_age=5 * 3600)

    assert sorted(ids_of(told)) == sorted(row.id for row in waited_for)
    assert len(told) <= 2


@pytest.mark.parametrize("by", [2 * DAY, 6 * DAY, -2 * DAY], ids=str)
def test_an_unfinished_prediction_outlasts_wrong_dates(
    connections, record_store: RecordStore, service_name: str, store: Store, watched, by: timedelta
) -> None:
    """As a server sends them whose clock is wrong, one of several, or for a while."""
    slow = add(record_store, now() - 3 * HOUR, 9 * INTERVAL)
    others = [add(record_store, now(), 30 + n * INTERVAL) for n in range(8)]
    watched(2, store)
    connections.wire.date = lambda: formatdate(time.time() + by.total_seconds(), usegmt=True)
    told = watched(2, store)
    connections.wire.date = lambda: formatdate(time.time(), usegmt=True)

    told += watched(10, store)

    reported = ids_of([*{event["batch"]: event for event in told}.values()])  # a restart may repeat one
    assert {slow.id, *(row.id for row in others[3:])} <= {*reported}
    assert len({*reported}) == len(reported)


def test_a_watcher_looks_back_as_far_as_lookback_says(
    connections, record_store: RecordStore, service_name: str, store: Store, watched
) -> None:
    add(record_store, now())
    watched(1, store, lookback=6 * HOUR)

    assert abs((watermark(store) - (now() - 6 * HOUR)).total_seconds()) < 3 * INTERVAL
    late = add(record_store, now() - 5 * HOUR)
    assert ids_of(watched(2, store, lookback=6 * 3600)) == [late.id]


def test_a_watcher_takes_a_timedelta_or_seconds(service_name: str) -> None:
    make: Any = WATCH[service_name]
    one, other = make(max_age=DAY, lookback=HOUR), make(max_age=86_400, lookback=3600)

    assert one.serialize() == other.serialize()
    assert make(max_age=1e300, lookback=1e300).serialize()
