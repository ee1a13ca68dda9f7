"""What one response adds to a pass over a list."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import msgspec

from airflow_provider_predictions.api.limits import MAX_OBSERVED, MAX_OBSERVED_LENGTH
from airflow_provider_predictions.api.models import Prediction
from airflow_provider_predictions.api.record_batch import RecordBatch

T = TypeVar("T", bound=str | None)


def count(words: Sequence[T]) -> Mapping[T, int]:
    """How often each word comes. Fast where all are the same, as in most pages."""
    is_same = bool(words) and words.count(words[0]) == len(words)
    return {words[0]: len(words)} if is_same else Counter(words)


class Observed(msgspec.Struct):
    """Counts of the records that a pass has read, before filters.

    :ivar statuses: status -> records.
    :ivar groups: VLM Run's domain or Cradl's model -> records.
    """

    looked_at: int = 0
    statuses: dict[str, int] = msgspec.field(default_factory=dict)
    groups: dict[str, int] = msgspec.field(default_factory=dict)

    @classmethod
    def of(cls, rows: Sequence[Prediction]) -> Observed:
        """Count the records of one page."""
        batch, found = RecordBatch.of(rows), cls(len(rows))
        for counts, column in (found.statuses, batch.statuses), (found.groups, batch.groups):
            for word, number in count(column).items():
                if word is not None:
                    short = word[:MAX_OBSERVED_LENGTH]
                    counts[short] = counts.get(short, 0) + number
        return found

    def add(self, other: Observed | None, asked: Collection[str] = ()) -> None:
        """Add the counts of another page.

        :param asked: words that are always counted, however many others there are.
        """
        if other is not None:
            self.looked_at += other.looked_at
            _add(self.statuses, other.statuses, asked)
            _add(self.groups, other.groups, asked)


def _add(counts: dict[str, int], more: Mapping[str, int], asked: Collection[str]) -> None:
    for word, number in more.items():
        if word in counts or len(counts) < MAX_OBSERVED or word in asked:
            counts[word] = counts.get(word, 0) + number


@dataclass(frozen=True)
class Page:
    """What one response adds.

    :param predictions: new records that match the filters.
    :param duplicates: the number of rows that an earlier page had.
    :param rejected: rows that are not records.
    :param observed: counts of the new records before filters; None if nothing was counted.
    :param listed: False for records that answer waits by ids only.
    :param ids: of the new records before filters.
    """

    predictions: Sequence[Prediction]
    duplicates: int = 0
    rejected: tuple[Prediction, ...] = ()
    observed: Observed | None = None
    listed: bool = True
    ids: Sequence[str] = ()

    @cached_property
    def by_id(self) -> dict[str, Prediction]:
        """The records by id."""
        return dict(zip(self.records.ids, self.predictions, strict=True))

    @cached_property
    def statuses(self) -> dict[str, str]:
        """The status of each record, by id. A page that was read by column makes no predictions for it."""
        return dict(zip(self.records.ids, self.records.statuses, strict=True))

    @cached_property
    def records(self) -> RecordBatch:
        """The predictions by column."""
        return RecordBatch.of(self.predictions)
