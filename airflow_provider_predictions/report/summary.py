"""The form of ``summary.json``, and the content of the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal, TypedDict

if TYPE_CHECKING:
    from airflow_provider_predictions.report.options import Options
    from airflow_provider_predictions.report.tables import Table
    from airflow_provider_predictions.report.window import Window

VERSION = 2


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
    """A number with up to 8 periods, the oldest first and this one last; None if nothing landed."""

    history: list[float | None]


class Target(TypedDict):
    """A target, and whether it is met. ``why`` says why it is ``unknown``, which is no breach."""

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
    judged: there are no predictions, nothing to compare with, or failed predictions did not land.
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
    created earlier and finished in the period. ``left_out`` counts what the numbers omit, by reason. ``text``
    is a sentence or two.
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
