"""Starts a run for each batch that an asset event names, and none for a batch that comes again."""

from __future__ import annotations

from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_0_PLUS

if AIRFLOW_V_3_0_PLUS:
    from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
    from airflow.sdk import Asset, dag, task

    finished = Asset("batches_finished")

    @dag(schedule=[finished], catchup=False)
    def batches():
        @task
        def payloads(triggering_asset_events=None):
            payloads = [event.extra["payload"] for event in triggering_asset_events[finished]]
            return [{"trigger_run_id": payload["batch"], "conf": payload} for payload in payloads]

        TriggerDagRunOperator.partial(
            task_id="once", trigger_dag_id="of_a_batch", skip_when_already_exists=True
        ).expand_kwargs(payloads())

    @dag(schedule=None)
    def of_a_batch():
        @task
        def ids(dag_run=None):
            return dag_run.conf["ids"]

        ids()

    batches()
    of_a_batch()
