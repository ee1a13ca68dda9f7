"""Every step of the page that restores a landing, on a landing that is damaged as the page says."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, ObjectStoragePath

from airflow_provider_predictions.api.limits import MAX_LISTED_PARTS, MAX_RECENT_COMMITS
from airflow_provider_predictions.operators.report import PredictionsReportOperator
from airflow_provider_predictions.operators.vlmrun import VlmRunPredictionsToObjectStorageOperator
from airflow_provider_predictions.sandbox.server import Sandbox
from tests.docs.blocks import BLOCKS
from tests.given import context_of
from tests.iceberg.catalogs import Catalog, catalog

__all__ = ["catalog"]

pytestmark = pytest.mark.docs

(PAGE,) = [block for block in BLOCKS if block.place.startswith("docs/guides/restore.md")]
STEPS: dict[str, Callable[..., None]] = {}
exec(compile(PAGE.code, PAGE.place, "exec"), STEPS)

MANY = MAX_LISTED_PARTS + 3
"""Predictions of a run. Each lands in a part of its own, so that the state does not list the parts."""


class Landings:
    """An incremental path with landings of a real task."""

    def __init__(self, root: Path, sandbox: Sandbox) -> None:
        self.root, self.sandbox, self.runs = root, sandbox, 0
        self.storage = ObjectStoragePath(f"file://{root}")

    def land(self, new: int = 2, **arguments: Any) -> dict[str, Any]:
        for _ in range(new):
            self.sandbox.vlmrun.add()
        self.runs += 1
        task = VlmRunPredictionsToObjectStorageOperator(
            task_id="land",
            path=str(self.storage),
            **({"incremental": True, "records_per_part": 1, "on_empty": "ignore"} | arguments),
        )
        landed: dict[str, Any] = task.execute(context_of(f"run {self.runs}"))
        return landed

    def restore(self, step: str, *arguments: int) -> None:
        STEPS[step](self.storage, *arguments)

    def remove(self, *names: str) -> None:
        for name in names:
            for found in self.root.glob(name):
                shutil.rmtree(found) if found.is_dir() else found.unlink()

    def ids(self, root: Path | None = None) -> list[str]:
        """The ids in all parts."""
        parts = sorted((root or self.root).rglob("part-*.jsonl"))
        return [json.loads(line)["id"] for part in parts for line in part.read_bytes().splitlines()]

    def report(self, *sources: ObjectStoragePath) -> int:
        """How many predictions a report on all of it counts."""
        task = PredictionsReportOperator(
            task_id="report",
            source=[str(source) for source in sources or (self.storage,)],
            path=f"{self.root}-report",
            period=("2000-01-01", "2100-01-01"),
        )
        count: int = task.execute({})["count"]
        return count

    def assert_whole(self) -> None:
        """Each prediction has landed once, a later run adds what is new, and a report reads it."""
        self.land()
        assert sorted(self.ids()) == sorted(record.id for record in self.sandbox.vlmrun.rows)
        assert self.report() == len(self.sandbox.vlmrun.rows)


@pytest.fixture
def path(connections: Sandbox, tmp_path: Path) -> Landings:
    """Three landings, of which the second has many parts."""
    made = Landings(tmp_path / "landed", connections)
    for new in (2, MANY, 2):
        made.land(new)
    return made


def spoil(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-9])


def edit(file: Path) -> None:
    file.write_text(json.dumps(json.loads(file.read_bytes()) | {"watermark": None, "landed": {}}))


@pytest.mark.parametrize("harm", [Path.unlink, spoil, edit])
def test_a_state_is_restored(path: Landings, harm: Callable[[Path], None]) -> None:
    harm(path.root / "_state.json")
    with pytest.raises(AirflowFailException, match=r"_state\.json .*Copy the object of"):
        path.land(0)

    path.restore("restore_state")

    path.assert_whole()


def test_a_state_that_is_gone_with_its_commit_goes_back_by_one_commit(path: Landings) -> None:
    path.remove("_state.json", "_log/00000003.json")

    path.restore("restore_state")

    assert path.land(0)["count"] == 2
    path.assert_whole()


def test_a_table_that_has_the_rows_of_a_lost_commit_gives_them_up(path: Landings, catalog: Catalog) -> None:
    for manifest in sorted(path.root.glob("*/*/_manifest.json")):
        catalog.add(str(manifest))
    path.remove("_state.json", "_log/00000003.json")
    path.restore("restore_state")
    again = path.land(0)
    table = catalog.load()
    lost = table.current_snapshot().summary.additional_properties["predictions.landing"]

    table.delete(f"landing == '{lost}'")
    catalog.add(again)

    ids = [row["id"] for row in catalog.rows()]
    assert sorted(ids) == sorted(record.id for record in path.sandbox.vlmrun.rows)


@pytest.mark.parametrize("harm", [Path.unlink, spoil, edit])
def test_a_state_that_is_damaged_with_its_copy_goes_back_by_one_commit(
    path: Landings, harm: Callable[[Path], None]
) -> None:
    (newest,) = path.root.glob("_states/00000003-*")
    harm(newest)
    path.remove("_state.json")
    with pytest.raises((ValueError, FileNotFoundError)):
        path.restore("restore_state")

    path.remove("_log/00000003.json")
    path.restore("restore_state")

    assert path.land(0)["count"] == 2
    path.assert_whole()


def test_an_older_state_below_a_commit_that_is_gone_is_restored(path: Landings) -> None:
    early = next(path.root.glob("_states/00000002-*")).read_bytes()
    path.land()
    path.remove("_log/00000003.json")
    path.root.joinpath("_state.json").write_bytes(early)
    with pytest.raises(AirflowFailException, match=r"_log/00000003\.json is missing, although there is"):
        path.land(0)

    path.restore("restore_state")
    path.restore("restore_log")

    assert path.land(0)["count"] == 0
    path.assert_whole()


def test_states_that_are_newer_than_a_backup_are_deleted(path: Landings) -> None:
    early = next(path.root.glob("_states/00000002-*")).read_bytes()
    path.land()
    path.remove("_log/00000003.json", "_log/00000004.json")
    path.root.joinpath("_state.json").write_bytes(early)
    with pytest.raises(AirflowFailException, match=r"_log/00000003\.json is missing, although there is"):
        path.land(0)

    path.remove("_states/00000004-*", "_states/00000003-*")

    assert path.land(0)["count"] == 4
    path.assert_whole()


@pytest.mark.parametrize("steps", [[], ["restore_states"]])
def test_states_that_are_gone_are_no_harm(path: Landings, steps: list[str]) -> None:
    before = max(path.root.joinpath("_states").iterdir()).read_bytes()
    path.remove("_states")

    for step in steps:
        path.restore(step)
        assert [file.read_bytes() for file in path.root.joinpath("_states").iterdir()] == [before]

    path.assert_whole()


def test_a_state_that_is_gone_while_its_copy_is_late_goes_back_by_one_commit(path: Landings) -> None:
    late = max(path.root.glob("_states/00000002-*")).read_bytes()
    path.remove("_states/00000003-*")
    path.root.joinpath("_state.json").write_bytes(late)
    with pytest.raises(
        AirflowFailException, match=r"_states/.* is missing, which .*_log/00000003\.json names"
    ):
        path.land(0)

    path.remove("_log/00000003.json")

    assert path.land(0)["count"] == 2
    path.assert_whole()


@pytest.mark.parametrize("gone", ["_log", "_log/00000003.json", "_log/00000002.json"])
def test_a_log_is_restored_without_landing_anything_twice(path: Landings, gone: str) -> None:
    before = {file.name: json.loads(file.read_bytes()) for file in path.root.glob("_log/*")}
    path.remove(gone)

    path.restore("restore_log")

    after = {file.name: json.loads(file.read_bytes()) for file in path.root.glob("_log/*")}
    # The hash of an older state is not needed: the state itself is gone.
    assert {name: entry | {"state_sha256": None} for name, entry in after.items()} == {
        name: entry | {"state_sha256": None} for name, entry in before.items()
    }
    assert after["00000003.json"] == before["00000003.json"]
    path.assert_whole()


def test_a_commit_that_was_changed_is_restored_after_it_is_deleted(path: Landings) -> None:
    spoil(path.root / "_log/00000003.json")
    with pytest.raises(AirflowFailException, match=r"_log/00000003\.json is not an Entry"):
        path.land(0)

    path.remove("_log/00000003.json")
    path.restore("restore_log")

    path.assert_whole()


@pytest.mark.parametrize("harm", [Path.unlink, spoil])
def test_an_index_is_restored(connections: Sandbox, tmp_path: Path, harm: Callable[[Path], None]) -> None:
    path = Landings(tmp_path / "landed", connections)
    for _ in range(MAX_RECENT_COMMITS):
        path.land(1)
    (index,) = path.root.glob("_index/*")
    harm(index)
    with pytest.raises(AirflowFailException, match="_index/"):
        path.report()
    for _ in range(38):  # as the page says
        path.land(1)
    with pytest.raises(AirflowFailException, match="_index/"):
        path.land(1)

    first = (path.root / "_log/00000001.json").rename(tmp_path / "first.json")
    with pytest.raises(ValueError, match="_log has "):
        path.restore("restore_index")

    first.rename(path.root / "_log/00000001.json")
    path.restore("restore_index")
    path.remove("_log/00000001.json")
    path.restore("restore_log")  # which reads the index

    path.assert_whole()


@pytest.mark.parametrize("harm", [Path.unlink, spoil])
def test_a_manifest_of_an_incremental_landing_is_restored(
    path: Landings, harm: Callable[[Path], None]
) -> None:
    (file,) = path.root.glob("00000002/*/_manifest.json")
    before = file.read_bytes()
    harm(file)

    path.restore("restore_manifest", 2)

    assert json.loads(file.read_bytes()) == json.loads(before)
    path.assert_whole()


@pytest.mark.parametrize("steps", [["restore_manifest"], []])
def test_a_manifest_of_a_path_that_each_landing_replaces_is_restored(
    connections: Sandbox, tmp_path: Path, steps: list[str]
) -> None:
    path = Landings(tmp_path / "landed", connections)
    path.land(incremental=False)
    path.land(incremental=False)
    file = path.root / "_manifest.json"
    before = file.read_bytes()
    spoil(file)
    with pytest.raises(AirflowFailException, match="Remove it, or land under another path"):
        path.land(incremental=False)

    file.unlink()
    for step in steps:
        path.restore(step, 2)
        assert json.loads(file.read_bytes()) == json.loads(before)

    assert path.land(incremental=False)["count"] == path.report() == len(connections.vlmrun.rows)


@pytest.mark.parametrize("gone", ["_log", "_log/00000001.json", "_log/00000002.json", "*"])
def test_a_log_that_is_gone_where_each_landing_replaces_the_one_before_is_no_harm(
    connections: Sandbox, tmp_path: Path, gone: str
) -> None:
    path = Landings(tmp_path / "landed", connections)
    path.land(incremental=False)
    path.land(incremental=False)
    path.remove(gone)

    assert path.land(incremental=False)["count"] == path.report() == len(connections.vlmrun.rows)
    assert sorted(path.ids()) == sorted(record.id for record in connections.vlmrun.rows)


@pytest.mark.parametrize("arguments", [{}, {"incremental": False, "created_before": "2100-01-01"}])
def test_records_whose_part_is_gone_land_again_under_another_path(
    path: Landings, tmp_path: Path, arguments: dict[str, Any]
) -> None:
    path.remove("00000002/*/part-*")
    with pytest.raises(AirflowFailException, match=r"part-.* is missing, "):
        path.report()
    assert path.land()["count"] == 2, "runs continue"

    path.remove("00000002")
    again = Landings(tmp_path / "again", path.sandbox)
    again.land(0, created_after="2000-01-01", **arguments)

    assert set(again.ids()) == {record.id for record in path.sandbox.vlmrun.rows}
    assert again.report() == len(path.sandbox.vlmrun.rows)
    with pytest.raises(AirflowFailException, match=r"part-.* is missing, "):
        again.report(path.storage, again.storage)
    path.sandbox.vlmrun.rows = path.sandbox.vlmrun.rows[:-1]  # the service forgets one that the old path has
    other = Landings(tmp_path / "other", path.sandbox)
    other.land(0, created_after="2000-01-01", **arguments)
    whole = [path.storage / file.relative_to(path.root) for file in path.root.glob("0*/*/_manifest.json")]
    assert other.report(other.storage, *whole) == len(path.sandbox.vlmrun.rows) + 1


def test_a_landing_that_nobody_reads_any_more_can_be_deleted(path: Landings) -> None:
    path.remove("00000001")

    assert path.land()["count"] == 2


def test_a_path_begins_anew_after_all_of_it_is_deleted(path: Landings) -> None:
    path.remove("*")

    path.assert_whole()


def test_another_path_begins_at_a_time(path: Landings, tmp_path: Path) -> None:
    """What the old path has lacks nothing from there on."""
    rows = path.sandbox.vlmrun.rows
    newest = max(record.created for record in rows)
    anew = Landings(tmp_path / "anew", path.sandbox)

    anew.land(0, created_after=newest.isoformat())
    anew.land(created_after=newest.isoformat())

    assert len(anew.ids()) == len({*anew.ids()}) >= 3
    assert {*path.ids(), *anew.ids()} == {record.id for record in rows}
