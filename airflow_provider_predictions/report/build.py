"""Write the files of a report to a local directory: the page, the tables as CSV, and the summary."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from airflow_provider_predictions.api.filters import utc
from airflow_provider_predictions.report import page
from airflow_provider_predictions.report.coverage import Sources, notes_of
from airflow_provider_predictions.report.database import Database
from airflow_provider_predictions.report.measures import Measure, measures_of
from airflow_provider_predictions.report.source import Landed
from airflow_provider_predictions.report.subjects import SUBJECTS
from airflow_provider_predictions.report.summary import (
    VERSION,
    Change,
    Content,
    History,
    Number,
    Options,
    Summary,
    Targets,
    Verdict,
)
from airflow_provider_predictions.report.targets import Numbers, count_missed, judged, verdict
from airflow_provider_predictions.report.window import Window
from airflow_provider_predictions.report.words import change, clean, listed, number

PAGE, SUMMARY = "report.html", "summary.json"
MAX_CHANGES = 10
"""The most changes in the summary."""


def build(
    landings: Sequence[Landed], window: Window, directory: Path, workspace: Path, options: Options
) -> Content:
    """Write the files of a report: the page, a CSV for each table, and the summary.

    :param directory: where the files are written.
    :param workspace: an empty directory for temporary files.
    :raises ConfigurationError: if a landing is of a service that has no reports.
    :raises DamagedLandingError: if a part is not what its manifest says.
    """
    sources = Sources(landings, window)
    measures = measures_of(sources.services, priced=options.price_per_credit is not None)
    with closing(Database(sources, workspace, options.price_per_credit)) as database:
        database.load(options.group_by)
        tables = database.tables(measures, directory)
        summary = _summary(sources, database, measures, options)
    content = Content(
        summary, window, tables, _group_word(sources, options), len(landings), datetime.now(UTC), options
    )
    (directory / PAGE).write_text(page.render(content), "utf-8")
    (directory / SUMMARY).write_text(json.dumps(summary, indent=2), "utf-8")
    return content


def _group_word(sources: Sources, options: Options) -> str:
    if options.group_by:
        return options.group_by.rpartition(".")[2]
    return SUBJECTS[sources.services[0]].group if len(sources.services) == 1 else "group"


def _summary(sources: Sources, database: Database, measures: Sequence[Measure], options: Options) -> Summary:
    window = sources.window
    every_change = database.changes("changes")
    changes = every_change[:MAX_CHANGES]
    totals, groups = _numbers(sources, database, measures, options.targets, changes)
    numbers: Numbers = {None: totals, **groups}
    targets = [judged(name, bounds, numbers, sources) for name, bounds in options.targets.items()]
    overall = database.changes("overall")
    judgement = verdict(targets, numbers, every_change, overall, options.currency, sources.ended)
    title = options.title or f"{listed(sources.titles)}, {window.title}"
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
        "groups": _shown(groups),
        "statuses": {clean(status): count for status, count in database.pairs("by_status").items()},
        "targets": targets,
        "changes": [{**one, "group": clean(one["group"])} for one in changes],
        "verdict": judgement,
        "late": sum(database.pairs("late_by_status").values()),
        "left_out": database.pairs("left_out_by_reason"),
        "notes": notes_of(sources),
        "text": _text(title, totals, judgement, count_missed(targets)),
    }


def _numbers(
    sources: Sources,
    database: Database,
    measures: Sequence[Measure],
    targets: Targets,
    changes: Sequence[Change],
) -> tuple[dict[str, History], dict[str | None, dict[str, Number]]]:
    """The measures of all predictions, and of the largest groups and those that targets and changes name."""
    named = {name.partition(":")[2] for name in targets} | {one["group"] or "" for one in changes}
    groups = dict.fromkeys([*database.largest(), *sorted(named - {""})])
    found = database.measured(measures) | database.measured(measures, groups)

    def value(measure: Measure, group: str | None, age: int) -> float | None:
        is_known = sources.is_whole(age) and measure.is_known(sources.missing[age])
        return found.get((group, age, measure.name), measure.of_nothing) if is_known else None

    ages = [age for age in reversed(range(len(sources.window.starts))) if age <= 1 or sources.is_whole(age)]
    totals: dict[str, History] = {}
    for one in measures:
        history = [value(one, None, age) for age in ages]
        totals[one.name] = {"now": history[-1], "before": history[-2], "history": history}
    numbers: dict[str | None, dict[str, Number]] = {}
    for group in groups:
        for one in measures:
            if any((group, age, one.name) in found for age in (0, 1)):
                number: Number = {"now": value(one, group, 0), "before": value(one, group, 1)}
                numbers.setdefault(group, {})[one.name] = number
    return totals, numbers


def _shown(groups: Mapping[str | None, dict[str, Number]]) -> dict[str, dict[str, Number]]:
    shown: dict[str, dict[str, Number]] = {}
    for name, numbers in groups.items():  # of those that look alike, the first is the largest
        shown.setdefault(clean(name), numbers)
    return shown


def _text(title: str, totals: Mapping[str, Number], judgement: Verdict, missed: str) -> str:
    count, share = totals["predictions"], totals["failed_share"]["now"]
    text = f"{title}: {number('count', count['now'])} prediction{'' if count['now'] == 1 else 's'}"
    if count["before"]:
        text += f" ({change('count', count['now'], count['before'])})"
    if share is not None:
        text += f", {number('share', share)} of the finished ones failed"
    return f"{text}. {judgement['text']}{missed and f' {missed}.'}"
