"""A landing that was interrupted is gone on with: killed at any moment, on this machine or on another one."""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count, cycle
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, ObjectStoragePath

from airflow_provider_predictions.sandbox.data import Record
from airflow_provider_predictions.sandbox.faults import Fault
from airflow_provider_predictions.sandbox.server import Sandbox
from airflow_provider_predictions.sandbox.shelf import Shelf
from airflow_provider_predictions.storage.manifest import MANIFEST
from airflow_provider_predictions.storage.workspace import Workspace
from tests.storage.landing_process import LAND

PREFETCH = 2
ARGUMENTS = {"page_size": 20, "records_per_part": 70, "prefetch": PREFETCH}
LONGEST = 60.0
"""Seconds after which a landing in a process hangs."""
DAY = 24 * 3600.0


# --- machines and processes --------------------------------------------------------------------------


class Machine:
    """What a landing finds on the machine where it runs: only its directory of temporary files."""

    def __init__(self, tmp: Path) -> None:
        self.tmp = tmp
        tmp.mkdir()
        self.home = tmp / f"airflow-predictions-{os.getuid()}"

    def left(self) -> list[str]:
        """What landings keep here."""
        return sorted(path.name for path in (*self.tmp.glob("*"), *self.home.glob("*")) if path != self.home)

    def is_cleaned_up(self) -> bool:
        """Whether some of what a landing goes on with is gone."""
        return not {"journal", "part", "rejected"} <= {
            re.split(r"\W", path.name)[0] for path in self.home.glob("*/*")
        }


@pytest.fixture
def new_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Machine]:
    """Go on on a machine that no landing ran on before."""
    numbers = count()

    def new_machine() -> Machine:
        machine = Machine(tmp_path / f"machine-{next(numbers)}")
        use(machine, monkeypatch)
        return machine

    return new_machine


def use(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(machine.tmp))
    monkeypatch.setattr(tempfile, "tempdir", None)


@pytest.fixture(autouse=True)
def machine(new_machine: Callable[[], Machine]) -> Machine:
    """The machine of this test: no test goes on from another's workspace."""
    return new_machine()


