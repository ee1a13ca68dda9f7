"""Many waits for hours, sped up: memory stays flat, nothing leaks, and every wait ends in time."""

from __future__ import annotations

import json
import math
import random
import subprocess
import threading
import time
from bisect import bisect
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import mean, median
from typing import Any
from urllib.parse import parse_qs

from airflow_provider_predictions.sandbox.data import Record
from airflow_provider_predictions.sandbox.store import RecordStore
from soak.common import FAULTS, SERVICES, TITLES, Faults, Report, Servers, megabytes, start_servers

INTERVAL, SHORTEST, LIFETIME, REVOKED = 60, 120, 1800, 9000
"""Simulated seconds: between polls, of the shortest wait, of a token, between revocations."""
HOUR = 3600
FLAT = 0.05
JITTER = 1.1


def run(
    waits: int = 1000, minutes: float = 30, *, speed: float = 30, longest: float = 7200, rate: float = 0.05
) -> Report:
    """Keep waits running, half of them on each service.

    :param minutes: of real time.
    :param speed: simulated seconds in a real one.
    :param longest: simulated seconds of the longest wait.
    :param rate: the share of requests that fail.
    """
    with start_servers(token_lifetime=LIFETIME / speed) as servers:
        faults = Faults(rate, "vlmrun", "cradl", "token")
        servers.sandbox.wire.rules.append(faults)
        for service in SERVICES:
            getattr(servers.sandbox, service).fill(2000)
        with servers.process("trigger_process", {"interval": INTERVAL / speed}) as process:
            load = Load(servers, process, speed, longest)
            load.keep(waits, minutes * 60)
        return Checks(load, faults).report(waits)


@dataclass
class Waiting:
    """A wait of the process.

    :param started: seconds since 1970.
    :param result: how it ended.
    """

    service: str
    record: Record
    started: float
    result: dict[str, Any] | None = None

    @property
    def finished(self) -> float:
        """When it could have ended, in seconds since 1970."""
        return max(self.started, self.record.ended.timestamp())


@dataclass
class Load:
    """The waits of the process. Each one that ends is replaced.

    :param speed: simulated seconds in a real one.
    :param longest: simulated seconds of the longest wait.
    """

    servers: Servers
    process: subprocess.Popen[str]
    speed: float
    longest: float
    waits: dict[str, Waiting] = field(default_factory=dict)
    samples: list[dict[str, Any]] = field(default_factory=list)
    left: dict[str, list[str]] = field(default_factory=dict)
    """The resources that are left after the last wait."""
    began: float = 0
    ended: float = 0
    revoked: int = 0
    _rng: random.Random = field(default_factory=lambda: random.Random(7))

    def keep(self, count: int, seconds: float) -> None:
        """Keep this many waits running.

        :param seconds: of real time.
        """
        # A thread reads the output, so that the process never waits for a reader.
        reader = threading.Thread(target=self._listen, args=(count,), name="listening")
        assert self.process.stdout
        assert "ready" in json.loads(self.process.stdout.readline())
        self.began = time.time()
        self.ended = end = self.began + seconds
        reader.start()
        while time.time() + REVOKED / self.speed < end:
            time.sleep(REVOKED / self.speed)
            self.servers.sandbox.tokens.revoke()
            self.revoked += 1
        reader.join(end - time.time() + 60)
        if self.process.wait(60) or reader.is_alive():
            raise AssertionError(f"The process failed.\n{self.servers.log('trigger_process')}")

    def _listen(self, count: int) -> None:
        for n in range(count):
            self._start(SERVICES[n % 2])
        assert self.process.stdout
        assert self.process.stdin
        for line in self.process.stdout:
            result = json.loads(line)
            if "id" in result:
                wait = self.waits[result["id"]]
                wait.result = result
                if time.time() < self.ended:
                    self._start(wait.service)
            elif "memory" in result:
                self.samples.append(result)
                if time.time() >= self.ended and not self.process.stdin.closed:
                    self.ended = time.time()
                    self.process.stdin.close()
            else:
                self.left |= result

    def _start(self, service: str) -> None:
        record_store: RecordStore = getattr(self.servers.sandbox, service)
        record = record_store.add(work=self._rng.uniform(SHORTEST, self.longest) / self.speed)
        self.waits[record.id] = Waiting(service, record, time.time())
        assert self.process.stdin
        self.process.stdin.write(f"{service} {record.id}\n")
        self.process.stdin.flush()


