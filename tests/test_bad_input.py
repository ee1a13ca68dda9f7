"""Mistakes in a DAG: found when it is parsed, with the same message on every version of Airflow."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_predictions.api.errors import ConfigurationError
from airflow_provider_predictions.operators.iceberg import PredictionsToIcebergOperator
from airflow_provider_predictions.operators.report import PredictionsReportOperator
from tests.compat import AIRFLOW, DagBag
from tests.given import LAND, LIST, WAIT, WATCH

VLMRUN_LIST = "VlmRunListPredictionsOperator(task_id='t', {})"
CRADL_LIST = "CradlListPredictionsOperator(task_id='t', {})"
VLMRUN_LAND = "VlmRunPredictionsToObjectStorageOperator(task_id='t', {})"
CRADL_LAND = "CradlPredictionsToObjectStorageOperator(task_id='t', path='/tmp/predictions', {})"
REPORT = "PredictionsReportOperator(task_id='t', path='/tmp/report', {})"
VLMRUN_WAIT = "VlmRunPredictionsSensor(task_id='t', {})"
CRADL_WAIT = "CradlPredictionsSensor(task_id='t', {})"
WATCHER = "VlmRunPredictionsEventTrigger({})"
NO_WATCHERS = (
    "VlmRunPredictionsEventTrigger: asset watchers need Airflow 3.0 or newer; wait with a sensor instead"
)
VALUES = "file_format='parquet', shape='values'"
FIRST = "created_after='2026-02-01', created_before='2026-01-01'"

DAG = """
from datetime import UTC, datetime

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_predictions.operators.cradl import *
from airflow_provider_predictions.operators.report import *
from airflow_provider_predictions.operators.vlmrun import *
from airflow_provider_predictions.sensors.cradl import *
from airflow_provider_predictions.sensors.vlmrun import *
from airflow_provider_predictions.triggers.vlmrun import *

with DAG("wrong", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)):
    {}
