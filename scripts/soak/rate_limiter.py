"""Many landings at once on one connection stay within its rate limit, and all records land."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from soak.common import SERVICES, TITLES, Report, Servers, say, start_servers
from tests.faults import RateLimitRule

PAGE = 100
COLUMNS = (
    "at once",
    "limit",
    "service",
    "requests",
    "most in any 60 s",
    "refused",
    "seconds",
    "attempts of a task, at most",
    "landed whole",
)


@dataclass(frozen=True)
class Scenario:
    """How the landings run, and what enforces the limit.

    :param processes: each landing is a process, as in Airflow; otherwise a thread of one process.
    :param given: the connection gives the limit, divided among the processes; otherwise the service responds
        with 429.
    """

    processes: bool
    given: bool


SCENARIOS = (Scenario(False, True), Scenario(True, True), Scenario(False, False), Scenario(True, False))


def run(
    tasks: int = 50,
    rows: int = 3000,
    *,
    scenarios: Sequence[Scenario] = SCENARIOS,
    services: Sequence[str] = SERVICES,
    per_minute: int = 600,
    per_second: int = 20,
    longest: float = 1800,
) -> Report:
    """Let many tasks land the same list at once, both services side by side.

    :param rows: of the list.
    :param per_minute: requests that VLM Run and a connection allow.
    :param per_second: requests that Cradl allows.
    :param longest: seconds that one scenario may take.
    """
    report = Report(COLUMNS)
    with start_servers() as servers, ThreadPoolExecutor(len(SERVICES)) as pool:
        servers.sandbox.vlmrun.fill(rows)
        servers.sandbox.cradl.fill(rows)
        for scenario in scenarios:
            limits = {
                "vlmrun": RateLimitRule("vlmrun", per_minute, 60),
                "cradl": RateLimitRule("cradl", per_second, 1),
            }
            servers.sandbox.wire.clear()
            if not scenario.given:
                servers.sandbox.wire.rules += limits.values()
            share = per_minute // tasks if scenario.processes else per_minute
            extra = {"requests_per_minute": share} if scenario.given else {}
            runs = [
                pool.submit(_run, servers.connected(extra), service, scenario, tasks, longest)
                for service in services
            ]
            for service, future in zip(services, runs, strict=True):
                seconds, answers = future.result()
                _judge(report, servers, service, scenario, limits[service], share, seconds, answers)
    return report


def _run(
    servers: Servers, service: str, scenario: Scenario, tasks: int, longest: float
) -> tuple[float, list[dict[str, Any]]]:
    """Run the tasks; returns the seconds, and the result of each."""
    order = {
        "service": service,
        "run": "",
        "tasks": tasks,
        "processes": scenario.processes,
        "page_size": PAGE,
        "path": f"s3://store@{servers.bucket}/{service}-{scenario.processes}-{scenario.given}",
    }
    with servers.process("tasks", order) as process:
        stopper = threading.Timer(longest, process.kill)
        stopper.start()
        assert process.stdout
        answer = process.stdout.read()
        stopper.cancel()
    if not answer:
        raise AssertionError(f"{TITLES[service]}: no answer within {longest} s.\n{servers.log('tasks')}")
    times = [seen.at for seen in servers.sandbox.wire.seen if seen.part == service]
    return max(times) - min(times), json.loads(answer)


def _judge(
    report: Report,
    servers: Servers,
    service: str,
    scenario: Scenario,
    limit: RateLimitRule,
    share: int,
    seconds: float,
    answers: list[dict[str, Any]],
) -> None:
    times = [seen.at for seen in servers.sandbox.wire.seen if seen.part == service]
    expected = hashlib.sha256(b"".join(text + b"\n" for text in getattr(servers.sandbox, service).texts()))
    whole = sum(_hash(servers, answer) == expected.hexdigest() for answer in answers)
    tasks, most = len(answers), densest(times, 60)
    how = f"{tasks} {'processes' if scenario.processes else 'threads of one process'}"
    name = f"{TITLES[service]}, {how}"
    if scenario.given:
        allowed = share * tasks if scenario.processes else share
        words = f"given: {share} a minute" + (" each" if scenario.processes else "")
        report.promise(most <= allowed, f"{name}: {most} requests within 60 s, of {allowed}")
    else:
        words = f"the service's: {limit.requests} in {limit.seconds} s"
    errors = [answer["error"] for answer in answers if "error" in answer]
    report.promise(whole == tasks, f"{name}: {whole} of {tasks} landed whole; {errors[:1]}")
    attempts = max(answer["attempts"] for answer in answers)
    row = (how, words, TITLES[service], f"{len(times):,}", f"{most:,}", f"{limit.refused:,}",
           f"{seconds:,.0f}", attempts, f"{whole} of {tasks}")  # fmt: skip
    report.rows.append(row)
    say(row)


def _hash(servers: Servers, answer: dict[str, Any]) -> str:
    """The hash of all records that a task has landed."""
    hashed = hashlib.sha256()
    for part in servers.objects([part["uri"] for part in answer.get("manifest", {"parts": ()})["parts"]]):
        hashed.update(part)
    return hashed.hexdigest()


def densest(times: Sequence[float], seconds: float) -> int:
    """The largest number of times within any window.

    :param seconds: the length of the window.
    """
    moments, first, most = sorted(times), 0, 0
    for n, moment in enumerate(moments):
        while moments[first] <= moment - seconds:
            first += 1
        most = max(most, n - first + 1)
    return most
