"""What a report reads of the storage to find incremental landings, however many there are."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath
from fsspec import AbstractFileSystem
from msgspec.structs import replace

from airflow_provider_predictions.api.errors import ConfigurationError
from airflow_provider_predictions.api.filters import utc
from airflow_provider_predictions.api.state import encode
from airflow_provider_predictions.report.window import Window, make_window
from airflow_provider_predictions.storage.landings import under
from airflow_provider_predictions.storage.log import Log
from airflow_provider_predictions.storage.objects import put
from airflow_provider_predictions.storage.state import (
    INDEX,
    STATE,
    State,
    encode_index,
    find_state,
    read_index,
)
from tests.compat import attach
from tests.report.landed import land, landings_of, left_out, report, table
from tests.report.records import changed, made

START, END = datetime(2026, 11, 2, tzinfo=UTC), datetime(2026, 11, 3, tzinfo=UTC)
WINDOW = make_window((START, END), "UTC", END)
RUNS, HOUR = 10_000, timedelta(hours=1)
Objects = dict[str, bytes]


class Store(AbstractFileSystem):
    """Objects, and how often each of them was read."""

    protocol = "s3"
    cachable = False
    client_kwargs = {"endpoint_url": "https://store.test"}  # noqa: RUF012

    def begin(self) -> None:
        self.objects: Objects = {}
        self.reads: Counter[str] = Counter()

    def cat_file(self, path: str, *_: Any, **__: Any) -> bytes:
        self.reads[path] += 1
        if path not in self.objects:
            raise FileNotFoundError(path)
        return self.objects[path]

    def get_file(self, rpath: str, lpath: str, **_: Any) -> None:
        Path(lpath).write_bytes(self.cat_file(rpath))

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **_: Any) -> None:
        if mode == "create" and path in self.objects:
            raise FileExistsError(path)
        self.objects[path] = bytes(value)

    def put_file(self, lpath: str, rpath: str, **_: Any) -> None:
        self.objects[rpath] = Path(lpath).read_bytes()

    def rm_file(self, path: str) -> None:
        self.objects.pop(path, None)

    def find(self, path: str, **_: Any) -> list[str]:
        self.reads["listing"] += 1
        return sorted(name for name in self.objects if name.startswith(f"{path}/"))

    def ls(self, path: str, detail: bool = False, **_: Any) -> list[str]:
        below = {name.removeprefix(f"{path}/").split("/")[0] for name in self.find(path)}
        return sorted(f"{path}/{name}" for name in below)


STORE = Store()
attach("s3", "counted", fs=STORE)


@pytest.fixture
def root() -> ObjectStoragePath:
    """An empty path of a storage that counts."""
    STORE.begin()
    return ObjectStoragePath("s3://counted@bucket/landed")


@pytest.fixture(scope="module")
def stored() -> Objects:
    """Ten thousand runs, one an hour, the last one at the end of the window."""
    STORE.begin()
    runs_before(ObjectStoragePath("s3://counted@bucket/landed"), RUNS)
    return STORE.objects


@pytest.fixture
def long_path(stored: Objects, root: ObjectStoragePath) -> ObjectStoragePath:
    """A path with ten thousand runs."""
    STORE.objects |= stored
    return root


def runs_before(root: ObjectStoragePath, runs: int, parts: int = 1) -> None:
    """Store what so many runs leave under a path, but for their parts."""
    land("vlmrun", root, made("vlmrun", START, END, parts), records_per_part=1, incremental=True)
    state = find_state(root)
    assert state
    entries = []
    for generation in range(1, runs + 1):
        at = END - HOUR * (runs - generation)
        facts = {"generation": generation, "created_min": utc(at - HOUR), "created_max": utc(at - HOUR / 2)}
        manifest = {**state.recent[0].manifest, **facts, "committed_at": utc(at)}
        entry = replace(state.recent[0], generation=generation, committed_at=at, manifest=manifest)
        entries.append(entry)
    last = replace(state, generation=runs, recent=entries[-30:])
    put(root / INDEX / last.index_name, encode_index(entries[:-30]))
    put(root / STATE, encode(replace(last, index=last.index_name)))
    put(Log(root).name(runs), encode(entries[-1]))


def found_in(root: ObjectStoragePath, window: Window) -> tuple[list[int], list[str]]:
    """The generations of which the parts are read, and what was asked of the storage to find them."""
    STORE.reads.clear()
    found = landings_of(str(root), window)
    inside = [one.manifest["generation"] for one in found if not one.outside(window.span)]
    return inside, [*STORE.reads.elements()]


def test_landings_are_found_in_three_reads_with_ten_thousand_behind_them(
    long_path: ObjectStoragePath,
) -> None:
    generations, reads = found_in(long_path, WINDOW)

    assert generations == list(range(RUNS - 191, RUNS + 1))
    names = ("_state.json", "_log/00010001.json", f"_index/{find_state(long_path).index}")
    assert reads == [f"bucket/landed/{name}" for name in names]


def test_the_index_is_not_read_for_what_the_state_lists(long_path: ObjectStoragePath) -> None:
    generations, reads = found_in(long_path, make_window((END - HOUR, END), "UTC", END))

    assert generations == list(range(RUNS - 7, RUNS + 1))
    assert reads == ["bucket/landed/_state.json", "bucket/landed/_log/00010001.json"]


def test_an_old_window_reads_as_little(long_path: ObjectStoragePath) -> None:
    end = END - 5000 * HOUR

    generations, reads = found_in(long_path, make_window((end - 6 * HOUR, end), "UTC", END))

    assert generations == list(range(RUNS - 5047, RUNS - 4999))
    assert len(reads) == 3


def test_commits_of_many_parts_are_looked_up_within_the_window_only(root: ObjectStoragePath) -> None:
    runs_before(root, 100, parts=6)
    whole, state = Log(root).read(1), find_state(root)
    assert whole
    assert state
    for entry in state.recent[-8:]:
        assert "parts" not in entry.manifest
        manifest = entry.manifest | {"parts": whole.manifest["parts"]}
        put(Log(root).name(entry.generation), encode(replace(entry, manifest=manifest)))

    generations, reads = found_in(root, make_window((END - HOUR, END), "UTC", END))

    assert generations == list(range(93, 101))
    assert reads[2:] == [f"bucket/landed/_log/{n:08}.json" for n in generations]


def test_a_late_copy_of_the_state_hides_nothing(tmp_path: Path) -> None:
    first, second = made("vlmrun", START, END, 5), made("vlmrun", START, END, 6, seed=2)
    land("vlmrun", tmp_path / "landed", first, incremental=True)
    late = (tmp_path / "landed/_state.json").read_bytes()
    land("vlmrun", tmp_path / "landed", second, incremental=True)
    (tmp_path / "landed/_state.json").write_bytes(late)

    assert report(str(tmp_path / "landed"), WINDOW, tmp_path / "files")["count"] == 11


@pytest.mark.parametrize(
    "change",
    [
        lambda commits: [],
        lambda commits: commits[1:],
        lambda commits: commits[-1:],
        lambda commits: [commits[0], commits[2]],
    ],
)
def test_a_list_that_lacks_a_commit_is_refused(
    change: Callable[[list[Any]], list[Any]], tmp_path: Path
) -> None:
    """The report would count less than has landed."""
    for seed in (1, 2, 3):
        land("vlmrun", tmp_path / "landed", made("vlmrun", START, END, 5, seed=seed), incremental=True)
    state = tmp_path / "landed/_state.json"
    content = json.loads(state.read_bytes())
    state.write_text(json.dumps(content | {"recent": change(content["recent"])}))

    with pytest.raises(
        ConfigurationError, match=r"source: .*_state\.json does not list commit [12], so it was"
    ):
        report(str(tmp_path / "landed"), WINDOW, tmp_path / "files")


def test_an_index_that_lacks_a_commit_is_refused(root: ObjectStoragePath) -> None:
    runs_before(root, 40)
    state = find_state(root)
    put(root / INDEX / state.index, encode_index(read_index(root, state.index)[1:]))

    with pytest.raises(ConfigurationError, match=rf"{state.index} does not list commit 1, so it was changed"):
        found_in(root, WINDOW)


@pytest.mark.parametrize(
    "source",
    [
        lambda base: str(base),
        lambda base: str(base / "a"),
        lambda base: [str(base), str(base / "a"), f"{base}/"],
        lambda base: [str(base), *map(str, base.glob("a/0*/*/_manifest.json"))],
        lambda base: [str(path.parent) for path in base.glob("a/0*/*/_manifest.json")],
        lambda base: [json.loads(path.read_text()) for path in base.glob("a/0*/*/_manifest.json")],
        lambda base: {"path": str(base / "a")},
    ],
)
def test_each_commit_counts_once_and_leftovers_never(source: Callable[[Path], Any], tmp_path: Path) -> None:
    base = tmp_path / "landed"
    for seed in (1, 2, 3):
        records = changed(made("vlmrun", START, END, 5, seed=seed), id=None)
        land("vlmrun", base / "a", records, incremental=True, records_per_part=2)
    (committed,) = base.glob("a/00000003/*")
    shutil.copytree(committed, committed.with_name("00000000-00000000"))
    (committed.with_name("00000000-00000000") / "_manifest.json").unlink()

    summary = report(source(base), WINDOW, tmp_path / "files")

    assert summary["count"] == 15


def test_a_commit_whose_copy_was_never_written_counts(tmp_path: Path) -> None:
    land("vlmrun", tmp_path / "in/a", made("vlmrun", START, END, 5), incremental=True)
    land("vlmrun", tmp_path / "in/b", made("vlmrun", START, END, 6, seed=2))
    for copy in tmp_path.rglob("_manifest.json"):
        copy.unlink()

    assert report(str(tmp_path / "in"), WINDOW, tmp_path / "files")["count"] == 11


def test_the_landing_that_replaced_another_counts_where_its_manifest_is_late(tmp_path: Path) -> None:
    land("vlmrun", tmp_path / "landed", made("vlmrun", START, END, 5))
    late = (tmp_path / "landed/_manifest.json").read_bytes()
    land("vlmrun", tmp_path / "landed", made("vlmrun", START, END, 6, seed=2))
    (tmp_path / "landed/_manifest.json").write_bytes(late)

    for source in (str(tmp_path / "landed"), str(tmp_path / "landed/_manifest.json"), str(tmp_path)):
        (found,) = landings_of(source, WINDOW)
        assert found.manifest["count"] == 6


def test_rejected_rows_of_commits_without_records_are_told(tmp_path: Path) -> None:
    for row in (b"1", b"2"):
        land("vlmrun", tmp_path / "landed", [row], incremental=True)
    land("vlmrun", tmp_path / "landed", made("vlmrun", START, END, 5), incremental=True)

    report(str(tmp_path / "landed"), WINDOW, tmp_path / "files")

    assert sum(left_out(tmp_path / "files").values()) == 2


def test_older_and_newer_landings_are_left_out_by_path(tmp_path: Path) -> None:
    day = timedelta(days=1)
    for n, (first, count) in enumerate(((START - 9 * day, 3), (START - 8 * day, 4), (START, 5), (END, 6))):
        records = made("vlmrun", first, first + day, count, seed=n)
        land("vlmrun", tmp_path / "landed", records, incremental=True, at=first + day)
        if first != START:
            for part in tmp_path.glob(f"landed/{n + 1:08}/*/part-*"):
                part.unlink()

    summary = report(str(tmp_path / "landed"), WINDOW, tmp_path / "files")

    assert summary["count"] == 5
    assert table(tmp_path / "files", "left_out") == [
        [f"in landings of {side} predictions only, which were not read", count, str(tmp_path / "landed")]
        for side, count in (("newer", "6"), ("older", "7"))
    ]


def test_a_landings_own_directory_on_an_object_store_is_a_source(
    root: ObjectStoragePath,
) -> None:
    anew = land("vlmrun", root / "anew", made("vlmrun", START, END, 5))
    added = land("vlmrun", root / "added", made("vlmrun", START, END, 6, seed=2), incremental=True)

    for manifest, count in ((anew, 5), (added, 6)):
        for source in (manifest["path"], f"{manifest['path']}/_manifest.json", manifest):
            (found,) = landings_of(source, WINDOW)
            assert found.manifest["count"] == count


@pytest.mark.parametrize("content", [None, b"{", b'{"version": 0}'])
def test_a_state_that_is_missing_or_no_state_is_named(content: bytes | None, tmp_path: Path) -> None:
    land("vlmrun", tmp_path / "in/a", made("vlmrun", START, END, 5), incremental=True)
    if content is None:
        (tmp_path / "in/a/_state.json").unlink()
    else:
        (tmp_path / "in/a/_state.json").write_bytes(content)

    for source in (str(tmp_path / "in"), str(tmp_path / "in/a")):
        with pytest.raises(ConfigurationError, match=r"^source: .*/in/a/_state\.json is "):
            report(source, WINDOW, tmp_path / "files")


def test_a_commit_that_is_listed_and_is_not_there_is_named(
    root: ObjectStoragePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list of objects may be late."""
    monkeypatch.setattr(STORE, "find", lambda path, **_: [f"{path}/_log/00000007.json"])

    with pytest.raises(ConfigurationError, match=r"^path: .*_log/00000007\.json is missing, although runs"):
        under(root, WINDOW.span)


def test_a_path_in_which_nothing_was_committed_is_named(tmp_path: Path) -> None:
    put(ObjectStoragePath(str(tmp_path / STATE)), encode(State()))

    with pytest.raises(ConfigurationError, match=r"^source: .*nothing has landed there"):
        report(str(tmp_path), WINDOW, tmp_path / "files")
