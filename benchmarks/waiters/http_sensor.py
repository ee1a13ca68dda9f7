"""Airflow's HttpSensor, deferred. Its trigger waits for an answer that is not 404, so for ids to appear."""

from __future__ import annotations

import json
import os

from airflow.providers.http.triggers.http import HttpSensorTrigger

from waiters.loop import run_all


def wait(url: str, key: str, ids: list[str], interval: float) -> None:
    connection = {"conn_type": "http", "host": url, "extra": {"Authorization": f"Bearer {key}"}}
    os.environ["AIRFLOW_CONN_HTTP_DEFAULT"] = json.dumps(connection)
    run_all(HttpSensorTrigger(endpoint=f"predictions/not-{id_}", poke_interval=interval) for id_ in ids)
