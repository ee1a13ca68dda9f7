"""What the table's operator costs those who do not use it, and those who lack its extra."""

from __future__ import annotations

import subprocess
import sys

MAKE = """
import sys
{before}
from airflow_provider_predictions.operators.iceberg import PredictionsToIcebergOperator
task = PredictionsToIcebergOperator(task_id="add", manifest={{"parts": []}}, table="a.b", catalog="c")
{after}
"""


def printed(*, before: str = "", after: str) -> str:
    """What a fresh process prints that makes such a task."""
    code = MAKE.format(before=before, after=after)
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return done.stdout


def test_a_dag_with_it_imports_neither_pyiceberg_nor_pyarrow() -> None:
    heavy = printed(after="print(sorted({'pyiceberg', 'pyarrow', 'duckdb'} & set(sys.modules)))")

    # Airflow 3.0 logs to the output, too.
    assert heavy.splitlines()[-1] == "[]"


def test_a_missing_extra_is_named_when_the_task_runs() -> None:
    said = printed(
        before="sys.modules['pyiceberg'] = sys.modules['pyarrow'] = None",
        after="try: task.execute({})\nexcept Exception as error: print(type(error).__name__, error)",
    )

    assert "AirflowFailException py" in said
    assert "is not installed. Install the extra iceberg of airflow-provider-predictions" in said
