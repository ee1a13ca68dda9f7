"""A PythonSensor that asks with VLM Run's SDK. Each holds a worker; here one process makes all pokes."""

from __future__ import annotations

import time

from vlmrun.client import VLMRun

INTERVAL = 5.0


def wait(url: str, key: str, ids: list[str], seconds: float) -> None:
    end = time.monotonic() + seconds
    clients = [VLMRun(api_key=key, base_url=url) for _ in ids]
    while (start := time.monotonic()) < end:
        for client, id_ in zip(clients, ids, strict=True):
            if client.predictions.get(id_).status == "completed":
                return
        time.sleep(max(0.0, min(start + INTERVAL, end) - time.monotonic()))
