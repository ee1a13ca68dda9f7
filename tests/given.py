"""What tests have in common: the classes of each service, connections, and what a task runs in."""

from __future__ import annotations

import json
import re
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_predictions.hooks.cradl import CradlHook
from airflow_provider_predictions.hooks.vlmrun import VlmRunHook
from airflow_provider_predictions.operators.cradl import (
    CradlListPredictionsOperator,
    CradlPredictionsToObjectStorageOperator,
)
from airflow_provider_predictions.operators.vlmrun import (
    VlmRunListPredictionsOperator,
    VlmRunPredictionsToObjectStorageOperator,
)
from airflow_provider_predictions.sensors.cradl import CradlPredictionsSensor
from airflow_provider_predictions.sensors.vlmrun import VlmRunPredictionsSensor
from airflow_provider_predictions.triggers.cradl import CradlPredictionsEventTrigger, CradlPredictionsTrigger
from airflow_provider_predictions.triggers.vlmrun import (
    VlmRunPredictionsEventTrigger,
    VlmRunPredictionsTrigger,
)

HOOK: dict[str, Any] = {"vlmrun": VlmRunHook, "cradl": CradlHook}
LIST: dict[str, Any] = {"vlmrun": VlmRunListPredictionsOperator, "cradl": CradlListPredictionsOperator}
LAND: dict[str, Any] = {
    "vlmrun": VlmRunPredictionsToObjectStorageOperator,
    "cradl": CradlPredictionsToObjectStorageOperator,
}
WAIT: dict[str, Any] = {"vlmrun": VlmRunPredictionsSensor, "cradl": CradlPredictionsSensor}
TRIGGER: dict[str, Any] = {"vlmrun": VlmRunPredictionsTrigger, "cradl": CradlPredictionsTrigger}
WATCH: dict[str, Any] = {"vlmrun": VlmRunPredictionsEventTrigger, "cradl": CradlPredictionsEventTrigger}

STARTED = datetime(2026, 11, 1, 12, tzinfo=UTC)
"""When the runs of tests start."""
DONE = {"vlmrun": "completed", "cradl": "succeeded"}
"""The status of what has ended well."""
ARGUMENTS: dict[str, Any] = {"page_size": 20, "records_per_part": 70}
"""Of a landing: some pages a part, and parts that end within a page."""


def context_of(
    run: str = "run",
    attempt: int = 1,
    *,
    tries: int = 99,
    started: datetime | None = None,
    cleared: int = 0,
    due: datetime | None = None,
) -> dict[str, Any]:
    """What Airflow hands to an attempt of the landing of a run.

    :param tries: its ``max_tries``, which changes when the task is cleared.
    :param started: when the run started.
    :param cleared: how often the run was cleared.
    :param due: when the run was to begin; None in Airflow 2.
    """
    names = {"dag_id": "dag", "task_id": "land", "map_index": -1}
    id_ = f"{run} {attempt} {tries} {started}"
    ti = SimpleNamespace(**names, run_id=run, try_number=attempt, max_tries=tries, id=id_)
    dag_run = SimpleNamespace(start_date=started or STARTED, clear_number=cleared, run_after=due)
    return {"ti": ti, "dag_run": dag_run}


def untagged(name: str) -> str:
    """The name of an object without the generation and the attempt that wrote it."""
    return re.sub(r"\.(day-)?[0-9]{8,}-[0-9a-f]{8}-[0-9a-f]{8}", "", name)


def on_machine(patch: pytest.MonkeyPatch, tmp: Path) -> None:
    """Go on as on a machine of its own, of which a landing finds only the directory of temporary files."""
    tmp.mkdir(exist_ok=True)
    patch.setenv("TMPDIR", str(tmp))
    patch.setattr(tempfile, "tempdir", None)  # where the standard library keeps what it has read


def bare(service: str, **fields: object) -> dict[str, Any]:
    """A connection with what it needs, and with fields of the test."""
    return {"conn_type": service, "login": "the-id", "password": "the-secret", **fields}


def connect(patch: pytest.MonkeyPatch, connection: dict[str, Any], conn_id: str = "mine") -> None:
    """Let Airflow find a connection in the environment."""
    patch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(connection))
