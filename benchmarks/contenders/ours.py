"""Ours: a landing operator, as a task runs it, with a local folder as its ``path``."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from job import Job
from server import API_KEY, TOKEN_PATH

from airflow_provider_predictions.operators.cradl import CradlPredictionsToObjectStorageOperator
from airflow_provider_predictions.operators.vlmrun import VlmRunPredictionsToObjectStorageOperator

WRITES = "part-*"
OPERATORS: dict[str, Any] = {
    "vlmrun": VlmRunPredictionsToObjectStorageOperator,
    "cradl": CradlPredictionsToObjectStorageOperator,
}


def read(job: Job, url: str, count: int, folder: Path) -> dict[str, Any]:
    os.environ[f"AIRFLOW_CONN_{job.service.upper()}_DEFAULT"] = json.dumps(_connection(job, url))
    manifest: dict[str, Any] = _operator(job, path=f"file://{folder}", page_size=job.page_size).execute({})
    return manifest


def _operator(job: Job, **arguments: Any) -> Any:
    prefetch = {} if job.prefetch is None else {"prefetch": job.prefetch}
    return OPERATORS[job.service](task_id="land", **arguments, **prefetch)


def _connection(job: Job, url: str) -> dict[str, Any]:
    if job.service == "vlmrun":
        return {"conn_type": "vlmrun", "host": url, "password": API_KEY}
    return {
        "conn_type": "cradl",
        "host": url,
        "login": "benchmark",
        "password": "benchmark-secret",
        "extra": {"auth_url": job.server + TOKEN_PATH},
    }
