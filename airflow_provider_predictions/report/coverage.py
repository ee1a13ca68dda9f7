"""What the landings of a report cover: which periods, which states, and what the page says about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from airflow_provider_predictions.api.errors import ConfigurationError
from airflow_provider_predictions.api.models import as_time
from airflow_provider_predictions.report.subjects import SUBJECTS
from airflow_provider_predictions.report.window import Window, in_zone
from airflow_provider_predictions.report.words import joined_with_and
from airflow_provider_predictions.storage.landed import Landed


@dataclass(frozen=True)
class Sources:
    """The landings of a report in the order of their commits, and which periods they cover."""

    landings: Sequence[Landed]
    window: Window

    @cached_property
    def read(self) -> list[Landed]:
        """The landings that may hold predictions of the window."""
        return [landed for landed in self.landings if not landed.outside(self.window.span)]

    @cached_property
    def telling(self) -> list[Landed]:
        """The landings whose filters say what may be missing.

        Of those that are not read, they are the ones that held older predictions only when the period had
        begun, and the newest.
        """
        return [
            landed
            for landed in self.landings
            if not (outside := landed.outside(self.window.span))
            or (outside == "older" and self._is_after(landed, self.window.start))
        ]

    def _is_after(self, landed: Landed, start: datetime) -> bool:
        """Whether a landing was committed after a moment, or as the last one of its service."""
        moment = landed.committed
        return moment is None or moment > start or moment == self.newest[landed.manifest["service"]]

    @property
    def left_out(self) -> list[tuple[str, int, str]]:
        """What is not read: the reason, the number of records, and the path they are under."""
        found = Counter[tuple[str, str]]()
        for landed in self.landings:
            if outside := landed.outside(self.window.span):
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
                f"source: holds landings of {joined_with_and(sorted(unknown))}; there are reports of "
                f"{joined_with_and(sorted(SUBJECTS))} only"
            )
        return found

    @property
    def titles(self) -> list[str]:
        return [SUBJECTS[service].service.title for service in self.services]

    @cached_property
    def since(self) -> dict[str, datetime]:
        """For each service, the earliest creation time from which its landings are known to be complete."""
        found: dict[str, datetime] = {}
        for landed in self.landings:
            # An incremental path holds what was finished before, though its older landings may not be listed.
            committed = landed.committed if "incremental" in landed.manifest else None
            service = landed.manifest["service"]
            times = (as_time(landed.manifest["created_min"]), committed, found.get(service))
            if known := [time for time in times if time]:
                found[service] = min(known)
        return found

    def is_whole(self, age: int) -> bool:
        """Whether the sources cover a period. The period before counts if they cover a part of it."""
        oldest = min(self.since.values(), default=None)
        if age == 0 or oldest is None:
            return age == 0
        return oldest < self.window.start if age == 1 else oldest <= self.window.starts[age]

    @cached_property
    def newest(self) -> dict[str, datetime]:
        """The newest commit of each service."""
        return {one.manifest["service"]: one.committed for one in self.landings if one.committed}

    @property
    def ended(self) -> dict[str, datetime]:
        """The newest commit of each service whose landings end before the period does."""
        return {service: moment for service, moment in self.newest.items() if moment < self.window.end}

    @cached_property
    def limits(self) -> list[str]:
        """The filters, besides that on statuses, that may have left out predictions of the period."""
        return sorted(
            {
                name
                for landed in self.telling
                for name, value in landed.manifest["filters"].items()
                if name != "statuses"
                and value not in (None, [], ())
                and not self._covers(landed, name, value)
            }
        )

    def _covers(self, landed: Landed, name: str, value: Any) -> bool:
        """Whether a filter on creation times leaves the period whole. Several landings may do so together."""
        moment = as_time(value) if name in ("created_after", "created_before") else None
        if moment is None:
            return False
        is_whole = moment <= self.window.start if name == "created_after" else moment >= self.window.end
        return is_whole or not self._has_gap(landed.manifest["service"])

    def _has_gap(self, service: str) -> bool:
        """Whether all landings of a service together leave out a part of the period."""
        reached = self.window.start
        for landed in sorted(self.landings, key=_first):
            if landed.manifest["service"] == service and _first(landed) <= reached:
                ends = (as_time(landed.manifest["filters"].get("created_before")), landed.committed)
                reached = max(reached, min(filter(None, ends), default=self.window.end))
        return reached < self.window.end

    def restricted(self, age: int) -> list[Landed]:
        """The landings with a filter on statuses that were committed after a period began, or last."""
        given = (landed for landed in self.telling if landed.statuses is not None)
        return [landed for landed in given if self._is_after(landed, self.window.starts[age])]

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
        return " or only ".join(
            sorted(joined_with_and(sorted(words)) for words in asked if words is not None)
        )


def _first(landed: Landed) -> datetime:
    """The earliest creation time of what was to land."""
    return as_time(landed.manifest["filters"].get("created_after")) or datetime.min.replace(tzinfo=UTC)


def notes_of(sources: Sources) -> Iterator[str]:
    """What a reader needs to know about the sources."""
    zone = sources.window.zone
    if missing := [state for state in ("succeeded", "failed", "waiting") if state in sources.missing[0]]:
        share = "" if missing == ["waiting"] else ", and no share that failed"
        is_all = len({landed.statuses for landed in sources.telling}) == 1
        yield (
            f"{'Only' if is_all else 'Of some landings only'} {sources.narrowed} predictions were to land, "
            f"so there is no number of {joined_with_and(missing)} ones here{share}."
        )
    for service, oldest in sources.since.items():
        if oldest > sources.window.before:
            whose = f" of {SUBJECTS[service].service.title}" if len(sources.services) > 1 else ""
            yield (
                f"The sources hold nothing{whose} created before {in_zone(oldest, zone):%Y-%m-%d %H:%M}, so "
                "the period before may not be whole. Give the report earlier landings, too, to compare with "
                "it."
            )
    if sources.limits:
        limits = joined_with_and(sources.limits)
        yield f"The landings were limited by {limits}, so predictions may be missing here."
    for service, committed in sources.ended.items():
        yield (
            f"The newest landing of {SUBJECTS[service].service.title} was committed at "
            f"{in_zone(committed, zone):%Y-%m-%d %H:%M}, before the end of the period. Predictions that were "
            "created later are missing here."
        )
    for landed in sources.telling:
        if landed.manifest["inconsistency"] and landed.manifest["consistent"] is not None:
            yield f"Records may be missing from {landed.path}: {landed.manifest['inconsistency']}"
