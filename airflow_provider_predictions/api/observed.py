"""What a pass over a list meets before filters drop rows, so that a typo can be told from an empty window."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from airflow_provider_predictions.api.limits import MAX_OBSERVED
from airflow_provider_predictions.api.limits import MAX_OBSERVED_LENGTH as LONGEST
from airflow_provider_predictions.api.wording import counted, listed, quoted

if TYPE_CHECKING:
    from airflow_provider_predictions.api.filters import Filters
    from airflow_provider_predictions.api.models import Prediction
    from airflow_provider_predictions.api.service import Service


class Observed(msgspec.Struct):
    """How many records a pass has looked at, and with which words.

    :ivar statuses: status -> records.
    :ivar groups: VLM Run's domain or Cradl's model -> records.
    """

    looked_at: int = 0
    statuses: dict[str, int] = msgspec.field(default_factory=dict)
    groups: dict[str, int] = msgspec.field(default_factory=dict)

    @classmethod
    def of(cls, rows: Collection[Prediction]) -> Observed:
        """What the rows of one page hold."""
        groups = Counter(row.group[:LONGEST] for row in rows if row.group)
        return cls(len(rows), dict(Counter(row.status[:LONGEST] for row in rows)), dict(groups))

    def add(self, other: Observed | None, asked: Collection[str] = ()) -> None:
        """Add another page.

        :param asked: words that are remembered however many others are met.
        """
        if other is not None:
            self.looked_at += other.looked_at
            _add(self.statuses, other.statuses, asked)
            _add(self.groups, other.groups, asked)

    def nothing_matches(self) -> str:
        """What to say when no record matches."""
        if not self.looked_at:
            return "0 records match: none was met"
        return f"0 of {self.looked_at} records match; statuses met: {listed(self.statuses)}"


def _add(counts: dict[str, int], more: Mapping[str, int], asked: Collection[str]) -> None:
    for word, number in more.items():
        if word in counts or len(counts) < MAX_OBSERVED or word in asked:
            counts[word] = counts.get(word, 0) + number


def expected_words(filters: Filters, *more: Collection[str] | None) -> frozenset[str]:
    """The words that a task gives, which ``Observed`` always remembers.

    :param more: of other arguments.
    """
    groups = getattr(filters, "domains", None)
    return frozenset(word[:LONGEST] for words in (filters.statuses, groups, *more) for word in words or ())


def doubts(
    service: Service[Any] | type[Service[Any]],
    filters: Filters,
    observed: Observed,
    other_statuses: Mapping[str, Iterable[str] | None] | None = None,
) -> str:
    """Which words are neither known nor met, in one text; empty where there is none.

    :param filters: of the task.
    :param other_statuses: arguments beside the filters that name statuses.
    """
    known = service.terminal_statuses | service.waiting_statuses
    statuses = {"statuses": filters.statuses, **(other_statuses or {})}
    found = [
        unmatched(name, words, observed.statuses, observed.looked_at, known=known)
        for name, words in statuses.items()
    ]
    if (name := service.group_filter) and observed.looked_at:
        found.append(unmatched(name, getattr(filters, name), observed.groups, observed.looked_at))
    if not observed.looked_at:
        given = {name: getattr(filters, name) for name in service.server_filters}
        found += [
            f"{name}: {quoted([value])} matched nothing ({service.title} applies this filter)"
            for name, value in given.items() if value
        ]  # fmt: skip
    return ". ".join(text for text in found if text)


def unmatched(
    name: str,
    asked: Iterable[str] | None,
    observed: Iterable[str],
    looked_at: int,
    *,
    known: Collection[str] = (),
) -> str:
    """What to say of words that are neither known nor met; empty where there is nothing to say.

    :param name: of the argument.
    :param met: words of the records that were looked at.
    """
    observed = {*observed}
    odd = [word for word in asked or () if word not in known and word[:LONGEST] not in observed]
    if not odd:
        return ""
    verb, where = "was" if len(odd) == 1 else "were", f"in {counted(looked_at, 'record')}"
    text = f"{name}: {quoted(odd)} {verb} not met {where}"
    if observed:
        text += f"; met: {listed(observed)}"
    return f"{text}; known: {listed(known)}" if known else text
