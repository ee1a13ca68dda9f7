"""What an incremental landing takes over from the previous run, and what it logs."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

import msgspec

from airflow_provider_predictions.api.clock import time_before
from airflow_provider_predictions.api.filters import Filters, timedelta_of
from airflow_provider_predictions.api.http.client import Client
from airflow_provider_predictions.api.incremental import IncrementalCursor
from airflow_provider_predictions.api.service import Service
from airflow_provider_predictions.api.wording import Log, counted, joined, quoted
from airflow_provider_predictions.storage.state import State


def cursor_of(task: Any, client: Client, filters: Filters, state: State) -> IncrementalCursor:
    """The cursor of a run, from the arguments of the task and the state of the path."""
    return IncrementalCursor(
        terminal=client.service.terminal_statuses,
        statuses=filters.statuses,
        memory=msgspec.structs.replace(state, watermark=_watermark(task, client, state)),
        max_age=timedelta_of(task.max_age) if task.max_age else None,
        rejected=state.rejected,
        lookback=timedelta_of(task.lookback),
        clock=client.service_clock,
        created_after=filters.created_after,
    )


def _watermark(task: Any, client: Client, state: State) -> datetime | None:
    """Where the state says to continue. If that lies in the future, the time of the last commit."""
    watermark, service = state.watermark, client.service
    if watermark is None or watermark <= datetime.now(UTC):
        return watermark
    # This machine's clock may be wrong, so ask the service for its time.
    next(client.pages(service.paginator(service.filters(max_predictions=1, page_size=1))), None)
    if not client.service_clock.is_to_come(watermark):
        return watermark
    now = client.service_clock.earliest
    commits = [entry.committed_at for entry in state.recent[-1:]]
    found = min([now, *commits]) if commits else time_before(now, timedelta_of(task.lookback))
    task.log.warning(
        "path: its state says that all is settled up to %s, which lies in the future. This run continues "
        "from %s", watermark, found,
    )  # fmt: skip
    return found


def tell(log: Log, cursor: IncrementalCursor, service: Service[Any], statuses: Collection[str]) -> None:
    """Log what has not landed, and what is odd about what has.

    :param statuses: those of the records that were read.
    """
    counts = cursor.noted.counts
    odd = {*statuses} - service.terminal_statuses - service.unfinished_statuses
    if odd and counts.unfinished:
        log.warning(
            "statuses: %s does not document %s. Predictions with such a status count as unfinished, and do "
            "not land. Known final statuses: %s",
            service.title, quoted(sorted(odd)), joined(service.terminal_statuses),
        )  # fmt: skip
    if counts.given_up:
        log.warning(
            "%s stayed unfinished for longer than max_age and will not land: %s",
            counted(counts.given_up, "prediction"),
            joined(counts.given_up_ids),
        )
    if warning := cursor.warning():
        log.warning("%s", warning)
    if counts.unfinished:
        log.info("%s unfinished, the oldest of %s; a later run lands what finishes",
                 counted(counts.unfinished, "prediction"), cursor.noted.oldest_unfinished)  # fmt: skip


def narrowing(filters: Filters, cursor: IncrementalCursor | None) -> dict[str, Any]:
    """The filters of a landing, as its manifest lists them. An incremental one has final statuses only."""
    asked_for = filters.model_dump(mode="json", exclude={"page_size", "order"}, exclude_none=True)
    statuses: Collection[str] | None = filters.statuses
    if cursor:
        asked = cursor.terminal if cursor.statuses is None else cursor.statuses
        statuses = set(asked).intersection(cursor.terminal)
    return asked_for | {"statuses": None if statuses is None else sorted(statuses)}
