"""What the landings of a report cover: which periods, which states, and what the page says about it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from airflow_provider_predictions.api.errors import ConfigurationError
from airflow_provider_predictions.report.streams import TIMES, Stream, may_hold, narrowing
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
        """The landings whose filters say what may be missing."""
        return [*filter(self._tells, self.landings)]

    def _tells(self, landed: Landed, age: int = 0) -> bool:
        """Whether it is read, or its filters may be why it holds nothing of a period.

        It may have held older predictions only when the period had begun, or newer ones only as the first
        that began after the end.
        """
        outside = landed.outside(self.window.span)
        if outside == "newer":
            return any(landed is one for one in self._closing)
        return not outside or self._is_after(landed, self.window.starts[age])

    @cached_property
    def _closing(self) -> list[Landed | None]:
        return [stream.first_after(self.window.end) for stream in self.streams]

    def _is_after(self, landed: Landed, start: datetime) -> bool:
        """Whether a landing was committed after a moment, or as the last one of its service."""
        return landed.is_after(start) or landed.committed == self.newest[landed.manifest["service"]]

    def _lacking(self, age: int) -> Iterator[tuple[Landed, dict[str, Any]]]:
        """What each landing may lack of a period: the filters that are the reason, with their values."""
        start, end = self.window.period(age)
        for stream in self.streams:
            gaps, is_all = stream.gaps(start, end), stream.holds_all(start, end)
            for landed in (one for one in stream.landings if self._tells(one, age)):
                reasons = stream.cuts(landed, gaps)
                if may_hold(landed, start, end) and self._is_after(landed, start):
                    # What a landing has seen last replaces what one without a filter has seen.
                    reasons += [name for name in narrowing(landed) if name == "statuses" or not is_all]
                yield landed, {name: landed.manifest["filters"][name] for name in reasons}

    @property
    def left_out(self) -> list[tuple[str, int, str]]:
        """What is not read: the reason, the number of records, and the path they are under."""
        found = Counter[tuple[str, str]]()
        for landed in self.landings:
            if outside := landed.outside(self.window.span):
                reason = f"in landings of {outside} predictions only, which were not read"
                found[reason, str(landed.root)] += landed.manifest["count"]
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
    def streams(self) -> list[Stream]:
        found = defaultdict[tuple[str, str], list[Landed]](list)
        for landed in self.landings:
            found[landed.manifest["service"], landed.incremental_path].append(landed)
        return [Stream(*key, found[key]) for key in sorted(found)]

    @cached_property
    def is_whole(self) -> list[bool]:
        """For each age, whether that period can be compared: covered, with the filters of this one."""
        ages = range(len(self.window.starts))
        return [age == 0 or (self._covers(age) and not self.differing(age)) for age in ages]

    def _covers(self, age: int) -> bool:
        """Whether the sources cover a period. The period before may begin before the first prediction.

        A stream that had ended before the period counts only if all had: a path may be given up.
        """
        start, end = self.window.period(age)
        streams = [one for one in self.streams if one.end > start]
        times = [one.since for one in streams if one.since]
        return (
            bool(times)
            and (max(times) < end if age == 1 else max(times) <= start)
            and all(one.covers(start, end) for one in streams)
        )

    def differing(self, age: int) -> list[str]:
        """The filters by which a covered period holds other predictions than this one."""
        if not self._covers(age):
            return []
        periods = self.window.period(0), self.window.period(age)
        found = {name for stream in self.streams for name in stream.differing(periods)}
        return sorted(found.union(name for name in self.limits if name in TIMES))

    @cached_property
    def newest(self) -> dict[str, datetime]:
        """The newest commit of each service."""
        return {one.manifest["service"]: one.committed for one in self.landings if one.committed}

    @property
    def reach_period(self) -> bool:
        """Whether any landing may hold predictions of the period."""
        return any(one.end > self.window.start for one in self.streams)

    @cached_property
    def limits(self) -> list[str]:
        """The filters, besides that on statuses, that may have left out predictions of the period."""
        return sorted({name for _, lacks in self._lacking(0) for name in lacks} - {"statuses"})

    @cached_property
    def missing(self) -> list[set[str]]:
        """For each age, the states that a filter on statuses left out in whole or in part."""
        return [
            {
                state
                for landed, lacks in self._lacking(age)
                if "statuses" in lacks
                for state, words in SUBJECTS[landed.manifest["service"]].states.items()
                if not words <= {*lacks["statuses"]}
            }
            for age in range(len(self.window.starts))
        ]

    @property
    def narrowed(self) -> str:
        """The statuses that the landings were limited to, in words."""
        asked = (lacks["statuses"] for _, lacks in self._lacking(0) if "statuses" in lacks)
        return " or only ".join(sorted({joined_with_and(sorted(words)) for words in asked}))


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
    for stream in sources.streams:
        yield from _notes_of_past(sources, stream)
    if sources.limits:
        limits = joined_with_and(sources.limits)
        yield f"The landings were limited by {limits}, so predictions may be missing here."
    if differing := sources.differing(1):
        yield (
            "The landings of this period and of the period before have different filters "
            f"({joined_with_and(differing)}), so nothing is compared."
        )
    for stream in sources.streams:
        if stream.newest and stream.newest < sources.window.end:
            yield (
                f"The newest landing of {_name(sources, stream)} began at "
                f"{in_zone(stream.newest, zone):%Y-%m-%d %H:%M}, before the end of the period. Predictions "
                "that were created later may be missing here."
                f"{' A run that finds nothing leaves no trace.' if stream.path else ''}"
            )
    for landed in sources.telling:
        if landed.manifest["inconsistency"] and landed.manifest["consistent"] is not None:
            yield f"Records may be missing from {landed.path}: {landed.manifest['inconsistency']}"


def _notes_of_past(sources: Sources, stream: Stream) -> Iterator[str]:
    """What the landings of a stream lack at their beginning and in the period before."""
    since, start, before = stream.since, sources.window.start, sources.window.before
    whose = f" of {_name(sources, stream)}" if len(sources.streams) > 1 else ""
    if stream.lacks_commits and (since is None or since > before):
        yield (
            f"The sources hold only some of the landings under {stream.path}, so predictions may be missing "
            "here. Give the report that path."
        )
    elif since and since > before:
        moment = f"{in_zone(since, sources.window.zone):%Y-%m-%d %H:%M}"
        yield (
            f"The sources hold nothing{whose} created before {moment}, so the period before may not be "
            "whole. Give the report earlier landings, too, to compare with it."
        )
    elif since and stream.end > before and not stream.covers(before, min(start, stream.end)):
        yield f"The landings{whose} leave out a part of the period before, so nothing is compared with it."


def _name(sources: Sources, stream: Stream) -> str:
    """The service of a stream, and the path where it has several streams."""
    title = SUBJECTS[stream.service].service.title
    if [one.service for one in sources.streams].count(stream.service) == 1:
        return title
    return f"{title} {f'under {stream.path}' if stream.path else 'in other paths'}"