"""


WRONG = {
    VLMRUN_LIST: {
        "page_size=1001": "page_size: Input should be less than or equal to 1000; found 1001",
        "max_xcom_bytes=0": "max_xcom_bytes: Input should be greater than or equal to 1; found 0",
        "colour='red'": "colour: is not an argument of VlmRunListPredictionsOperator (task t)",
        "created_after=20261101": "created_after: Input should be a valid datetime; found 20261101",
        "created_after='1700000000'": "created_after: Input should be a valid datetime; found '17",
        "vlmrun_conn_id=None": "vlmrun_conn_id: must be the id of an Airflow connection; found None",
        "fields=7": "fields: Input should be a valid tuple; found 7",
    },
    CRADL_LIST: {
        "order='up'": "order: Input should be 'ascending' or 'descending'; found 'up'",
        FIRST: "created_before: 2026-01-01T00:00:00+00:00 lies before created_after 2026-02-01",
    },
    VLMRUN_LAND: {
        "": "missing keyword argument 'path'",
        "path=' '": "path: is empty; give a URL such as s3://aws_default@bucket/predictions",
        "path=None": "path: must be a URL or a path; found None",
    },
    CRADL_LAND: {
        "file_format='csv'": "file_format: Input should be 'jsonl' or 'parquet'; found 'csv'",
        "compression='rar'": "compression: Input should be None, 'gzip' or 'zstd'; found 'rar'",
        "max_age=7": "max_age: goes with incremental=True only",
        "shape='rows'": "shape: Input should be 'records' or 'values'; found 'rows'",
        "shape='values'": 'shape: values goes with file_format="parquet" only',
        "paths='total'": 'paths: goes with shape="values" only',
        f"{VALUES}, paths=[]": "paths: is empty, and would choose no value",
        f"{VALUES}, paths='lines[3].amount'": "lines[3].amount holds a position, and no label does",
        f"{VALUES}, paths=['[*].amount']": "[*].amount holds a position, and no label does; write amount",
        f"{VALUES}, paths=7": "paths: Input should be a valid tuple; found 7",
        "records_per_part='9'": "records_per_part: Input should be a valid integer; found '9'",
        "incremental='no'": "incremental: Input should be a valid boolean; found 'no'",
        "incremental=True, max_age='7d'": "max_age: Input should be a valid number; found '7d'",
        "fetch_values='false'": "fetch_values: Input should be a valid boolean; found 'false'",
    },
    REPORT: {
        "source=7": "source: must be manifests or URLs; found int",
        "source='/tmp/x', period='year'": "period: must be day, week, month or a pair of times",
    },
    VLMRUN_WAIT: {
        "prediction_ids=7.5": "prediction_ids: Input should be a valid tuple; found 7.5",
    },
    CRADL_WAIT: {
        "max_failures=0": "max_failures: Input should be greater than or equal to 1; found 0",
        "max_interval=10": "max_interval: must be at least poke_interval, 60 s; found 10 s",
        "poke_interval=-1": "`poke_interval` must be timedelta object or a non-negative number",
        "mode='nap'": "The mode must be one of ['poke', 'reschedule'],'wrong .t'; received 'nap'",
        "domains='a'": "domains: is not an argument of CradlPredictionsSensor (task t)",
        "deferrable='false'": "deferrable: Input should be a valid boolean; found 'false'",
        "max_interval='10'": "max_interval: Input should be a valid number; found '10'",
    },
    WATCHER: {
        "max_age='1d'": "max_age: Input should be a valid number; found '1d'",
        "poke_interval=0": "poke_interval: Input should be greater than 0; found 0",
        "statuses='{{ x }}'": "statuses: is not templated in a watcher; found '{{ x }}'",
        "statuses='running'": "statuses: a watcher reports finished predictions only",
        "domains=['{{ x }}']": "domains: is not templated in a watcher; found ['{{ x }}']",
        "model_id='a'": "model_id: unknown; known are domains, lookback, max_age, page_size",
    },
}
"""Of a task, its arguments and what Airflow says of them."""


def test_a_wrong_argument_is_named_when_airflow_parses_the_dag(
    tmp_path: Path, subtests: pytest.Subtests
) -> None:
    wrong = [(code, *said) for code, messages in WRONG.items() for said in messages.items()]
    for number, (code, arguments, message) in enumerate(wrong):
        # Of a file of the same size that is written within a second, Python takes the old bytecode.
        file = tmp_path / f"wrong_{number}.py"
        file.write_text(DAG.format(code.format(arguments)))
        with subtests.test(code=code, arguments=arguments):
            (error,) = DagBag(str(file)).import_errors.values()

            assert (NO_WATCHERS if code == WATCHER and AIRFLOW < (3, 0) else message) in error


CLASSES: dict[type, dict[str, Any]] = {
    **{made: {"task_id": "t"} for classes in (LIST, WAIT) for made in classes.values()},
    **{made: {"task_id": "t", "path": "/tmp/predictions"} for made in LAND.values()},
    **{made: {} for made in WATCH.values()},
    PredictionsReportOperator: {"task_id": "t", "path": "/tmp/report", "source": "/tmp/predictions"},
    PredictionsToIcebergOperator: {
        "task_id": "t",
        "manifest": "/tmp/m/_manifest.json",
        "table": "a.b",
        "catalog": "c",
    },
}
"""Each class with the arguments that it needs."""


def arguments_of(made: type) -> list[str]:
    """Those that this package adds; a retry policy is Airflow's to judge."""
    if declared := getattr(made, "declared", None):
        return sorted(declared.keys() - {"retry_policy"})
    names = {
        name
        for base in made.__mro__
        if base.__module__.startswith("airflow_provider_predictions") and "__init__" in vars(base)
        for name, parameter in inspect.signature(vars(base)["__init__"]).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
    }
    return sorted(names)


def test_no_argument_takes_what_is_nothing_of_its_kind(subtests: pytest.Subtests) -> None:
    for made, needed in CLASSES.items():
        if made.__name__.endswith("EventTrigger") and AIRFLOW < (3, 0):
            continue  # asset watchers
        for name in arguments_of(made):
            with (
                subtests.test(made=made.__name__, name=name),
                pytest.raises(ConfigurationError, match=f"^{name}: "),
            ):
                made(**needed | {name: object()})
