"""Seconds that a DAG's import of our operators adds, in an interpreter that knows Airflow's BaseOperator."""

from __future__ import annotations

import time

from airflow.sdk import BaseOperator

started = time.perf_counter()

from airflow_provider_predictions.operators.vlmrun import VlmRunPredictionsToObjectStorageOperator  # noqa: E402

seconds = time.perf_counter() - started

if __name__ == "__main__":
    assert issubclass(VlmRunPredictionsToObjectStorageOperator, BaseOperator)
    print(seconds)
