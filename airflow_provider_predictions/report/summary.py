"""What a report says: ``summary.json`` in version 2, and what the page is made of."""

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
    """From ``start`` to before ``end``; ``before`` is the start of the period before. ISO 8601 in UTC."""

    start: str
    end: str
    before: str
    timezone: str


class Number(TypedDict):
    """A number of the period and of the one before; None where it is not known."""

    now: float | None
    before: float | None


class History(Number):
    """A number with up to 8 periods, the oldest first and this one last; None where nothing landed."""

    history: list[float | None]


class Target(TypedDict):
    """A target and whether it is met; ``why`` says why it is ``unknown``, which is no breach."""

    measure: str
    group: str | None
    min: float | None
    max: float | None
    now: float | None
    state: Literal["met", "missed", "unknown"]
    why: str


class Change(TypedDict):
    """What differs from the period before by ``score`` standard deviations; at least 2."""

    measure: str
    group: str | None
    now: float
    before: float
    score: float


class Verdict(TypedDict):
    """One line: ``look`` where a target is missed or a number got worse, by which measure and group.

    ``unknown`` where nothing can be judged: no predictions, nothing to compare with, no failures landed.
    """

    state: Literal["normal", "look", "unknown"]
    text: str
    measure: str | None
    group: str | None


class Summary(TypedDict):
    """What a report says in short. Shares and confidences are 0 to 1, durations are seconds.

    ``measures`` and ``targets`` use the names of ``report.measures``. ``groups`` holds the largest groups:
    domains or models (or what ``group_by`` says), and fields for confidences. ``changes`` differ from the
    period before by more than chance, the least likely first. ``late`` counts predictions created earlier
    that finished in the period. ``left_out`` counts what the numbers omit, by reason. ``text`` is a sentence
    or two.
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
    :param rows: the first ones; the CSV has all.
    :param count: of all rows.
    :param drawn: of a table with a chart: what is drawn, the largest first and the others together.
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
    """What the page and the mail are made of: ``page.render(content)`` and ``page.mail(content)``.

    :param tables: in the order of the page; ``table.title`` and ``meaning`` hold ``{unit}`` and ``{group}``.
    :param group: what predictions are grouped by, in a word: domain, model, or the last part of ``group_by``.
    :param logo: a ``data:`` URL; empty for none.
    :param prediction_url: with ``{id}``: where a prediction can be opened; empty where nobody knows.
    :param made: when, aware.
    :param made_by: the task and its DAG, in words; empty outside of Airflow.
    :param landings: how many were read.
    :param page_url: where the page will lie, for a mail.
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
