"""What a poll costs: ours for 1 to 1,000 waits on records of 1 KB and 300 KB, and others for 1,000 of 1 KB.

The waiting process is measured, and the sandbox counts what it sends. Nothing changes from poll to poll.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from statistics import mean
from typing import Any

from environments import measured
from results import Part, at_most, spread
from tables import markdown

from airflow_provider_predictions.sandbox.data import VLMRUN
from airflow_provider_predictions.sandbox.server import Sandbox

POLLS, QUICK_POLLS = 7, 3
WAITS, QUICK_WAITS = (1, 10, 100, 1000), (1, 10)
INTERVALS = {1_000: 0.6, 300_000: 1.5}
"""Seconds between two polls, by the bytes of a record. Requests of one poll follow each other within half."""
SMALL = min(INTERVALS)
OTHERS = {"HttpSensor, deferred": "http_sensor", "PythonSensor with the SDK": "sdk_sensor"}
MOST_MS = {100: 3, 1000: 10}
COLUMNS = ("", "waits", "kB a record", "requests a poll", "kB a poll", "CPU, ms a poll")


class CountedSandbox(Sandbox):
    """Notes when it sends how much. Once it has seen enough, it ends the waiting."""

    def expect(self, polls: int, requests: int | None = None) -> None:
        self.sent: list[tuple[float, int]] = []
        self.starts: list[float] = []
        self.polls, self.requests, self.last = polls, requests, 0.0

    @property
    def has_enough(self) -> bool:
        if self.requests is not None:
            return len(self.sent) >= self.requests
        return len(self.starts) > self.polls + 1

    def asgi_app(self) -> Any:
        app = super().asgi_app()

        async def counted(scope: Any, receive: Any, send: Any) -> None:
            async def noted(message: Any) -> None:
                await send(message)
                self.last = time.monotonic()
                if size := len(message.get("body", b"")):
                    self.sent.append((self.last, size))

            now = time.monotonic()
            if now - self.last > self.interval / 2:
                self.starts.append(now)
            self.last = now
            if self.has_enough:
                # HttpSensor repeats a request that is refused, without a pause.
                status, body = (401, b"") if self.requests is None else (200, self.finished)
                headers = [(b"content-length", b"%d" % len(body))]
                await send({"type": "http.response.start", "status": status, "headers": headers})
                await send({"type": "http.response.body", "body": body})
            else:
                await app(scope, receive, noted)

        return counted

    def unfinished(self, record_bytes: int) -> list[str]:
        """The ids of a new list, the oldest first.

        :param record_bytes: to which each record is filled up.
        """

        def show(*record: Any) -> bytes:
            text = VLMRUN.show(*record)
            member = b',"padding":"%s"}' % (b"x" * (record_bytes - len(text) - len(',"padding":""')))
            return text[:-1] + member

        self.vlmrun.clear()
        self.interval = INTERVALS[record_bytes]
        self.vlmrun.kind = replace(VLMRUN, show=show)
        records = [self.vlmrun.add(work=1e9) for _ in range(max(WAITS))]
        self.finished = VLMRUN.show(records[0], "completed", "")
        return [record.id for record in records]

    def wait(self, waiter: str, ids: Sequence[str], **how: Any) -> Any:
        service = self.connection("vlmrun")
        return measured("wait", waiter, service["host"], service["password"], ids, self.interval, **how)


def waits(quick: bool, rounds: int) -> Part:
    """The polls of one process are the rounds."""
    lines, bars = [], []
    with CountedSandbox(count=0) as sandbox:
        for record_bytes in INTERVALS:
            ids = sandbox.unfinished(record_bytes)
            for count in QUICK_WAITS if quick else WAITS:
                sandbox.expect(QUICK_POLLS if quick else POLLS)
                polls = each_poll(sandbox, sandbox.wait("ours", ids[-count:]))
                requests, size = (mean(poll[n] for poll in polls) for n in (0, 1))
                milliseconds = [1000 * cpu for *_, cpu in polls]
                cells = (f"{requests:.0f}", f"{size / 1000:,.0f}", spread(milliseconds, ".1f"))
                lines.append(("ours, deferred", f"{count:,}", f"{record_bytes // 1000:,}", *cells))
                print(*lines[-1], sep="  ", flush=True)
                if record_bytes == SMALL and count in MOST_MS:
                    bars.append(at_most(f"{count:,} waits", MOST_MS[count], "ms a poll", milliseconds, ".1f"))
        ids = sandbox.unfinished(SMALL)[-10 if quick else 0 :]
        for label, waiter in OTHERS.items():
            sandbox.expect(0, requests=2 * len(ids))
            (_, began), *_, (_, ended) = sandbox.wait(waiter, ids, peers=True)
            sizes = [size for _, size in sandbox.sent]
            cells = (f"{mean(sizes) * len(ids) / 1000:,.0f}", f"{500 * (ended - began):.1f}")
            lines.append((label, f"{len(ids):,}", f"{SMALL // 1000}", f"{len(ids):,}", *cells))
            print(*lines[-1], sep="  ", flush=True)
    return Part(markdown(COLUMNS, lines, figures=True), bars)


def each_poll(
    sandbox: CountedSandbox, samples: Sequence[tuple[float, float]]
) -> list[tuple[int, int, float]]:
    """Requests, bytes, and seconds of the processor of each poll.

    The first poll also imports modules and logs a line for each wait, so it does not count.
    """
    polls = []
    for start, end in pairwise(sandbox.starts[1:]):
        sizes = [size for at, size in sandbox.sent if start <= at < end]
        began, ended = (max(cpu for at, cpu in samples if at < moment) for moment in (start, end))
        polls.append((len(sizes), sum(sizes), ended - began))
    return polls
