"""The form of ``summary.json``, the options of a report, and the content of the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, TypedDict

from airflow_provider_predictions.report.window import Window

VERSION = 2
Targets = Mapping[str, Mapping[str, float]]


class Period(TypedDict):
    """From ``start`` until before ``end``, in ISO 8601 and UTC. ``before`` starts the period before."""

    start: str
    end: str
    before: str
    timezone: str


class Number(TypedDict):
    """A number of the period and of the one before; None if it is not known."""

    now: float | None
    before: float | None


class History(Number):
    """A number with up to 8 periods, the oldest first and this one last; None if it is not known."""

    history: list[float | None]


class Target(TypedDict):
    """A target, and whether it is met. ``unknown`` is no breach. ``why`` says what is not known."""

    measure: str
    group: str | None
    min: float | None
    max: float | None
    now: float | None
    state: Literal["met", "missed", "unknown"]
    why: str


class Change(TypedDict):
    """A measure that differs from the period before by ``score`` standard deviations, at least 2."""

    measure: str
    group: str | None
    now: float
    before: float
    score: float


class Verdict(TypedDict):
    """The line at the top of the page, with the measure and the group that it is about.

    ``look`` means that a target is missed or a number got worse. ``unknown`` means that nothing can be
    judged: no predictions landed, there is nothing to compare with, or failed ones did not land. ``text``
    also says what may be of the period and is not counted.
    """

    state: Literal["normal", "look", "unknown"]
    text: str
    measure: str | None
    group: str | None


class Summary(TypedDict):
    """The content of ``summary.json``. Shares and confidences are 0 to 1, durations are seconds.

    ``measures`` and ``targets`` use the names of ``report.measures``. ``groups`` has the largest groups:
    domains or models (or what ``group_by`` says), and the fields that have confidences. ``changes`` differ
    from the period before by more than chance, the least likely first. ``late`` counts predictions that were
    created in the seven periods before and finished, or of Cradl were last changed, in this one. ``left_out``
    counts what the numbers omit, by reason. ``text`` is a few sentences.
    """

    version: int
    services: list[str]
    title: str
    period: Period
    currency: str | None
    price_per_credit: float | None
    count: int
    measures: dict[str, History]
    groups: dict[str, dict[str, Number]]
    statuses: dict[str, int]
    targets: list[Target]
    changes: list[Change]
    verdict: Verdict
    late: int
    left_out: dict[str, int]
    notes: list[str]
    text: str


@dataclass(frozen=True)
class Options:
    """What the author of a report can choose.

    :param title: of the page; None for the services and the period.
    :param group_by: the path of a member of the record; None for the domain or the model.
    :param price_per_credit: of VLM Run's credits, in ``currency``.
    :param targets: bounds by measure, or by ``measure:group``.
    :param logo: a ``data:`` URL; empty for none.
    :param prediction_url: the page of a prediction, with ``{id}``; empty if there is none.
    :param made_by: the task and its DAG, in words; empty outside of Airflow.
    :param page_url: where the page can be opened; empty if that is not known.
    """

    title: str | None = None
    group_by: str | None = None
    price_per_credit: float | None = None
    currency: str | None = None
    targets: Targets = field(default_factory=dict)
    logo: str = ""
    prediction_url: str = ""
    made_by: str = ""
    page_url: str = ""


@dataclass(frozen=True)
class Table:
    """A table with its first rows.

    :param name: of its view, and of the CSV without its suffix.
    :param title: has the placeholders ``{unit}`` and ``{group}``, as ``meaning`` has.
    :param meaning: what a row is and what its numbers mean.
    :param rows: the first ones. The CSV has all.
    :param count: of all rows.
    :param is_known: whether all predictions that belong to it have landed.
    :param amount: the column that its chart shows; empty if it has none.
    :param points: of its chart: by name, the largest first, the amount in each bucket.
    """

    name: str
    title: str
    meaning: str
    columns: Sequence[str]
    rows: Sequence[tuple[Any, ...]]
    count: int
    is_known: bool = True
    amount: str = ""
    points: Mapping[str, Sequence[float | None]] = field(default_factory=dict)


@dataclass(frozen=True)
class Content:
    """The content of the page and the mail: ``page.render(content)`` and ``page.mail(content)``.

    :param group: one word for what predictions are grouped by: domain, model, or a part of ``group_by``.
    :param landings: how many were read.
    :param made: when it was made; aware.
    """

    summary: Summary
    window: Window
    tables: Sequence[Table]
    group: str
    landings: int
    made: datetime
    options: Options
