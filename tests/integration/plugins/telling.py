"""A trigger that logs a bearer token."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from airflow.providers.common.compat.sdk import BaseOperator, Context
from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_predictions.hooks.cradl import CradlHook


class TellingTrigger(BaseTrigger):
    def serialize(self) -> tuple[str, dict[str, Any]]:
        return "telling.TellingTrigger", {}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        async with await CradlHook().aget_conn() as client:
            self.log.info("The trigger: %s", await client.service.auth.atoken())
        yield TriggerEvent("told")


class TellingOperator(BaseOperator):
    def execute(self, context: Context) -> None:
        self.defer(trigger=TellingTrigger(), method_name="done")

    def done(self, context: Context, event: str) -> str:
        return event
