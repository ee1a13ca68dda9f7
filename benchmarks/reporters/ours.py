"""The operator: the page, the tables and the summary."""

from __future__ import annotations

from pathlib import Path

from airflow_provider_predictions.operators.report import PredictionsReportOperator

PERIOD = ("2026-11-08T00:00Z", "2026-11-15T00:00Z")


def report(directory: Path) -> dict[str, dict[str, float]]:
    operator = PredictionsReportOperator(
        task_id="report",
        source=f"file://{directory}",
        path=f"file://{Path.cwd()}/report",
        period=PERIOD,
    )
    return operator.execute({})["summary"]["measures"]
