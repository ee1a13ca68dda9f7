"""A PythonSensor that asks with VLM Run's SDK. Each holds a worker; here one process makes all pokes."""

from __future__ import annotations

import time

from vlmrun.client import VLMRun

INTERVAL = 5.0


def wait(url: str, key: str, ids: list[str], seconds: float) -> None:
    end = time.monotonic() + seconds
    client = VLMRun(api_key=key, base_url=url)
    while (start := time.monotonic()) < end:
        for id_ in ids:
            if client.predictions.get(id_).status == "completed":
                return
        time.sleep(max(0.0, min(start + INTERVAL, end) - time.monotonic()))
