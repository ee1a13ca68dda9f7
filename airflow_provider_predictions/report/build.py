"""A report as files of this machine: the page, the tables as CSV, and the summary."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TypedDict

from airflow_provider_predictions.api.errors import ConfigurationError
from airflow_provider_predictions.api.filters import utc
from airflow_provider_predictions.api.models import as_time
from airflow_provider_predictions.report.cradl import SUBJECT as CRADL
from airflow_provider_predictions.report.database import Database
from airflow_provider_predictions.report.page import (
    MAX_ROWS,
    cell_text,
    change,
    clean,
    render,
    show,
    show_drawn,
)
from airflow_provider_predictions.report.source import Landed
from airflow_provider_predictions.report.tables import CHANGES, LATE, LEFT_OUT, Subject
from airflow_provider_predictions.report.vlmrun import SUBJECT as VLMRUN
from airflow_provider_predictions.report.window import Window, in_zone

SUBJECTS = {subject.service.name: subject for subject in (VLMRUN, CRADL)}
PAGE, SUMMARY = "report.html", "summary.json"
NAMED = 5
"""How many changes are named on top."""


class Number(TypedDict):
    """A number of the period, and of the one before; None where there is nothing to compute it of."""

    now: float | None
    before: float | None


class Summary(TypedDict):
    """What a report says in short. Times are ISO 8601 in UTC; shares are 0 to 1, durations seconds.

    ``period`` has ``start``, ``end`` (not part of it), ``before`` (where the one before begins) and
    ``timezone``; ``changes`` are what differs from the period before by more than chance, the least likely
    first, in words; ``late`` are predictions created before the period that finished in it; ``left_out`` is
    what is not counted, by reason; ``text`` is all that in a sentence or two.
    """

    service: str
    period: dict[str, str]
    count: int
    totals: dict[str, Number]
    statuses: dict[str, int]
    changes: list[str]
    late: int
    left_out: dict[str, int]
    notes: list[str]
    text: str


def build(landings: Sequence[Landed], window: Window, directory: Path, workspace: Path) -> Summary:
    """Write the files of a report: the page, a CSV for each table, and the summary.

    :param directory: for the files.
    :param workspace: for what is not to be kept.
    :raises ConfigurationError: for landings of a service that has no reports.
    :raises DamagedLandingError: where a part is not what its manifest says.
    """
    subject = _subject(landings[0].manifest["service"])
    read = [landed for landed in landings if not landed.outside(window)]
    missing = _missing(subject, read)
    with Database(subject, window, workspace, missing) as database:
        for (outside, root), count in _unread(landings, window).items():
            database.leave_out(f"in landings of {outside} predictions only, which were not read", count, root)
        for landed in read:
            database.load(landed)
        database.keep()
        shown = []
        for table in (CHANGES, *subject.tables, LATE, LEFT_OUT):
            count = database.define(table)
            database.write_csv(table, directory / f"{table.name}.csv")
            if table.chart:
                shown.append(show_drawn(table, window, database.drawn(table)))
            elif table is not CHANGES:
                shown.append(show(table, window, *database.rows(table, MAX_ROWS), count))
        notes = [*_restrictions(read, missing), *_notes(landings, read, window)]
        summary = _summary(subject, window, database, notes)
    numbers = [
        (name.replace("_", " "), cell_text(name, now), cell_text(name, before), change(name, now, before))
        for name, (now, before) in ((name, number.values()) for name, number in summary["totals"].items())
    ]
    page = render(
        title=f"{subject.service.title} predictions, {window.title}",
        timezone=window.zone.key,
        start=_local(window.start, window),
        end=_local(window.end, window),
        before=_local(window.before, window),
        numbers=numbers,
        summary=summary,
        tables=shown,
        not_landed={table.name for table in (*subject.tables, LATE, LEFT_OUT) if table.state in missing},
        landings=len(landings),
    )
    (directory / PAGE).write_text(page, "utf-8")
    (directory / SUMMARY).write_text(json.dumps(summary, indent=2), "utf-8")
    return summary


def _subject(service: str) -> Subject:
    if service not in SUBJECTS:
        raise ConfigurationError(
            f"source: holds landings of {service}; there are reports of {' and '.join(sorted(SUBJECTS))} only"
        )
    return SUBJECTS[service]


def _summary(subject: Subject, window: Window, database: Database, notes: list[str]) -> Summary:
    totals: dict[str, Number] = {
        name: {"now": now, "before": before} for name, (now, before) in database.totals().items()
    }
    changes = [_sentence(*row) for row in database.rows(CHANGES, NAMED)[1]]
    statuses = database.pairs(
        "SELECT status, count(*) FROM record WHERE period = 'now' GROUP BY ALL ORDER BY ALL"
    )
    left_out = database.pairs(
        "SELECT reason, sum(count) FROM left_out GROUP BY ALL HAVING sum(count) > 0 ORDER BY ALL"
    )
    late = database.pairs("SELECT 'late', coalesce(sum(predictions), 0) FROM shown_late")["late"]
    count, share = totals["predictions"], totals["share_failed"]["now"]
    text = f"{subject.service.title}, {window.title}: {cell_text('', count['now'])} predictions"
    if count["before"]:
        text += f" ({change('', count['now'], count['before'])})"
    if share is not None:
        text += f", {cell_text('share', share)} of the finished ones failed"
    if changes:
        text += f". Most changed: {changes[0]}"
    return {
        "service": subject.service.name,
        "period": {
            "start": utc(window.start),
            "end": utc(window.end),
            "before": utc(window.before),
            "timezone": window.zone.key,
        },
        "count": int(count["now"] or 0),
        "totals": totals,
        "statuses": {clean(status): count for status, count in statuses.items()},
        "changes": changes,
        "late": late,
        "left_out": left_out,
        "notes": notes,
        "text": f"{text}.",
    }


def _sentence(measure: str, group: str | None, now: float, before: float, *_: object) -> str:
    of = f"{cell_text('', clean(group))}: " if group is not None else ""
    then, here = cell_text(measure, before), cell_text(measure, now)
    return f"{of}{measure} {then} → {here} ({change(measure, now, before)})"


def _unread(landings: Sequence[Landed], window: Window) -> Counter[tuple[str, str]]:
    """How many predictions lie in landings wholly outside of the window, by side and path."""
    counts: Counter[tuple[str, str]] = Counter()
    for landed in landings:
        if outside := landed.outside(window):
            counts[outside, str(landed.root)] += landed.manifest["count"]
    return counts


def _missing(subject: Subject, landings: Sequence[Landed]) -> list[str]:
    """States of which not all predictions were to land: nothing tells how many there are."""
    asked = [statuses for landed in landings if (statuses := landed.statuses) is not None]
    return [state for state, words in subject.states.items() if not all(words <= each for each in asked)]


def _restrictions(landings: Sequence[Landed], missing: Sequence[str]) -> list[str]:
    """Why there are no numbers of the states that are missing."""
    if not missing:
        return []
    asked = {landed.statuses for landed in landings}
    only = " or only ".join(sorted(_listed(sorted(words)) for words in asked if words is not None))
    share = "" if missing == ["waiting"] else ", and no share that failed"
    return [
        f"{'Only' if len(asked) == 1 else 'Of some landings only'} {only} predictions were to land, so there "
        f"is no number of {_listed(missing)} ones here{share}."
    ]


def _listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def _notes(landings: Sequence[Landed], read: Sequence[Landed], window: Window) -> list[str]:
    """What else a reader must know to trust the numbers."""
    notes = []
    times = [as_time(landed.manifest["created_min"]) for landed in landings]
    # An incremental path holds what was finished before, though its older landings may not be listed.
    times += [
        as_time(landed.manifest.get("committed_at"))
        for landed in landings
        if "incremental" in landed.manifest
    ]
    oldest = min(filter(None, times), default=None)
    if oldest and oldest > window.before:
        notes.append(
            f"The sources hold nothing created before {_local(oldest, window)}, so the period before may not "
            "be whole. Give the report earlier landings, too, to compare with it."
        )
    notes.extend(
        f"Records may be missing from {landed.path}: {landed.manifest['inconsistency']}"
        for landed in read
        if landed.manifest["inconsistency"] and landed.manifest["consistent"] is not None
    )
    return notes


def _local(moment: datetime, window: Window) -> str:
    return f"{in_zone(moment, window.zone):%Y-%m-%d %H:%M}"
