"""What the table's operator costs those who do not use it, and those who lack its extra."""

from __future__ import annotations

import subprocess
import sys

import pytest

TASK = """
import sys
from airflow_provider_predictions.operators.iceberg import PredictionsToIcebergOperator
task = PredictionsToIcebergOperator(task_id="add", manifest={"parts": []}, table="a.b", catalog="c")
print("imported", sorted({"pyiceberg", "pyarrow", "duckdb"} & set(sys.modules)))
sys.modules["pyiceberg"] = sys.modules["pyarrow"] = None
try:
    task.execute({})
except Exception as error:
    print(type(error).__name__, error)
"""


@pytest.fixture(scope="module")
def printed() -> str:
    """What a fresh process prints that makes such a task and runs it without the extra."""
    done = subprocess.run([sys.executable, "-c", TASK], check=True, capture_output=True, text=True)
    return done.stdout


def test_a_dag_with_it_imports_neither_pyiceberg_nor_pyarrow(printed: str) -> None:
    assert "imported []" in printed


def test_a_missing_extra_is_named_when_the_task_runs(printed: str) -> None:
    assert "AirflowFailException py" in printed
    assert "is not installed. Install the extra iceberg of airflow-provider-predictions" in printed