class Forks:
    """Processes that begin as fresh ones do, but have imported everything.

    :param within: a command that starts them.
    """

    def __init__(self, *within: str) -> None:
        self._server = subprocess.Popen(
            [*within, sys.executable, "-m", "tests.storage.landing_process"],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    @property
    def root(self) -> Path:
        """Their file systems, which may be others than this process has."""
        return Path(f"/proc/{self._server.pid}/root")

    def ready(self) -> None:
        assert self._answer() == "ready"

    def ask(self, **order: Any) -> int:
        assert self._server.stdin
        self._server.stdin.write(json.dumps(order) + "\n")
        self._server.stdin.flush()
        return int(self._answer())

    def stop(self) -> None:
        self._server.communicate()

    def _answer(self) -> str:
        assert self._server.stdout
        return self._server.stdout.readline().strip()


@pytest.fixture(scope="module")
def all_forks() -> Iterator[list[Forks]]:
    """Two, since processes forked from one would share the secret of their hashes."""
    forks = [Forks(), Forks()]
    for each in forks:
        each.ready()
    yield forks
    for each in forks:
        each.stop()


@dataclass
class Attempt:
    """A landing in a process."""

    forks: Forks
    pid: int
    answer: Path

    @property
    def is_over(self) -> bool:
        """Whether it has landed or failed; its process may still be there."""
        return self.answer.exists()

    def kill(self) -> dict[str, Any] | None:
        """End it at once; what it returned where it was over before."""
        os.kill(self.pid, signal.SIGKILL)
        return self._result(self.forks.ask(wait=self.pid))

    def manifest(self) -> dict[str, Any]:
        """What it returns in the end."""
        manifest = self._result(self.forks.ask(wait=self.pid))
        assert manifest
        return manifest

    def _result(self, code: int) -> dict[str, Any] | None:
        assert code in (0, -signal.SIGKILL), self.answer.with_suffix(".log").read_text()
        return None if code else json.loads(self.answer.read_bytes())


@pytest.fixture
def start(all_forks: list[Forks], tmp_path: Path) -> Callable[..., Attempt]:
    """Begin a landing in a process of its own."""
    numbers, forks = count(), cycle(all_forks)

    def start(sandbox: Sandbox, service: str, path: object, **arguments: Any) -> Attempt:
        names = [name for name in os.environ if name.startswith("AIRFLOW_CONN_")]
        environment = {name: os.environ[name] for name in (*names, "TMPDIR")} | sandbox.environment()
        answer, fork = tmp_path / f"answer-{next(numbers)}.json", next(forks)
        pid = fork.ask(
            land=service,
            arguments={"path": str(path)} | ARGUMENTS | arguments,
            environment=environment,
            answer=str(answer),
        )
        return Attempt(fork, pid, answer)

    return start


# --- lists and landings ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lists() -> Iterator[Sandbox]:
    """3,000 predictions of each service, which stay as they are."""
    with Sandbox(count=3000) as sandbox:
        yield sandbox


def slow_down(sandbox: Sandbox, service_name: str, seconds: float = 0.004) -> None:
    """Let the service take its time, and forget what was asked before."""
    sandbox.wire.clear()
    sandbox.wire.order(Fault(service_name, how="slow", times=1_000_000, seconds=seconds))


@pytest.fixture(scope="module")
def undisturbed(lists: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., dict[str, Any]]:
    """The manifest of a landing of the 3,000 that nothing interrupts; the next one takes its time."""
    known: dict[str, dict[str, Any]] = {}

    def undisturbed(service: str, **arguments: Any) -> dict[str, Any]:
        key = json.dumps([service, arguments], sort_keys=True)
        if key not in known:
            path = tmp_path_factory.mktemp("undisturbed").as_uri()
            with pytest.MonkeyPatch.context() as patch:
                for name, value in lists.environment().items():
                    patch.setenv(name, value)
                known[key] = LAND[service](task_id="land", path=path, **ARGUMENTS | arguments).execute({})
        slow_down(lists, service)
        return known[key]

    return undisturbed


@pytest.fixture
def land(connections: Sandbox, service_name: str, file_store) -> Callable[..., dict[str, Any]]:
    """Land from the sandbox, in this process."""

    def land(context: dict[str, Any] | None = None, **arguments: Any) -> dict[str, Any]:
        given = {"path": str(file_store), "page_size": 20, "records_per_part": 70} | arguments
        return LAND[service_name](task_id="land", **given).execute(context or {})

    return land


@pytest.fixture
def interrupted(land, connections: Sandbox, service_name: str) -> Callable[..., None]:
    """Land until the service refuses to go on."""

    def interrupted(after: int, **arguments: Any) -> None:
        connections.wire.order(Fault(service_name, status=400, body=b"{}", times=1000, after=after))
        with pytest.raises(AirflowFailException):
            land(**arguments)
        connections.wire.clear()

    return interrupted


def asked(sandbox: Sandbox, service_name: str) -> list[str]:
    """The pages that were asked for."""
    # Copied in one step: the sandbox goes on noting requests in a thread of its own.
    return [seen.query for seen in list(sandbox.wire.seen) if seen.part == service_name]


def asked_again(sandbox: Sandbox, service_name: str) -> int:
    return sum(times - 1 for times in Counter(asked(sandbox, service_name)).values())


def wait_for(condition: Callable[[], bool], pause: float = 0.001) -> None:
    deadline = time.monotonic() + LONGEST
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(pause)


def kill_after(
    attempt: Attempt, sandbox: Sandbox, service_name: str, requests: int, seconds: float
) -> dict[str, Any] | None:
    """Kill a landing some time after a request; what it returned where it was over by then."""
    wait_for(lambda: len(asked(sandbox, service_name)) >= requests or attempt.is_over)
    time.sleep(seconds)
    return attempt.kill()


def names(path: ObjectStoragePath) -> list[str]:
    """What lies right under a path."""
    path.fs.invalidate_cache()
    return sorted(key.rsplit("/", 1)[-1] for key in path.fs.ls(path.path, detail=False))


def stored(manifest: dict[str, Any]) -> list[bytes]:
    return [ObjectStoragePath(part["uri"]).read_bytes() for part in manifest["parts"]]


def essence(manifest: dict[str, Any]) -> dict[str, Any]:
    """A manifest without where it lies and how often was asked."""
    parts = [{name: part[name] for name in ("count", "bytes", "sha256")} for part in manifest["parts"]]
    return {name: manifest[name] for name in manifest if name not in ("path", "requests")} | {"parts": parts}


def assert_landed(path: ObjectStoragePath, manifest: dict[str, Any], reference: dict[str, Any]) -> None:
    """Everything under a path is as if nothing had happened."""
    assert essence(manifest) == essence(reference)
    assert stored(manifest) == stored(reference)
    assert json.loads((path / "_manifest.json").read_bytes()) == manifest
    uris = [part["uri"] for part in manifest["parts"]]
    assert names(path) == sorted(["_manifest.json", *(uri.rsplit("/", 1)[-1] for uri in uris)])


def assert_all(manifest: dict[str, Any], shelf: Shelf) -> None:
    """All records have landed in parts of 70, none twice, as the manifest says."""
    assert b"".join(stored(manifest)) == b"".join(text + b"\n" for text in shelf.texts())
    assert manifest["count"] == len(shelf.rows)
    for part, text in zip(manifest["parts"], stored(manifest), strict=True):
        assert (part["count"], part["bytes"]) == (text.count(b"\n"), len(text))
        assert part["sha256"] == hashlib.sha256(text).hexdigest()
    assert {part["count"] for part in manifest["parts"][:-1]} <= {70}


# --- killed at any moment ----------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(10))
def test_a_landing_that_was_killed_is_gone_on_with(
    start, lists: Sandbox, service_name, undisturbed, file_store, machine, seed
) -> None:
    rng = random.Random(f"{service_name} {seed}")
    reference = undisturbed(service_name)

    attempt = start(lists, service_name, file_store)
    moment, seconds = rng.randrange(reference["requests"] + 1), rng.uniform(0, 0.02)
    manifest = kill_after(attempt, lists, service_name, moment, seconds)
    manifest = manifest or start(lists, service_name, file_store).manifest()

    assert_landed(file_store, manifest, reference)
    assert asked_again(lists, service_name) <= PREFETCH + 1
    assert machine.left() == []


DAYS_AGO = datetime.now(UTC) - timedelta(days=22), datetime.now(UTC) - timedelta(days=12)
WINDOW = dict(zip(("created_after", "created_before"), map(str, DAYS_AGO), strict=True))


@pytest.mark.parametrize(
    ("service_name", "arguments"),
    [
        ("vlmrun", {}),
        ("cradl", {"compression": "gzip"}),
        ("vlmrun", {"compression": "zstd", "prefetch": 0}),
        ("vlmrun", {"file_format": "parquet"}),
        ("cradl", {"file_format": "parquet", "records_per_part": 1000}),
        ("vlmrun", WINDOW),
        ("cradl", {"statuses": "failed", "records_per_part": 7}),
    ],
    ids=["jsonl", "gzip", "zstd", "parquet", "one large part", "window", "statuses"],
)
def test_a_landing_may_be_killed_again_and_again(
    start, lists: Sandbox, service_name, undisturbed, file_store, machine, arguments
) -> None:
    rng = random.Random(len(str(arguments)))
    reference = undisturbed(service_name, **arguments)
    moments = sorted(rng.sample(range(reference["requests"]), 3))

    for moment in moments:
        attempt = start(lists, service_name, file_store, **arguments)
        kill_after(attempt, lists, service_name, moment, rng.uniform(0, 0.02))
    manifest = start(lists, service_name, file_store, **arguments).manifest()

    assert_landed(file_store, manifest, reference)
    assert asked_again(lists, service_name) <= len(moments) * (PREFETCH + 1)
    assert machine.left() == []


@pytest.mark.parametrize(
    ("service_name", "name"),
    [
        ("vlmrun", "part-00000.jsonl"),
        ("cradl", "_checkpoint.jsonl"),
        ("cradl", "part-00042.jsonl"),
        ("vlmrun", "_manifest.json"),
    ],
)
def test_a_landing_that_is_killed_as_an_object_appears_is_gone_on_with(
    start, lists: Sandbox, service_name, undisturbed, file_store, machine, name
) -> None:
    reference = undisturbed(service_name)

    attempt = start(lists, service_name, file_store)
    wait_for((Path(file_store.path) / name).exists, pause=0)
    answered = attempt.kill()
    # On a busy machine the kill may come when the landing cleans up already; then the next one lands anew.
    was_over = (Path(file_store.path) / MANIFEST).exists() and machine.is_cleaned_up()
    manifest = answered or start(lists, service_name, file_store).manifest()

    assert_landed(file_store, manifest, reference)
    assert was_over or asked_again(lists, service_name) <= PREFETCH + 1
    assert machine.left() == []


def test_another_machine_goes_on_from_what_lies_beside_the_parts(
    start, lists: Sandbox, service_name, undisturbed, s3_store, new_machine
) -> None:
    rng = random.Random(service_name)
    path, size = s3_store / "x", 300
    reference = undisturbed(service_name, records_per_part=size)
    moments = sorted(rng.sample(range(30, reference["requests"]), 2))

    for moment in moments:
        attempt = start(lists, service_name, path, records_per_part=size)
        kill_after(attempt, lists, service_name, moment, rng.uniform(0, 0.05))
        new_machine()
    machine = new_machine()
    manifest = start(lists, service_name, path, records_per_part=size).manifest()

    assert_landed(path, manifest, reference)
    pages_of_a_part = -(-size // 19)
    assert asked_again(lists, service_name) <= len(moments) * (pages_of_a_part + PREFETCH + 1)
    assert machine.left() == []


@pytest.mark.parametrize("days", [(22, 12), (29, 25), (3, 1)], ids=["middle", "old", "new"])
@pytest.mark.parametrize("after", range(5))
def test_a_window_is_gone_on_with(land, interrupted, shelf: Shelf, after, days) -> None:
    shelf.fill(500)
    since, until = (datetime.now(UTC) - timedelta(days=ago) for ago in days)
    expected = [shelf.text(row) for row in shelf.rows if since <= row.created < until]
    window = {"created_after": str(since), "created_before": str(until), "page_size": 5}
    interrupted(after=after, **window)

    manifest = land(**window)

    assert sorted(b"".join(stored(manifest)).splitlines()) == sorted(expected)


def test_requests_of_all_attempts_are_counted(land, interrupted, connections, shelf: Shelf) -> None:
    shelf.fill(500)
    interrupted(after=10)

    manifest = land()

    assert manifest["requests"] >= 500 / 20
    assert_all(manifest, shelf)


def test_values_that_were_fetched_are_not_fetched_again(connections: Sandbox, file_store) -> None:
    connections.cradl.fill(300)
    arguments = {"path": str(file_store), "page_size": 20, "records_per_part": 70, "fetch_values": True}
    connections.wire.order(Fault("cradl", status=400, body=b"{}", times=1000, after=8))
    with pytest.raises(AirflowFailException):
        LAND["cradl"](task_id="land", **arguments).execute({})
    connections.wire.clear()

    manifest = LAND["cradl"](task_id="land", **arguments).execute({})

    finished = [row for row in connections.cradl.rows if row.outcome == "succeeded"]
    records = [json.loads(line) for part in stored(manifest) for line in part.splitlines()]
    assert [record["predictionId"] for record in records] == [row.id for row in connections.cradl.rows]
    assert sum(bool(record["predictions"]) for record in records) == len(finished)
    assert sum(seen.part == "files" for seen in connections.wire.seen) <= 140


# --- lists that change meanwhile, or come in no order ------------------------------------------------


@pytest.mark.parametrize(
    ("ordered", "arguments"),
    [
        (1000, {}),
        (400, {}),
        (0, {}),
        (0, {"compression": "gzip"}),
        (0, {"compression": "zstd"}),
        (0, {"file_format": "parquet"}),
    ],
    ids=["ordered", "ordered at first", "no order", "gzip", "zstd", "parquet"],
)
def test_nothing_lands_twice_whatever_the_order(
    start, sandbox: Sandbox, shelf: Shelf, service_name, file_store, arguments, ordered
) -> None:
    shelf.fill(1000)
    rest = shelf.rows[ordered:]
    random.Random(ordered).shuffle(rest)
    shelf.rows[ordered:] = rest
    expected = [row.id for row in shelf.rows]
    slow_down(sandbox, service_name)

    attempt = start(sandbox, service_name, file_store, **arguments)
    kill_after(attempt, sandbox, service_name, 17, 0.01)
    for _ in range(45):
        shelf.add()
    manifest = start(sandbox, service_name, file_store, **arguments).manifest()

    landed = ids(manifest, service_name)
    new = {row.id for row in shelf.rows[:45]}
    assert [id_ for id_ in landed if id_ not in new] == expected
    assert len(landed) == len(set(landed)) == manifest["count"]


def ids(manifest: dict[str, Any], service_name: str) -> list[str]:
    """The ids of what has landed, in whatever format."""
    column = "id" if service_name == "vlmrun" else "predictionId"
    found: list[str] = []
    for part in manifest["parts"]:
        found += _records(Path(part["uri"].removeprefix("file://")), column)
    return found


def _records(file: Path, column: str) -> list[str]:
    import pyarrow.json as pj
    import pyarrow.parquet as pq
    from pyarrow import input_stream

    if file.suffix == ".parquet":
        table = pq.read_table(file, columns=[column])
    else:
        codec = {".gz": "gzip", ".zst": "zstd"}.get(file.suffix)
        table = pj.read_json(input_stream(str(file), compression=codec))
    found: list[str] = table[column].to_pylist()
    return found


# --- whose progress it is ----------------------------------------------------------------------------


def task_of(run: str, attempt: int = 1) -> dict[str, Any]:
    names = {"dag_id": "dag", "task_id": "land", "map_index": -1}
    return {"ti": SimpleNamespace(**names, run_id=run, try_number=attempt)}


def test_a_retry_of_the_same_run_goes_on(land, interrupted, connections, shelf: Shelf, service_name) -> None:
    shelf.fill(500)
    interrupted(after=20, context=task_of("monday", 1))

    manifest = land(task_of("monday", 2))

    assert_all(manifest, shelf)
    assert len(asked(connections, service_name)) < 10


def test_a_landing_over_an_earlier_one_goes_on_where_it_had_no_part_yet(
    land, interrupted, connections, shelf: Shelf, service_name
) -> None:
    shelf.fill(500)
    whole = land()
    interrupted(after=2)
    before = len(asked(connections, service_name))

    manifest = land()

    assert_all(manifest, shelf)
    assert len(asked(connections, service_name)) - before < whole["requests"]


@pytest.mark.parametrize("elsewhere", [False, True], ids=["here", "elsewhere"])
@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"context": task_of("monday")}, {"context": task_of("tuesday")}),
        ({"statuses": "failed,completed,succeeded"}, {}),
        ({"page_size": 10}, {"page_size": 20}),
        ({"records_per_part": 60}, {}),
        ({"created_after": "2020-01-01"}, {"created_after": "2020-01-02"}),
        ({"compression": "gzip"}, {}),
    ],
    ids=["run", "statuses", "page size", "size of parts", "window", "compression"],
)
def test_progress_of_another_landing_is_ignored(
    land, interrupted, shelf: Shelf, new_machine, file_store, caplog, elsewhere, first, second
) -> None:
    shelf.fill(500)
    interrupted(after=20, **first)
    if elsewhere:
        new_machine()

    with caplog.at_level(logging.INFO, "airflow_provider_predictions"):
        manifest = land(**second)

    assert re.search("is ignored.*of other arguments or of another run", caplog.text)
    assert_all(manifest, shelf)
    assert manifest["requests"] >= 25
    assert names(file_store) == ["_manifest.json", *(f"part-{n:05}.jsonl" for n in range(8))]


