"""Write the files of a report to a local directory: the page, the tables as CSV, and the summary."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from airflow_provider_predictions.api.filters import utc
from airflow_provider_predictions.report import page
from airflow_provider_predictions.report.coverage import Sources, notes_of
from airflow_provider_predictions.report.database import Database
from airflow_provider_predictions.report.measures import MEASURES, Measure, measures_of
from airflow_provider_predictions.report.options import DEFAULTS, Options, Targets
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
        database.leave_out(sources.left_out)
        database.load(sources.read, options.group_by)
        tables = database.tables(measures, sources.missing, MAX_ROWS, directory)
        summary = _summary(sources, database, measures, options)
    group = group_word(sources.services, options.group_by)
    content = Content(summary, window, tables, group, len(landings), datetime.now(UTC), options)
    (directory / PAGE).write_text(page.render(content), "utf-8")
    (directory / SUMMARY).write_text(json.dumps(summary, indent=2), "utf-8")
    return content


def group_word(services: Sequence[str], group_by: str | None) -> str:
    """One word for what predictions are grouped by."""
    if group_by:
        return group_by.rpartition(".")[2]
    return SUBJECTS[services[0]].group if len(services) == 1 else "group"


def _summary(sources: Sources, database: Database, measures: Sequence[Measure], options: Options) -> Summary:
    window = sources.window
    every_change = database.changes("changes")
    changes = every_change[:MAX_CHANGES]
    totals, groups = _numbers(sources, database, measures, options.targets, changes)
    shown: dict[str, dict[str, Number]] = {}
    for name, numbers in groups.items():  # of those that look alike, the first is the largest
        shown.setdefault(clean(name), numbers)
    targets = [
        judged(name, bounds, *_value(name, sources, totals, groups, measures))
        for name, bounds in options.targets.items()
    ]
    overall = database.changes("overall")
    facts = Facts(totals, groups, every_change, overall, options.currency, not sources.ended)
    judgement = verdict(targets, facts)
    title = options.title or f"{listed(sources.titles)}, {window.title}"
    missed = count_missed(targets)
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
        "currency": options.currency,
        "price_per_credit": options.price_per_credit,
        "count": int(totals["predictions"]["now"] or 0),
        "measures": totals,
        "groups": shown,
        "statuses": {clean(status): count for status, count in database.pairs("by_status").items()},
        "targets": targets,
        "changes": [{**one, "group": clean(one["group"])} for one in changes],
        "verdict": judgement,
        "late": sum(database.pairs("late_by_status").values()),
        "left_out": database.pairs("left_out_by_reason"),
        "notes": notes_of(sources),
        "text": f"{title}: {_counts(totals)}. {judgement['text']}{missed and f' {missed}.'}",
    }


def _numbers(
    sources: Sources,
    database: Database,
    measures: Sequence[Measure],
    targets: Targets,
    changes: Sequence[Change],
) -> tuple[dict[str, History], dict[str, dict[str, Number]]]:
    """The measures of all predictions, and of the largest groups and those that targets and changes name."""
    largest = [name for table in ("record", "field") for name in database.largest(table, MAX_GROUPS)]
    named = {name.partition(":")[2] for name in targets} | {one["group"] or "" for one in changes}
    groups = dict.fromkeys([*largest, *sorted(named - {""})])
    found = database.measured(measures) | database.measured(measures, groups)

    def value(measure: Measure, group: str | None, age: int) -> float | None:
        is_known = sources.is_whole(age) and measure.is_known(sources.missing[age])
        return found.get((group, age, measure.name), measure.of_nothing) if is_known else None

    totals: dict[str, History] = {}
    ages = [age for age in range(len(sources.window.starts)) if age <= 1 or sources.is_whole(age)]
    for one in measures:
        values = [value(one, None, age) for age in ages]
        totals[one.name] = {"now": values[0], "before": values[1], "history": values[::-1]}
    numbers: dict[str, dict[str, Number]] = {}
    for group in groups:
        for one in measures:
            if any((group, age, one.name) in found for age in (0, 1)):
                number: Number = {"now": value(one, group, 0), "before": value(one, group, 1)}
                numbers.setdefault(group, {})[one.name] = number
    return totals, numbers


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
        return None, f"{listed(sources.titles)} has no {measure}"
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
