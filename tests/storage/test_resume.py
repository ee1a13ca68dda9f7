"""A landing that was interrupted is gone on with, by the next attempt of the same task and by no other.

Here the service or the disk ends an attempt; ``test_killed`` kills its process.
"""

from __future__ import annotations

import json
import logging
import os
import random
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_predictions.api.errors import PredictionsError, StorageError
from airflow_provider_predictions.sandbox.data import Record
from airflow_provider_predictions.sandbox.server import Sandbox
from airflow_provider_predictions.sandbox.store import RecordStore
from tests.clock import SimulatedTime
from tests.given import ARGUMENTS, LAND, context_of, on_machine, untagged
from tests.storage.landings import (
    KINDS,
    ORDERS,
    Machine,
    asked,
    asked_again,
    assert_all,
    assert_landed,
    down,
    ids,
    names,
    only,
    stored,
)


def test_a_landing_that_is_interrupted_at_any_request_is_gone_on_with(
    land,
    interrupted,
    connections: Sandbox,
    service_name,
    record_store: RecordStore,
    file_store,
    machine: Machine,
) -> None:
    record_store.fill(130)
    whole = land()

    for after in range(whole["requests"]):
        path = file_store / str(after)
        interrupted(after=after, path=str(path))
        manifest = land(path=str(path))

        assert_landed(path, manifest, whole)
        assert len(asked(connections, service_name)) <= whole["requests"] - after + 1
        assert machine.left() == []
        connections.wire.clear()


def test_the_log_says_how_far_the_interrupted_attempt_was(
    land, interrupted, record_store: RecordStore, caplog: pytest.LogCaptureFixture
) -> None:
    record_store.fill(300)
    interrupted(after=12)

    with caplog.at_level(logging.INFO, "airflow_provider_predictions"):
        land()

    assert re.search(r"Resuming after \d+ parts? and \d+ more records? of an attempt", caplog.text)


def test_a_landing_began_when_its_first_attempt_did(
    land, interrupted, record_store: RecordStore, simulated_time: SimulatedTime
) -> None:
    """The first attempt has read the newest rows, so what is newer is missing."""
    record_store.fill(300)
    interrupted(after=12)
    simulated_time.skip(60)
    retried = datetime.now(UTC)

    manifest = land()

    started, committed = (datetime.fromisoformat(manifest[name]) for name in ("started_at", "committed_at"))
    assert started < retried < committed


@pytest.mark.parametrize(("service_name", "arguments"), KINDS)
def test_a_landing_may_be_interrupted_again_and_again(
    land, interrupted, record_store: RecordStore, file_store, machine: Machine, arguments: dict[str, Any]
) -> None:
    record_store.fill(300)
    whole, path = land(**arguments), file_store / "again"

    for _ in range(3):
        interrupted(after=2, path=str(path), **arguments)
    manifest = land(path=str(path), **arguments)

    assert_landed(path, manifest, whole)
    assert machine.left() == []


@pytest.mark.parametrize(
    ("service_name", "name"),
    [
        ("vlmrun", "part-00000.jsonl"),
        ("cradl", "_checkpoint-00002"),
        ("cradl", "part-00002.jsonl"),
        ("vlmrun", "_manifest.json"),
    ],
)
def test_a_landing_that_is_interrupted_as_an_object_appears_is_gone_on_with(
    land,
    connections: Sandbox,
    service_name,
    record_store: RecordStore,
    file_store,
    machine: Machine,
    monkeypatch,
    name,
) -> None:
    record_store.fill(300)
    whole, path = land(), file_store / "again"
    connections.wire.clear()

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", failing_behind(name))
        with suppress(StorageError):  # none where all is committed, and only the copy for readers fails
            land(path=str(path))
    manifest = land(path=str(path))

    assert_landed(path, manifest, whole)
    assert name == "_manifest.json" or asked_again(connections, service_name) <= 2
    assert machine.left() == []


def failing_behind(name: str) -> Any:
    """``os.replace`` of a disk that fails once a file has its name."""

    def replace_and_fail(source: Any, destination: Any, before: Any = os.replace) -> None:
        before(source, destination)
        if untagged(Path(destination).name) == name:
            raise OSError("the disk fails")

    return replace_and_fail


