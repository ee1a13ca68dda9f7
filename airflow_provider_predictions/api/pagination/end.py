"""Find the end of a list in which any response may hold fewer rows than requested."""

from __future__ import annotations

from airflow_provider_predictions.api.record_batch import RecordBatch
from airflow_provider_predictions.api.state import Versioned

NO_ROWS = "[]"
"""Stands for the id of the last row of an empty list."""


def last_id(rows: RecordBatch) -> str:
    return rows.ids[-1] if rows else NO_ROWS


class ListEnd(Versioned):
    """The list ends where two responses in a row stop at the same row.

    The second response is requested from that row on, so it repeats the row. A server that always stops there
    looks the same as a list that ends there.

    :ivar size: rows of the last response.
    :ivar largest: rows of the largest response.
    :ivar stop: id of the last row of the last response, if it held fewer rows than requested.
    :ivar is_near: whether the last response was short, and shorter than the one before.
    """

    size: int
    largest: int = 0
    stop: str | None = None
    is_near: bool = False

    def take_page(self, rows: RecordBatch, page_size: int, known_end: str, *, repeats: bool) -> bool:
        """Take a response. Return whether the list ends with it.

        :param known_end: id of the list's last row, as an earlier pass found it.
        :param repeats: whether all rows are known, and not only because the server capped shifted rows.
        """
        before, self.stop = self.stop, last_id(rows) if len(rows) < page_size else None
        self.is_near = self.stop is not None and len(rows) < self.size
        self.size = max(1, len(rows))
        return self.stop is not None and (self.stop == known_end or (self.stop == before and repeats))
