"""Read the front of a list again whose rows have shifted, since one may have moved there from behind."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from airflow_provider_predictions.api.record_batch import RecordBatch
from airflow_provider_predictions.api.state import Versioned


class Front(Versioned):
    """What a pass knows about the front of a list.

    :ivar newest: creation time of the newest row that came before the front was read again.
    :ivar length: records of the list up to the last one that was read. Those in front may not have come yet.
    :ivar came: records that came.
    :ivar others: rows that are no records, or repeat another one of their response.
    :ivar reads: how often the front was read again.
    :ivar is_next: whether the next page is one of the front that is read again.
    """

    newest: datetime | None = None
    length: int = 0
    came: int = 0
    others: int = 0
    reads: int = 0
    is_next: bool = False

    def count_rows(self, skip: int, rows: RecordBatch) -> None:
        """Count the records of a response that begins at index ``skip``.

        A list may have an id twice. Next to each other, the two are no sign of a row that moved.
        """
        records = {row.id for row in rows if row.fault is None} if rows.rejected else {*rows.ids}
        self.others += len(rows) - len(records)
        self.length = skip + len(rows) - self.others

    def ends_in(self, rows: RecordBatch, new_ids: Collection[str]) -> bool:
        """Whether a page reaches what had been read: its last two rows, since one may have moved."""
        last, newest = [*zip(rows.ids, rows.times, strict=True)][-2:], self.newest
        is_old = (id_ not in new_ids and newest and time and time <= newest for id_, time in last)
        return bool(last) and all(is_old)
