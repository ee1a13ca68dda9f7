"""Write the files of a report to a local directory: the page, the tables as CSV, and the summary."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from airflow_provider_predictions.api.errors import ConfigurationError
from airflow_provider_predictions.api.filters import utc
from airflow_provider_predictions.api.models import as_time
from airflow_provider_predictions.report import page
from airflow_provider_predictions.report.database import Database
from airflow_provider_predictions.report.measures import MEASURES, Measure, measures_of
from airflow_provider_predictions.report.options import DEFAULTS, Options
from airflow_provider_predictions.report.source import Landed
from airflow_provider_predictions.report.subjects import SUBJECTS
from airflow_provider_predictions.report.summary import VERSION, Change, Content, History, Number, Summary
from airflow_provider_predictions.report.targets import count_missed, judged, verdict
from airflow_provider_predictions.report.window import Window, in_zone
from airflow_provider_predictions.report.words import change, clean, number

PAGE, SUMMARY = "report.html", "summary.json"
MAX_ROWS = 50
"""Rows of a table that the page gets."""
MAX_GROUPS = 10
MAX_CHANGES = 10
"""The most groups, and the most changes, in the summary."""


@dataclass(frozen=True)
class Sources:
    """The landings of a report, and which periods they cover."""

    landings: Sequence[Landed]
    window: Window

    @cached_property
    def read(self) -> list[Landed]:
        """The landings that may hold predictions of the window."""
        return [landed for landed in self.landings if not landed.outside(self.window)]

    @cached_property
    def services(self) -> list[str]:
        """The services of the landings, in alphabetical order.

        :raises ConfigurationError: if a service has no reports.
        """
        found = sorted({landed.manifest["service"] for landed in self.landings})
        if unknown := set(found) - set(SUBJECTS):
            raise ConfigurationError(
                f"source: holds landings of {_listed(sorted(unknown))}; there are reports of "
                f"{_listed(sorted(SUBJECTS))} only"
            )
        return found

    @cached_property
    def oldest(self) -> datetime | None:
        """The earliest creation time from which the sources are known to be complete."""
        times = [as_time(landed.manifest["created_min"]) for landed in self.landings]
        # An incremental path holds what was finished before, though its older landings may not be listed.
        times += [
            as_time(landed.manifest.get("committed_at"))
            for landed in self.landings
            if "incremental" in landed.manifest
        ]
        return min(filter(None, times), default=None)

    def is_whole(self, age: int) -> bool:
        """Whether the sources cover a period. The period before counts if they cover a part of it."""
        starts = self.window.starts
        return age == 0 or (
            self.oldest is not None and self.oldest <= starts[age] if age > 1 else self._reaches_before
        )

    @property
    def _reaches_before(self) -> bool:
        return self.oldest is not None and self.oldest < self.window.start

    def restricted(self, age: int) -> list[Landed]:
        """The landings with a filter on statuses that were committed after a period began."""
        start = self.window.starts[age]
        return [
            landed
            for landed in self.read
            if landed.statuses is not None
            and (as_time(landed.manifest.get("committed_at")) or self.window.end) > start
        ]

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
        return " or only ".join(sorted(_listed(sorted(words)) for words in asked if words is not None))


def build(
    landings: Sequence[Landed],
    window: Window,
    directory: Path,
    workspace: Path,
    options: Options = DEFAULTS,
) -> Content:
    """Write the files of a report: the page, a CSV for each table, and the summary.

    :param directory: where the files are written.
    :param workspace: an empty directory for temporary files.
    :raises ConfigurationError: if a landing is of a service that has no reports.
    :raises DamagedLandingError: if a part is not what its manifest says.
    """
    sources = Sources(landings, window)
    measures = measures_of(sources.services, priced=options.price_per_credit is not None)
    with Database(
        sources.services, window, workspace, options.group_by, options.price_per_credit
    ) as database:
        for (outside, root), count in _unread(landings, window).items():
            database.leave_out(f"in landings of {outside} predictions only, which were not read", count, root)
        for landed in sources.read:
            database.load(landed)
        database.keep()
        tables = database.define(measures, sources.missing)
        for table in tables:
            database.write_csv(table, directory / f"{table.name}.csv")
        summary = _summary(sources, database, measures, options)
        content = Content(
            summary=summary,
            window=window,
            tables=[database.filled(table, MAX_ROWS, sources.missing[0]) for table in tables],
            group=group_word(sources.services, options.group_by),
            landings=len(landings),
            made=datetime.now(UTC),
            made_by=options.made_by,
            logo=options.logo,
            prediction_url=options.prediction_url,
            page_url=options.page_url,
        )
    (directory / PAGE).write_text(page.render(content), "utf-8")
    (directory / SUMMARY).write_text(json.dumps(summary, indent=2), "utf-8")
    return content


def group_word(services: Sequence[str], group_by: str | None) -> str:
    """One word for what predictions are grouped by."""
    if group_by:
        return group_by.rpartition(".")[2]
    return SUBJECTS[services[0]].group if len(services) == 1 else "group"


def _summary(sources: Sources, database: Database, measures: Sequence[Measure], options: Options) -> Summary:
    window, currency = sources.window, options.currency
    changes: list[Change] = [
        {"measure": measure, "group": clean(group), "now": now, "before": before, "score": score}
        for measure, group, now, before, score in database.rows("changes", MAX_CHANGES)[1]
    ]
    totals = _totals(sources, database, measures)
    named = {name.partition(":")[2] for name in options.targets} | {change["group"] for change in changes}
    groups = _groups(sources, database, measures, {name for name in named if name})
    targets = [
        judged(name, bounds, *_value(name, sources, totals, groups, measures))
        for name, bounds in options.targets.items()
    ]
    judgement = verdict(targets, changes, totals, groups, currency)
    services = [SUBJECTS[service].service.title for service in sources.services]
    title = options.title or f"{_listed(services)}, {window.title}"
    statuses = database.pairs("SELECT status, count(*) FROM record WHERE age = 0 GROUP BY ALL ORDER BY ALL")
    left_out = database.pairs(
        "SELECT reason, sum(count) FROM left_out_of GROUP BY ALL HAVING sum(count) > 0 ORDER BY ALL"
    )
    return {
        "version": VERSION,
        "services": sources.services,
        "title": title,
        "period": {
            "start": utc(window.start),
            "end": utc(window.end),
            "before": utc(window.before),
            "timezone": window.zone.key,
        },
        "currency": currency,
        "price_per_credit": options.price_per_credit,
        "count": int(totals["predictions"]["now"] or 0),
        "measures": totals,
        "groups": groups,
        "statuses": {clean(status): count for status, count in statuses.items()},
        "targets": targets,
        "changes": changes,
        "verdict": judgement,
        "late": database.pairs("SELECT 'late', coalesce(sum(predictions), 0) FROM shown_late")["late"],
        "left_out": left_out,
        "notes": _notes(sources),
        "text": " ".join(
            filter(
                None, [f"{title}: {_counts(totals)}.", judgement["text"], _sentence(count_missed(targets))]
            )
        ),
    }


def _totals(sources: Sources, database: Database, measures: Sequence[Measure]) -> dict[str, History]:
    """Each measure of all predictions, with its history."""
    found: dict[str, History] = {}
    ages = [age for age in range(len(sources.window.starts)) if age <= 1 or sources.is_whole(age)]
    for of_table in _by_table(measures):
        numbers = database.measured(of_table)
        for place, measure in enumerate(of_table):
            values = [
                numbers.get((None, age), numbers[None, -1])[place]
                if sources.is_whole(age) and measure.is_known(sources.missing[age])
                else None
                for age in ages
            ]
            found[measure.name] = {"now": values[0], "before": values[1], "history": values[::-1]}
    return {measure.name: found[measure.name] for measure in measures}


def _groups(
    sources: Sources, database: Database, measures: Sequence[Measure], named: Collection[str]
) -> dict[str, dict[str, Number]]:
    """Each measure of the largest groups, and of the groups that targets and changes name."""
    found: dict[str, dict[str, Number]] = {}
    for of_table in _by_table(measures):
        largest = database.largest(of_table[0], MAX_GROUPS) if of_table[0].table != "problem" else []
        numbers = database.measured(of_table, {*largest, *named})
        seen = {group for group, _ in numbers}
        names = {clean(group): group for group in [*sorted(named), *reversed(largest)] if group in seen}
        for name, group in reversed(names.items()):
            for place, measure in enumerate(of_table):
                now, before = (
                    numbers.get((group, age), numbers[None, -1])[place]
                    if sources.is_whole(age) and measure.is_known(sources.missing[age])
                    else None
                    for age in (0, 1)
                )
                found.setdefault(name, {})[measure.name] = {"now": now, "before": before}
    return found


def _by_table(measures: Sequence[Measure]) -> list[list[Measure]]:
    tables = dict.fromkeys(measure.table for measure in measures)
    return [[measure for measure in measures if measure.table == table] for table in tables]


def _value(
    name: str,
    sources: Sources,
    totals: Mapping[str, Number],
    groups: Mapping[str, Mapping[str, Number]],
    measures: Sequence[Measure],
) -> tuple[float | None, str]:
    """The value of a target's measure, and the reason if it is None."""
    measure, _, group = name.partition(":")
    if MEASURES[measure] not in measures:
        titles = _listed([SUBJECTS[service].service.title for service in sources.services])
        return None, f"{titles} has no {measure}"
    if not MEASURES[measure].is_known(sources.missing[0]):
        return None, f"only {sources.narrowed} predictions were to land"
    if group and measure not in groups.get(clean(group), {}):
        return None, f"there is no {clean(group)} in this period or in the one before"
    value = (groups[clean(group)] if group else totals)[measure]["now"]
    return value, "this period has nothing to compute it from"


