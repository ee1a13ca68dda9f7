"""What it costs to wait: ``python benchmarks/waiting.py`` writes two tables into ``docs/benchmarks.md``.

Each row is a process that waits for predictions which do not finish. The first table compares ours with
others, with an interval of 5 s. The second one says what a poll of ours costs. The argument ``polls`` writes
it alone.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

from environments import HERE, peers_python, variables
from page import PAGE, write_table

SECONDS = 30
WAITS = (1, 100, 1000)
WAITERS = {
    "ours, deferred": "ours",
    "HttpSensor, deferred": "http_sensor",
    "PythonSensor with the SDK": "sdk_sensor",
}
COLUMNS = ("", "waits", f"requests in {SECONDS} s", "CPU, s")
POLLED_WAITS = (1, 10, 100, 1000)
RECORD_BYTES = (1_000, 300_000)
POLLED_SECONDS = 20
SECONDS_A_MB = 0.1
"""Added, so that there are several polls where one reads for seconds."""
INTERVAL = 2.0
"""Seconds between the polls of the second table."""
POLL_COLUMNS = ("ours, deferred: waits", "kB a record", "requests a poll", "kB read a poll", "CPU a poll, ms")

Sample = tuple[float, float]
"""A moment on the machine's clock, and the seconds of the processor until then."""


def main() -> None:
    from airflow_provider_predictions.sandbox.server import Sandbox

    asked: list[tuple[float, int]] = []

    class CountedSandbox(Sandbox):
        def asgi_app(self) -> Any:
            app = super().asgi_app()

            async def counted(scope: Any, receive: Any, send: Any) -> None:
                async def sent(message: Any) -> None:
                    if size := len(message.get("body", b"")):
                        asked.append((time.monotonic(), size))
                    await send(message)

                await app(scope, receive, sent)

            return counted

    with tempfile.TemporaryDirectory(prefix="benchmark-") as home, CountedSandbox(count=0) as sandbox:
        environment = variables(Path(home))
        rows = polls(sandbox, environment, asked)
        write_table(PAGE, "benchmarks/waiting.py polls", POLL_COLUMNS, rows, figures=True)
        if sys.argv[1:] != ["polls"]:
            rows = beside_others(sandbox, environment, asked)
            write_table(PAGE, "benchmarks/waiting.py", COLUMNS, rows, figures=True)


def beside_others(sandbox: Any, environment: dict[str, str], asked: list[tuple[float, int]]) -> list[Any]:
    pythons = {"ours": sys.executable, "http_sensor": peers_python(), "sdk_sensor": peers_python()}
    ids, rows = unfinished(sandbox), []
    for label, waiter in WAITERS.items():
        for count in WAITS:
            asked.clear()
            (_, cpu), *_, (_, cpu_at_end) = waited(
                sandbox, environment, pythons[waiter], waiter, ids[-count:], SECONDS
            )
            rows.append((label, f"{count:,}", f"{len(asked):,}", f"{cpu_at_end - cpu:.2f}"))
            print(*rows[-1], sep="  ", flush=True)
    return rows


def polls(sandbox: Any, environment: dict[str, str], asked: list[tuple[float, int]]) -> list[Any]:
    rows = []
    for record_bytes in RECORD_BYTES:
        ids = unfinished(sandbox, record_bytes)
        for count in POLLED_WAITS:
            asked.clear()
            seconds = POLLED_SECONDS + SECONDS_A_MB * count * record_bytes / 1e6
            samples = waited(sandbox, environment, sys.executable, "ours", ids[-count:], seconds, INTERVAL)
            requests, size, cpu = a_poll(asked, samples)
            figures = (f"{requests:.0f}", f"{size / 1000:,.0f}", f"{cpu * 1000:.1f}")
            rows.append((f"{count:,}", f"{record_bytes // 1000:,}", *figures))
            print(*rows[-1], sep="  ", flush=True)
    return rows


def unfinished(sandbox: Any, record_bytes: int = 0) -> list[str]:
    """The ids of a new list, the oldest first.

    :param record_bytes: to which each record is filled up.
    """
    from airflow_provider_predictions.sandbox.data import VLMRUN

    def show(*record: Any) -> bytes:
        text = VLMRUN.show(*record)
        member = b',"padding":"%s"}' % (b"x" * (record_bytes - len(text) - len(',"padding":""')))
        return text[:-1] + member if record_bytes else text

    sandbox.vlmrun.clear()
    sandbox.vlmrun.kind = replace(VLMRUN, show=show)
    return [sandbox.vlmrun.add(work=1e9).id for _ in range(max(WAITS))]


def a_poll(asked: Sequence[tuple[float, int]], samples: Sequence[Sample]) -> tuple[float, float, float]:
    """Requests, bytes, and seconds of the processor of a poll, on average without the first and the last."""
    starts = [asked[0][0]] + [at for (before, _), (at, _) in pairwise(asked) if at - before > INTERVAL / 2]
    second, last, count = starts[1], starts[-1], len(starts) - 2
    sizes = [size for at, size in asked if second <= at < last]
    cpu = [max(cpu for at, cpu in samples if at < start) for start in (second, last)]
    return len(sizes) / count, sum(sizes) / count, (cpu[1] - cpu[0]) / count


def waited(sandbox: Any, environment: dict[str, str], python: str, waiter: str, *how: Any) -> list[Sample]:
    """The samples of a process that waits."""
    service = sandbox.connection("vlmrun")
    order = [waiter, service["host"], service["password"], *how]
    ended = subprocess.run(
        [python, str(HERE / "waiting.py"), "one"],
        env=environment, input=json.dumps(order), capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    if ended.returncode:
        sys.exit(f"{ended.stdout[-2000:]}{ended.stderr[-4000:]}")
    samples: list[Sample] = json.loads(ended.stdout.splitlines()[-1])
    return samples


def one() -> None:
    """One row, in a process of its own; prints samples."""
    waiter, *order = json.load(sys.stdin)
    module = import_module(f"waiters.{waiter}")
    samples, over = [(time.monotonic(), time.process_time())], threading.Event()

    def sample() -> None:
        while not over.wait(INTERVAL / 4):
            samples.append((time.monotonic(), time.process_time()))

    beside = threading.Thread(target=sample)
    beside.start()
    module.wait(*order)
    over.set()
    beside.join()
    print(json.dumps([*samples, (time.monotonic(), time.process_time())]))


if __name__ == "__main__":
    one() if sys.argv[1:] == ["one"] else main()