@pytest.mark.parametrize(("ordered", "arguments"), ORDERS)
def test_nothing_lands_twice_whatever_the_order(
    land, interrupted, record_store: RecordStore, service_name, arguments: dict[str, Any], ordered: int
) -> None:
    record_store.fill(300)
    ordered = ordered * 300 // 1000
    rest = record_store.rows[ordered:]
    random.Random(ordered).shuffle(rest)
    record_store.rows[ordered:] = rest
    expected = [row.id for row in record_store.rows]

    interrupted(after=7, **arguments)
    new = {record_store.add().id for _ in range(45)}
    manifest = land(**arguments)

    landed = ids(manifest, service_name)
    assert [id_ for id_ in landed if id_ not in new] == expected
    assert len(landed) == len(set(landed)) == manifest["count"]


@pytest.mark.parametrize("days", [(22, 12), (29, 25), (3, 1)], ids=["middle", "old", "new"])
def test_a_window_is_gone_on_with(
    land, interrupted, record_store: RecordStore, file_store, days: tuple[int, int]
) -> None:
    record_store.fill(500)
    since, until = (datetime.now(UTC) - timedelta(days=ago) for ago in days)
    expected = [record_store.text(row) for row in record_store.rows if since <= row.created < until]

    for after in range(5):
        window = {"created_after": str(since), "created_before": str(until), "page_size": 5}
        window["path"] = str(file_store / str(after))
        interrupted(after=after, **window)
        manifest = land(**window)

        assert sorted(b"".join(stored(manifest)).splitlines()) == sorted(expected)


def test_requests_of_all_attempts_are_counted(
    land, interrupted, connections, record_store: RecordStore
) -> None:
    record_store.fill(500)
    interrupted(after=10)

    manifest = land()

    assert manifest["requests"] >= 500 / 20
    assert_all(manifest, record_store)


def test_values_that_were_fetched_are_not_fetched_again(connections: Sandbox, file_store) -> None:
    connections.cradl.fill(300)
    arguments = {"path": str(file_store), "fetch_values": True} | ARGUMENTS
    connections.wire.order(down("cradl", after=8))
    with pytest.raises(PredictionsError):
        LAND["cradl"](task_id="land", **arguments).execute({})
    connections.wire.clear()

    manifest = LAND["cradl"](task_id="land", **arguments).execute({})

    finished = [row for row in connections.cradl.rows if row.outcome == "succeeded"]
    records = [json.loads(line) for part in stored(manifest) for line in part.splitlines()]
    assert [record["predictionId"] for record in records] == [row.id for row in connections.cradl.rows]
    assert sum(bool(record["predictions"]) for record in records) == len(finished)
    assert sum(seen.part == "files" for seen in connections.wire.seen) <= 140


def test_a_retry_of_the_same_run_goes_on(
    land, interrupted, connections, record_store: RecordStore, service_name
) -> None:
    record_store.fill(500)
    interrupted(after=20, context=context_of("monday", 1))

    manifest = land(context_of("monday", 2))

    assert_all(manifest, record_store)
    assert len(asked(connections, service_name)) < 10


def test_a_landing_over_an_earlier_one_goes_on_where_it_had_no_part_yet(
    land, interrupted, connections, record_store: RecordStore, service_name
) -> None:
    record_store.fill(500)
    whole = land(context_of("sunday"))
    interrupted(after=2)
    before = len(asked(connections, service_name))

    manifest = land()

    assert_all(manifest, record_store)
    assert len(asked(connections, service_name)) - before < whole["requests"]


@pytest.mark.parametrize("elsewhere", [False, True], ids=["here", "elsewhere"])
@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"context": context_of("monday")}, {"context": context_of("tuesday")}),
        ({"statuses": "failed,completed,succeeded"}, {}),
        ({"page_size": 10}, {"page_size": 20}),
        ({"records_per_part": 60}, {}),
        ({"created_after": "2020-01-01"}, {"created_after": "2020-01-02"}),
        ({"compression": "gzip"}, {}),
    ],
    ids=["run", "statuses", "page size", "size of parts", "window", "compression"],
)
def test_progress_of_another_landing_is_ignored(
    land, interrupted, record_store: RecordStore, new_machine, file_store, caplog, elsewhere, first, second
) -> None:
    record_store.fill(300)
    interrupted(after=12, **first)
    if elsewhere:
        new_machine()

    with caplog.at_level(logging.INFO, "airflow_provider_predictions"):
        manifest = land(**second)

    assert "is ignored" in caplog.text or "context" in first or elsewhere
    assert_all(manifest, record_store)
    assert manifest["requests"] >= 15
    assert names(file_store) == ["_manifest.json", *(f"part-{n:05}.jsonl" for n in range(5))]


