"""The record of a report in XCom, from which Airflow's UI finds the page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal
from urllib.parse import quote

import msgspec
from airflow.providers.common.compat.sdk import Context

from airflow_provider_predictions.operators.reports_ui import is_shown

KEY = "predictions_report"
"""The key in XCom. The return value is not enough: a task that fails has none."""


class RecordedFile(msgspec.Struct, frozen=True):
    """A file of a report as the task wrote it."""

    bytes: int
    sha256: str


class ReportRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What a report task pushes.

    :param path: the directory of the report, as a URL for ``ObjectStoragePath``.
    :param files: by their names in it.
    :param state: of the verdict: normal, look or unknown.
    """

    version: Literal[1] = 1
    path: str
    files: dict[str, RecordedFile]
    title: str = ""
    state: str = "unknown"
    verdict: str = ""


def instance_of(context: Context) -> list[Any] | None:
    """DAG, run, task and map index of a task instance, as its report's manifest records them."""
    ti = context.get("ti")
    if ti is None:
        return None
    index = getattr(ti, "map_index", None)
    return [ti.dag_id, getattr(ti, "run_id", ""), ti.task_id, -1 if index is None else index]


def page_path(dag_id: str, run_id: str, task_id: str, map_index: int) -> str:
    """Where the UI serves the page of a task instance, relative to the plugin's address."""
    return "/".join(["report", *(quote(str(x), safe="") for x in (dag_id, run_id, task_id, map_index))])


def push_record(
    context: Context, path: str, files: Sequence[Mapping[str, Any]], summary: Mapping[str, Any]
) -> str:
    """Push the record of a report that is committed.

    Push it before the task fails for a missed target: what is pushed before stays.

    :param files: as the manifest lists them.
    :param summary: of the report.
    :return: the page in Airflow's UI, relative to the UI's address. Empty where the UI shows none.
    """
    # Here, since plugins load this module in every process of Airflow.
    from airflow_provider_predictions.operators.xcom import xcom_value

    instance = instance_of(context)
    if instance is None or not is_shown():
        return ""
    record = ReportRecord(
        path=path,
        files={file["uri"].rpartition("/")[2]: RecordedFile(file["bytes"], file["sha256"]) for file in files},
        title=summary["title"],
        state=summary["verdict"]["state"],
        verdict=summary["verdict"]["text"],
    )
    context["ti"].xcom_push(KEY, xcom_value(msgspec.to_builtins(record), Counter()))
    return f"predictions/{page_path(*instance)}/report.html"
