"""Each landing is in the table once: after kills, of two at once, and whatever the catalog answers."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from pyiceberg.catalog import load_catalog
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.schema import Schema
from pyiceberg.transforms import MonthTransform
from pyiceberg.types import NestedField, StringType

from airflow_provider_predictions.api.errors import ConflictError
from airflow_provider_predictions.api.limits import MAX_TABLE_COMMITS
from airflow_provider_predictions.iceberg.commit import ATTEMPT, LANDING, commit
from tests.clock import SimulatedTime
from tests.iceberg.catalogs import TABLE, Catalog, some
from tests.iceberg.rest import LONGEST, RestCatalog

ROOT = Path(__file__).parents[2]


def ids(catalog: Catalog) -> list[str]:
    return sorted(row["id"] for row in catalog.rows())


def expected(count: int) -> list[str]:
    return sorted(f"p-{number}" for number in range(count))


def data_files(catalog: Catalog) -> set[Path]:
    """All data files under the table, whoever has left them."""
    data = Path(catalog.load().location().removeprefix("file://"), "data")
    return {*data.rglob("*.parquet")}


def expire_all(catalog: Catalog) -> None:
    """Expire all snapshots but the newest."""
    _, *older = reversed(catalog.load().metadata.snapshots)
    for snapshot in older:
        catalog.load().maintenance.expire_snapshots().by_id(snapshot.snapshot_id).commit()


def test_a_retry_adds_nothing(catalog: Catalog, landed: Callable[..., Any]) -> None:
    manifest = landed()

    first, second = catalog.add(manifest), catalog.add(manifest)

    assert (first["added"], second["added"]) == (True, False)
    assert first | {"added": False} == second
    assert ids(catalog) == expected(40)
    assert len(catalog.load().metadata.snapshots) == 1


@pytest.mark.parametrize(
    "fault",
    [(None, False), (None, True), (500, False), (500, True), (502, True), (503, False), (409, False),
     (409, True)],
    ids=lambda fault: f"{fault[0] or 'cut'} {'after' if fault[1] else 'before'} the commit",
)  # fmt: skip
def test_a_commit_whose_answer_says_nothing_is_looked_for(
    remote: Catalog,
    rest: RestCatalog,
    landed: Callable[..., Any],
    fault: tuple[int | None, bool],
    simulated_time: SimulatedTime,
) -> None:
    rest.faults = [fault]

    done = remote.add(landed())

    assert done["added"]
    assert ids(remote) == expected(40)
    assert len(remote.load().metadata.snapshots) == 1
    assert rest.asked == (1 if fault[1] else 2)


def test_a_catalog_that_takes_no_commit_is_given_up_and_a_retry_adds_the_landing(
    remote: Catalog, rest: RestCatalog, landed: Callable[..., Any], simulated_time: SimulatedTime
) -> None:
    manifest = landed()
    rest.faults = [(503, False)] * MAX_TABLE_COMMITS

    with pytest.raises(
        ConflictError, match=r"table: documents\.predictions accepted no commit in 10 attempts"
    ):
        remote.add(manifest)

    assert remote.rows() == []
    assert remote.add(manifest)["added"]
    assert ids(remote) == expected(40)


def test_of_two_that_commit_the_same_landing_at_once_one_does(
    remote: Catalog, rest: RestCatalog, landed: Callable[..., Any]
) -> None:
    """Both have looked, and found nothing, before either commits."""
    manifest = landed()
    remote.add(landed(some(4, first=100), name="other"))  # so that both find a table
    both = threading.Barrier(2)
    asked = iter([both.wait, both.wait])
    rest.gate = lambda: next(asked, lambda _: 0)(LONGEST)

    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(remote.add, [manifest, manifest]))

    assert sorted(each["added"] for each in done) == [False, True]
    assert len({each["snapshot_id"] for each in done}) == 1
    assert ids(remote) == sorted([*expected(40), *(f"p-{number}" for number in range(100, 104))])
    assert len(data_files(remote)) == 8, "the files of the slower one are removed"


def test_two_landings_at_once_are_both_added(
    remote: Catalog, rest: RestCatalog, landed: Callable[..., Any]
) -> None:
    manifests = [landed(some(20, first), name=f"landed-{first}") for first in (0, 20)]
    both = threading.Barrier(2)
    asked = iter([both.wait, both.wait])
    rest.gate = lambda: next(asked, lambda _: 0)(LONGEST)

    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(remote.add, manifests))

    assert [each["added"] for each in done] == [True, True]
    assert ids(remote) == expected(40)
    assert rest.asked == 3


@pytest.mark.kill
@pytest.mark.parametrize("is_made", [False, True], ids=["lost", "made"])
def test_a_task_that_is_killed_between_its_files_and_its_commit_is_retried(
    remote: Catalog, rest: RestCatalog, landed: Callable[..., Any], is_made: bool
) -> None:
    """The request for the commit is on its way when the process dies, and arrives, or does not."""
    manifest = landed()
    arrived, killed = threading.Event(), threading.Event()

    def wait() -> None:
        arrived.set()
        killed.wait(LONGEST)

    rest.gate, rest.faults = wait, [(None, is_made)]
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.iceberg.add_process"],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdin
    json.dump({"manifest": manifest, "table": TABLE, "catalog": remote.properties}, process.stdin)
    process.stdin.close()
    try:
        assert arrived.wait(LONGEST), process.stderr and process.stderr.read()
    finally:
        process.kill()
        process.wait()
    assert len(data_files(remote)) == 4
    assert remote.rows() == []
    if is_made:
        killed.set()
        assert rest.done.acquire(timeout=LONGEST)
    rest.gate = lambda: None

    done = remote.add(manifest)
    killed.set()

    assert done["added"] is not is_made
    assert ids(remote) == expected(40)
    assert remote.add(manifest)["added"] is False


def test_a_killed_task_whose_commit_comes_late_is_refused(
    remote: Catalog, rest: RestCatalog, landed: Callable[..., Any]
) -> None:
    """An attempt that was frozen in front of its commit wakes after another one has committed."""
    manifest = landed()
    frozen, thawed = threading.Event(), threading.Event()

    def wait() -> None:
        rest.gate = lambda: None
        frozen.set()
        thawed.wait(LONGEST)

    rest.gate = wait
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(remote.add, manifest)
        assert frozen.wait(LONGEST)
        first = remote.add(manifest)
        thawed.set()

    assert first["added"]
    assert late.result() == first | {"added": False}
    assert ids(remote) == expected(40)


def test_a_landing_is_known_when_its_snapshot_has_expired(
    catalog: Catalog, landed: Callable[..., Any]
) -> None:
    manifest = landed()
    catalog.add(manifest)
    catalog.add(landed(some(4, first=40), name="other"))
    table = catalog.load()
    oldest = table.metadata.snapshots[0].snapshot_id
    table.maintenance.expire_snapshots().by_id(oldest).commit()

    again = catalog.add(manifest)

    assert (again["added"], again["snapshot_id"]) == (False, None)
    assert ids(catalog) == expected(44)


def test_an_attempt_finds_what_another_has_committed_meanwhile_though_the_snapshot_has_expired(
    catalog: Catalog, landed: Callable[..., Any], tmp_path: Path
) -> None:
    mark = catalog.add(landed())["landing"]
    catalog.add(landed(some(4, first=40), name="other"))
    table = catalog.load()
    table.maintenance.expire_snapshots().by_id(table.metadata.snapshots[0].snapshot_id).commit()
    own = tmp_path / "written by the second attempt.parquet"
    own.touch()

    opened = load_catalog("default", **catalog.properties)
    table = opened.load_table(TABLE)
    _, is_added = commit(opened, TABLE, table, [f"file://{own}"], mark, "the second attempt", {})

    assert not is_added
    assert not own.exists()
    assert ids(catalog) == expected(44)


@pytest.mark.parametrize("status", [None, 409, 500], ids=lambda status: str(status or "cut"))
def test_an_attempt_keeps_the_files_of_its_own_commit_though_the_snapshot_has_expired(
    remote: Catalog,
    rest: RestCatalog,
    landed: Callable[..., Any],
    status: int | None,
    simulated_time: SimulatedTime,
) -> None:
    """The response to its commit is lost. Until it looks, others commit and expire all older snapshots."""
    manifest, other = landed(), landed(some(4, first=40), name="other")

    def commit_and_expire() -> None:
        rest.meanwhile = lambda: None
        remote.add(other)
        expire_all(remote)

    rest.faults, rest.meanwhile = [(status, True)], commit_and_expire

    done = remote.add(manifest)

    assert (done["added"], done["snapshot_id"]) == (True, None)
    assert ids(remote) == expected(44)
    assert remote.add(manifest)["added"] is False


def test_a_landing_is_known_when_its_snapshot_has_expired_and_the_column_was_renamed(
    catalog: Catalog, landed: Callable[..., Any]
) -> None:
    manifest, later = landed(), landed(some(4, first=40), name="later")
    catalog.add(manifest)
    with catalog.load().update_schema() as update:
        update.rename_column("landing", "load id")
    catalog.add(later)
    catalog.add(landed(some(4, first=44), name="last"))
    expire_all(catalog)

    assert [catalog.add(each)["added"] for each in (manifest, later)] == [False, False]
    assert ids(catalog) == expected(48)


def drop(catalog: SqlCatalog) -> None:
    catalog.drop_table(TABLE)


def make_anew(catalog: SqlCatalog) -> None:
    """With the same columns in another order, so that their numbers mean others."""
    before = catalog.load_table(TABLE)
    catalog.drop_table(TABLE)
    columns = sorted(before.schema().fields, key=lambda field: (str(field.field_type), field.name))
    numbered = [
        NestedField(number, field.name, field.field_type, required=False)
        for number, field in enumerate(columns, 1)
    ]
    catalog.create_table(TABLE, Schema(*numbered), properties=before.properties)


def make_a_column_anew(catalog: SqlCatalog) -> None:
    with catalog.load_table(TABLE).update_schema() as update:
        update.delete_column("domain")
    with catalog.load_table(TABLE).update_schema() as update:
        update.add_column("domain", StringType())


def rename_a_column(catalog: SqlCatalog) -> None:
    with catalog.load_table(TABLE).update_schema() as update:
        update.rename_column("domain", "kind")


def divide_by_month(catalog: SqlCatalog) -> None:
    with catalog.load_table(TABLE).update_spec() as update:
        update.add_field("created_at", MonthTransform(), "month")


@pytest.mark.parametrize("change", [drop, make_anew, make_a_column_anew, rename_a_column, divide_by_month])
def test_a_table_that_others_change_before_the_commit_gets_no_files_that_were_written_for_the_old_one(
    remote: Catalog,
    rest: RestCatalog,
    landed: Callable[..., Any],
    change: Callable[[SqlCatalog], None],
    simulated_time: SimulatedTime,
) -> None:
    remote.add(landed(some(4, first=40), name="before"))
    manifest = landed()
    rest.gate = lambda: change(rest.catalog)

    with pytest.raises(ConflictError, match=r"table: documents\.predictions was dropped or changed"):
        remote.add(manifest)
    rest.gate = lambda: None
    retried = remote.add(manifest)

    assert rest.asked == 3
    assert retried["added"]
    found = [row for row in remote.rows() if row["landing"] == retried["landing"]]
    assert sorted(row["id"] for row in found) == expected(40)
    assert {row["domain"] for row in found} == {"document.invoice"}


def test_a_column_that_others_add_before_the_commit_does_no_harm(
    remote: Catalog, rest: RestCatalog, landed: Callable[..., Any], simulated_time: SimulatedTime
) -> None:
    remote.add(landed(some(4, first=40), name="before"))

    def widen() -> None:
        rest.gate = lambda: None
        with rest.catalog.load_table(TABLE).update_schema() as update:
            update.add_column("note", StringType())

    rest.gate = widen

    assert remote.add(landed())["added"]
    assert ids(remote) == expected(44)
    assert {row["note"] for row in remote.rows()} == {None}


def test_a_landing_that_was_rolled_back_is_added_again(catalog: Catalog, landed: Callable[..., Any]) -> None:
    first = catalog.add(landed(some(4), name="first"))
    manifest = landed(some(36, first=4))
    catalog.add(manifest)
    assert first["snapshot_id"]
    catalog.load().manage_snapshots().rollback_to_snapshot(first["snapshot_id"]).commit()
    assert ids(catalog) == expected(4)

    again = catalog.add(manifest)

    assert again["added"]
    assert ids(catalog) == expected(40)


def test_the_snapshot_says_which_landing_it_holds(catalog: Catalog, landed: Callable[..., Any]) -> None:
    manifest = landed()

    done = catalog.add(manifest)

    snapshot = catalog.load().current_snapshot()
    assert snapshot
    assert snapshot.summary
    told = snapshot.summary.additional_properties
    assert told[LANDING] == done["landing"]
    assert told[ATTEMPT]
    assert told["predictions.path"] == manifest["path"]
    assert told["predictions.generation"] == "1"
    assert told["predictions.rows"] == told["added-records"] == "40"


def test_a_landing_that_was_copied_is_the_same_one(
    catalog: Catalog, landed: Callable[..., Any], tmp_path: Path
) -> None:
    catalog.add(landed())
    (tmp_path / "landed").rename(tmp_path / "elsewhere")

    again = catalog.add(f"file://{tmp_path}/elsewhere/_manifest.json")

    assert not again["added"]
    assert len(catalog.rows()) == 40
