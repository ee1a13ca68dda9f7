"""The form of ``summary.json``, and the content of the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, TypedDict

if TYPE_CHECKING:
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
class Filled:
    """A table with its first rows.

    :param names: of the columns.
    :param rows: the first ones. The CSV has all.
    :param count: of all rows.
    :param drawn: the rows of its chart: the largest names first, then all others together.
    :param is_known: whether all predictions that belong to it have landed.
    """

    table: Table
    names: Sequence[str]
    rows: Sequence[tuple[Any, ...]]
    count: int
    drawn: Sequence[tuple[Any, ...]] = ()
    is_known: bool = True


@dataclass(frozen=True)
class Content:
    """The content of the page and the mail: ``page.render(content)`` and ``page.mail(content)``.

    :param tables: in order. ``table.title`` and ``meaning`` have placeholders ``{unit}`` and ``{group}``.
    :param group: one word for what predictions are grouped by: domain, model, or a part of ``group_by``.
    :param logo: a ``data:`` URL; empty for none.
    :param prediction_url: the page of a prediction, with ``{id}``; empty if there is none.
    :param made: when it was made; aware.
    :param made_by: the task and its DAG, in words; empty outside of Airflow.
    :param landings: how many were read.
    :param page_url: where the page can be opened, for a mail; empty if that is not known.
    """

    summary: Summary
    window: Window
    tables: Sequence[Filled]
    group: str
    landings: int
    made: datetime
    made_by: str = ""
    logo: str = ""
    prediction_url: str = ""
    page_url: str = ""
