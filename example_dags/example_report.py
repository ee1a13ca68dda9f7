"""Report on each day of both services, and on each week of VLM Run.

Needs the connections ``vlmrun_default`` and ``cradl_default``, and the extra ``report``. The weekly DAG is
started by an asset, so it needs Airflow 3.0 or newer.

``notify`` only logs the message. To post it, call a hook there, such as
``SlackWebhookHook(...).send(text=message)``. To mail it, give the report an ``on_success_callback`` with a
notifier such as ``SmtpNotifier``. ``alarm`` runs only if the verdict of the report is ``look``.
"""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from airflow.providers.common.compat.sdk import DAG, Asset, Param, task

from airflow_provider_predictions.operators.cradl import CradlPredictionsToObjectStorageOperator
from airflow_provider_predictions.operators.report import PredictionsReportOperator
from airflow_provider_predictions.operators.vlmrun import VlmRunPredictionsToObjectStorageOperator

TIMEZONE = "Europe/Oslo"
SETTINGS: dict[str, Any] = {
    "start_date": datetime(2026, 1, 1, tzinfo=ZoneInfo(TIMEZONE)),
    "catchup": False,
    "max_active_runs": 1,
    "params": {"path": Param("file:///tmp/predictions", description="Where the files go, as a URL.")},
    "tags": ["predictions", "example"],
    "doc_md": __doc__,
}
LANDED = {"vlmrun": Asset(uri="predictions://vlmrun/daily"), "cradl": Asset(uri="predictions://cradl/daily")}
TWO_WEEKS = 15
"""Landings, one a day. The first one holds only the evening of its day."""


@task
def notify(report: dict) -> str:
    """The message: a sentence or two, and the URL of the report."""
    message = f"{report['text']} {report['report']}"
    logging.getLogger(__name__).info("To be posted: %s", message)
    return message


@task.branch
def look_at(report: dict) -> str | None:
    """Which task goes on: ``alarm`` where a target is missed or a number got much worse, else none."""
    return "alarm" if report["summary"]["verdict"]["state"] == "look" else None


@task
def alarm(report: dict) -> None:
    """What somebody is woken up for."""
    missed = [target for target in report["summary"]["targets"] if target["state"] == "missed"]
    logging.getLogger(__name__).warning("%s %s", report["summary"]["verdict"]["text"], missed)


def week_of(moment: datetime) -> tuple[int, int]:
    """The ISO year and week, in the time zone of the report."""
    year, week, _ = moment.astimezone(ZoneInfo(TIMEZONE)).isocalendar()
    return year, week


def report_on(source: Any, directory: str, period: str) -> PredictionsReportOperator:
    """Write a report into a directory of its own, and notify others of it."""
    report = PredictionsReportOperator(
        task_id="report",
        source=source,
        path=f"{{{{ params.path }}}}/reports/{directory}/{{{{ run_id }}}}",
        period=period,
        timezone=TIMEZONE,
        targets={"predictions": {"min": 1}, "failed_share": {"max": 0.2}},
    )
    notify(report.output)
    look_at(report.output) >> alarm(report.output)
    return report


for service, operator, arguments in (
    ("vlmrun", VlmRunPredictionsToObjectStorageOperator, {}),
    ("cradl", CradlPredictionsToObjectStorageOperator, {"fetch_values": True}),  # for its confidences
):
    # By six, predictions from before midnight have finished.
    with DAG(f"example_report_{service}", schedule="0 6 * * *", **SETTINGS):
        base = f"{{{{ params.path }}}}/{service}/daily"
        land = operator(task_id="land", path=base, incremental=True, outlets=[LANDED[service]], **arguments)
        # The source is the whole path, because earlier landings hold the day to compare with.
        land >> report_on(base, f"{service}/daily", "day")

with DAG("example_report_weekly", schedule=[LANDED["vlmrun"]], **SETTINGS):

    @task.short_circuit(inlets=[LANDED["vlmrun"]])
    def landings(triggering_asset_events=None, inlet_events=None) -> list[str]:
        """The landings of two weeks. Empty while the week is not over, so that no report is written.

        Each landing starts this DAG. Only the first landing of the next week continues. A manual run always
        continues.
        """
        asset = LANDED["vlmrun"]
        landed = sorted(inlet_events[asset], key=lambda event: event.timestamp)
        starting = triggering_asset_events[asset] if triggering_asset_events else []
        started_by = [event.timestamp for event in starting]
        before = [event.timestamp for event in landed if started_by and event.timestamp < min(started_by)]
        if before and week_of(max(started_by)) == week_of(max(before)):
            return []
        return [event.extra["path"] for event in landed][-TWO_WEEKS:]

    report_on(landings(), "vlmrun/weekly", "week")
