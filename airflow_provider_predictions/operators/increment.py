"""What an incremental landing takes over from the run before, and what it says of its rows."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_predictions.api.clock import earlier
from airflow_provider_predictions.api.filters import Filters, timedelta_of
from airflow_provider_predictions.api.incremental import IncrementalCursor
from airflow_provider_predictions.api.wording import counted, listed

if TYPE_CHECKING:
    from airflow_provider_predictions.api.http.client import Client
    from airflow_provider_predictions.api.wording import Log
    from airflow_provider_predictions.storage.state import State


def ledger_of(task: Any, client: Client, filters: Filters, state: State) -> IncrementalCursor:
    """The ledger of a run.

    :param task: the operator, which holds the arguments.
    :param state: of the path.
    """
    return IncrementalCursor(
        terminal=client.service.terminal_statuses,
        statuses=filters.statuses,
        watermark=_watermark(task, client, state),
        landed=state.landed,
        max_age=timedelta_of(task.max_age) if task.max_age else None,
        rejected=state.rejected,
        lookback=timedelta_of(task.lookback),
        clock=client.service_clock,
        created_after=filters.created_after,
        unmet=state.unmet,
    )


def _watermark(task: Any, client: Client, state: State) -> datetime | None:
    """Where the state says to go on; where the last commit was, if that is still to come."""
    watermark, service = state.watermark, client.service
    if watermark is None or watermark <= datetime.now(UTC):
        return watermark
    # This machine's clock may be the one that is wrong.
    next(client.pages(service.paginator(service.filters(max_predictions=1, page_size=1))), None)
    if not client.service_clock.is_to_come(watermark):
        return watermark
    now = client.service_clock.earliest
    commits = [entry.committed_at for entry in state.recent[-1:]]
    found = min([now, *commits]) if commits else earlier(now, timedelta_of(task.lookback))
    task.log.warning(
        "path: its state says that all is settled up to %s, which is still to come. This run goes on from "
        "the last commit, %s", watermark, found,
    )  # fmt: skip
    return found


def tell(log: Log, cursor: IncrementalCursor) -> None:
    """Say what has not landed, and what is odd of what has.

    :param log: of the task.
    """
    counts = cursor.noted.counts
    if counts.given_up:
        log.warning(
            "%s stayed unfinished for longer than max_age and will not land: %s",
            counted(counts.given_up, "prediction"),
            listed(counts.given_up_ids),
        )
    if warning := cursor.warning():
        log.warning("%s", warning)
    if counts.unfinished:
        log.info("%s unfinished, the oldest of %s; a later run lands what finishes",
                 counted(counts.unfinished, "prediction"), cursor.noted.oldest_unfinished)  # fmt: skip
