"""A crowd of waits for hours, made short: memory is flat, nothing leaks, and every wait is told in time."""

from __future__ import annotations

import json
import math
import random
import subprocess
import threading
import time
from bisect import bisect
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import mean, median
from typing import Any

from airflow_provider_predictions.sandbox.data import Record
from airflow_provider_predictions.sandbox.store import RecordStore
from soak.common import FAULTS, SERVICES, TITLES, Faults, Report, World, megabytes, world

INTERVAL, SHORTEST, LIFETIME, REVOKED = 60, 120, 1800, 9000
"""Simulated seconds: between polls, of the shortest wait, of a token, between revocations."""
HOUR = 3600
FLAT = 0.05
JITTER = 1.1


def run(
    waits: int = 1000, minutes: float = 30, *, speed: float = 30, longest: float = 7200, rate: float = 0.05
) -> Report:
    """Keep so many waits going, half of them on each service.

    :param minutes: of real time.
    :param speed: simulated seconds in a real one.
    :param longest: simulated seconds of the longest wait.
    :param rate: the share of requests that goes wrong.
    """
    with world(token_lifetime=LIFETIME / speed) as at:
        faults = Faults(rate, "vlmrun", "cradl", "token")
        at.sandbox.wire.rules.append(faults)
        for service in SERVICES:
            getattr(at.sandbox, service).fill(2000)
        with at.process("crowd", {"interval": INTERVAL / speed}) as process:
            crowd = Crowd(at, process, speed, longest)
            crowd.keep(waits, minutes * 60)
        return Judge(crowd, faults).report(waits)


@dataclass
class Waiting:
    """A wait that has joined.

    :param joined: seconds since 1970.
    :param told: how it ended.
    """

    service: str
    record: Record
    joined: float
    told: dict[str, Any] | None = None

    @property
    def finished(self) -> float:
        """When it could have been told, in seconds since 1970."""
        return max(self.joined, self.record.ended.timestamp())


@dataclass
class Crowd:
    """Who waits in the process: for each that has ended, another one joins.

    :param speed: simulated seconds in a real one.
    :param longest: simulated seconds of the longest wait.
    """

    at: World
    process: subprocess.Popen[str]
    speed: float
    longest: float
    waits: dict[str, Waiting] = field(default_factory=dict)
    samples: list[dict[str, Any]] = field(default_factory=list)
    left: dict[str, list[str]] = field(default_factory=dict)
    """What is there after all waits are gone."""
    began: float = 0
    ended: float = 0
    revoked: int = 0
    _rng: random.Random = field(default_factory=lambda: random.Random(7))

    def keep(self, count: int, seconds: float) -> None:
        """Keep so many going, for so long."""
        # What the process says is read here, so that it never waits for a reader.
        reader = threading.Thread(target=self._listen, args=(count,), name="listening")
        assert self.process.stdout
        assert "ready" in json.loads(self.process.stdout.readline())
        self.began = time.time()
        self.ended = end = self.began + seconds
        reader.start()
        while time.time() + REVOKED / self.speed < end:
            time.sleep(REVOKED / self.speed)
            self.at.sandbox.tokens.revoke()
            self.revoked += 1
        reader.join(end - time.time() + 60)
        if self.process.wait(60) or reader.is_alive():
            raise AssertionError(f"The crowd did not end well.\n{self.at.log('crowd')}")

    def _listen(self, count: int) -> None:
        for n in range(count):
            self._join(SERVICES[n % 2])
        assert self.process.stdout
        assert self.process.stdin
        for line in self.process.stdout:
            answer = json.loads(line)
            if "id" in answer:
                wait = self.waits[answer["id"]]
                wait.told = answer
                if time.time() < self.ended:
                    self._join(wait.service)
            elif "memory" in answer:
                self.samples.append(answer)
                if time.time() >= self.ended and not self.process.stdin.closed:
                    self.ended = time.time()
                    self.process.stdin.close()
            else:
                self.left |= answer

    def _join(self, service: str) -> None:
        record_store: RecordStore = getattr(self.at.sandbox, service)
        record = record_store.add(work=self._rng.uniform(SHORTEST, self.longest) / self.speed)
        self.waits[record.id] = Waiting(service, record, time.time())
        assert self.process.stdin
        self.process.stdin.write(f"{service} {record.id}\n")
        self.process.stdin.flush()


