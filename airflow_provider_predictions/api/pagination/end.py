"""Find the end of a list whose responses may hold fewer rows than requested, anywhere."""

from __future__ import annotations

from airflow_provider_predictions.api.models import Prediction
from airflow_provider_predictions.api.state import Versioned

NO_ROWS = "[]"
"""Stands for the id of the last row of an empty list."""


def last_id(rows: list[Prediction]) -> str:
    """Id of the last row of a response."""
    return rows[-1].id if rows else NO_ROWS


class ListEnd(Versioned):
    """The list ends where two responses in a row stop at the same row.

    The second one was requested from that row on, so it repeats it. A server that always stops there cannot
    be told from one whose list ends there.

    :ivar size: rows of the last response.
    :ivar largest: rows of the largest response.
    :ivar stop: id of the last row of the last response, if that held fewer rows than requested.
    :ivar is_near: whether the last response was short, and shorter than the one before.
    """

    size: int
    largest: int = 0
    stop: str | None = None
    is_near: bool = False

    def is_at(self, rows: list[Prediction], page_size: int, known_end: str, *, repeats: bool) -> bool:
        """Take a response. Return whether the list ends with it.

        :param page_size: rows requested.
        :param known_end: id of the last row, as an earlier pass found it.
        :param repeats: whether all rows are known, and the server did not just cap rows that were shifted.
        """
        before, self.stop = self.stop, last_id(rows) if len(rows) < page_size else None
        self.is_near = self.stop is not None and len(rows) < self.size
        self.size = max(1, len(rows))
        return self.stop is not None and (self.stop == known_end or (self.stop == before and repeats))
