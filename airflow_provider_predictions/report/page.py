"""The page of a report and the body of its mail, as HTML without scripts or external resources."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from functools import cache, partial
from importlib.resources import files
from operator import attrgetter
from typing import Any
from urllib.parse import quote

import jinja2
from markupsafe import Markup, escape

from airflow_provider_predictions.api.wording import counted
from airflow_provider_predictions.report.measures import MEASURES, Format
from airflow_provider_predictions.report.subjects import SUBJECTS
from airflow_provider_predictions.report.summary import Content, History, Summary, Table, Target
from airflow_provider_predictions.report.window import in_words, in_zone
from airflow_provider_predictions.report.words import change, digits, number, without_controls

FAILURES = ("failed", "failed_share")
MAX_CELL, MAX_MESSAGE = 60, 120
"""Characters of a name, and of a sentence."""
MAX_ROWS = 20
MAX_URL = 400
MAX_CARDS = 6
CARDS = [one.name for one in sorted(MEASURES.values(), key=attrgetter("card")) if one.card]
"""The first six that are known have a card. A measure with a target always has one."""
COMPARED = {"p95_seconds": "mean_seconds"}
"""Measures whose change is judged by another measure."""
FORMATS: dict[str, Format] = {"confidence": "share", "age_seconds": "seconds"}
"""Those of columns that are no measures, nor counts."""
SENTENCES = {"message", "reason", "detail"}
"""Columns that hold sentences."""
STATES = {"succeeded": "ok", "failed": "bad", "cancelled": "s6"}
"""The colours of final statuses, from the bottom up; those of waiting ones are grey."""
WAITING = ("idle", "s7", "s1", "s5")
GROUPS = tuple(f"s{number}" for number in range(8))


def mail(content: Content) -> str:
    """Render the body of a mail. It has no style sheet and no drawing, and a few kilobytes."""
    return render(content, "mail.html.j2")


@cache
def _template(name: str) -> jinja2.Template:
    """Compile a template once in a process, since that takes longer than to render it."""
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: files(__package__).joinpath(name).read_text("utf-8")),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {one.__name__: one for one in (clip, place, breakable)}
    environment.globals |= {
        one.__name__: one for one in (change, colours, counted, digits_of, filled_columns, ticks)
    }
    return environment.get_template(name)


def render(content: Content, template: str = "page.html.j2") -> str:
    """Render the page, or another template of the same content."""
    summary, window = content.summary, content.window
    return _template(template).render(
        content=content,
        summary=summary,
        tables={table.name: table for table in content.tables},
        cards=cards(summary),
        failing=failing(content),
        compared=in_words(window.before, window.start, window.zone),
        made=f"{in_zone(content.made, window.zone):%Y-%m-%d %H:%M}",
        say=partial(say, currency=summary["currency"]),
        cell=partial(cell, content),
        link=partial(link, content.options.prediction_url),
        MEASURES=MEASURES,
    )


def clip(text: object, longest: int = MAX_CELL) -> str:
    """Shorten a text, and replace characters that would change the text around it."""
    words = str(without_controls("" if text is None else str(text)))
    return (words if len(words) <= longest else f"{words[: longest - 1]}…") or "none"


def breakable(name: str) -> Markup:
    """Allow a line break after each dot and colon of a name, so that a narrow screen breaks no word."""
    return Markup("<wbr>").join(map(escape, re.split(r"(?<=[.:])", name)))


def place(x: float) -> str:
    """Format a position in per cent, with no more digits than a drawing needs."""
    return f"{x:.2f}".rstrip("0").rstrip(".")


def digits_of(target: Target) -> int:
    """How many digits more than usual tell a target from the number that misses it."""
    bounds = (target["min"], target["max"]) if target["state"] == "missed" else ()
    return digits(MEASURES[target["measure"]].format, target["now"], bounds)


def say(name: str, value: float | None, more: int = 0, currency: str | None = None) -> str:
    """Format a number as its measure or its column requires.

    :param more: digits than usual.
    """
    form = MEASURES[name].format if name in MEASURES else FORMATS.get(name, "count")
    return number(form, value, currency, more)


def cell(content: Content, name: str, value: Any) -> str:
    """Format a cell of a table: a number, a time in the report's zone, or a shortened text."""
    if value is None or isinstance(value, int | float):
        return say(name, value, currency=content.summary["currency"])
    if name == "created":
        return f"{in_zone(datetime.fromisoformat(value), content.window.zone):%-d %b %Y %H:%M}"
    return clip(value, MAX_MESSAGE if name in SENTENCES else MAX_CELL)


def link(template: str, name: object) -> str:
    """The URL of a prediction; empty if there is none."""
    if not template.startswith(("https://", "http://")):
        return ""
    url = template.replace("{id}", quote(str(without_controls(str(name))), safe=""))
    return url if len(url) <= MAX_URL else ""