def test_a_run_that_committed_elsewhere_is_not_gone_on_with_when_it_is_cleared(
    land, interrupted, shelf: Shelf, machine, new_machine, monkeypatch
) -> None:
    shelf.fill(500)
    interrupted(after=20, context=task_of("monday", 1))
    new_machine()
    land(task_of("monday", 2))
    for _ in range(10):
        shelf.add()
    use(machine, monkeypatch)

    manifest = land(task_of("monday", 3))

    assert_all(manifest, shelf)


# --- progress that cannot be gone on from ------------------------------------------------------------


@pytest.fixture
def begun(interrupted, shelf: Shelf, machine: Machine) -> Machine:
    """A landing of 500 that was interrupted behind its fifth part; the machine where it was."""
    shelf.fill(500)
    interrupted(after=20)
    return machine


def checkpoint_of(path: ObjectStoragePath) -> Path:
    return Path(path.path) / "_checkpoint.jsonl"


def journal_of(machine: Machine) -> Path:
    (journal,) = machine.home.glob("*/journal.jsonl")
    return journal


def make_old(file: Path, seconds: float) -> None:
    """Let a checkpoint say that it was saved so long before."""
    head, lines = file.read_bytes().split(b"\n", 1)
    notes = [head] if file.name == "_checkpoint.jsonl" else file.read_bytes().splitlines()
    given = [json.loads(note) for note in notes]
    new = [json.dumps(note | {"saved_at": note["saved_at"] - seconds}).encode() for note in given]
    file.write_bytes(b"\n".join(new) + b"\n" + (lines if len(new) == 1 else b""))


