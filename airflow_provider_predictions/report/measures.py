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
    :param amounts: SQL over ``table``: the count, the sum and the sum of squares of what is compared with the
        period before; empty if it is not compared.
    :param card: its place among the cards of the page; 0 if it has a card only with a target.
    """

    name: str
    words: str
    aggregate: str
    format: Format = "count"
    better: Better = "none"
    service: str = ""
    table: Literal["record", "field", "problem"] = "record"
    states: tuple[str, ...] = ()
    amounts: str = ""
    card: int = 0

    @property
    def is_sum(self) -> bool:
        """Whether it adds up, so that it is 0 of no rows. All others are unknown then."""
        return self.format not in ("share", "seconds")

    @property
    def is_of_values(self) -> bool:
        """Whether it counts what values hold. If some were not read, it is a lower bound."""
        return self.is_sum and self.table != "record"

    def tone(self, now: float | None, before: float | None) -> str:
        """Whether a change is ``good`` or ``bad``; empty if it is neither."""
        if now is None or before is None or now == before or self.better == "none":
            return ""
        return "good" if (now > before) == (self.better == "up") else "bad"

    def is_known(self, missing: Collection[str]) -> bool:
        """Whether it can be computed although the landings left out these states."""
        return not set(self.states) & set(missing)


def _sum(name: str, words: str, value: str, **others: Any) -> Measure:
    return Measure(name, words, f"sum_of({value})", amounts=f"amounts_of({value})", **others)


def _share(name: str, words: str, aggregate: str, better: Better = "down", **others: Any) -> Measure:
    return Measure(name, words, aggregate, "share", better, **others)


def _seconds(name: str, words: str, aggregate: str, **others: Any) -> Measure:
    return Measure(name, words, aggregate, "seconds", "down", **others)


_COST = "coalesce(round(sum(credits) * getvariable('price'), 9), 0 * getvariable('price'))"
_OLDEST = "epoch(end_of(max(age)) - min(created) FILTER (state = 'waiting'))"
_CONFIDENCE = "round(share_of(total, known), 12)"
_FAILURES, _CONFIDENCES = "amounts_of(failure(state))", "{n: sum(known), s: sum(total), q: sum(squares)}"
_ENDED, _WAITING = ("succeeded", "failed"), ("waiting",)
_FIELD: Any = {"service": "cradl", "table": "field"}
_PROBLEM: Any = {"service": "cradl", "table": "problem", "better": "down"}
_ALL = (
    _sum("predictions", "Predictions", "1", card=1),
    Measure("succeeded", "Succeeded", "count_of(state, 'succeeded')", states=("succeeded",)),
    _sum("failed", "Failed predictions", "failure(state)", better="down", states=("failed",)),
    Measure("waiting", "Still waiting", "count_of(state, 'waiting')", better="down", states=_WAITING, card=7),
    _share("failed_share", "Failed", "avg(failure(state))", amounts=_FAILURES, states=_ENDED, card=2),
    _sum("credits", "Credits", "credits", format="credits", service="vlmrun", card=4),
    Measure("cost", "Cost", _COST, "money", service="vlmrun", card=3),
    _sum("pages", "Pages", "CASE element_type WHEN 'page' THEN elements END", service="vlmrun", card=9),
    _seconds("mean_seconds", "Mean time to complete", "mean_of(seconds)", amounts="amounts_of(seconds)"),
    _seconds("median_seconds", "50 % finished within", "quantile_of(seconds, 0.5)"),
    _seconds("p95_seconds", "95 % finished within", "quantile_of(seconds, 0.95)", card=5),
    _seconds("longest_seconds", "Longest time to complete", "max(seconds)"),
    _seconds("oldest_waiting_seconds", "Oldest waiting prediction", _OLDEST, states=_WAITING),
    Measure("fields", "Fields", "coalesce(sum(fields), 0)::BIGINT", **_FIELD),
    _share("mean_confidence", "Mean confidence", _CONFIDENCE, "up", amounts=_CONFIDENCES, card=6, **_FIELD),
    # docs.cradl.ai, "Predictions": a confidence under 0.7 is uncertain, one over 0.9 is good.
    _share("share_under_70", "Fields under 70 % confidence", "share_of(under_70, known)", card=8, **_FIELD),
    _share("share_under_90", "Fields under 90 % confidence", "share_of(under_90, known)", **_FIELD),
    _sum("errors", "Errors", "(kind = 'error')::INTEGER", card=10, **_PROBLEM),
    _sum("warnings", "Warnings", "(kind = 'warning')::INTEGER", **_PROBLEM),
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