def filled_columns(table: Table, hidden: Collection[str] = ()) -> list[tuple[int, str, bool]]:
    """The columns of a table that are not empty: index, name, and whether they hold numbers."""
    rows = table.rows[:MAX_ROWS]
    return [
        (at, name, any(isinstance(row[at], int | float) for row in rows))
        for at, name in enumerate(table.columns)
        if name not in hidden and any(row[at] is not None for row in rows)
    ]


def cards(summary: Summary) -> list[dict[str, Any]]:
    """The cards of the page, in order: each a number with the one before, its targets and its history."""
    measures = summary["measures"]
    known = [name for name in CARDS if name in measures and measures[name]["now"] is not None]
    if "cost" in known:
        known.remove("credits")
    aimed = [target["measure"] for target in summary["targets"] if target["group"] is None]
    names = dict.fromkeys([*known[:MAX_CARDS], *(name for name in aimed if name in measures)])
    return [_card(name, measures[name], summary) for name in names]


def _card(name: str, values: History, summary: Summary) -> dict[str, Any]:
    measure, verdict, now, before = MEASURES[name], summary["verdict"], values["now"], values["before"]
    targets = [one for one in summary["targets"] if (one["measure"], one["group"]) == (name, None)]
    bounds = [bound for one in targets for bound in (one["max"], one["min"]) if bound is not None]
    known = [value for value in values["history"] if value is not None]
    delta, compared = change(measure.format, now, before), (name, COMPARED.get(name, name))
    # A change has a colour if a reader sees it, and a group changed by more than chance.
    alike = [one for one in summary["changes"] if one["measure"] in compared]
    tones = {MEASURES[one["measure"]].tone(one["now"], one["before"]) for one in alike}
    tone = "" if delta == "unchanged" else measure.tone(now, before)
    tone = tone if tone in tones else ""
    told = partial(say, name, currency=summary["currency"])
    is_blamed = (verdict["state"], verdict["measure"]) == ("look", name)
    is_missed = any(target["state"] == "missed" for target in targets)
    return {
        "name": name,
        "label": measure.words,
        "value": told(now, max(map(digits_of, targets), default=0)),
        "delta": f"+{told(now)}" if delta == "new" else delta,
        "was": "" if before is None else f"from {told(before)}",
        "tone": tone,
        "is_bad": is_missed or (is_blamed and (verdict["group"] is None or tone == "bad")),
        "targets": targets,
        "history": values["history"] if len(known) > 1 and min(known) >= 0 else (),
        "line": bounds[0] if bounds else None,
    }


def failing(content: Content) -> list[dict[str, Any]]:
    """The groups with failures: the one that the verdict names first, then those with most.

    Of each, the failed and the finished predictions, and the share now and before.
    """
    summary = content.summary
    table = next(one for one in content.tables if one.name == "by_group")
    missed = [one for one in summary["targets"] if one["state"] == "missed"]
    rose = [one for one in summary["changes"] if one["now"] > one["before"]]
    worse = {one["group"] for one in (*missed, *rose) if one["measure"] in FAILURES} - {None}
    first, found = summary["verdict"]["group"], []
    for row in (dict(zip(table.columns, row, strict=True)) for row in table.rows):
        if failed := row["failed"]:
            name, succeeded = without_controls(row["group"]), row["succeeded"]
            share = summary["groups"].get(name, {}).get("failed_share")
            found.append(
                {
                    "group": name,
                    "failed": failed,
                    "finished": None if succeeded is None else failed + succeeded,
                    "now": row["failed_share"],
                    "before": share and share["before"],
                    "is_bad": name in worse,
                }
            )
    return sorted(found, key=lambda one: (first is None or one["group"] != first, -one["failed"]))


def colours(names: Collection[str]) -> dict[str, str]:
    """The colours of the parts of a stack, from the bottom up."""
    known = {
        name: colour
        for state, colour in STATES.items()
        for name in sorted(names)
        if any(name in subject.states[state] for subject in SUBJECTS.values())
    }
    others = [name for name in names if name not in known]
    palette = WAITING if known else GROUPS
    return known | {name: palette[at % len(palette)] for at, name in enumerate(others)}


def ticks(stack: Iterable[Sequence[float | None]], *, whole: bool = False) -> list[float]:
    """At most six ticks in steps of 1, 2 or 5, from zero to at least the top of the highest column.

    :param stack: the amounts in each column, by part.
    :param whole: whether amounts are counts.
    """
    highest = max((sum(filter(None, column)) for column in zip(*stack, strict=True)), default=0)
    if highest <= 0:
        return [0, 1]
    power = 10.0 ** math.floor(math.log10(highest / 4))
    step = next(power * times for times in (1, 2, 5, 10) if highest <= 4.5 * power * times)
    step = max(step, 1) if whole else step
    return [step * count for count in range(math.ceil(round(highest / step, 6)) + 1)]