class Checks:
    """Whether the promises hold.

    :param load: after its end.
    :param faults: that came.
    """

    def __init__(self, load: Load, faults: Faults) -> None:
        self.load = load
        self.faults = faults
        self.interval = INTERVAL / load.speed
        self.ended = [wait for wait in load.waits.values() if wait.result]
        self.starts = {service: self._starts(service) for service in SERVICES}
        self.polls = {service: list(self._polls(service)) for service in SERVICES}

    def report(self, count: int) -> Report:
        """The table, and the promises that did not hold."""
        report = Report(("", "found"))
        load, seconds = self.load, self.load.ended - self.load.began
        self._waits(report, count)
        self._memory(report)
        for service in SERVICES:
            polls = len(self.starts[service])
            most = math.ceil(seconds / self.interval) + 1 + load.revoked * (service == "cradl")
            report.promise(0 < polls <= most, f"{TITLES[service]}: {polls} polls; at most {most} are due")
            report.rows.append((f"polls of {TITLES[service]}, of {most:,} at most", f"{polls:,}"))
        for what in ("tasks", "threads", "sockets"):
            left = load.left.get(what)
            report.promise(left == [], f"{what} that are left: {left}")
            report.rows.append((f"{what} that are left when all waits are gone", len(left or ())))
        observed = self.faults.observed
        report.rows.append(("requests", f"{len(load.servers.sandbox.wire.seen):,}"))
        report.rows.append(("faults met", f"{observed.total():,}"))
        report.rows += [(f"of them {fault}", f"{observed[fault]:,}") for fault in FAULTS]
        report.rows.append(("times that all tokens were revoked", load.revoked))
        return report

    def _waits(self, report: Report, count: int) -> None:
        seconds = [result(wait)["ended"] - wait.finished for wait in self.ended]
        in_time = sum(each <= self.interval * JITTER for each in seconds)
        wrong = [wait for wait in self.ended if result(wait)["state"] != expected(wait)]
        late = [wait for wait in self.load.waits.values() if self._is_late(wait)]
        gap = max(b - a for starts in self.starts.values() for a, b in pairwise(starts))
        minutes = self.load.speed / 60
        report.promise(self.ended, "no wait has ended")
        report.promise(not wrong, f"{len(wrong)} waits ended in another state than their prediction")
        report.promise(not late, f"{len(late)} waits were told too late: {late[:3]}")
        report.rows += [
            ("waits at once", f"{count:,}"),
            ("minutes of real time", f"{(self.load.ended - self.load.began) / 60:.1f}"),
            ("simulated hours", f"{(self.load.ended - self.load.began) * self.load.speed / HOUR:.1f}"),
            ("waits that ended, each followed by another", f"{len(self.ended):,}"),
            ("of them in another state than their prediction", len(wrong)),
            ("told within an interval of a minute, simulated", f"{in_time / max(1, len(seconds)):.1%}"),
            ("told after how many simulated minutes, median", f"{median(seconds) * minutes:.1f}"),
            ("told after how many simulated minutes, the latest", f"{max(seconds) * minutes:.1f}"),
            ("told later than by the first poll that could know, or never", len(late)),
            ("longest time from a poll to the next one, simulated minutes", f"{gap * minutes:.1f}"),
            (
                "waits that a retry of the task went on with",
                sum(result(wait)["retries"] > 0 for wait in self.ended),
            ),
        ]

    def _memory(self, report: Report) -> None:
        """Compare the first hour after the longest first wait with the last hour."""
        samples, load = self.load.samples, self.load
        hour = min(HOUR / load.speed, (load.ended - load.began) / 6)
        warm = load.began + load.longest / load.speed
        first = [one for one in samples if warm <= one["at"] < warm + hour]
        last = [one for one in samples if one["at"] >= load.ended - hour]
        for name, what, shown in (
            ("memory", "memory, MB", megabytes),
            ("objects", "objects beside what was imported", "{:,.0f}".format),
        ):
            before, after = (mean(one[name] for one in part) for part in (first, last))
            report.promise(
                after <= before * (1 + FLAT), f"{what}: {shown(before)} at first, {shown(after)} at last"
            )
            figures = f"{shown(before)} and {shown(after)} ({after / before - 1:+.1%})"
            report.rows.append((f"{what}, in the first and in the last simulated hour", figures))
        for name, what in (
            ("files", "open files"),
            ("threads", "threads"),
            ("tasks", "tasks beside the waits"),
        ):
            before, after = (max(one[name] for one in part) for part in (first, last))
            report.promise(after <= before + 2, f"{what}: {before} at first, {after} at last")
            report.rows.append((f"{what}, at most, in the same hours", f"{before} and {after}"))

    def _starts(self, service: str) -> list[float]:
        """When each poll began, which reads the list from its start.

        A poll may do so again at once after a request failed.
        """
        path, failed = f"/{service}/v1/predictions", self._failed(service)
        lists = [seen for seen in self.load.servers.sandbox.wire.seen if seen.path == path]
        starts = [seen.at for seen in lists if _is_start(parse_qs(seen.query))]
        return [start for start in starts if not any(0 < start - at < self.interval / 2 for at in failed)]

    def _failed(self, service: str) -> list[float]:
        """When requests failed."""
        came = self.faults.came
        return [seen.at for seen, fault in came if seen.part == service and fault.how != "slow"]

    def _polls(self, service: str) -> Iterator[tuple[float, float]]:
        failed = self._failed(service)
        if service == "cradl":
            # With a new token, the list may have been read again.
            failed += [seen.at for seen in self.load.servers.sandbox.wire.seen if seen.part == "token"]
        return polls(self.starts[service], failed)

    def _is_late(self, wait: Waiting) -> bool:
        """Whether a wait did not end with the first poll that could know."""
        of_polls = self.polls[wait.service]
        first = bisect(of_polls, (wait.finished, math.inf))
        end = wait.result["ended"] if wait.result else self.load.ended
        return first < len(of_polls) and end >= of_polls[first][1]


def polls(starts: Sequence[float], failed: Collection[float]) -> Iterator[tuple[float, float]]:
    """When each successful poll began, and when the next one began.

    A poll may read the list again after a request failed, and keeps what it has found before. So a time after
    a failure may belong to the poll that failed, and that one's beginning counts.

    :param starts: when the list was read from its start.
    :param failed: when requests failed.
    """
    began, has_failed = 0.0, False
    for start, end in pairwise(starts):
        began = began if has_failed else start
        has_failed = any(start <= moment < end for moment in failed)
        if not has_failed:
            yield began, end


def _is_start(query: dict[str, list[str]]) -> bool:
    """Whether a request asks for the first page of a list."""
    return "nextToken" not in query and query.get("skip", ["0"]) == ["0"]


def result(wait: Waiting) -> dict[str, Any]:
    """How a wait ended."""
    assert wait.result
    return wait.result


def expected(wait: Waiting) -> str:
    """How a wait must end."""
    return "failed" if wait.record.outcome == "failed" else "done"
