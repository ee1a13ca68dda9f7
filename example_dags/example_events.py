"""Run when predictions have finished: the triggerer watches the list, and no worker waits.

Needs the connection ``vlmrun_default`` and Airflow 3.0 or newer; from 3.3 on, nothing is lost when the
triggerer restarts, and an event that comes again after a kill has the ``batch`` of the first.
"""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.providers.common.compat.sdk import DAG, Asset, task
from airflow.sdk import AssetWatcher

from airflow_provider_predictions.triggers.vlmrun import VlmRunPredictionsEventTrigger

finished = Asset(
    "vlmrun_finished",
    watchers=[AssetWatcher(name="vlmrun", trigger=VlmRunPredictionsEventTrigger(poke_interval=10))],
)

with DAG(
    "example_events",
    schedule=[finished],
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    tags=["predictions", "example"],
    doc_md=__doc__,
):

    @task
    def report(triggering_asset_events=None) -> dict:
        """What has finished, by the events that started this run; more than one may have come by then."""
        payloads = [event.extra["payload"] for event in triggering_asset_events[finished]]
        return {payload["batch"]: payload["ids"] for payload in payloads}

    report()
