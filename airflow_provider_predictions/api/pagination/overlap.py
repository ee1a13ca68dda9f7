"""Show that no row is missing between two pages: each page starts with the last row of the one before."""

from __future__ import annotations

from collections.abc import Callable

from airflow_provider_predictions.api.models import Prediction
from airflow_provider_predictions.api.state import Versioned


class Overlap(Versioned):
    """The row that two pages share, and the steps back to find it.

    :ivar step: rows to step back if the next page does not start with a known row.
    :ivar row_id: id of the row that the next page should start with.
    :ivar left_at: index of the page that the last step back gave up.
    :ivar shifted: whether a page did not start with that row.
    :ivar blind: whether a page was read that has no row in common with the one before.
    """

    step: int
    row_id: str = ""
    left_at: int = 0
    shifted: bool = False
    blind: bool = False

    def joins(self, rows: list[Prediction], is_passed: Callable[[Prediction], bool]) -> bool:
        """Whether nothing can be missing between the page before and these rows."""
        if rows and rows[0].id == self.row_id:
            return True
        self.shifted = self.shifted or bool(self.row_id)
        first = next((row for row in rows if row.fault is None), None)
        return first is not None and is_passed(first)

    def step_back(self, skip: int) -> int:
        """Return where to look for a known row: each time twice as far in front.

        :param skip: the index of the page that did not start with one.
        """
        self.left_at = skip
        self.step *= 2
        return max(0, skip - self.step // 2)
