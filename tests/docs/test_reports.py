"""The guide to reports against reports."""

from __future__ import annotations

import csv
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

from airflow_provider_predictions.operators.report import PredictionsReportOperator
from airflow_provider_predictions.report.measures import MEASURES
from airflow_provider_predictions.sandbox.server import Sandbox
from tests.docs.blocks import ROOT
from tests.operators.test_operators import LAND

GUIDE = ROOT.joinpath("docs/guides/reports.md").read_text()


def test_the_guide_names_every_measure_table_and_column(
    connections: Sandbox, service_name: str, tmp_path: Path
) -> None:
    getattr(connections, service_name).fill(3, days=1)
    landed = LAND[service_name](task_id="land", path=f"file://{tmp_path}/landed").execute({})
    now = datetime.now(UTC)

    report = PredictionsReportOperator(
        task_id="report", source=landed, path=f"file://{tmp_path}/report", period=(now - timedelta(1), now)
    ).execute({})

    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", GUIDE.split("## What is written")[1], re.MULTILINE))
    heads = re.findall(r"^\| (`.*?) \|", GUIDE, re.MULTILINE)
    named = {name for head in heads for name in re.findall("`([^`]+)`", head)}
    rows["by_group"] += "".join(f"`{name}`" for name in MEASURES)
    rows["confidence_by_time"] += rows["confidence"]
    assert {*report["summary"]["measures"]} - {"cost"} <= named
    assert set(report["tables"]) <= rows.keys()
    for table, url in report["tables"].items():
        with Path(url.removeprefix("file://")).open() as file:
            columns = next(csv.reader(file))
        assert not [column for column in columns if f"`{column}`" not in rows[table]]
