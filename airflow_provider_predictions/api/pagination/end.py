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

    The second response is requested from that row on, so it repeats the row. A server that limits the bytes
    of a response may stop there twice, in front of a large row. So if any response has stopped in mid-list,
    a third one is requested from behind the row. Without that sign, a server that always stops there looks
    the same as a list that ends there.

    :ivar size: rows of the last response.
    :ivar largest: rows of the largest response.
    :ivar stop: id of the last row of the last response, if it held fewer rows than requested.
    :ivar is_near: whether the last response was short, and shorter than the one before.
    :ivar went_on: whether the list went on behind a response that held fewer rows than requested.
    :ivar behind: whether the next response is requested from behind the last row.
    """

    size: int
    largest: int = 0
    stop: str | None = None
    is_near: bool = False
    went_on: bool = False
    behind: bool = False

    def take_page(
        self, rows: RecordBatch, page_size: int, known_end: str, *, is_new: bool, is_whole: bool
    ) -> bool:
        """Take a response. Return whether the list ends with it.

        :param known_end: id of the list's last row, as an earlier pass found it.
        :param is_new: whether any row is new.
        :param is_whole: whether the server did not cap rows that have shifted.
        """
        self.went_on = self.went_on or (is_new and self.stop is not None)
        before, self.stop = self.stop, last_id(rows) if len(rows) < page_size else None
        self.is_near = self.stop is not None and len(rows) < self.size
        self.size = max(1, len(rows))
        return self.stop is not None and (
            self.stop == known_end or (self.stop == before and is_whole and not is_new)
        )
