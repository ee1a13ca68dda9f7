"""Faults of the storage, what becomes of a landing that meets them, and how to look at what it left."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from airflow_provider_predictions.api.errors import PredictionsError, StorageError
from airflow_provider_predictions.sandbox import app
from airflow_provider_predictions.sandbox.server import Sandbox
from tests.given import ARGUMENTS, untagged
from tests.reliability.store_proxy import StoreFault

COUNT, PAGES = 200, 11
"""The last request for a page, behind them, proves the end."""
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
    :param is_committed: whether all has landed although the attempt has failed.
    :param is_shown: whether its manifest is there, too.
    :param leaves: whether checkpoints stay, for the next run to remove.
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
    is_committed: bool = False
    is_shown: bool = False
    leaves: bool = False
    modes: tuple[str, ...] = ("plain", "incremental")
    error: type[PredictionsError] = StorageError
    slow: bool = False


SECOND = r"part-00001\."
FAILS = r"cannot be written: InternalError of the test. A retry may succeed"
COMMIT = "_log/"
UNKNOWN = r"it is unknown whether .* was written: .* A retry checks"
LOST = r"cannot be written: .*A retry may succeed"
SLOWLY: dict[str, Any] = {"seconds": 20, "slow": True}
MIDWAY: dict[str, Any] = {"asked": 9, "again": 2}
"""Of a landing that ends at its second part."""
FOR_GOOD: dict[str, Any] = {"curable": False, "asked": 0}
CASES = [
    Case("a put fails (500)", (StoreFault("PUT", SECOND),), FAILS, **MIDWAY),
    Case("a put is reset", (StoreFault("PUT", SECOND, "reset"),), LOST, **SLOWLY, **MIDWAY),
    Case(
        "a put arrives, its answer never does", (StoreFault("PUT", SECOND, "lose"),), LOST, **SLOWLY, **MIDWAY
    ),
    Case("a put arrives, its answer is lost once", (StoreFault("PUT", SECOND, "lose", times=1),), None),
    Case(
        "every answer takes 0.1 s", (StoreFault(".*", "", "slow", seconds=0.1),), None, seconds=10, slow=True
    ),
    Case(
        "the storage stalls",
        (StoreFault("PUT", SECOND, "stall"),),
        r"cannot be written: Read timeout .*A retry may succeed",
        **SLOWLY,
        **MIDWAY,
        modes=("plain",),
    ),
    Case(
        "the storage goes away between two parts",
        (StoreFault("PUT", SECOND, "away"),),
        r"cannot be written: Could not connect .*A retry may succeed",
        **SLOWLY,
        **MIDWAY,
    ),
    Case(
        "no permission to write",
        (StoreFault("PUT", "", status=403, code="AccessDenied"),),
        r"cannot be written: AccessDenied of the test. Let the connection in path",
        **FOR_GOOD,
    ),
    Case(
        "no permission to read",
        (StoreFault("GET", "", status=403, code="AccessDenied"),),
        r"cannot be read: AccessDenied of the test. Let the connection in path",
        **FOR_GOOD,
    ),
    Case(
        "the bucket is missing",
        (StoreFault(".*", "", status=404, code="NoSuchBucket"),),
        r"cannot be written: NoSuchBucket of the test. Create its bucket, container or directory, or correct",
        **FOR_GOOD,
    ),
    Case("a checkpoint's put fails (500)", (StoreFault("PUT", "_checkpoint"),), FAILS, asked=6, again=2),
    Case("the commit's put fails (500)", (StoreFault("PUT", COMMIT),), UNKNOWN),
    Case(
        "the commit's put arrives, its answer never does",
        (StoreFault("PUT", COMMIT, "lose"),),
        None,
        **SLOWLY,
    ),
    Case(
        "the commit is contended once (409)",
        (StoreFault("PUT", COMMIT, status=409, code="ConditionalRequestConflict", times=1),),
        None,
    ),
    Case(
        "the commit is contended for ever (409)",
        (StoreFault("PUT", COMMIT, status=409, code="ConditionalRequestConflict"),),
        UNKNOWN,
    ),
    *(
        Case(
            f"conditional puts are refused ({status})",
            (StoreFault("PUT", "", status=status, code=code, header="if-none-match"),),
            None,
        )
        for status, code in ((501, "NotImplemented"), (400, "InvalidArgument"))
    ),
    Case(
        "the manifest's put fails (500)",
        (StoreFault("PUT", "_manifest"),),
        FAILS,
        again=PAGES + 1,
        is_committed=True,
        modes=("plain",),
    ),
    Case(
        "the put of an incremental landing's manifest fails (500)",
        (StoreFault("PUT", "_manifest"),),
        FAILS,
        is_committed=True,
        modes=("incremental",),
    ),
    Case(
        "the manifest's put arrives, its answer never does",
        (StoreFault("PUT", "_manifest", "lose"),),
        LOST,
        **SLOWLY,
        is_committed=True,
        is_shown=True,
    ),
    Case(
        "the listing behind the commit fails (500)",
        (StoreFault("GET", "list-type=2(?!.*max-keys)"),),
        None,
        leaves=True,
        modes=("plain",),
    ),
    Case(
        "the listing behind an incremental commit fails (500)",
        (StoreFault("GET", "list-type=2.*(00000001|_states)"),),
        None,
        leaves=True,
        modes=("incremental",),
    ),
    Case("the state's put fails (500)", (StoreFault("PUT", "_states/"),), FAILS, modes=("incremental",)),
    Case(
        "the put of the first state fails (500)",
        (StoreFault("PUT", r"_state\.json"),),
        UNKNOWN,
        asked=0,
        modes=("incremental",),
    ),
    Case(
        "the put of the state for readers fails (500)",
        (StoreFault("PUT", r"_state\.json", after=2),),
        None,
        modes=("incremental",),
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


def names(objects: dict[str, bytes]) -> dict[str, bytes]:
    """What a landing is made of, by names without directories and tags of attempts."""
    own = {name: text for name, text in objects.items() if not re.search(r"(^|/)(_log|_states?)[/.]", name)}
    return {untagged(name.rsplit("/", 1)[-1]): text for name, text in own.items()}


def assert_nothing_partial(
    objects: dict[str, bytes], parts: list[bytes], *, is_committed: bool = False, is_shown: bool = False
) -> None:
    """What is there under the name of a part is the whole part; a manifest only where all of them are."""
    found = {name: text for name, text in names(objects).items() if "part-" in name}
    whole = {f"part-{number:05}.jsonl": text for number, text in enumerate(parts)}
    assert found.items() <= whole.items()
    assert len(manifests(objects)) == is_shown
    assert any(COMMIT in name for name in objects) is is_committed
    if is_committed:
        assert found == whole


def assert_landed(
    manifest: dict[str, Any], objects: dict[str, bytes], parts: list[bytes], *, leaves: bool = False
) -> None:
    """Every record is there once, byte for byte, and nothing else.

    :param leaves: whether checkpoints may be there.
    """
    assert manifest["count"] == COUNT
    assert [part["sha256"] for part in manifest["parts"]] == [hashlib.sha256(p).hexdigest() for p in parts]
    found = {name: text for name, text in names(objects).items() if not (leaves and "_checkpoint" in name)}
    shown = json.loads(found.pop("_manifest.json"))
    # A retry that writes the manifest says to readers that the attempt before may still write it, too.
    shown.pop("unsettled", None)
    assert shown == manifest
    assert found == {f"part-{number:05}.jsonl": text for number, text in enumerate(parts)}


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
