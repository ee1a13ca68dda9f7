"""A landing that was killed at any moment is gone on with, on this machine or on another one."""

from __future__ import annotations

import json
import os
import random
import signal
from collections.abc import Callable, Iterator
from itertools import count, cycle
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_predictions.sandbox.store import RecordStore
from airflow_provider_predictions.storage.manifest import MANIFEST
from tests import given
from tests.faults import Fault, FaultySandbox
from tests.given import LAND
from tests.storage.landings import (
    KINDS,
    ORDERS,
    asked,
    asked_again,
    assert_landed,
    essence,
    ids,
    names,
    stored,
)
from tests.storage.processes import Attempt, Forks, kill_after, wait_for

pytestmark = pytest.mark.kill
PREFETCH = 2
ARGUMENTS = given.ARGUMENTS | {"prefetch": PREFETCH}


@pytest.fixture(scope="module")
def all_forks() -> Iterator[list[Forks]]:
    """Two, since processes forked from one would share the secret of their hashes."""
    forks = [Forks(), Forks()]
    for each in forks:
        each.ready()
    yield forks
    for each in forks:
        each.stop()


@pytest.fixture
def start(all_forks: list[Forks], tmp_path: Path) -> Callable[..., Attempt]:
    """Begin a landing in a process of its own, each the next attempt of one run."""
    numbers, forks = count(1), cycle(all_forks)

    def start(sandbox: FaultySandbox, service: str, path: object, **arguments: Any) -> Attempt:
        names = [name for name in os.environ if name.startswith("AIRFLOW_CONN_")]
        environment = {name: os.environ[name] for name in (*names, "TMPDIR")} | sandbox.environment()
        number, fork = next(numbers), next(forks)
        answer = tmp_path / f"answer-{number}.json"
        pid = fork.ask(
            land=service,
            attempt=number,
            arguments={"path": str(path)} | ARGUMENTS | arguments,
            environment=environment,
            answer=str(answer),
        )
        return Attempt(fork, pid, answer)

    return start


@pytest.fixture(scope="module")
def lists() -> Iterator[FaultySandbox]:
    """3,000 predictions of each service, which stay as they are."""
    with FaultySandbox(count=3000) as sandbox:
        yield sandbox


def slow_down(sandbox: FaultySandbox, service_name: str, seconds: float = 0.004) -> None:
    """Let the service take its time, and forget what was asked before."""
    sandbox.wire.clear()
    sandbox.wire.order(Fault(service_name, how="slow", times=1_000_000, seconds=seconds))


@pytest.fixture(scope="module")
def undisturbed(
    lists: FaultySandbox, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., dict[str, Any]]:
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


@pytest.mark.parametrize("seed", range(10))
def test_a_landing_that_was_killed_is_gone_on_with(
    start, lists: FaultySandbox, service_name, undisturbed, file_store, machine, seed
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


@pytest.mark.parametrize(("service_name", "arguments"), KINDS)
def test_a_landing_may_be_killed_again_and_again(
    start, lists: FaultySandbox, service_name, undisturbed, file_store, machine, arguments
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
        ("cradl", "_checkpoint-00002"),
        ("cradl", "part-00042.jsonl"),
        ("vlmrun", "_manifest.json"),
    ],
)
def test_a_landing_that_is_killed_as_an_object_appears_is_gone_on_with(
    start, lists: FaultySandbox, service_name, undisturbed, file_store, machine, name
) -> None:
    reference = undisturbed(service_name)

    attempt = start(lists, service_name, file_store)
    wait_for(lambda: name in names(file_store), pause=0)
    answered = attempt.kill()
    # On a busy machine the kill may come when the landing cleans up already; then the next one lands anew.
    was_over = (Path(file_store.path) / MANIFEST).exists() and machine.is_cleaned_up()
    manifest = answered or start(lists, service_name, file_store).manifest()

    assert_landed(file_store, manifest, reference)
    assert was_over or asked_again(lists, service_name) <= PREFETCH + 1
    assert machine.left() == []


def test_another_machine_goes_on_from_what_lies_beside_the_parts(
    start, lists: FaultySandbox, service_name, undisturbed, s3_store, new_machine
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


@pytest.mark.parametrize(("ordered", "arguments"), ORDERS)
def test_nothing_lands_twice_whatever_the_order(
    start, sandbox: FaultySandbox, record_store: RecordStore, service_name, file_store, arguments, ordered
) -> None:
    record_store.fill(1000)
    rest = record_store.rows[ordered:]
    random.Random(ordered).shuffle(rest)
    record_store.rows[ordered:] = rest
    expected = [row.id for row in record_store.rows]
    slow_down(sandbox, service_name)

    attempt = start(sandbox, service_name, file_store, **arguments)
    kill_after(attempt, sandbox, service_name, 17, 0.01)
    for _ in range(45):
        record_store.add()
    manifest = start(sandbox, service_name, file_store, **arguments).manifest()

    landed = ids(manifest, service_name)
    new = {row.id for row in record_store.rows[:45]}
    assert [id_ for id_ in landed if id_ not in new] == expected
    assert len(landed) == len(set(landed)) == manifest["count"]


def test_two_landings_at_once_share_no_workspace(
    start, lists: FaultySandbox, service_name, undisturbed, file_store, machine
) -> None:
    reference = undisturbed(service_name)
    slow_down(lists, service_name, seconds=1)

    first = start(lists, service_name, file_store)
    wait_for(lambda: len(asked(lists, service_name)) > 3)
    second = start(lists, service_name, file_store)
    wait_for(lambda: len(machine.left()) == 2)
    # It waits for its first page. One that is overtaken while it writes fails, and a retry finds out why.
    os.kill(second.pid, signal.SIGSTOP)
    lists.wire.clear()
    manifests = [first.manifest()]
    os.kill(second.pid, signal.SIGCONT)
    manifests.append(second.manifest())

    for manifest in manifests:
        assert essence(manifest) == essence(reference)
        assert stored(manifest) == stored(reference)
    assert names(file_store) == names(ObjectStoragePath(reference["path"]))
    assert machine.left() == []
