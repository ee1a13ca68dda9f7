"""Parsing a DAG opens nothing and takes no time."""

from __future__ import annotations

import subprocess
import sys

import pytest

PARSE = """
import sys
import time
from datetime import UTC, date, datetime, timedelta

from airflow.providers.common.compat.sdk import DAG, Asset, BaseOperator

from airflow_provider_predictions.operators.cradl import *
from airflow_provider_predictions.operators.iceberg import PredictionsToIcebergOperator
from airflow_provider_predictions.operators.report import *
from airflow_provider_predictions.operators.vlmrun import *
from airflow_provider_predictions.sensors.vlmrun import *

seen = []
watching = False


def watch(event, args):
    if watching and event.startswith(("open", "os.", "socket.", "import", "sqlite3.", "subprocess.")):
        seen.append((event, str(args)[:200]))


sys.addaudithook(watch)
FILTERS = dict(statuses=["failed"], created_after=date(2026, 11, 1), page_size=10)


class Plain(BaseOperator):
    template_fields = ("path",)

    def __init__(self, *, path, **kwargs):
        super().__init__(**kwargs)
        self.path = path


def tasks(n):
    yield VlmRunPredictionsToObjectStorageOperator(task_id=f"a{n}", path="s3://aws@bucket/x", **FILTERS)
    yield CradlPredictionsToObjectStorageOperator(
        task_id=f"b{n}", path="abfs://azure@bucket/x", fetch_values=True, model_id="a", incremental=True
    )
    yield CradlListPredictionsOperator(task_id=f"c{n}", fields="a, b", max_xcom_bytes=1000)
    yield VlmRunPredictionsSensor(task_id=f"d{n}", prediction_ids=["a", "b"], max_interval=timedelta(hours=1))
    yield PredictionsReportOperator(
        task_id=f"e{n}", source="s3://aws_default@bucket/x", path="/data/report", period="week"
    )
    yield PredictionsToIcebergOperator(
        task_id=f"f{n}", manifest="/data/x/_manifest.json", table="a.b", catalog={"type": "rest", "uri": "http://x"}
    )


def timed(make):
    with DAG("dag", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)):
        start = time.perf_counter()
        count = sum(1 for n in range(100) for _ in make(n))
        return (time.perf_counter() - start) / count


with DAG("dag", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)):
    Plain(task_id="first", path="x", retries=1)  # the first task lets Airflow import what it needs
    watching = True
    made = [*tasks(0)]
    watching = False
ours = min(timed(tasks) for _ in range(5))
plain = min(timed(lambda n: [Plain(task_id=f"p{n}", path="x")]) for _ in range(5))
print(seen)
heavy = {"s3fs", "adlfs", "gcsfs", "boto3", "duckdb", "pyarrow"}
print(sorted(heavy.intersection(sys.modules)))
print(ours / plain)
"""


@pytest.fixture(scope="module")
def parsed() -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", PARSE], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-3:]


def test_no_argument_makes_parsing_open_anything(parsed: list[str]) -> None:
    assert parsed[:2] == ["[]", "[]"]


def test_a_task_costs_little_more_than_a_plain_one(parsed: list[str]) -> None:
    """A plain task takes about 0.06 ms, so that fifteen times as much is less than a millisecond."""
    assert float(parsed[2]) < 15
