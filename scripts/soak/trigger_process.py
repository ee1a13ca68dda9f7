"""A triggerer's event loop with many waits.

Each line of standard input is a service and an id, and starts a wait. Each line of output is a wait that has
ended, or a sample of the process's resources. When the input ends, the remaining waits are cancelled. The
last line lists the resources that are left.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import threading
import time
from typing import IO, Any

import psutil

from soak.worker import order, results


class Triggerer:
    """Runs the triggers of both services.

    :param interval: seconds between polls, and between samples.
    :param stream: for the output.
    """

    def __init__(self, interval: float, stream: IO[str]) -> None:
        from airflow_provider_predictions.triggers.cradl import CradlPredictionsTrigger
        from airflow_provider_predictions.triggers.poller import Poller
        from airflow_provider_predictions.triggers.vlmrun import VlmRunPredictionsTrigger

        # The lower bound of a trigger's interval is for a real scheduler.
        Poller.shortest_interval = interval / 12
        self.triggers = {"vlmrun": VlmRunPredictionsTrigger, "cradl": CradlPredictionsTrigger}
        self.interval = interval
        self.waits: set[asyncio.Task[None]] = set()
        self.process = psutil.Process()
        self._stream = stream

    def write(self, **result: Any) -> None:
        """Write a line."""
        print(json.dumps(result), file=self._stream)

    async def run(self) -> None:
        """Start waits until the input ends."""
        # The first lookup of a connection starts a thread that Airflow keeps.
        for service, trigger in self.triggers.items():
            async with await trigger.hook_class(f"{service}_default").aget_conn():
                pass
        before = set(threading.enumerate())
        # Only what the waits hold is counted, not what was imported.
        gc.freeze()
        self.write(ready=True)
        lines: asyncio.Queue[str] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        def read() -> None:
            for line in sys.stdin:
                loop.call_soon_threadsafe(lines.put_nowait, line)
            loop.call_soon_threadsafe(lines.put_nowait, "")

        reader = threading.Thread(target=read, name="orders", daemon=True)
        reader.start()
        sampler = asyncio.create_task(self._sample())
        while line := await lines.get():
            wait = asyncio.create_task(self._wait(*line.split()))
            self.waits.add(wait)
            wait.add_done_callback(self.waits.discard)
        sampler.cancel()
        waits = [sampler, *self.waits]
        for wait in waits[1:]:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
        # A cancelled poll closes its connections first.
        await asyncio.sleep(1)
        reader.join()
        self.write(
            tasks=[str(task) for task in asyncio.all_tasks() - {asyncio.current_task()}],
            threads=[thread.name for thread in threading.enumerate() if thread not in before],
            sockets=[str(socket) for socket in self.process.net_connections()],
        )

    async def _wait(self, service: str, id_: str) -> None:
        """Wait as a sensor does, and retry if that may help."""
        retries = 0
        while True:
            trigger = self.triggers[service](
                conn_id=f"{service}_default", poke_interval=self.interval, wait={"prediction_ids": [id_]}
            )
            async for event in trigger.run():
                payload = event.payload
            if payload["state"] != "error" or not payload["retryable"]:
                break
            retries += 1
        self.write(id=id_, state=payload["state"], retries=retries, ended=time.time())

    async def _sample(self) -> None:
        while True:
            await asyncio.sleep(self.interval)
            gc.collect()
            self.write(
                at=time.time(),
                memory=self.process.memory_info().rss,
                objects=len(gc.get_objects()),
                files=self.process.num_fds(),
                threads=threading.active_count(),
                tasks=len(asyncio.all_tasks()) - len(self.waits),
                waits=len(self.waits),
            )


if __name__ == "__main__":
    stream = results()
    asyncio.run(Triggerer(order()["interval"], stream).run())
