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
from airflow_provider_predictions.report.measures import Measure
from airflow_provider_predictions.report.subjects import SUBJECTS
from airflow_provider_predictions.report.summary import (
    VERSION,
    Change,
    Content,
    History,
    Number,
    Options,
    Period,
    Summary,
    Verdict,
)
from airflow_provider_predictions.report.targets import Numbers, count_missed, judged, verdict
from airflow_provider_predictions.report.uncounted import note_on_values, uncounted
from airflow_provider_predictions.report.window import Window
from airflow_provider_predictions.report.words import change, joined_with_and, number, without_controls
from airflow_provider_predictions.storage.landed import Landed

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
    with closing(Database(sources, workspace, options)) as database:
        database.load()
        tables = database.tables(directory)
        summary = _summary(sources, database, options)
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


def _summary(sources: Sources, database: Database, options: Options) -> Summary:
    window = sources.window
    changes, overall = _changes(database, "changes"), _changes(database, "overall")
    shown = changes[:MAX_CHANGES]
    totals, groups = _numbers(sources, database, [*options.targets], shown)
    numbers: Numbers = {None: totals, **groups}
    lacking = database.without_values
    targets = [judged(*target, numbers, sources, lacking.get(0, 0)) for target in options.targets.items()]
    judgement = verdict(targets, numbers, changes, overall, options.currency)
    judgement["text"] = " ".join([judgement["text"], *uncounted(sources, database.undated)])
    start, end, before = map(utc, (window.start, window.end, window.before))
    title = options.title or f"{joined_with_and(sources.titles)}, {window.title}"
    return {
        "version": VERSION,
        "services": sources.services,
        "title": title,
        "period": Period(start=start, end=end, before=before, timezone=window.zone.key),
        "currency": options.currency,
        "price_per_credit": options.price_per_credit,
        "count": int(totals["predictions"]["now"] or 0),
        "measures": totals,
        "groups": _shown(groups),
        "statuses": {without_controls(status): count for status, count in database.rows("by_status")},
        "targets": targets,
        "changes": [{**one, "group": without_controls(one["group"])} for one in shown],
        "verdict": judgement,
        "late": sum(count for _, count in database.rows("late_by_status")),
        "left_out": dict(database.rows("left_out_by_reason")),
        "notes": [*notes_of(sources), *note_on_values(lacking)],
        "text": _text(title, totals, judgement, count_missed(targets)),
    }


def _changes(database: Database, view: str) -> list[Change]:
    """The rows of ``changes``, of groups, or of ``overall``, of all predictions together."""
    return [
        {"measure": measure, "group": group, "now": now, "before": before, "score": score}
        for measure, group, now, before, score in database.rows(view)
    ]


def _numbers(
    sources: Sources, database: Database, targets: Sequence[str], changes: Sequence[Change]
) -> tuple[dict[str, History], dict[str | None, dict[str, Number]]]:
    """The measures of all predictions, and of the largest groups and those that targets and changes name."""
    named = {name.partition(":")[2] for name in targets} | {one["group"] or "" for one in changes}
    largest = (name for (name,) in database.rows("largest"))
    groups = dict.fromkeys([*largest, *sorted(named - {""})])
    found, measures = database.measured(groups), database.measures

    def value(measure: Measure, group: str | None, age: int) -> float | None:
        is_known = sources.is_whole[age] and measure.is_known(sources.missing[age])
        number = found.get((group, age, measure.name), 0 if measure.is_sum else None)
        is_nothing = measure.is_of_values and age in database.without_values and not number
        return number if is_known and not is_nothing else None

    def number_of(measure: Measure, group: str | None) -> Number:
        return {"now": value(measure, group, 0), "before": value(measure, group, 1)}

    oldest = max(age for age in range(len(sources.window.starts)) if age <= 1 or sources.is_whole[age])
    ages = range(oldest, -1, -1)
    totals: dict[str, History] = {
        one.name: {**number_of(one, None), "history": [value(one, None, age) for age in ages]}
        for one in measures
    }
    with_rows = {(group, name) for group, age, name in found}
    numbers: dict[str | None, dict[str, Number]] = {
        group: {one.name: number_of(one, group) for one in measures if (group, one.name) in with_rows}
        for group in groups
    }
    return totals, {group: of_group for group, of_group in numbers.items() if of_group}


def _shown(groups: Mapping[str | None, dict[str, Number]]) -> dict[str, dict[str, Number]]:
    shown: dict[str, dict[str, Number]] = {}
    for name, numbers in groups.items():  # of those that look alike, the first is the largest
        shown.setdefault(without_controls(name), numbers)
    return shown


def _text(title: str, totals: Mapping[str, Number], judgement: Verdict, missed: str) -> str:
    count, share = totals["predictions"], totals["failed_share"]["now"]
    text = f"{title}: {number('count', count['now'])} prediction{'' if count['now'] == 1 else 's'}"
    if count["before"]:
        text += f" ({change('count', count['now'], count['before'])})"
    if share is not None:
        text += f", {number('share', share)} of the finished ones failed"
    return f"{text}. {judgement['text']}{missed and f' {missed}.'}"
