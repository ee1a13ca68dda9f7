"""What the landings of a report cover: which periods, which states, and what the page says about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from airflow_provider_predictions.api.errors import ConfigurationError
from airflow_provider_predictions.api.models import as_time
from airflow_provider_predictions.report.source import Landed
from airflow_provider_predictions.report.subjects import SUBJECTS
from airflow_provider_predictions.report.window import Window, in_zone
from airflow_provider_predictions.report.words import listed


@dataclass(frozen=True)
class Sources:
    """The landings of a report in the order of their commits, and which periods they cover."""

    landings: Sequence[Landed]
    window: Window

    @cached_property
    def read(self) -> list[Landed]:
        """The landings that may hold predictions of the window."""
        return [landed for landed in self.landings if not landed.outside(self.window)]

    @property
    def left_out(self) -> list[tuple[str, int, str]]:
        """What is not read: the reason, the number of records, and the path they are under."""
        found = Counter[tuple[str, str]]()
        for landed in self.landings:
            if outside := landed.outside(self.window):
                reason = f"in landings of {outside} predictions only, which were not read"
                found[reason, str(landed.root)] += landed.manifest["count"]
            else:
                for why, count in landed.manifest["rejected_reasons"].items():
                    found[f"rows that are no records: {why}", str(landed.path)] += count
        return [(reason, count, place) for (reason, place), count in found.items()]

    @cached_property
    def services(self) -> list[str]:
        """The services of the landings, in alphabetical order.

        :raises ConfigurationError: if a service has no reports.
        """
        found = sorted({landed.manifest["service"] for landed in self.landings})
        if unknown := set(found) - set(SUBJECTS):
            raise ConfigurationError(
                f"source: holds landings of {listed(sorted(unknown))}; there are reports of "
                f"{listed(sorted(SUBJECTS))} only"
            )
        return found

    @property
    def titles(self) -> list[str]:
        return [SUBJECTS[service].service.title for service in self.services]

    @cached_property
    def oldest(self) -> datetime | None:
        """The earliest creation time from which the sources are known to be complete."""
        times = [as_time(landed.manifest["created_min"]) for landed in self.landings]
        # An incremental path holds what was finished before, though its older landings may not be listed.
        times += [landed.committed for landed in self.landings if "incremental" in landed.manifest]
        return min(filter(None, times), default=None)

    def is_whole(self, age: int) -> bool:
        """Whether the sources cover a period. The period before counts if they cover a part of it."""
        if age == 0 or self.oldest is None:
            return age == 0
        return self.oldest < self.window.start if age == 1 else self.oldest <= self.window.starts[age]

    @cached_property
    def ended(self) -> dict[str, datetime]:
        """The newest commit of each service whose landings end before the period does."""
        newest = {one.manifest["service"]: one.committed for one in self.landings if one.committed}
        return {service: moment for service, moment in newest.items() if moment < self.window.end}

    @cached_property
    def limits(self) -> list[str]:
        """The filters, besides that on statuses, that may have left out predictions of the period."""
        return sorted(
            {
                name
                for landed in self.read
                for name, value in landed.manifest["filters"].items()
                if name != "statuses" and value not in (None, [], ()) and not self._covers(name, value)
            }
        )

    def _covers(self, name: str, value: Any) -> bool:
        """Whether a filter on creation times leaves the period whole. Several landings may do so together."""
        moment = as_time(value) if name in ("created_after", "created_before") else None
        if moment is None:
            return False
        window, is_start = self.window, name == "created_after"
        is_one_of_many = len(self.read) > 1 or "incremental" in self.read[0].manifest
        return is_one_of_many or (moment <= window.start if is_start else moment >= window.end)

    def restricted(self, age: int) -> list[Landed]:
        """The landings with a filter on statuses that were committed after a period began."""
        start, end = self.window.starts[age], self.window.end
        given = (landed for landed in self.read if landed.statuses is not None)
        return [landed for landed in given if (landed.committed or end) > start]

    @cached_property
    def missing(self) -> list[set[str]]:
        """For each age, the states that a filter on statuses left out in whole or in part."""
        return [
            {
                state
                for landed in self.restricted(age)
                for state, words in SUBJECTS[landed.manifest["service"]].states.items()
                if not words <= (landed.statuses or set())
            }
            for age in range(len(self.window.starts))
        ]

    @property
    def narrowed(self) -> str:
        """The statuses that the landings were limited to, in words."""
        asked = {landed.statuses for landed in self.restricted(1)}
        return " or only ".join(sorted(listed(sorted(words)) for words in asked if words is not None))


def notes_of(sources: Sources) -> list[str]:
    """What a reader needs to know about the sources."""
    notes, window = [], sources.window
    missing = [state for state in ("succeeded", "failed", "waiting") if state in sources.missing[0]]
    if missing:
        share = "" if missing == ["waiting"] else ", and no share that failed"
        which = "Only" if len({landed.statuses for landed in sources.read}) == 1 else "Of some landings only"
        notes.append(
            f"{which} {sources.narrowed} predictions were to land, so there is no number of "
            f"{listed(missing)} ones here{share}."
        )
    if sources.oldest and sources.oldest > window.before:
        moment = f"{in_zone(sources.oldest, window.zone):%Y-%m-%d %H:%M}"
        notes.append(
            f"The sources hold nothing created before {moment}, so the period before may not be whole. Give "
            "the report earlier landings, too, to compare with it."
        )
    if sources.limits:
        notes.append(
            f"The landings were limited by {listed(sources.limits)}, so predictions may be missing here."
        )
    for service, committed in sources.ended.items():
        notes.append(
            f"The newest landing of {SUBJECTS[service].service.title} was committed at "
            f"{in_zone(committed, window.zone):%Y-%m-%d %H:%M}, before the end of the period. Predictions "
            "that were created later are missing here."
        )
    notes.extend(
        f"Records may be missing from {landed.path}: {landed.manifest['inconsistency']}"
        for landed in sources.read
        if landed.manifest["inconsistency"] and landed.manifest["consistent"] is not None
    )
    return notes
