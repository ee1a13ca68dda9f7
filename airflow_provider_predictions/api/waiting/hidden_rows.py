"""Remember what polls of a list found unfinished, since a list may hide a prediction for a while."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from itertools import islice
from typing import Any

import msgspec

from airflow_provider_predictions.api.filters import utc
from airflow_provider_predictions.api.limits import MAX_PASSED_ROWS, MAX_UNFINISHED_ROWS
from airflow_provider_predictions.api.models import Prediction, as_time
from airflow_provider_predictions.api.page import Page
from airflow_provider_predictions.api.service import Service
from airflow_provider_predictions.api.waiting.decide import Wait
from airflow_provider_predictions.api.wording import encodable

SavedRow = Sequence[str | None]
"""Id, status, creation time and group of a prediction, as JSON values."""


class HiddenRows:
    """Predictions that were unfinished and that the list no longer shows.

    A lagging replica, or an index that is built anew, lists less than it did before.
    """

    def __init__(self) -> None:
        self._unfinished: dict[str, Prediction] = {}
        """Those of the passes before that this pass has not met, without their bytes."""
        self._found: dict[str, Prediction] = {}
        """The unfinished ones of this pass."""
        self._since: dict[str, float] = {}
        """Id -> when a whole pass first lacked it, in seconds of a monotonic clock."""

    def remember(self, rows: Iterable[SavedRow]) -> None:
        """Expect the next pass to show what another process has saved."""
        for id_, status, created, group in rows:
            if id_ and status:
                self._found.setdefault(id_, Prediction(id_, status, as_time(created), group, b""))

    def save(self, wait: Wait, service: type[Service[Any]]) -> list[SavedRow]:
        """Unfinished predictions that a wait by filters expects, for another process; not more than fit."""
        rows = _awaited([*(self._found | self._unfinished).values()], wait, service)
        saved = (
            [row.id, row.status, utc(row.created_at) if row.created_at else None, row.group] for row in rows
        )
        fitting = (row for row in saved if all(text is None or encodable(text) == text for text in row))
        return [*islice(fitting, MAX_PASSED_ROWS)]

    def begin(self) -> None:
        """Begin a pass. The one before may have failed."""
        self._unfinished |= self._found
        self._found = {}

    def add(self, page: Page, final: Collection[str]) -> None:
        """Note the rows of a page."""
        if self._unfinished:
            for id_ in self._unfinished.keys() & {*page.ids}:
                del self._unfinished[id_]
                self._since.pop(id_, None)
        statuses = page.records.statuses
        if {*statuses} <= {*final}:
            return
        rows = (page.predictions[n] for n, status in enumerate(statuses) if status not in final)
        for row in islice(rows, max(0, MAX_UNFINISHED_ROWS - len(self._found))):
            # A record without an id cannot be found again once it has changed.
            if not row.is_unnamed:
                self._found[row.id] = msgspec.structs.replace(row, raw=b"")

    def end(self, now: float, longest: float) -> None:
        """End a pass that read the whole list.

        :param longest: seconds after which no wait expects a hidden row any more.
        """
        for id_ in [*self._unfinished]:
            if now - self._since.setdefault(id_, now) >= longest:
                del self._unfinished[id_], self._since[id_]

    def of(self, wait: Wait, service: type[Service[Any]], now: float) -> list[str]:
        """The ids that a wait by filters still expects the list to show again."""
        rows = [
            self._unfinished[id_] for id_, since in self._since.items() if now - since < wait.missing_timeout
        ]
        return [row.id for row in _awaited(rows, wait, service)]


def _awaited(rows: Sequence[Prediction], wait: Wait, service: type[Service[Any]]) -> list[Prediction]:
    filters, awaited = wait.list_filters(service) if rows else None, wait.waiting_statuses
    chosen = filters.choose(rows) if filters else ()
    return [row for row in chosen if awaited is None or row.status in awaited]
