"""The measures of a report: their names, words, formats and SQL, listed once.

The cards, the heads of the CSVs, ``summary.json``, ``targets`` and the documentation use this list.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal

Format = Literal["count", "share", "seconds", "credits", "money"]
Better = Literal["up", "down", "none"]


@dataclass(frozen=True)
class Measure:
    """A number that a report computes for each period and each group.

    :param name: in ``summary.json``, in the CSVs, and in ``targets``.
    :param words: its label on the page.
    :param aggregate: SQL over ``table``.
    :param format: how it is written.
    :param better: the direction of a change for the better.
    :param service: that has it; empty for all.
    :param table: that it is computed from.
    :param states: it is known only if all predictions of these states have landed.
    :param kind: how two periods are compared: as a ``sum`` or a ``mean``; None if they are not compared.
    :param amounts: SQL over ``table``: the count, the sum and the sum of squares of what is compared.
    """

    name: str
    words: str
    aggregate: str
    format: Format = "count"
    better: Better = "none"
    service: str = ""
    table: Literal["record", "field", "problem"] = "record"
    states: tuple[str, ...] = ()
    kind: Literal["sum", "mean"] | None = None
    amounts: str = ""

    @property
    def of_nothing(self) -> float | None:
        """Its value where there are no rows."""
        return None if self.format in ("share", "seconds") else 0

    def tone(self, now: float | None, before: float | None) -> str:
        """Whether a change is ``good`` or ``bad``; empty if it is neither."""
        if now is None or before is None or now == before or self.better == "none":
            return ""
        return "good" if (now > before) == (self.better == "up") else "bad"

    def is_known(self, missing: Collection[str]) -> bool:
        """Whether it can be computed although the landings left out these states."""
        return not set(self.states) & set(missing)


def _amounts(value: str) -> str:
    x = f"({value})::DOUBLE"
    return f"{{n: count({x}), s: sum({x}), q: sum({x} * {x})}}"


def _sum(name: str, words: str, value: str, **others: Any) -> Measure:
    aggregate = f"coalesce(round(sum({value}), 9), 0)"
    return Measure(name, words, aggregate, kind="sum", amounts=_amounts(value), **others)


def _mean(
    name: str, words: str, aggregate: str, form: Format, amounts: str, better: Better = "down", **others: Any
) -> Measure:
    return Measure(name, words, aggregate, form, better, kind="mean", amounts=amounts, **others)


_COUNT = "count(*) FILTER (state = '{}')"
_FAILED = "CASE WHEN state = 'failed' THEN 1 END"
_SHARE = "CASE state WHEN 'failed' THEN 1 WHEN 'succeeded' THEN 0 END"
_PAGES = "CASE WHEN element_type = 'page' THEN elements END"
_ERRORS, _WARNINGS = "CASE WHEN kind = 'error' THEN 1 END", "CASE WHEN kind = 'warning' THEN 1 END"
_MEAN = "round(avg(seconds), 9)"
_MEDIAN, _P95 = (f"round(quantile_cont(seconds, {share}), 9)" for share in (0.5, 0.95))
_COST = "coalesce(round(sum(credits) * getvariable('price'), 9), 0 * getvariable('price'))"
_OLDEST = "epoch(end_of(max(age)) - min(created) FILTER (state = 'waiting'))"
_CONFIDENCE = "round(sum(total) / nullif(sum(known), 0), 12)"
_CONFIDENCES = "{n: sum(known), s: sum(total), q: sum(squares)}"
# docs.cradl.ai, "Predictions": a confidence under 0.7 is uncertain, one over 0.9 is good.
_UNDER_70, _UNDER_90 = (f"sum(under_{limit}) / nullif(sum(known), 0)" for limit in (70, 90))
_ENDED, _WAITING = ("succeeded", "failed"), ("waiting",)
_FIELD: Any = {"service": "cradl", "table": "field"}
_PROBLEM: Any = {"service": "cradl", "table": "problem"}
_ALL = (
    _sum("predictions", "Predictions", "1"),
    Measure("succeeded", "Succeeded", _COUNT.format("succeeded"), states=("succeeded",)),
    _sum("failed", "Failed predictions", _FAILED, better="down", states=("failed",)),
    Measure("waiting", "Still waiting", _COUNT.format("waiting"), better="down", states=_WAITING),
    _mean("failed_share", "Failed", f"avg({_SHARE})", "share", _amounts(_SHARE), states=_ENDED),
    _sum("credits", "Credits", "credits", format="credits", service="vlmrun"),
    Measure("cost", "Cost", _COST, "money", service="vlmrun"),
    _sum("pages", "Pages", _PAGES, service="vlmrun"),
    _mean("mean_seconds", "Mean time to complete", _MEAN, "seconds", _amounts("seconds")),
    Measure("median_seconds", "50 % finished within", _MEDIAN, "seconds", "down"),
    Measure("p95_seconds", "95 % finished within", _P95, "seconds", "down"),
    Measure("longest_seconds", "Longest time to complete", "max(seconds)", "seconds", "down"),
    Measure(
        "oldest_waiting_seconds", "Oldest waiting prediction", _OLDEST, "seconds", "down", states=_WAITING
    ),
    Measure("fields", "Fields", "coalesce(sum(fields), 0)::BIGINT", **_FIELD),
    _mean("mean_confidence", "Mean confidence", _CONFIDENCE, "share", _CONFIDENCES, "up", **_FIELD),
    Measure("share_under_70", "Fields under 70 % confidence", _UNDER_70, "share", "down", **_FIELD),
    Measure("share_under_90", "Fields under 90 % confidence", _UNDER_90, "share", "down", **_FIELD),
    _sum("errors", "Errors", _ERRORS, better="down", **_PROBLEM),
    _sum("warnings", "Warnings", _WARNINGS, better="down", **_PROBLEM),
)
MEASURES = {measure.name: measure for measure in _ALL}
"""By name, in the order of the page. Those of one table follow each other."""


def measures_of(services: Collection[str], *, priced: bool = True) -> list[Measure]:
    """The measures that predictions of these services have.

    :param priced: whether a price per credit is given.
    """
    return [
        measure
        for measure in MEASURES.values()
        if measure.service in ("", *services) and (priced or measure.format != "money")
    ]
