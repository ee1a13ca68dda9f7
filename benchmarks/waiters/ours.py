"""Ours: a deferred sensor's trigger for each prediction, in one event loop, as in a triggerer."""

from __future__ import annotations

import json
import os

from airflow_provider_predictions.triggers.poller import Poller
from airflow_provider_predictions.triggers.vlmrun import VlmRunPredictionsTrigger
from waiters.loop import run_all


def wait(url: str, key: str, ids: list[str], interval: float) -> None:
    Poller.shortest_interval = interval
    connection = {"conn_type": "vlmrun", "host": url, "password": key}
    os.environ["AIRFLOW_CONN_VLMRUN_DEFAULT"] = json.dumps(connection)
    run_all(
        VlmRunPredictionsTrigger(
            conn_id="vlmrun_default", poke_interval=interval, wait={"prediction_ids": [id_]}
        )
        for id_ in ids
    )
