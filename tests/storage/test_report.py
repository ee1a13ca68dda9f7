"""The report operator, reading from and writing to each kind of storage."""

from __future__ import annotations

import hashlib
import json
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_predictions.operators.report import PredictionsReportOperator
from airflow_provider_predictions.operators.report_record import KEY
from airflow_provider_predictions.ui import recorded
from airflow_provider_predictions.ui.recorded import Refused, content_of, record_of
from tests.compat import needs_reports_in_the_ui
from tests.report.landed import FORMS, land
from tests.report.records import made

START, END = datetime(2026, 11, 2, tzinfo=UTC), datetime(2026, 11, 3, tzinfo=UTC)


def report(store: ObjectStoragePath) -> PredictionsReportOperator:
    return PredictionsReportOperator(
        task_id="report", source=str(store / "landed"), path=str(store / "report"), period=(START, END)
    )


def names(path: ObjectStoragePath) -> set[str]:
    path.fs.invalidate_cache()
    return {Path(name).name for name in path.fs.find(path.path)}


def test_a_report_on_every_format_is_committed(store: ObjectStoragePath) -> None:
    for place, (form, codec) in enumerate(FORMS):
        records = made("cradl", START, END, 20, seed=place)
        land("cradl", store / "landed" / str(place), records, form, codec, records_per_part=7)

    result = report(store).execute({})

    assert result["count"] == 80
    manifest = json.loads((store / "report/_manifest.json").read_bytes())
    assert manifest["complete"] is True
    assert {file["uri"] for file in manifest["files"]} == {
        result["report"],
        f"{result['path']}/summary.json",
        *result["tables"].values(),
    }
    for file in manifest["files"]:
        content = ObjectStoragePath(file["uri"]).read_bytes()
        assert [len(content), hashlib.sha256(content).hexdigest()] == [file["bytes"], file["sha256"]]
    assert names(store / "report") == {Path(file["uri"]).name for file in manifest["files"]} | {
        "_manifest.json"
    }
    assert not list(Path(tempfile.gettempdir()).glob("predictions-report-*"))


def test_a_second_report_replaces_the_first(store: ObjectStoragePath) -> None:
    land("vlmrun", store / "landed/1", made("vlmrun", START, END, 5))
    first = report(store).execute({})
    land("vlmrun", store / "landed/2", made("vlmrun", START, END, 6, seed=2))

    second = report(store).execute({})

    assert [first["count"], second["count"]] == [5, 11]
    assert json.loads((store / "report/summary.json").read_bytes())["count"] == 11


def test_airflow_shows_what_a_task_has_recorded_in_any_storage(
    store: ObjectStoragePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs_reports_in_the_ui()
    land("vlmrun", store / "landed", made("vlmrun", START, END, 5))
    pushed: dict[str, Any] = {}
    ti = SimpleNamespace(
        dag_id="reporting", run_id="monday", task_id="report", map_index=-1, xcom_push=pushed.__setitem__
    )
    result = report(store).execute({"ti": ti})
    record = record_of(json.loads(json.dumps(pushed[KEY])))
    assert record
    instance = ["reporting", "monday", "report", -1]

    def shown(name: str = "report.html", of: list[Any] = instance, roots: tuple[str, ...] = ()) -> bytes:
        return content_of(record, of, name, roots)

    assert set(record.files) == {"report.html", "summary.json", *(f"{name}.csv" for name in result["tables"])}
    for name in record.files:
        assert shown(name) == (store / "report" / name).read_bytes()
    assert shown(roots=(str(store),)) == shown(roots=(f"{store / 'report'}/",)) == shown()
    for wrong in ({"roots": (str(store / "repor"),)}, {"of": [*instance[:3], 0]}, {"name": "other.csv"}):
        with pytest.raises(Refused):
            shown(**wrong)
    (store / "report/report.html").write_bytes(shown() + b" ")
    with pytest.raises(Refused, match="replaced or changed"):
        shown()
    monkeypatch.setattr(recorded, "MAX_SHOWN_BYTES", 10)
    with pytest.raises(Refused, match="Open it in the storage"):
        shown("summary.json")
