"""A PythonSensor that asks with VLM Run's SDK. Each holds a worker; here one process makes all pokes."""

from __future__ import annotations

import time

from vlmrun.client import VLMRun


def wait(url: str, key: str, ids: list[str], interval: float) -> None:
    client = VLMRun(api_key=key, base_url=url)
    while True:
        for id_ in ids:
            if client.predictions.get(id_).status == "completed":
                return
        time.sleep(interval)
