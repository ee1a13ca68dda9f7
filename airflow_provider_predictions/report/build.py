"""Write the files of a report to a local directory: the page, the tables as CSV, and the summary."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from airflow_provider_predictions.api.filters import utc
from airflow_provider_predictions.report import page
from airflow_provider_predictions.report.coverage import Sources, notes_of
from airflow_provider_predictions.report.database import Database
from airflow_provider_predictions.report.measures import MEASURES, Measure, measures_of
from airflow_provider_predictions.report.options import DEFAULTS, Options
from airflow_provider_predictions.report.source import Landed
from airflow_provider_predictions.report.subjects import SUBJECTS
from airflow_provider_predictions.report.summary import VERSION, Change, Content, History, Number, Summary
from airflow_provider_predictions.report.targets import Facts, count_missed, judged, verdict
from airflow_provider_predictions.report.window import Window
from airflow_provider_predictions.report.words import change, clean, listed, number

PAGE, SUMMARY = "report.html", "summary.json"
MAX_ROWS = 50
"""Rows of a table that the page gets."""
MAX_GROUPS = 10
MAX_CHANGES = 10
"""The most groups, and the most changes, in the summary."""


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
    with Database(sources.services, window, workspace, options.price_per_credit) as database:
        for (outside, root), count in _unread(landings, window).items():
            database.leave_out(f"in landings of {outside} predictions only, which were not read", count, root)
        database.load(sources.read, options.group_by)
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
    changes = [_change(*row) for row in database.rows("changes", MAX_CHANGES)[1]]
    totals = _totals(sources, database, measures)
    named = {name.partition(":")[2] for name in options.targets} | {one["group"] for one in changes}
    groups = _groups(sources, database, measures, {name for name in named if name})
    shown: dict[str, dict[str, Number]] = {}
    for name, numbers in groups.items():  # of those that look alike, the first is the largest
        shown.setdefault(clean(name), numbers)
    targets = [
        judged(name, bounds, *_value(name, sources, totals, groups, measures))
        for name, bounds in options.targets.items()
    ]
    overall = [_change(measure, None, *numbers) for measure, *numbers in database.overall()]
    judgement = verdict(targets, Facts(totals, groups, changes, overall, currency, not sources.ended))
    services = [SUBJECTS[service].service.title for service in sources.services]
    title = options.title or f"{listed(services)}, {window.title}"
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
        "groups": shown,
        "statuses": {clean(status): count for status, count in statuses.items()},
        "targets": targets,
        "changes": [{**one, "group": clean(one["group"])} for one in changes],
        "verdict": judgement,
        "late": database.pairs("SELECT 'late', coalesce(sum(predictions), 0) FROM shown_late")["late"],
        "left_out": left_out,
        "notes": notes_of(sources),
        "text": " ".join(
            filter(
                None, [f"{title}: {_counts(totals)}.", judgement["text"], _sentence(count_missed(targets))]
            )
        ),
    }


def _change(measure: str, group: str | None, now: float, before: float, score: float) -> Change:
    return {"measure": measure, "group": group, "now": now, "before": before, "score": score}


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
        for group in (name for name in dict.fromkeys([*largest, *sorted(named)]) if name in seen):
            for place, measure in enumerate(of_table):
                now, before = (
                    numbers.get((group, age), numbers[None, -1])[place]
                    if sources.is_whole(age) and measure.is_known(sources.missing[age])
                    else None
                    for age in (0, 1)
                )
                found.setdefault(group, {})[measure.name] = {"now": now, "before": before}
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
        titles = listed([SUBJECTS[service].service.title for service in sources.services])
        return None, f"{titles} has no {measure}"
    if not MEASURES[measure].is_known(sources.missing[0]):
        return None, f"only {sources.narrowed} predictions were to land"
    if group and measure not in groups.get(group, {}):
        return None, f"there is no {clean(group)} in this period or in the one before"
    value = (groups[group] if group else totals)[measure]["now"]
    return value, "this period has nothing to compute it from"


def _counts(totals: Mapping[str, Number]) -> str:
    count, share = totals["predictions"], totals["failed_share"]["now"]
    text = f"{number('count', count['now'])} prediction{'' if count['now'] == 1 else 's'}"
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
