"""A triggerer's event loop with a crowd of waits.

Each line of standard input is a service and an id: a wait that joins. Each line of the answer is a wait that
has ended, or a sample of what the process holds. When the input ends, the waits that are left are cancelled;
the last answer says what is left of them.
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

from soak.worker import answers, order


class Crowd:
    """The waits of both services.

    :param interval: seconds between two polls, and between two samples.
    """

    def __init__(self, interval: float, say: IO[str]) -> None:
        from airflow_provider_predictions.triggers.cradl import CradlPredictionsTrigger
        from airflow_provider_predictions.triggers.poller import Poller
        from airflow_provider_predictions.triggers.vlmrun import VlmRunPredictionsTrigger

        # The lower bound of a trigger's interval is for a real scheduler.
        Poller.shortest_interval = interval / 12
        self.triggers = {"vlmrun": VlmRunPredictionsTrigger, "cradl": CradlPredictionsTrigger}
        self.interval = interval
        self.waits: set[asyncio.Task[None]] = set()
        self.process = psutil.Process()
        self._say = say

    def tell(self, **answer: Any) -> None:
        """Answer with a line."""
        print(json.dumps(answer), file=self._say)

    async def run(self) -> None:
        """Take waits in until there are no more."""
        # Airflow keeps a thread for its look-ups, from the first one on.
        for service, trigger in self.triggers.items():
            async with await trigger.hook_class(f"{service}_default").aget_conn():
                pass
        before = set(threading.enumerate())
        # What was imported is not counted again and again; what is counted is what the waits hold.
        gc.freeze()
        self.tell(ready=True)
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
        # A poll that was cancelled closes its connections first.
        await asyncio.sleep(1)
        reader.join()
        self.tell(
            tasks=[str(task) for task in asyncio.all_tasks() - {asyncio.current_task()}],
            threads=[thread.name for thread in threading.enumerate() if thread not in before],
            sockets=[str(socket) for socket in self.process.net_connections()],
        )

    async def _wait(self, service: str, id_: str) -> None:
        """Wait as a sensor does, again where a retry may help."""
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
        self.tell(id=id_, state=payload["state"], retries=retries, told=time.time())

    async def _sample(self) -> None:
        while True:
            await asyncio.sleep(self.interval)
            gc.collect()
            self.tell(
                at=time.time(),
                memory=self.process.memory_info().rss,
                objects=len(gc.get_objects()),
                files=self.process.num_fds(),
                threads=threading.active_count(),
                tasks=len(asyncio.all_tasks()) - len(self.waits),
                waits=len(self.waits),
            )


if __name__ == "__main__":
    say = answers()
    asyncio.run(Crowd(order()["interval"], say).run())
