"""What one poll finds for each of its waits. Where nothing changed, that is the tally of the poll before."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import msgspec

from airflow_provider_predictions.api.errors import PredictionsError
from airflow_provider_predictions.api.models import Prediction
from airflow_provider_predictions.api.page import Page
from airflow_provider_predictions.api.service import Service
from airflow_provider_predictions.api.waiting.decide import Tally, Wait

Key = tuple[type[Tally], str]
"""The class of a tally and its wait as JSON. Waits with equal keys share a tally."""
Outcomes = dict[Key, Tally | PredictionsError]


class Tallies:
    """The tallies of one poll of a list.

    A wait by ids is counted only if the status of one of its predictions changed. So the time of a poll
    depends on its pages and on what changed, not on how many wait.

    :param waits: key -> wait.
    :param before: the tallies of the poll before; None if there was none, or if it failed.
    """

    def __init__(
        self, waits: Mapping[Key, Wait], service: Service[Any], before: Tallies | None = None
    ) -> None:
        self._waits = waits
        self._service = service
        self._answered: dict[str, Prediction] = {}
        """The predictions of waits by ids that this poll has found, without their bytes."""
        self._answered_before = before._answered if before else {}
        self._before: Mapping[Key, Tally] = before._tallies if before else {}
        self._tallies: dict[Key, Tally] = {
            key: tally
            for key, tally in self._before.items()
            if tally.lasts and key in waits and waits[key].prediction_ids is not None
        }
        """Those of the poll before, until one of their predictions changes."""
        self.counted = {key: self._tally(key) for key in waits if key not in self._tallies}
        """Those to which each page is added."""
        self._keys: dict[str, list[Key]] = (
            before._keys if before and before._waits == waits else _keys_by_id(waits)
        )

    def _tally(self, key: Key) -> Tally:
        tally_class, _ = key
        return tally_class(self._waits[key], self._service)

    def begin(self, page: Page) -> Collection[Tally]:
        """The tallies to which a page must be added."""
        found = (page.statuses.keys() & self._keys) - self._answered.keys()
        before, changed = self._answered_before, {}
        for id_ in found:
            if id_ not in before or before[id_].status != page.statuses[id_]:
                changed[id_] = msgspec.structs.replace(page.by_id[id_], raw=b"")
        self._count_anew(changed)
        self._answered |= {id_: changed.get(id_) or before[id_] for id_ in found}
        return self.counted.values()

    def completed(self, page: Page) -> dict[Key, Tally]:
        """The tallies of waits by ids that a page completes. Those of the poll before are left out."""
        keys = {key for id_ in page.statuses for key in self._keys.get(id_, ())} & self.counted.keys()
        return {
            key: tally
            for key in keys
            if not (tally := self.counted[key]).missing
            and not ((before := self._before.get(key)) and tally.repeats(before))
        }

    def _count_anew(self, ids: Collection[str]) -> None:
        """Replace the tallies of the poll before that need these ids by what this poll has found so far."""
        for key in {key for id_ in ids for key in self._keys[id_]} & self._tallies.keys():
            del self._tallies[key]
            tally = self.counted[key] = self._tally(key)
            found = tuple(self._answered[id_] for id_ in tally.missing if id_ in self._answered)
            tally.add(Page(found, listed=False))

    def end(self, error_of: Callable[[Wait], PredictionsError | None] | None) -> Outcomes:
        """The outcome of each wait, after the last page: that of the poll before, if nothing changed.

        :param error_of: why the poll cannot answer a wait, None if it can; None if nothing failed.
        """
        self._count_anew(self._keys.keys() - self._answered.keys())
        for key, tally in self.counted.items():
            before = self._before.get(key)
            self._tallies[key] = before if before and tally.repeats(before) else tally
        errors: dict[Key, PredictionsError] = {}
        if error_of:
            errors = {key: error for key, wait in self._waits.items() if (error := error_of(wait))}
        for key in errors:
            del self._tallies[key]
        return self._tallies | errors


def _keys_by_id(waits: Mapping[Key, Wait]) -> dict[str, list[Key]]:
    keys: dict[str, list[Key]] = {}
    for key, wait in waits.items():
        for id_ in wait.prediction_ids or ():
            keys.setdefault(id_, []).append(key)
    return keys
