"""Start a run when predictions finish. The triggerer watches the list, so no worker waits.

Needs the connection ``vlmrun_default`` and Airflow 3.0 or newer. On Airflow 3.3 or newer, no prediction is
missed when the triggerer restarts. After a kill, an event may come twice, with the same ``batch``.
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
        """The finished predictions of each event that started this run. There may be several events."""
        payloads = [event.extra["payload"] for event in triggering_asset_events[finished]]
        return {payload["batch"]: payload["ids"] for payload in payloads}

    report()
