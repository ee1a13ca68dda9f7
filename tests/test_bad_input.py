"""Mistakes in a DAG: found when it is parsed, with the same message on every version of Airflow."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.compat import AIRFLOW, DagBag

VLMRUN_LIST = "VlmRunListPredictionsOperator(task_id='t', {})"
CRADL_LIST = "CradlListPredictionsOperator(task_id='t', {})"
VLMRUN_LAND = "VlmRunPredictionsToObjectStorageOperator(task_id='t', {})"
CRADL_LAND = "CradlPredictionsToObjectStorageOperator(task_id='t', path='/tmp/predictions', {})"
VLMRUN_WAIT = "VlmRunPredictionsSensor(task_id='t', {})"
CRADL_WAIT = "CradlPredictionsSensor(task_id='t', {})"
WATCH = "VlmRunPredictionsEventTrigger({})"
NO_WATCHERS = (
    "VlmRunPredictionsEventTrigger: asset watchers need Airflow 3.0 or newer; wait with a sensor instead"
)
FIRST = "created_after='2026-02-01', created_before='2026-01-01'"

DAG = """
from datetime import UTC, datetime

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_predictions.operators.cradl import *
from airflow_provider_predictions.operators.vlmrun import *
from airflow_provider_predictions.sensors.cradl import *
from airflow_provider_predictions.sensors.vlmrun import *
from airflow_provider_predictions.triggers.vlmrun import *

with DAG("wrong", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)):
    {}
"""


@pytest.mark.parametrize(
    ("code", "arguments", "message"),
    [
        (VLMRUN_LIST, "page_size=1001", "page_size: Input should be less than or equal to 1000; found 1001"),
        (CRADL_LIST, "order='up'", "order: Input should be 'ascending' or 'descending'; found 'up'"),
        (VLMRUN_LIST, "max_xcom_bytes=0", "max_xcom_bytes: must be at least 1, or None; found 0"),
        (CRADL_LIST, FIRST, "created_before: 2026-01-01T00:00:00+00:00 lies before created_after 2026-02-01"),
        (VLMRUN_LIST, "colour='red'", "**kwargs: {'colour': 'red'}"),
        (VLMRUN_LAND, "", "missing keyword argument 'path'"),
        (VLMRUN_LAND, "path=' '", "path: is empty; give a URL such as s3://aws_default@bucket/predictions"),
        (CRADL_LAND, "file_format='csv'", "file_format: must be one of ('jsonl', 'parquet'); found 'csv'"),
        (CRADL_LAND, "compression='rar'", "compression: must be one of None, 'gzip', 'zstd'; found 'rar'"),
        (CRADL_LAND, "max_age=7", "max_age: goes with incremental=True only"),
        (VLMRUN_WAIT, "prediction_ids=7", "prediction_ids: Input should be a valid tuple; found 7"),
        (CRADL_WAIT, "max_failures=0", "max_failures: must be at least 1; found 0"),
        (CRADL_WAIT, "max_interval=10", "max_interval: must be at least poke_interval, 60 s; found 10 s"),
        (CRADL_WAIT, "poke_interval=-1", "`poke_interval` must be timedelta object or a non-negative number"),
        (
            CRADL_WAIT,
            "mode='nap'",
            "The mode must be one of ['poke', 'reschedule'],'wrong .t'; received 'nap'",
        ),
        (CRADL_WAIT, "domains='a'", "**kwargs: {'domains': 'a'}"),
        (WATCH, "poke_interval=0", "poke_interval: must be longer than 0; found 0"),
        (WATCH, "model_id='a'", "model_id: unknown; known are created_after, created_before, domains"),
    ],
)
def test_a_wrong_argument_is_named_when_airflow_parses_the_dag(
    tmp_path: Path, code: str, arguments: str, message: str
) -> None:
    file = tmp_path / "wrong.py"
    file.write_text(DAG.format(code.format(arguments)))
    if code == WATCH and AIRFLOW < (3, 0):
        message = NO_WATCHERS

    (error,) = DagBag(str(file)).import_errors.values()

    assert message in error