@pytest.mark.parametrize(("age", "is_used"), [(DAY - 600, True), (DAY + 600, False)])
@pytest.mark.parametrize("elsewhere", [False, True], ids=["here", "elsewhere"])
def test_progress_is_good_for_a_day(
    begun, land, shelf: Shelf, connections, service_name, new_machine, file_store, elsewhere, age, is_used
) -> None:
    make_old(checkpoint_of(file_store), age)
    make_old(journal_of(begun), age)
    if elsewhere:
        new_machine()

    manifest = land()

    assert_all(manifest, shelf)
    assert (len(asked(connections, service_name)) < 20) is is_used


def delete(part: Path) -> None:
    part.unlink()


def shorten(part: Path) -> None:
    part.write_bytes(part.read_bytes()[:-1])


def lengthen(part: Path) -> None:
    part.write_bytes(part.read_bytes() + b"{}\n")


@pytest.mark.parametrize("harm", [delete, shorten, lengthen])
@pytest.mark.parametrize("elsewhere", [False, True], ids=["here", "elsewhere"])
def test_progress_whose_part_is_gone_or_replaced_is_ignored(
    begun, land, shelf: Shelf, new_machine, file_store, caplog, elsewhere, harm
) -> None:
    harm(Path(file_store.path) / "part-00002.jsonl")
    if elsewhere:
        new_machine()

    with caplog.at_level(logging.INFO, "airflow_provider_predictions"):
        manifest = land()

    assert re.search("is ignored.*names a part that is not there", caplog.text)
    assert_all(manifest, shelf)


