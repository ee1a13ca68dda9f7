"""Faults of the storage, what becomes of a landing that meets them, and how to look at what it left."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from airflow_provider_predictions.api.errors import ConflictError, PredictionsError, StorageError
from airflow_provider_predictions.sandbox import app
from airflow_provider_predictions.sandbox.server import Sandbox
from tests.reliability.store_proxy import StoreFault

ARGUMENTS: dict[str, Any] = {"page_size": 20, "records_per_part": 70}
COUNT, PAGES = 200, 10
ACCESS_KEY, SECRET_KEY = "canary-access-key", "canary-secret-key"


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
    :param slow: whether real time passes: the library of the storage waits or tries again.
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
    slow: bool = False


SECOND = r"part-00001\."
FAILS = r"cannot be written: InternalError of the test. A retry goes on from what has landed"
CASES = [
    Case("a put fails (500)", (StoreFault("PUT", SECOND),), FAILS, asked=9, again=2),
    Case(
        "a put is reset",
        (StoreFault("PUT", SECOND, "reset"),),
        r"cannot be written: .*A retry goes on",
        seconds=20,
        slow=True,
        asked=9,
        again=2,
    ),
    Case(
        "a put arrives, its answer never does",
        (StoreFault("PUT", SECOND, "lose"),),
        r"cannot be written: .*A retry goes on",
        seconds=20,
        slow=True,
        asked=9,
        again=2,
    ),
    Case("a put arrives, its answer is lost once", (StoreFault("PUT", SECOND, "lose", times=1),), None),
    Case(
        "every answer takes 0.1 s", (StoreFault(".*", "", "slow", seconds=0.1),), None, seconds=10, slow=True
    ),
    Case(
        "the storage stalls",
        (StoreFault("PUT", SECOND, "stall"),),
        r"cannot be written: Read timeout .*A retry goes on",
        seconds=20,
        slow=True,
        asked=9,
        again=2,
        modes=("plain",),
    ),
    Case(
        "the storage goes away between two parts",
        (StoreFault("PUT", SECOND, "away"),),
        r"cannot be written: Could not connect .*A retry goes on",
        seconds=20,
        slow=True,
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
        slow=True,
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
        slow=True,
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