class Judge:
    """Whether the promises hold.

    :param crowd: that is gone.
    :param faults: that came.
    """

    def __init__(self, crowd: Crowd, faults: Faults) -> None:
        self.crowd = crowd
        self.faults = faults
        self.interval = INTERVAL / crowd.speed
        self.told = [wait for wait in crowd.waits.values() if wait.told]
        self.starts = {service: self._starts(service) for service in SERVICES}
        self.deadlines = {service: list(self._deadlines(service)) for service in SERVICES}

    def report(self, count: int) -> Report:
        """The table, and what did not hold."""
        report = Report(("", "found"))
        crowd, seconds = self.crowd, self.crowd.ended - self.crowd.began
        self._waits(report, count)
        self._memory(report)
        for service in SERVICES:
            polls = len(self.starts[service])
            most = math.ceil(seconds / self.interval) + 1 + crowd.revoked * (service == "cradl")
            report.promise(polls <= most, f"{TITLES[service]}: {polls} polls; at most {most} are due")
            report.rows.append((f"polls of {TITLES[service]}, of {most:,} at most", f"{polls:,}"))
        for what in ("tasks", "threads", "sockets"):
            left = crowd.left.get(what)
            report.promise(left == [], f"{what} that are left: {left}")
            report.rows.append((f"{what} that are left when all waits are gone", len(left or ())))
        observed = self.faults.observed
        report.rows.append(("requests", f"{len(crowd.at.sandbox.wire.seen):,}"))
        report.rows.append(("faults met", f"{observed.total():,}"))
        report.rows += [(f"of them {fault}", f"{observed[fault]:,}") for fault in FAULTS]
        report.rows.append(("times that all tokens were revoked", crowd.revoked))
        return report

    def _waits(self, report: Report, count: int) -> None:
        seconds = [told(wait)["told"] - wait.finished for wait in self.told]
        in_time = sum(each <= self.interval * JITTER for each in seconds)
        wrong = [wait for wait in self.told if told(wait)["state"] != expected(wait)]
        late = [wait for wait in self.crowd.waits.values() if self._is_late(wait)]
        gap = max(b - a for starts in self.starts.values() for a, b in pairwise(starts))
        minutes = self.crowd.speed / 60
        report.promise(self.told, "no wait has ended")
        report.promise(not wrong, f"{len(wrong)} waits ended in another state than their prediction")
        report.promise(not late, f"{len(late)} waits were told too late: {late[:3]}")
        report.rows += [
            ("waits at once", f"{count:,}"),
            ("minutes of real time", f"{(self.crowd.ended - self.crowd.began) / 60:.1f}"),
            ("simulated hours", f"{(self.crowd.ended - self.crowd.began) * self.crowd.speed / HOUR:.1f}"),
            ("waits that ended, each followed by another", f"{len(self.told):,}"),
            ("of them in another state than their prediction", len(wrong)),
            ("told within an interval of a minute, simulated", f"{in_time / max(1, len(seconds)):.1%}"),
            ("told after how many simulated minutes, median", f"{median(seconds) * minutes:.1f}"),
            ("told after how many simulated minutes, the latest", f"{max(seconds) * minutes:.1f}"),
            ("told later than by the first poll that could know, or never", len(late)),
            ("longest time from a poll to the next one, simulated minutes", f"{gap * minutes:.1f}"),
            ("waits that a retry of the task went on with", sum(told(w)["retries"] > 0 for w in self.told)),
        ]

    def _memory(self, report: Report) -> None:
        """The first hour after the longest of the first waits has ended, and the last one."""
        samples, crowd = self.crowd.samples, self.crowd
        hour = min(HOUR / crowd.speed, (crowd.ended - crowd.began) / 6)
        warm = crowd.began + crowd.longest / crowd.speed
        first = [one for one in samples if warm <= one["at"] < warm + hour]
        last = [one for one in samples if one["at"] >= crowd.ended - hour]
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
        """When a list was read from its start, which is when a poll began."""
        begin = {"vlmrun": "skip=0&", "cradl": "maxResults="}[service]
        lists = [seen for seen in self.crowd.at.sandbox.wire.seen if seen.path.endswith("/predictions")]
        return [seen.at for seen in lists if seen.query.startswith(begin) and "nextToken" not in seen.query]

    def _deadlines(self, service: str) -> Iterator[tuple[float, float]]:
        """When each poll that worked began, and when the next one did, whether that worked or not.

        Where a token was fetched in between, it may have been refused, and the list be read from its start
        anew.
        """
        failed = [seen.at for seen, fault in self.faults.came if seen.part == service and fault.how != "slow"]
        if service == "cradl":
            failed += [seen.at for seen in self.crowd.at.sandbox.wire.seen if seen.part == "token"]
        for start, end in pairwise(self.starts[service]):
            if not any(start <= moment < end for moment in failed):
                yield start, end

    def _is_late(self, wait: Waiting) -> bool:
        """Whether a wait was not told of by the first poll that could know, if there was one."""
        of_polls = self.deadlines[wait.service]
        first = bisect(of_polls, (wait.finished, math.inf))
        end = wait.told["told"] if wait.told else self.crowd.ended
        return first < len(of_polls) and end >= of_polls[first][1]


def told(wait: Waiting) -> dict[str, Any]:
    """How a wait has ended."""
    assert wait.told
    return wait.told


def expected(wait: Waiting) -> str:
    """How a wait has to end."""
    return "failed" if wait.record.outcome == "failed" else "done"