def empty(file: Path) -> None:
    file.write_bytes(b"")


def spoil(file: Path) -> None:
    file.write_bytes(b"not JSON\n")


def cut_head(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:50])


def cut_lines(file: Path) -> None:
    head, lines = file.read_bytes().split(b"\n", 1)
    file.write_bytes(head + b"\n" + lines[: len(lines) // 2])


def alter_lines(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-10] ^= 1
    file.write_bytes(bytes(content))


def speak_otherwise(file: Path) -> None:
    """As another version of the package may have written it."""
    head, lines = file.read_bytes().split(b"\n", 1)
    told = {
        name: told for name, told in json.loads(head).items() if name in ("arguments", "spool", "rejected")
    }
    file.write_bytes(json.dumps(told).encode() + b"\n" + (lines if file.name == "_checkpoint.jsonl" else b""))


@pytest.mark.parametrize("harm", [empty, spoil, cut_head, cut_lines, alter_lines, speak_otherwise])
def test_a_checkpoint_that_was_not_written_whole_is_ignored(
    begun, land, shelf: Shelf, new_machine, file_store, harm
) -> None:
    harm(checkpoint_of(file_store))
    new_machine()

    assert_all(land(), shelf)
    assert "_checkpoint.jsonl" not in names(file_store)


@pytest.mark.parametrize(
    ("file", "harm"),
    [
        *(("journal.jsonl", harm) for harm in (delete, empty, spoil, cut_head, shorten, speak_otherwise)),
        *(("part-5", harm) for harm in (delete, empty, shorten, alter_lines)),
    ],
)
def test_a_workspace_that_was_not_written_whole_is_no_harm(begun, land, shelf: Shelf, file, harm) -> None:
    harm(journal_of(begun).with_name(file))

    assert_all(land(), shelf)


@pytest.mark.parametrize("content", [b"", b'{"path": "', b"[]"], ids=["empty", "cut short", "no object"])
def test_a_manifest_that_was_not_written_whole_does_not_stop_a_retry(
    begun, land, shelf: Shelf, file_store, content: bytes
) -> None:
    (file_store / "_manifest.json").write_bytes(content)

    assert_all(land(), shelf)


def test_a_landing_that_moved_may_be_interrupted_where_it_went_on(
    land, interrupted, shelf: Shelf, new_machine, connections, service_name
) -> None:
    shelf.fill(500)
    arguments = {"records_per_part": 200}
    interrupted(after=13, **arguments)
    new_machine()
    interrupted(after=4, **arguments)

    manifest = land(**arguments)

    assert len(asked(connections, service_name)) <= 12
    assert [part["count"] for part in manifest["parts"]] == [200, 200, 100]
    assert b"".join(stored(manifest)) == b"".join(text + b"\n" for text in shelf.texts())


def test_a_landing_that_came_back_goes_on_from_where_it_was_last(
    land, interrupted, shelf: Shelf, connections, service_name, machine, new_machine, monkeypatch
) -> None:
    shelf.fill(500)
    interrupted(after=6)
    new_machine()
    interrupted(after=14)
    use(machine, monkeypatch)

    manifest = land()

    assert_all(manifest, shelf)
    assert len(asked(connections, service_name)) < 16


@pytest.fixture
def odd(shelf: Shelf) -> Iterator[set[int]]:
    """Indexes of rows that are sent as numbers instead of records."""
    kind, indexes = shelf.kind, {5, 120, 333}

    def shown(record: Record, status: str, files: str) -> bytes:
        index = next(n for n, row in enumerate(shelf.rows) if row.id == record.id)
        return str(index).encode() if index in indexes else kind.show(record, status, files)

    shelf.kind = replace(kind, show=shown)
    yield indexes
    shelf.kind = kind


def test_rejected_rows_move_with_the_landing(
    land, interrupted, shelf: Shelf, file_store, new_machine, odd
) -> None:
    shelf.fill(500)
    arguments = {"records_per_part": 200, "max_rejected": None}
    interrupted(after=13, **arguments)
    new_machine()
    interrupted(after=8, **arguments)

    manifest = land(**arguments)

    texts = [text for n, text in enumerate(shelf.texts()) if n not in odd]
    assert (manifest["count"], manifest["rejected"]) == (497, 3)
    assert b"".join(stored(manifest)) == b"".join(text + b"\n" for text in texts)
    assert (file_store / "rejected.jsonl").read_bytes() == b"5\n120\n333\n"


# --- the workspace -----------------------------------------------------------------------------------


def test_two_landings_at_once_share_no_workspace(
    start, lists: Sandbox, service_name, undisturbed, file_store, machine
) -> None:
    reference = undisturbed(service_name)
    slow_down(lists, service_name, seconds=1)

    first = start(lists, service_name, file_store)
    wait_for(lambda: len(asked(lists, service_name)) > 3)
    second = start(lists, service_name, file_store)
    wait_for(lambda: len(machine.left()) == 2)
    lists.wire.clear()
    manifests = [first.manifest(), second.manifest()]

    for manifest in manifests:
        assert essence(manifest) == essence(reference)
        assert stored(manifest) == stored(reference)
    assert names(file_store) == names(ObjectStoragePath(reference["path"]))
    assert machine.left() == []


def test_nothing_is_left_on_the_machine_after_a_landing(land, shelf: Shelf, machine, file_store) -> None:
    shelf.fill(100)

    land()

    assert machine.left() == []
    assert "_checkpoint.jsonl" not in names(file_store)


def test_the_workspace_is_for_its_owner_only(begun) -> None:
    assert begun.home.stat().st_mode & 0o077 == 0
    assert len(begun.left()) == 1


def link(home: Path) -> None:
    home.with_name("target").mkdir()
    home.symlink_to(home.with_name("target"))


def dangling_link(home: Path) -> None:
    home.symlink_to(home.with_name("nowhere"))


def file(home: Path) -> None:
    home.write_text("")


def directory_of_somebody_else(home: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("only root can give a directory away")
    home.mkdir()
    os.chown(home, 12345, 12345)


@pytest.mark.parametrize("occupy", [link, dangling_link, file, directory_of_somebody_else])
def test_what_somebody_else_put_in_its_place_is_not_used(
    land, interrupted, shelf: Shelf, machine, occupy
) -> None:
    shelf.fill(500)
    occupy(machine.home)
    before = everything(machine.tmp)

    interrupted(after=10)
    between = everything(machine.tmp)
    manifest = land()

    assert_all(manifest, shelf)
    assert between == everything(machine.tmp) == before


def everything(directory: Path) -> list[tuple[str, int]]:
    return sorted((str(path), path.lstat().st_uid) for path in directory.rglob("*"))


def test_old_workspaces_are_swept_unless_somebody_is_at_work_there(land, shelf: Shelf, machine) -> None:
    shelf.fill(3)
    held = Workspace("held")
    for name, days in {"old": 3, "new": 1, "held": 3}.items():
        machine.home.joinpath(name).mkdir(exist_ok=True)
        machine.home.joinpath(name, "part-0").write_text("{}\n")
        then = time.time() - days * DAY
        os.utime(machine.home / name, (then, then))

    land()
    left = machine.left()
    held.close(keep=False)

    assert left == ["held", "new"]
    assert machine.left() == ["new"]


def test_a_workspace_that_is_let_go_can_be_held_again(machine) -> None:
    first = Workspace("key")
    second = Workspace("key")
    first.close(keep=True)
    third = Workspace("key")

    assert second.directory.parent == machine.home
    assert first.directory == third.directory == machine.home / "key"
    with third.directory.joinpath("lock").open("w") as lock, pytest.raises(OSError, match="unavailable"):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    second.close(keep=True)
    third.close(keep=False)
    assert machine.left() == []
