"""A long list lands while it changes and requests fail. No record is lost or doubled; memory stays flat."""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from typing import Any

import psutil

from airflow_provider_predictions.sandbox.data import Record
from airflow_provider_predictions.sandbox.store import RecordStore
from soak.common import FAULTS, SERVICES, TITLES, Faults, Report, Servers, megabytes, say, start_servers

PAGE = 100
MOST_GROWTH = 64e6
"""Bytes, the bar of the benchmarks."""
MOST_ATTEMPTS = 5
ID = {"vlmrun": "id", "cradl": "predictionId"}
TICK = 1.0
"""Seconds between two changes of the list."""
LIFETIME = 60.0
"""Seconds for which a token of Cradl is valid."""


def run(
    predictions: int = 1_000_000,
    *,
    services: Sequence[str] = SERVICES,
    rate: float = 0.05,
    longest: float = 5400,
) -> Report:
    """Land the services' lists, side by side.

    :param predictions: how many each holds at first.
    :param rate: the share of requests that goes wrong.
    :param longest: seconds that one of them may take.
    """
    report = Report(("", *(TITLES[service] for service in services)))
    # A sandbox of a million rows keeps a processor busy.
    with ProcessPoolExecutor(len(services), mp_context=get_context("spawn")) as pool:
        landings = [pool.submit(_land, service, predictions, rate, longest) for service in services]
        columns = [landing.result() for landing in landings]
    report.broken = [broken for _, all_broken in columns for broken in all_broken]
    report.rows = [(name, *(figures[name] for figures, _ in columns)) for name in columns[0][0]]
    return report


def _land(service: str, count: int, rate: float, longest: float) -> tuple[dict[str, str], list[str]]:
    """The figures of one service, and the promises that did not hold."""
    name = TITLES[service]
    with start_servers(token_lifetime=LIFETIME) as servers:
        record_store: RecordStore = getattr(servers.sandbox, service)
        record_store.fill(count, days=365)
        faults = Faults(rate, service, *(["token"] if service == "cradl" else []))
        servers.sandbox.wire.rules.append(faults)
        say(f"{name}: {count:,} predictions are there")
        with changing(servers, record_store) as changes:
            attempts = Attempts(servers, service, count, time.monotonic() + longest)
            manifest = attempts.land()
        say(f"{name}: landed; counting")
        lost, doubled, altered = _compared(servers, service, record_store, changes, manifest)
    growth, observed = attempts.peak - attempts.before, faults.observed
    promises = {
        "the manifest says that predictions may be missing": manifest["consistent"] is not False,
        f"{lost} predictions are lost": not lost,
        f"{doubled} predictions have landed twice": not doubled,
        f"{altered} lines are not what the service holds": not altered,
        f"the process that lands grew by {megabytes(growth)}": growth <= MOST_GROWTH,
    }
    broken = [f"{name}: {what}" for what, holds in promises.items() if not holds]
    return {
        "predictions in the list at first": f"{count:,}",
        "added in front while it was read": f"{len(changes.added):,}",
        "removed meanwhile": f"{len(changes.removed):,}",
        "landed": f"{manifest['count']:,}",
        "lost": f"{lost}",
        "doubled": f"{doubled}",
        "altered": f"{altered}",
        "requests": f"{manifest['requests']:,}",
        "faults met": f"{sum(observed.values()):,}",
        **{f"of them {fault}": f"{observed[fault]:,}" for fault in FAULTS},
        "times that all tokens were revoked": f"{changes.revoked}",
        "attempts; the first was killed halfway": f"{attempts.number}",
        "seconds": f"{attempts.seconds:,.0f}",
        "memory of the process before, MB": megabytes(attempts.before),
        "its most memory, MB": megabytes(attempts.peak),
    }, broken