def _counts(totals: Mapping[str, Number]) -> str:
    count, share = totals["predictions"], totals["failed_share"]["now"]
    text = f"{number('count', count['now'])} predictions"
    if count["before"]:
        text += f" ({change('count', count['now'], count['before'])})"
    return text if share is None else f"{text}, {number('share', share)} of the finished ones failed"


def _sentence(text: str) -> str:
    return f"{text}." if text else ""


def _unread(landings: Sequence[Landed], window: Window) -> Counter[tuple[str, str]]:
    """The number of predictions in landings wholly outside of the window, by side and path."""
    counts: Counter[tuple[str, str]] = Counter()
    for landed in landings:
        if outside := landed.outside(window):
            counts[outside, str(landed.root)] += landed.manifest["count"]
    return counts


def _listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def _notes(sources: Sources) -> list[str]:
    """What a reader needs to know about the sources."""
    notes, window = [], sources.window
    missing = [state for state in ("succeeded", "failed", "waiting") if state in sources.missing[0]]
    if missing:
        share = "" if missing == ["waiting"] else ", and no share that failed"
        which = "Only" if len({landed.statuses for landed in sources.read}) == 1 else "Of some landings only"
        notes.append(
            f"{which} {sources.narrowed} predictions were to land, so there is no number of "
            f"{_listed(missing)} ones here{share}."
        )
    if sources.oldest and sources.oldest > window.before:
        moment = f"{in_zone(sources.oldest, window.zone):%Y-%m-%d %H:%M}"
        notes.append(
            f"The sources hold nothing created before {moment}, so the period before may not be whole. Give "
            "the report earlier landings, too, to compare with it."
        )
    notes.extend(
        f"Records may be missing from {landed.path}: {landed.manifest['inconsistency']}"
        for landed in sources.read
        if landed.manifest["inconsistency"] and landed.manifest["consistent"] is not None
    )
    return notes
