"""What the processes of all parts have in common; they are told what to do by their first argument."""

from __future__ import annotations

import json
import logging
import os
import sys
from inspect import unwrap
from types import SimpleNamespace
from typing import IO, Any


def order() -> dict[str, Any]:
    """What to do."""
    told: dict[str, Any] = json.loads(sys.argv[1])
    return told


def answers() -> IO[str]:
    """Where to answer, a line at a time; whatever else is printed goes to the log."""
    # Airflow 2.11 and 3.0 write their log to standard output.
    stream = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    logging.basicConfig(level=logging.WARNING, force=True)
    return stream


def land(service: str, run: str, attempt: int = 1, **arguments: Any) -> dict[str, Any]:
    """Land as a task does; the manifest."""
    from airflow_provider_predictions.operators.cradl import CradlPredictionsToObjectStorageOperator
    from airflow_provider_predictions.operators.vlmrun import VlmRunPredictionsToObjectStorageOperator

    operators = {
        "vlmrun": VlmRunPredictionsToObjectStorageOperator,
        "cradl": CradlPredictionsToObjectStorageOperator,
    }
    names = {"dag_id": "soak", "task_id": "land", "map_index": -1, "run_id": run, "try_number": attempt}
    ti = SimpleNamespace(**names, xcom_push=lambda *_: None)
    operator = operators[service](task_id="land", **arguments)
    # Airflow lets no other thread than the one of its own task call it; there are many here.
    manifest: dict[str, Any] = unwrap(operators[service].execute)(operator, {"ti": ti})
    return manifest
