"""Find the row that two pages of offsets share, although rows shift between them."""

from __future__ import annotations

from collections.abc import Callable

from airflow_provider_predictions.api.models import Prediction
from airflow_provider_predictions.api.record_batch import RecordBatch
from airflow_provider_predictions.api.state import Versioned


class Overlap(Versioned):
    """The row that two pages share, and the steps back to find it.

    :ivar step: rows to step back if the next page does not start with a known row.
    :ivar row_id: id of the row that the next page should start with.
    :ivar left_at: index of the page that the last step back left.
    :ivar shifted: whether any page did not start with that row.
    :ivar blind: whether any page shared no row with the one before.
    :ivar resorted: whether rows with one creation time came in another order than before.
    """

    step: int
    row_id: str = ""
    left_at: int = 0
    shifted: bool = False
    blind: bool = False
    resorted: bool = False

    def take_page(self, rows: RecordBatch, is_passed: Callable[[Prediction], bool]) -> bool:
        """Take the next page. Return whether no row can be missing between it and the page before."""
        if rows and rows.ids[0] == self.row_id:
            return True
        self.shifted = self.shifted or bool(self.row_id)
        first = next((row for row in rows if row.fault is None), None)
        return first is not None and is_passed(first)

    def step_back(self, skip: int) -> int:
        """Return where to look for a known row, each time twice as far back from ``skip``."""
        self.left_at = skip
        self.step *= 2
        return max(0, skip - self.step // 2)


def is_resorted(before: list[str], ids: list[str]) -> bool:
    """Whether known rows come in another order than in the response before, or behind a new one."""
    places = {id_: place for place, id_ in enumerate(before)}
    found = [places.get(id_, len(before)) for id_ in ids]
    is_joined = bool(found) and found[0] < len(before)  # else the pass has stepped back
    return is_joined and found != sorted(found)
