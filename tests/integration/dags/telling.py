"""A task and a trigger that log what they should not."""

import logging
from datetime import UTC, datetime

from airflow.providers.common.compat.sdk import DAG, task
from telling import TellingOperator

from airflow_provider_predictions.hooks.cradl import CradlHook

with DAG("telling", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC), catchup=False):

    @task
    def tell() -> None:
        with CradlHook().get_conn() as client:
            token = client.service.auth.token()
        logging.getLogger("telling").info("The task: %s", token)
        print(f"The task prints: {token}")  # noqa: T201

    tell() >> TellingOperator(task_id="tell_deferred")
