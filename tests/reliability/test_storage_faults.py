"""What a landing does when its storage fails: how it ends, and what a retry does.

Each fault is a row of the second table in docs/reliability.md, which ``make reliability`` writes.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, ObjectStoragePath

from airflow_provider_predictions.api.errors import StorageError
from airflow_provider_predictions.sandbox.server import Sandbox
from airflow_provider_predictions.storage.objects import put_file
from tests.given import on_machine
from tests.reliability.conftest import Store
from tests.reliability.storage import (
    CASES,
    SECOND,
    Case,
    assert_landed,
    assert_nothing_partial,
    assert_says,
    cells,
    expected,
    note,
    pages,
)
from tests.reliability.store_proxy import Proxy, StoreFault
from tests.reliability.test_storage_full import DISKS
from tests.storage.committing import is_whole, replace_all

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"


@pytest.mark.parametrize(
    ("case", "mode"),
    [
        # The quick tests land each case in one mode.
        pytest.param(
            case,
            mode,
            id=f"{mode}: {case.name}",
            marks=pytest.mark.faults if case.slow or mode != case.modes[0] else (),
        )
        for case in CASES
        for mode in case.modes
    ],
)
def test_a_fault_of_the_storage_ends_well(
    case: Case, mode: str, connections: Sandbox, proxy: Proxy, store: Store, land, record_property, seconds
) -> None:
    arguments, parts = {"incremental": mode == "incremental"}, expected(connections)
    proxy.order(*(replace(fault) for fault in case.faults))
    begin = seconds()

    if case.ends is None:
        manifest = land(store.path, 1, **arguments)
        asked, storage, again = pages(connections), len(proxy.seen), 0
        assert seconds() - begin < case.seconds
    else:
        with pytest.raises(case.error if case.curable else AirflowFailException) as caught:
            land(store.path, 1, **arguments)
        assert seconds() - begin < case.seconds
        asked, storage = pages(connections), len(proxy.seen)
        assert len(asked) <= case.asked
        assert_says(caught.value, store.path, case.ends)
        assert_nothing_partial(store.objects(), parts, is_committed=case.is_committed, is_shown=case.is_shown)
        proxy.clear()
        connections.wire.clear()

        manifest = land(store.path, 2, **arguments)
        again = len(set(pages(connections)) & set(asked))
        assert again <= case.again

    assert_landed(manifest, store.objects(), parts, leaves=case.leaves)
    if mode == case.modes[0]:
        note(record_property, *cells(case, len(asked), storage, again))


def test_a_checkpoint_that_cannot_be_read_is_no_reason_to_read_the_list_again(
    connections: Sandbox, proxy: Proxy, store: Store, land, tmp_path, monkeypatch
) -> None:
    proxy.order(StoreFault("PUT", SECOND))
    with pytest.raises(StorageError):
        land(store.path, 1)
    asked = pages(connections)
    on_machine(monkeypatch, tmp_path / "another")
    proxy.clear()
    connections.wire.clear()
    proxy.order(StoreFault("HEAD|GET", "_checkpoint"))

    with pytest.raises(StorageError, match="cannot be read"):
        land(store.path, 2)
    assert pages(connections) == []
    proxy.clear()

    assert_landed(land(store.path, 3), store.objects(), expected(connections))
    # The first part took four pages; what came behind it was on the other machine only.
    assert len(set(pages(connections)) & set(asked)) <= len(asked) - 4


@pytest.mark.faults
def test_a_manifest_that_is_sent_again_after_another_landing_does_not_stay_over_it(
    proxy: Proxy, store: Store, land
) -> None:
    def land_another() -> None:
        proxy.clear()
        replace_all(store.path, "another run")

    proxy.order(StoreFault("PUT", "_manifest", "lose", times=1, meanwhile=land_another))

    land(store.path, 1)

    shown = json.loads(store.objects()["_manifest.json"])
    assert shown["generation"] == 2
    assert is_whole(shown)


@pytest.mark.faults
def test_a_landing_that_is_shown_succeeds_though_it_cannot_look_for_a_newer_one(
    proxy: Proxy, store: Store, land
) -> None:
    def refuse_to_look() -> None:
        proxy.order(StoreFault("GET|HEAD", "_log/00000002"))

    proxy.order(StoreFault("PUT", "_manifest", "lose", times=1, meanwhile=refuse_to_look))

    manifest = land(store.path, 1)

    assert json.loads(store.objects()["_manifest.json"]) == manifest


@pytest.mark.faults
def test_a_put_that_nobody_takes_ends(proxy: Proxy, store: Store, tmp_path: Path, seconds) -> None:
    file = tmp_path / "part"
    file.write_bytes(b"0" * 1000)
    patient = ObjectStoragePath(str(store.path).replace("faulty", "patient"))
    proxy.order(StoreFault("PUT", "", "ignore"))
    begin = seconds()

    with pytest.raises(StorageError) as caught:
        put_file(file, patient / "part-00000.jsonl", longest=1)

    assert seconds() - begin < 5
    assert_says(caught.value, patient, r"cannot be written: no answer in time. A retry may succeed")
    assert store.objects() == {}


def test_the_table_has_every_fault_and_no_other() -> None:
    table = PAGE.read_text().split("make reliability, storage -->\n")[1].split("<!--")[0]
    named = re.findall(r"^\| (?!fault|---)(.*?) \|", table, re.MULTILINE)

    assert sorted(named) == sorted([*(case.name for case in CASES), *DISKS])
