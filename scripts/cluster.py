"""Backfill thirty days on two Celery workers, kill one of them in the middle, and check what has landed.

Redis and PostgreSQL are real; the sandbox is VLM Run. All of it is on loopback, and stopped at the end.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import signal
import sys
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from servers import MissingProgramError, PostgreSQL, Redis
from stack import COMPONENTS, Airflow, Component, until

from airflow_provider_predictions.sandbox.data import Record
from airflow_provider_predictions.storage.checkpoint import CHECKPOINT
from airflow_provider_predictions.storage.log import LOG
from airflow_provider_predictions.storage.manifest import MANIFEST
from tests.faults import Fault, FaultySandbox

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".airflow" / "cluster"
LANDED = HOME / "landed"
WORKERS = ("worker-1", "worker-2")
"""At the start."""
VICTIM, SUCCESSOR = "worker-2", "worker-3"
SLOTS = 4
A_DAY = 240
"""Predictions."""
UNFINISHED = 5
"""Predictions that the sensor waits for, in the triggerer."""
LATENCY = 0.3
"""Seconds before each answer of the sandbox."""
LONGEST = 900
"""Seconds of the backfill."""

Expected = dict[str, list[Record]]
"""What the service has of each day, newest first."""
Landing = dict[str, Any]
"""A task instance as the REST API shows it."""


class Log:
    """Lines with the seconds since the start."""

    def __init__(self) -> None:
        self.start = time.monotonic()

    def __call__(self, text: str) -> None:
        """Print a line."""
        print(f"{time.monotonic() - self.start:6.1f} s  {text}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=30)
    days = parser.parse_args().days
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("Stopped."))
    shutil.rmtree(HOME, ignore_errors=True)
    shutil.copytree(ROOT / "scripts" / "dags", HOME / "dags")
    log = Log()
    try:
        problems = demonstrate(days, log)
    except MissingProgramError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit("Stopped.")
    log("Everything is stopped")
    if problems:
        sys.exit("\n".join([*problems, f"What the components said is in {HOME.relative_to(ROOT)}"]))


def demonstrate(days: int, log: Log) -> list[str]:
    """Run it all; what is wrong with the result, nothing if all is well."""
    with PostgreSQL() as database, Redis() as broker, FaultySandbox() as sandbox:
        log("PostgreSQL and Redis answer")
        first = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=days)
        expected = fill(sandbox, first, days)
        workers = {name: worker(name) for name in WORKERS}
        with Airflow(HOME, settings(database, broker), components=COMPONENTS | workers) as airflow:
            for name in WORKERS:
                until(f"{name} is ready", lambda name=name: is_ready(name), 120)
            log(f"Airflow is healthy, {' and '.join(WORKERS)} are ready, {SLOTS} slots each")
            airflow.connect(sandbox)
            airflow.post("/pools", {"name": "vlmrun", "slots": 6})
            run = airflow.start("backfill", path=f"file://{LANDED}", first=first.isoformat(), days=days)
            airflow.reaches(run, "wait", "deferred", 120)
            log(f"The sensor waits in the triggerer for {UNFINISHED} unfinished predictions; now they finish")
            for row in sandbox.vlmrun.rows:
                row.work = 0
            problems = Backfill(airflow, run, sorted(expected), log).watch()
        log(f"{len(sandbox.wire.seen)} requests reached the sandbox")
        return problems + problems_of(sandbox, expected, log)


def settings(database: PostgreSQL, broker: Redis) -> dict[str, str]:
    """What makes it a cluster, and one that notices a lost machine within seconds."""
    return {
        "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
        "AIRFLOW__CORE__PARALLELISM": "32",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database.url,
        "AIRFLOW__CELERY__BROKER_URL": broker.url,
        "AIRFLOW__CELERY__RESULT_BACKEND": f"db+{database.url}",
        "AIRFLOW__CELERY__WORKER_CONCURRENCY": str(SLOTS),
        # What a worker has got and not yet begun when it is lost comes back to the queue.
        "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT": "45",
        "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__UNACKED_RESTORE_INTERVAL": "2",
        "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__UNACKED_RESTORE_THROTTLE": "1",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "20",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
        "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "2",
        # Several workers on one machine have a name each: Python's getuser reads LOGNAME first.
        "AIRFLOW__CORE__HOSTNAME_CALLABLE": "getpass.getuser",
    }


def worker(name: str) -> Component:
    """A Celery worker; as if on a machine of its own, it shares no temporary directory."""
    temporary = HOME / "tmp" / name
    temporary.mkdir(parents=True)
    return Component(
        ["celery", "worker", "--celery-hostname", f"{name}@%h", "--skip-serve-logs"],
        {"LOGNAME": name, "TMPDIR": str(temporary)},
    )


def is_ready(name: str) -> bool:
    """Whether Celery says so."""
    return " ready." in (HOME / f"{name}.log").read_text(errors="replace")


def fill(sandbox: FaultySandbox, first: datetime, days: int) -> Expected:
    """Predictions of the days, the last ones unfinished, and more around them that must not land."""
    record_store, now, end = sandbox.vlmrun, datetime.now(UTC), first + timedelta(days=days)
    step = timedelta(days=1) / A_DAY
    for n in range(-A_DAY, A_DAY * days):
        record_store.add(created=first + step * n)
    for row in record_store.rows[:UNFINISHED]:
        row.work = 1e9
    for n in range(A_DAY):
        record_store.add(created=end + (now - end) * n / A_DAY)
    sandbox.wire.order(Fault("vlmrun", "slow", times=10**9, seconds=LATENCY))
    expected: Expected = {}
    for row in record_store.rows:
        if first <= row.created < end:
            expected.setdefault(row.created.date().isoformat(), []).append(row)
    return expected


class Backfill:
    """Watches the landings of a run, and kills a worker in the middle of one.

    :param run: its path in the REST API.
    :param days: those that land, in the order of the mapped tasks.
    """

    def __init__(self, airflow: Airflow, run: str, days: list[str], log: Log) -> None:
        self.airflow = airflow
        self.run = run
        self.days = days
        self.log = log
        self.landed: dict[str, Landing] = {}
        self.killed_at: datetime | None = None
        self.lost: dict[str, int] = {}
        """By day that the victim was landing: how many parts a checkpoint beside them tells of."""

    def watch(self) -> list[str]:
        """Until the run has ended; what went wrong."""
        until("the backfill ended", self._look, LONGEST)
        self._look_at_landings()
        self._sum_up()
        problems = [] if self.airflow.finished(self.run) == "success" else ["The run has failed"]
        if not any(self.lost.values()):
            problems.append("No worker was killed in the middle of a landing, after both had landed a day")
        return problems

    def _look(self) -> str | None:
        landings = self._look_at_landings()
        middle = [day for day in landings if self._parts(day) and landings[day]["hostname"] == VICTIM]
        all_busy = set(WORKERS) <= self._workers().keys() and len(self.landed) >= len(self.days) // 4
        if middle and all_busy and not self.killed_at:
            self._kill()
        return self.airflow.finished(self.run)

    def _look_at_landings(self) -> dict[str, Landing]:
        """Tell of what has landed since the last look; what is being landed, by day."""
        tasks = self.airflow.get(f"{self.run}/taskInstances", task_id="land", limit=1000)["task_instances"]
        mapped = {self.days[task["map_index"]]: task for task in tasks if task["map_index"] >= 0}
        for day, task in mapped.items():
            if task["state"] == "success" and day not in self.landed:
                self.landed[day] = task
                self.log(f"{task['hostname']} landed {day}: {contents(day)}{self._retry(day, task)}")
        return {day: task for day, task in mapped.items() if task["state"] == "running"}

    def _kill(self) -> None:
        self.airflow.kill(VICTIM)
        self.killed_at = datetime.now(UTC)
        running = self._look_at_landings()
        self.lost = {day: self._parts(day) for day in running if running[day]["hostname"] == VICTIM}
        told = ", ".join(f"{day} (parts written: {parts})" for day, parts in sorted(self.lost.items()))
        self.log(f"kill -9 of {VICTIM} and all its processes, while it was landing {told}")
        self.airflow.components |= {SUCCESSOR: worker(SUCCESSOR)}
        self.airflow.begin(SUCCESSOR)
        self.log(f"{SUCCESSOR} is started in its place, with nothing on its disk")

    @staticmethod
    def _parts(day: str) -> int:
        """How many parts of an unfinished landing another machine can go on from."""
        heads = [file.read_bytes().split(b"\n")[0] for file in LANDED.joinpath(day).glob(f"{CHECKPOINT}-*")]
        return max((len(json.loads(head)["parts"]) for head in heads), default=0)

    def _retry(self, day: str, task: Landing) -> str:
        """What a later attempt says of itself."""
        if task["try_number"] == 1 or not self.killed_at:
            return ""
        after = (datetime.fromisoformat(task["start_date"]) - self.killed_at).total_seconds()
        pattern = (
            f"dag_id=backfill/*/task_id=land/map_index={task['map_index']}/attempt={task['try_number']}.log"
        )
        (log,) = HOME.joinpath("logs").glob(pattern)
        going_on = re.search(r"Resuming after (\d+) parts?", log.read_text())
        how = f"went on after part {going_on[1]}" if going_on else "began anew"
        return f"; attempt {task['try_number']}, {after:.0f} s after the kill, {how}"

    def _workers(self) -> Counter[str]:
        return Counter(task["hostname"] for task in self.landed.values())

    def _sum_up(self) -> None:
        run = self.airflow.get(self.run)
        took = datetime.fromisoformat(run["end_date"]) - datetime.fromisoformat(run["start_date"])
        shares = ", ".join(f"{worker} {count}" for worker, count in sorted(self._workers().items()))
        self.log(f"The run took {took.total_seconds():.0f} s; days landed: {shares}")


def manifest_of(day: str) -> dict[str, Any]:
    """The manifest of a day."""
    manifest: dict[str, Any] = json.loads(LANDED.joinpath(day, MANIFEST).read_bytes())
    return manifest


def contents(day: str) -> str:
    """What has landed of a day, in words."""
    manifest = manifest_of(day)
    count, parts, requests = manifest["count"], len(manifest["parts"]), manifest["requests"]
    return f"{count} predictions, {parts} parts, {requests} requests"


def problems_of(sandbox: FaultySandbox, expected: Expected, log: Log) -> list[str]:
    """Read all that has landed; where it differs from what the service has."""
    problems = []
    ids: Counter[str] = Counter()
    for day, rows in expected.items():
        if not LANDED.joinpath(day, MANIFEST).exists():
            problems.append(f"{day}: has no manifest")
            continue
        manifest = manifest_of(day)
        parts = [Path(part["uri"].removeprefix("file://")) for part in manifest["parts"]]
        lines = [line for part in parts for line in part.read_bytes().splitlines()]
        ids.update(json.loads(line)["id"] for line in lines)
        if not manifest["complete"] or manifest["consistent"] is False:
            problems.append(f"{day}: its manifest is not complete, or says that predictions may be missing")
        if lines != [sandbox.vlmrun.text(row) for row in rows]:
            problems.append(f"{day}: other records than the service has")
        if {*LANDED.joinpath(day).iterdir()} - {LANDED / day / LOG} != {*parts, LANDED / day / MANIFEST}:
            problems.append(f"{day}: other files than the manifest names")
    missing = {row.id for rows in expected.values() for row in rows} - ids.keys()
    twice = ids.total() - len(ids)
    log(f"Landed of {len(expected)} days: {ids.total()} predictions, {len(missing)} missing, {twice} twice")
    if missing or twice:
        problems.append(f"{len(missing)} predictions are missing, {twice} have landed twice")
    return problems


if __name__ == "__main__":
    main()
