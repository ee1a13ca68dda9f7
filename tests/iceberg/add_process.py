"""Add a landing in a process that can be killed: the arguments are JSON on its standard input."""

from __future__ import annotations

import json
import sys

from airflow_provider_predictions.operators.iceberg import PredictionsToIcebergOperator

if __name__ == "__main__":
    PredictionsToIcebergOperator(task_id="add", **json.load(sys.stdin)).execute({})
