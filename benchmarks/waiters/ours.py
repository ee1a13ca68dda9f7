"""Ours: a deferred sensor's trigger for each prediction, in one triggerer's event loop."""

from __future__ import annotations

import asyncio
import json
import os

from airflow_provider_predictions.triggers.vlmrun import VlmRunPredictionsTrigger

INTERVAL = 5.0


def wait(url: str, key: str, ids: list[str], seconds: float) -> None:
    connection = {"conn_type": "vlmrun", "host": url, "password": key}
    os.environ["AIRFLOW_CONN_VLMRUN_DEFAULT"] = json.dumps(connection)

    async def run() -> None:
        triggers = [
            VlmRunPredictionsTrigger(
                conn_id="vlmrun_default", poke_interval=INTERVAL, wait={"prediction_ids": [id_]}
            )
            for id_ in ids
        ]
        waits = [asyncio.create_task(anext(trigger.run())) for trigger in triggers]
        await asyncio.wait(waits, timeout=seconds)
        for task in waits:
            task.cancel()
        await asyncio.gather(*waits, return_exceptions=True)

    asyncio.run(run())
