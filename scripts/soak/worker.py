"""What the processes of all parts share. Their first argument is their order, as JSON."""

from __future__ import annotations

import json
import logging
import os
import sys
from inspect import unwrap
from types import SimpleNamespace
from typing import IO, Any


def order() -> dict[str, Any]:
    """The first argument of this process."""
    given: dict[str, Any] = json.loads(sys.argv[1])
    return given


def results() -> IO[str]:
    """A stream for results, one JSON object a line. All other output goes to the log."""
    # Airflow 2.11 and 3.0 write their log to standard output.
    stream = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    logging.basicConfig(level=logging.WARNING, force=True)
    return stream


def land(service: str, run: str, attempt: int = 1, **arguments: Any) -> dict[str, Any]:
    """Land as a task does; returns the manifest."""
    from airflow_provider_predictions.operators.cradl import CradlPredictionsToObjectStorageOperator
    from airflow_provider_predictions.operators.vlmrun import VlmRunPredictionsToObjectStorageOperator

    operators = {
        "vlmrun": VlmRunPredictionsToObjectStorageOperator,
        "cradl": CradlPredictionsToObjectStorageOperator,
    }
    names = {"dag_id": "soak", "task_id": "land", "map_index": -1, "run_id": run, "try_number": attempt}
    ti = SimpleNamespace(**names, xcom_push=lambda *_: None)
    operator = operators[service](task_id="land", **arguments)
    # Airflow allows execute only on the thread of its own task. Here there are many threads.
    manifest: dict[str, Any] = unwrap(operators[service].execute)(operator, {"ti": ti})
    return manifest
