"""What a pass meets before filters drop rows, so that a typo differs from an empty window."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from typing import Protocol

import msgspec

from airflow_provider_predictions.api.wording import listed

MAX_OBSERVED = 100
"""Different words of a kind to remember, beside those that were asked for."""
LONGEST = 200
"""Characters of a word to remember."""


class _Row(Protocol):
    @property
    def status(self) -> str: ...
    @property
    def group(self) -> str | None: ...


class Observed(msgspec.Struct):
    """How many records a pass has looked at, and their words.

    :ivar statuses: status -> records.
    :ivar groups: VLM Run's domain or Cradl's model -> records.
    """

    looked_at: int = 0
    statuses: dict[str, int] = msgspec.field(default_factory=dict)
    groups: dict[str, int] = msgspec.field(default_factory=dict)

    @classmethod
    def of(cls, rows: Collection[_Row]) -> Observed:
        """Count the records of one page."""
        groups = Counter(row.group[:LONGEST] for row in rows if row.group)
        return cls(len(rows), dict(Counter(row.status[:LONGEST] for row in rows)), dict(groups))

    def add(self, other: Observed | None, asked: Collection[str] = ()) -> None:
        """Add another page.

        :param asked: words to remember however many others are met.
        """
        if other is not None:
            self.looked_at += other.looked_at
            _add(self.statuses, other.statuses, asked)
            _add(self.groups, other.groups, asked)

    def summary(self) -> str:
        """What to say if no record matches."""
        if not self.looked_at:
            return "0 records match: none was met"
        return f"0 of {self.looked_at} records match; statuses met: {listed(self.statuses)}"


def _add(counts: dict[str, int], more: Mapping[str, int], asked: Collection[str]) -> None:
    for word, number in more.items():
        if word in counts or len(counts) < MAX_OBSERVED or word in asked:
            counts[word] = counts.get(word, 0) + number
