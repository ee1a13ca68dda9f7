"""What a landing does when its storage, or the disk of its worker, fails: how it ends, and what a retry does.

Each fault is a row of the second table in docs/reliability.md, which ``make reliability`` writes.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, ObjectStoragePath

from airflow_provider_predictions.api.errors import ConflictError, PredictionsError, StorageError
from airflow_provider_predictions.operators.vlmrun import VlmRunPredictionsToObjectStorageOperator
from airflow_provider_predictions.sandbox import app
from airflow_provider_predictions.sandbox.server import Sandbox
from airflow_provider_predictions.storage.objects import put_file
from tests.clock import stopwatch
from tests.reliability.store_proxy import Proxy, StoreFault
from tests.storage.conftest import own_tmp, s3_url  # noqa: F401  (fixtures)
from tests.storage.test_resume import Forks

ARGUMENTS: dict[str, Any] = {"page_size": 20, "records_per_part": 70}
COUNT, PAGES = 200, 10
ACCESS_KEY, SECRET_KEY = "canary-access-key", "canary-secret-key"
BOUNDS = {"read_timeout": 0.3, "connect_timeout": 0.3, "retries": {"max_attempts": 1}}
PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"


@dataclass(frozen=True)
class Case:
    """A fault of the storage, and what becomes of a landing.

    :param name: as the table has it.
    :param faults: what is ordered.
    :param ends: what the error says; None where the landing succeeds.
    :param curable: whether Airflow's ``retries`` are used.
    :param seconds: that the attempt takes at most.
    :param asked: how many pages are asked for at most before it ends.
    :param again: how many of them the retry asks for again at most.
    :param committed: whether the manifest is there, and true, when the attempt has failed.
    :param modes: plain landings, incremental ones or both.
    :param error: what a curable one is.
    """

    name: str
    faults: tuple[StoreFault, ...]
    ends: str | None
    curable: bool = True
    seconds: float = 5
    asked: int = PAGES + 1
    again: int = 0
    committed: bool = False
    modes: tuple[str, ...] = ("plain", "incremental")
    error: type[PredictionsError] = StorageError


SECOND = r"part-00001\."
FAILS = r"cannot be written: InternalError of the test. A retry goes on from what has landed"
CASES = [
    Case("a put fails (500)", (StoreFault("PUT", SECOND),), FAILS, asked=9, again=2),
    Case(
        "a put is reset",
        (StoreFault("PUT", SECOND, "reset"),),
        r"cannot be written: .*A retry goes on",
        seconds=20,
        asked=9,
        again=2,
    ),
    Case(
        "a put arrives, its answer never does",
        (StoreFault("PUT", SECOND, "lose"),),
        r"cannot be written: .*A retry goes on",
        seconds=20,
        asked=9,
        again=2,
    ),
    Case("a put arrives, its answer is lost once", (StoreFault("PUT", SECOND, "lose", times=1),), None),
    Case("every answer takes 0.1 s", (StoreFault(".*", "", "slow", seconds=0.1),), None, seconds=10),
    Case(
        "the storage stalls",
        (StoreFault("PUT", SECOND, "stall"),),
        r"cannot be written: Read timeout .*A retry goes on",
        seconds=20,
        asked=9,
        again=2,
        modes=("plain",),
    ),
    Case(
        "the storage goes away between two parts",
        (StoreFault("PUT", SECOND, "away"),),
        r"cannot be written: Could not connect .*A retry goes on",
        seconds=20,
        asked=9,
        again=2,
    ),
    Case(
        "no permission to write",
        (StoreFault("PUT", "", status=403, code="AccessDenied"),),
        r"cannot be written: AccessDenied of the test. Let the connection in path",
        curable=False,
        asked=0,
    ),
    Case(
        "no permission to read",
        (StoreFault("GET", "", status=403, code="AccessDenied"),),
        r"cannot be read: AccessDenied of the test. Let the connection in path",
        curable=False,
        asked=0,
    ),
    Case(
        "the bucket is missing",
        (StoreFault(".*", "", status=404, code="NoSuchBucket"),),
        r"cannot be written: NoSuchBucket of the test. Create its bucket, container or directory, or correct",
        curable=False,
        asked=0,
    ),
    Case("a checkpoint's put fails (500)", (StoreFault("PUT", "_checkpoint"),), FAILS, asked=6, again=2),
    Case("the manifest's put fails (500)", (StoreFault("PUT", "_manifest"),), FAILS),
    Case(
        "the manifest's put arrives, its answer never does",
        (StoreFault("PUT", "_manifest", "lose"),),
        r"cannot be written: .*A retry goes on",
        seconds=20,
        committed=True,
    ),
    Case(
        "the listing behind the commit fails (500)",
        (StoreFault("GET", "list-type=2(?!.*max-keys)"),),
        r"cannot be listed: InternalError of the test. A retry goes on from what has landed",
        committed=True,
    ),
    Case("the state's put fails (500)", (StoreFault("PUT", r"_state\.json"),), FAILS, modes=("incremental",)),
    Case(
        "the state's put arrives, its answer never does",
        (StoreFault("PUT", r"_state\.json", "lose"),),
        r"cannot be written: .*A retry goes on",
        seconds=20,
        modes=("incremental",),
    ),
    *(
        Case(
            f"conditional puts are refused ({status})",
            (StoreFault("PUT", r"_state\.lock", status=status, code=code),),
            None,
            modes=("incremental",),
        )
        for status, code in ((501, "NotImplemented"), (400, "InvalidArgument"))
    ),
    Case(
        "the lock is contended (409)",
        (StoreFault("PUT", r"_state\.lock", status=409, code="ConditionalRequestConflict"),),
        r"another run is committing under .* just now; a retry cures this",
        again=PAGES + 1,
        modes=("incremental",),
        error=ConflictError,
    ),
]


@pytest.fixture
def proxy(s3_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:  # noqa: F811
    """The faulty way to S3, behind two connections: ``patient`` has the timeouts that come with the library.

    ``direct`` goes past it.
    """
    with Proxy(urlsplit(s3_url).port or 0) as proxy:
        faulty = f"http://127.0.0.1:{proxy.port}"
        for name, url, bounds in (
            ("FAULTY", faulty, BOUNDS),
            ("PATIENT", faulty, {}),
            ("DIRECT", s3_url, {}),
        ):
            connection = {
                "conn_type": "aws",
                "login": ACCESS_KEY,
                "password": SECRET_KEY,
                "extra": {"endpoint_url": url, "region_name": "us-east-1", "config_kwargs": bounds},
            }
            monkeypatch.setenv(f"AIRFLOW_CONN_{name}_{proxy.port}", json.dumps(connection))
        yield proxy


class Store:
    """A bucket, seen by a landing through the proxy and by a reader past it."""

    def __init__(self, proxy: Proxy) -> None:
        bucket = f"bucket-{uuid.uuid4().hex}"
        self.path = ObjectStoragePath(f"s3://faulty_{proxy.port}@{bucket}/predictions")
        self._base = ObjectStoragePath(f"s3://direct_{proxy.port}@{bucket}")
        self._base.fs.mkdir(bucket)

    def objects(self) -> dict[str, bytes]:
        """What a reader sees, by its name under the path."""
        fs, root = self._base.fs, self._base.path.strip("/")
        fs.invalidate_cache()
        return {key.split("/", 2)[2]: fs.cat_file(key) for key in fs.find(root)}


@pytest.fixture
def store(proxy: Proxy) -> Store:
    return Store(proxy)


@pytest.fixture
def land(connections: Sandbox) -> Callable[..., dict[str, Any]]:
    """An attempt of one task of one run."""
    connections.vlmrun.fill(COUNT)

    def land(path: object, attempt: int, **arguments: Any) -> dict[str, Any]:
        ids = {"dag_id": "dag", "run_id": "run", "task_id": "land", "map_index": -1}
        context: Any = {"ti": SimpleNamespace(**ids, try_number=attempt)}
        operator = VlmRunPredictionsToObjectStorageOperator(
            task_id="land", path=str(path), **ARGUMENTS | arguments
        )
        return dict(operator.execute(context))

    return land


def pages(sandbox: Sandbox) -> list[str]:
    """The pages that the service was asked for."""
    return [seen.query for seen in list(sandbox.wire.seen) if seen.part == "vlmrun"]


def expected(sandbox: Sandbox) -> list[bytes]:
    """What the parts hold when all has landed."""
    lines, size = [text + b"\n" for text in sandbox.vlmrun.texts()], ARGUMENTS["records_per_part"]
    return [b"".join(lines[start : start + size]) for start in range(0, len(lines), size)]


def manifests(objects: dict[str, bytes]) -> list[dict[str, Any]]:
    return [json.loads(text) for name, text in objects.items() if name.endswith("_manifest.json")]


def assert_nothing_partial(objects: dict[str, bytes], parts: list[bytes], *, committed: bool) -> None:
    """What is there under the name of a part is the whole part; a manifest only where all of them are."""
    found = {name.rsplit("/", 1)[-1]: text for name, text in objects.items() if "part-" in name}
    whole = {f"part-{number:05}.jsonl": text for number, text in enumerate(parts)}
    assert found.items() <= whole.items()
    assert len(manifests(objects)) == committed
    if committed:
        assert found == whole


def assert_landed(manifest: dict[str, Any], objects: dict[str, bytes], parts: list[bytes]) -> None:
    """Every record is there once, byte for byte, and nothing else."""
    assert manifests(objects) == [manifest]
    assert manifest["count"] == COUNT
    assert [part["sha256"] for part in manifest["parts"]] == [hashlib.sha256(p).hexdigest() for p in parts]
    names = sorted({name.rsplit("/", 1)[-1] for name in objects} - {"_state.json"})
    assert names == ["_manifest.json", *(f"part-{number:05}.jsonl" for number in range(len(parts)))]
    assert [objects[name] for name in sorted(objects) if "part-" in name] == parts


def assert_says(error: BaseException, path: object, ends: str) -> None:
    """The message names the path and what to do, fits a line, and holds no secret, query or body."""
    assert str(error).startswith("path: ")
    assert re.search(ends, str(error)), str(error)
    assert str(path) in str(error)
    assert not re.search(rf"{ACCESS_KEY}|{SECRET_KEY}|{app.API_KEY}|\?|<Error>|\n", str(error))
    assert len(str(error)) < 600


def note(record_property: Callable[[str, object], None], *cells: object) -> None:
    """A row of the table."""
    record_property("storage", json.dumps(cells))


def cells(case: Case, service: int, storage: int, again: int) -> list[object]:
    """The row of a case.

    :param service: requests to it, and ``storage`` to it, until the attempt has ended.
    :param again: pages that the retry asked for once more.
    """
    ends = f"`{case.error.__name__}`" if case.curable else "`ConfigurationError`"
    retry = f"lands all; {again} pages asked for again" if case.ends else "is not needed"
    return [
        case.name,
        ends if case.ends else "lands all",
        ("yes" if case.curable else "no") if case.ends else "",
        f"{case.seconds:g}",
        f"{service} / {storage}",
        retry,
    ]


@pytest.fixture
def seconds() -> Iterator[Callable[[], float]]:
    """Since the test began, without those in which the machine stood still."""
    with stopwatch() as seconds:
        yield seconds


@pytest.mark.parametrize(
    ("case", "mode"),
    [pytest.param(case, mode, id=f"{mode}: {case.name}") for case in CASES for mode in case.modes],
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
        assert_nothing_partial(store.objects(), parts, committed=case.committed)
        proxy.clear()
        connections.wire.clear()

        manifest = land(store.path, 2, **arguments)
        again = len(set(pages(connections)) & set(asked))
        assert again <= case.again

    assert_landed(manifest, store.objects(), parts)
    if mode == case.modes[0]:
        note(record_property, *cells(case, len(asked), storage, again))


# --- a checkpoint that cannot be read, and a put that nobody takes ------------------------------------


def test_a_checkpoint_that_cannot_be_read_is_no_reason_to_read_the_list_again(
    connections: Sandbox, proxy: Proxy, store: Store, land, tmp_path, monkeypatch
) -> None:
    proxy.order(StoreFault("PUT", SECOND))
    with pytest.raises(StorageError):
        land(store.path, 1)
    asked = pages(connections)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))  # another machine
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


def test_a_put_that_nobody_takes_ends(proxy: Proxy, store: Store, tmp_path: Path, seconds) -> None:
    file = tmp_path / "part"
    file.write_bytes(b"0" * 1000)
    patient = ObjectStoragePath(str(store.path).replace("faulty", "patient"))
    proxy.order(StoreFault("PUT", "", "ignore"))
    begin = seconds()

    with pytest.raises(StorageError) as caught:
        put_file(file, patient / "part-00000.jsonl", longest=1)

    assert seconds() - begin < 5
    assert_says(caught.value, patient, r"cannot be written: no answer in time. A retry goes on")
    assert store.objects() == {}


# --- full disks ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Machine:
    """Where landings run in processes of their own.

    :param small: a directory on a file system with little room, which only these processes have; None where
        none can be mounted.
    """

    forks: Forks
    small: Path | None

    @property
    def room(self) -> Path:
        """The small directory, seen from here."""
        return self.forks.root / str(self.small).lstrip("/")

    def land(self, sandbox: Sandbox, path: str, answer: Path, **order: Any) -> tuple[Any, str]:
        """The manifest, None where there is none, and the log."""
        environment = sandbox.environment() | {"TMPDIR": os.environ["TMPDIR"]}
        given = {"arguments": {"path": path, **ARGUMENTS}, "environment": environment, "answer": str(answer)}
        self.forks.ask(wait=self.forks.ask(land="vlmrun", **given | order))
        return json.loads(answer.read_bytes()), answer.with_suffix(".log").read_text()


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    small = tmp_path_factory.mktemp("small")
    mount = f"mount -t tmpfs -o size=512k small {small}"
    within = ("unshare", "--user", "--map-root-user", "--mount")
    can_mount = subprocess.run([*within, "sh", "-c", mount], check=False).returncode == 0
    forks = Forks(*within, "sh", "-c", f'{mount} && exec "$@"', "sh") if can_mount else Forks()
    forks.ready()
    yield Machine(forks, small if can_mount else None)
    forks.stop()


def assert_ends_well(
    fails: tuple[Any, str], says: str, there: Path, retry: Callable[[], tuple[Any, str]], sandbox: Sandbox
) -> tuple[int, int]:
    """An attempt has failed with nothing partial, and the next one lands all.

    :param there: the directory as a reader sees it.
    :return: pages asked for, and those that the retry asked for again.
    """
    parts, asked = expected(sandbox), pages(sandbox)
    sandbox.wire.clear()
    assert fails[0] is None
    assert re.search(says, fails[1]), fails[1]
    found = {path.name: path.read_bytes() for path in there.iterdir()}
    assert not [name for name in found if name.endswith(".new")]
    assert_nothing_partial(found, parts, committed=False)
    manifest, _ = retry()
    assert_landed(manifest, {path.name: path.read_bytes() for path in there.iterdir()}, parts)
    return len(asked), len(set(pages(sandbox)) & set(asked))


def test_a_full_disk_of_the_worker_ends_well(
    connections: Sandbox, machine: Machine, tmp_path: Path, record_property, seconds
) -> None:
    connections.vlmrun.fill(COUNT)
    target, begin = tmp_path / "landed", seconds()

    limit = len(expected(connections)[0]) // 2
    fails = machine.land(connections, target.as_uri(), tmp_path / "1.json", largest_file=limit)
    assert seconds() - begin < 10
    asked, again = assert_ends_well(
        fails,
        "StorageError: The disk of this worker fails: .*let TMPDIR name a larger disk",
        target,
        lambda: machine.land(connections, target.as_uri(), tmp_path / "2.json"),
        connections,
    )

    assert again <= 2
    retry = f"lands all; {again} pages asked for again"
    note(
        record_property, "the worker's disk is full", "`StorageError`", "yes", "10", f"{asked} / local", retry
    )


def test_a_full_disk_of_the_target_ends_well(
    connections: Sandbox, machine: Machine, tmp_path: Path, record_property, seconds
) -> None:
    if machine.small is None:
        pytest.skip("no file system can be mounted here")
    connections.vlmrun.fill(COUNT)
    ballast, path = machine.room / "ballast", f"{machine.small.as_uri()}/landed"
    ballast.write_bytes(b"0" * (512 * 1024 - sum(map(len, expected(connections))) // 2))
    begin = seconds()

    fails = machine.land(connections, path, tmp_path / "1.json")
    assert seconds() - begin < 10
    ballast.unlink()
    asked, again = assert_ends_well(
        fails,
        "StorageError: path: .* cannot be written: No space left on device. A retry",
        machine.room / "landed",
        lambda: machine.land(connections, path, tmp_path / "2.json"),
        connections,
    )

    assert again <= 2
    retry = f"lands all; {again} pages asked for again"
    row = "the disk of a local path is full", "`StorageError`", "yes", "10", f"{asked} / local", retry
    note(record_property, *row)


DISKS = ["the worker's disk is full", "the disk of a local path is full"]


@pytest.mark.parametrize("case", [*(case.name for case in CASES), *DISKS])
def test_every_case_is_in_the_table(case: str) -> None:
    assert f"| {case} |" in PAGE.read_text()