def test_a_run_that_committed_elsewhere_is_not_gone_on_with_when_it_is_cleared(
    land, interrupted, record_store: RecordStore, machine, new_machine, monkeypatch
) -> None:
    record_store.fill(500)
    interrupted(after=20, context=context_of("monday", 1))
    new_machine()
    land(context_of("monday", 2))
    for _ in range(10):
        record_store.add()
    on_machine(monkeypatch, machine.tmp)

    manifest = land(context_of("monday", 3, tries=9))

    assert_all(manifest, record_store)


def test_a_landing_that_moved_may_be_interrupted_where_it_went_on(
    land, interrupted, record_store: RecordStore, new_machine, connections, service_name
) -> None:
    record_store.fill(500)
    arguments = {"records_per_part": 200}
    interrupted(after=13, **arguments)
    new_machine()
    interrupted(after=4, **arguments)

    manifest = land(**arguments)

    # The last request of VLM Run's list proves its end.
    assert len(asked(connections, service_name)) <= 13
    assert [part["count"] for part in manifest["parts"]] == [200, 200, 100]
    assert b"".join(stored(manifest)) == b"".join(text + b"\n" for text in record_store.texts())


def test_a_landing_that_came_back_goes_on_from_where_it_was_last(
    land, interrupted, record_store: RecordStore, connections, service_name, machine, new_machine, monkeypatch
) -> None:
    record_store.fill(500)
    interrupted(after=6)
    new_machine()
    interrupted(after=14)
    on_machine(monkeypatch, machine.tmp)

    manifest = land()

    assert_all(manifest, record_store)
    assert len(asked(connections, service_name)) < 16


@pytest.fixture
def odd(record_store: RecordStore) -> Iterator[set[int]]:
    """Indexes of rows that are sent as numbers instead of records."""
    kind, indexes = record_store.kind, {5, 120, 333}

    def shown(record: Record, status: str, files: str) -> bytes:
        index = next(n for n, row in enumerate(record_store.rows) if row.id == record.id)
        return str(index).encode() if index in indexes else kind.show(record, status, files)

    record_store.kind = replace(kind, show=shown)
    yield indexes
    record_store.kind = kind


def test_rejected_rows_move_with_the_landing(
    land, interrupted, record_store: RecordStore, file_store, new_machine, odd
) -> None:
    record_store.fill(500)
    arguments = {"records_per_part": 200, "max_rejected": None}
    interrupted(after=13, **arguments)
    new_machine()
    interrupted(after=8, **arguments)

    manifest = land(**arguments)

    texts = [text for n, text in enumerate(record_store.texts()) if n not in odd]
    assert (manifest["count"], manifest["rejected"]) == (497, 3)
    assert b"".join(stored(manifest)) == b"".join(text + b"\n" for text in texts)
    assert only(file_store, "_rejected").read_bytes() == b"5\n120\n333\n"


@pytest.mark.parametrize(
    ("changed", "incremental"), [(b'"cursor"', True), (b'"paginator"', False), (b'"seen"', False)]
)
def test_a_checkpoint_of_another_form_starts_the_landing_anew(
    land, interrupted, record_store, file_store, machine: Machine, changed: bytes, incremental: bool
) -> None:
    record_store.fill(130)
    whole, path = land(incremental=incremental), file_store / "again"
    interrupted(after=2, path=str(path), incremental=incremental)
    for file in (*machine.home.glob("*/journal"), *Path(path.path).rglob("_checkpoint-*")):
        content = file.read_bytes()
        assert changed in content
        file.write_bytes(content.replace(changed, b'"former"'))

    manifest = land(path=str(path), incremental=incremental)

    assert stored(manifest) == stored(whole)
    assert manifest["requests"] == whole["requests"]
    assert machine.left() == []


@pytest.mark.parametrize(("number", "is_left"), [(2, True), (3, False)])
def test_parts_stay_for_a_retry_and_go_with_the_last_attempt(
    interrupted, record_store: RecordStore, file_store, number: int, is_left: bool
) -> None:
    record_store.fill(300)

    interrupted(after=12, context=context_of("monday", number, tries=2))

    assert any("part-" in name for name in names(file_store)) is is_left
