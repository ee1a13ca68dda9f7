"""Waiting without a worker: the same for every service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Any, ClassVar

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_predictions.api.arguments import checked
from airflow_provider_predictions.api.errors import PredictionsError
from airflow_provider_predictions.api.waiting import Patience, Tally, Verdict, Wait, judge
from airflow_provider_predictions.hooks.base import PredictionsHook


class PredictionsTrigger(BaseTrigger):
    """Poll until the predictions are finished, then fire once.

    Only names and filters cross the metadata database, no secret; the connection is read anew.

    :param conn_id: the Airflow connection.
    :param poke_interval: seconds between polls, and before the first; at least 5.
    :param wait: what is waited for, the fields of ``api.waiting.Wait``.
    :param patience: how many failed polls in a row end the wait.
    """

    hook_class: ClassVar[type[PredictionsHook[Any]]]
    shortest_interval = 5.0
    """Seconds. A trigger that fires before the scheduler has seen the task defer can fail it (apache/airflow
    #71580, #72716)."""

    def __init__(
        self, *, conn_id: str, poke_interval: float, wait: dict[str, Any], patience: int = Patience.limit
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.conn_id = conn_id
        self.poke_interval = poke_interval
        self.wait = wait
        self.patience = patience

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """The class and its arguments, as the metadata database keeps them."""
        return f"{type(self).__module__}.{type(self).__qualname__}", {
            "conn_id": self.conn_id,
            "poke_interval": self.poke_interval,
            "wait": self.wait,
            "patience": self.patience,
        }

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll at the interval, and fire when there is nothing to wait for any more."""
        patience = Patience(self.patience)
        while True:
            await asyncio.sleep(max(self.poke_interval, self.shortest_interval))
            try:
                verdict = await self._poll()
            except PredictionsError as error:
                if not patience.bears(error):
                    yield TriggerEvent(
                        {"state": "error", "message": str(error), "retryable": error.retryable}
                    )
                    return
                self.log.warning("%s. The wait goes on.", error)
            else:
                patience.reset()
                self.log.info(verdict.message)
                if verdict.state != "waiting":
                    yield TriggerEvent(asdict(verdict))
                    return

    async def _poll(self) -> Verdict:
        """Ask once: a failed poll is not repeated before the next interval."""
        wait = checked(Wait, self.wait)
        hook = self.hook_class(self.conn_id, attempts=1)
        tally = Tally()
        async with await hook.aget_conn() as client:
            async for page in client.pages(wait.asking(client.service)):
                tally.add(page, wait)
        return judge(tally, wait, client.service)