@dataclass
class Attempts:
    """The attempts of a task, each in a process of its own. The first one is killed halfway.

    :param count: predictions in the list.
    :param end: when the last attempt must end, on the monotonic clock.
    """

    servers: Servers
    service: str
    count: int
    end: float
    number: int = 0
    before: float = 0
    peak: float = 0
    seconds: float = 0

    def land(self) -> dict[str, Any]:
        """Retry as Airflow does, until the list has landed; returns the manifest."""
        started = time.monotonic()
        while self.number < MOST_ATTEMPTS:
            self.number += 1
            answer = self._attempt()
            if manifest := answer.get("manifest"):
                self.seconds = time.monotonic() - started
                return dict(manifest)
            say(f"{TITLES[self.service]}: attempt {self.number} ended: {answer['error']}")
            if answer["fails"]:
                break
        raise AssertionError(f"{TITLES[self.service]}: not landed.\n{self.servers.log('landing_process')}")

    def _attempt(self) -> dict[str, Any]:
        prefetch = {"vlmrun": 4}.get(self.service, 1)
        order = {
            "service": self.service,
            "run": "soak",
            "attempt": self.number,
            "path": f"s3://store@{self.servers.bucket}/{self.service}",
            "page_size": PAGE,
            "records_per_part": max(1000, self.count // 20),
            "prefetch": prefetch,
        }
        with self.servers.process("landing_process", order) as process:
            answers: list[str] = []
            reader = threading.Thread(target=lambda: answers.extend(process.stdout or ()))
            reader.start()
            self._watch(process)
            reader.join()
        result: dict[str, Any] = {}
        for line in answers:
            result |= json.loads(line)
        self.before = max(self.before, result.get("before", 0))
        return {"error": f"it was killed ({process.returncode})", "fails": False} | result

    def _watch(self, process: subprocess.Popen[str]) -> None:
        """Measure the memory until the process ends; kill the first one halfway."""
        watched = psutil.Process(process.pid)
        while process.poll() is None:
            if time.monotonic() > self.end:
                raise AssertionError(
                    f"{TITLES[self.service]}: takes too long.\n{self.servers.log('landing_process')}"
                )
            if self.number == 1 and len(self.servers.sandbox.wire.seen) > self.count / PAGE / 2:
                process.kill()
            try:
                self.peak = max(self.peak, watched.memory_info().rss)
            except psutil.Error:
                return
            time.sleep(0.05)


@dataclass
class Changes:
    """How a list changed while it was read."""

    before: dict[str, bytes]
    """The hash of each prediction of the list at the start, by its id."""
    added: list[Record] = field(default_factory=list)
    removed: set[str] = field(default_factory=set)
    revoked: int = 0


@contextmanager
def changing(servers: Servers, record_store: RecordStore) -> Iterator[Changes]:
    """Add rows, remove others, and sometimes revoke the tokens, until the block ends."""
    changes = Changes({row.id: _hash(record_store.text(row)) for row in record_store.rows})
    over = threading.Event()

    def change() -> None:
        rng = random.Random(7)
        ticks = 0
        while not over.wait(TICK):
            ticks += 1
            for _ in range(rng.randint(0, 20)):
                changes.added.append(record_store.add())
            gone = {rng.choice(record_store.rows).id for _ in range(rng.randint(0, 20))}
            changes.removed |= gone
            record_store.remove(gone)
            if ticks % 40 == 0:
                servers.sandbox.tokens.revoke()
                changes.revoked += 1

    thread = threading.Thread(target=change, name="changing")
    thread.start()
    try:
        yield changes
    finally:
        over.set()
        thread.join()


def _hash(line: bytes) -> bytes:
    return hashlib.sha256(line).digest()


def _compared(
    servers: Servers, service: str, record_store: RecordStore, changes: Changes, manifest: dict[str, Any]
) -> tuple[int, int, int]:
    """How many predictions are lost, doubled and altered. Added and removed ones may be there or not."""
    expected = changes.before | {row.id: _hash(record_store.text(row)) for row in changes.added}
    landed: Counter[str] = Counter()
    altered = 0
    for part in servers.objects([part["uri"] for part in manifest["parts"]]):
        for line in part.splitlines():
            id_ = json.loads(line)[ID[service]]
            landed[id_] += 1
            altered += expected.get(id_) != _hash(line)
    lost = changes.before.keys() - landed.keys() - changes.removed
    return len(lost), landed.total() - len(landed), altered + abs(landed.total() - manifest["count"])
