"""The measures of a report: their names, words, formats and SQL, listed once.

The cards, the heads of the CSVs, ``summary.json``, ``targets`` and the documentation use this list.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal

Format = Literal["count", "share", "seconds", "credits", "money"]
Better = Literal["up", "down", "none"]
GROUPS = {"record": '"group"', "field": "label", "problem": "message"}
"""The tables that measures are computed from, and the column of each that holds its groups."""


@dataclass(frozen=True)
class Measure:
    """A number that a report computes for each period and each group.

    :param name: in ``summary.json``, in the CSVs, and in ``targets``.
    :param words: its label on the page.
    :param aggregate: SQL over ``table``.
    :param format: how it is written.
    :param better: the direction of a change for the better.
    :param services: the services that have it; empty for all.
    :param states: it is known only if all predictions of these states have landed.
    :param kind: how two periods are compared: as a ``sum`` or a ``mean``; None if they are not compared.
    :param amount: SQL over ``table``: the count, the sum and the sum of squares of what is compared.
    """

    name: str
    words: str
    aggregate: str
    format: Format = "count"
    better: Better = "none"
    services: tuple[str, ...] = ()
    table: Literal["record", "field", "problem"] = "record"
    states: tuple[str, ...] = ()
    kind: Literal["sum", "mean"] | None = None
    amount: tuple[str, str, str] = ("", "", "")

    @property
    def phrase(self) -> str:
        """The words, within a sentence."""
        return "failures" if self.name == "failed_share" else self.words[0].lower() + self.words[1:]

    @property
    def by(self) -> str:
        """The column of ``table`` that holds its groups."""
        return GROUPS[self.table]

    @property
    def of_nothing(self) -> float | None:
        """Its value where there are no rows."""
        return None if self.format in ("share", "seconds") else 0

    def is_known(self, missing: Collection[str]) -> bool:
        """Whether it can be computed although the landings left out these states."""
        return not set(self.states) & set(missing)


def _compared(value: str) -> tuple[str, str, str]:
    x = f"({value})::DOUBLE"
    return f"count({x})", f"sum({x})", f"sum({x} * {x})"


def _sum(name: str, words: str, value: str, **others: Any) -> Measure:
    aggregate = f"coalesce(round(sum({value}), 9), 0)"
    return Measure(name, words, aggregate, kind="sum", amount=_compared(value), **others)


def _mean(name: str, words: str, value: str, aggregate: str, form: Format, **others: Any) -> Measure:
    return Measure(name, words, aggregate, form, "down", kind="mean", amount=_compared(value), **others)


def _state(state: str, words: str, better: Better = "none") -> Measure:
    aggregate = f"count(*) FILTER (state = '{state}')"
    return Measure(state, words, aggregate, better=better, states=(state,))


def _seconds(name: str, words: str, aggregate: str) -> Measure:
    return Measure(name, words, aggregate, "seconds", "down")


# docs.cradl.ai, "Predictions": a confidence under 0.7 is uncertain, one over 0.9 is good.
def _under(limit: int) -> Measure:
    share = f"sum(under_{limit}) / nullif(sum(known), 0)"
    words = f"Fields under {limit} % confidence"
    return Measure(f"share_under_{limit}", words, share, "share", "down", _CRADL, "field")


def _said(kind: str) -> Measure:
    value, words = f"CASE WHEN kind = '{kind}' THEN 1 END", f"{kind.title()}s"
    return _sum(f"{kind}s", words, value, better="down", services=_CRADL, table="problem")


_VLMRUN, _CRADL = ("vlmrun",), ("cradl",)
_FAILED = "CASE WHEN state = 'failed' THEN 1 END"
_FAILED_SHARE = "CASE state WHEN 'failed' THEN 1 WHEN 'succeeded' THEN 0 END"
_PAGES = "CASE WHEN element_type = 'page' THEN elements END"
_COST = "coalesce(round(sum(credits) * getvariable('price'), 9), 0 * getvariable('price'))"
_WAITED = "epoch(end_of(max(age)) - min(created) FILTER (state = 'waiting'))"
_CONFIDENCE = "round(sum(total) / nullif(sum(known), 0), 12)"
_CONFIDENCES = ("sum(known)", "sum(total)", "sum(squares)")
_ENDED, _WAITING = ("succeeded", "failed"), ("waiting",)
_ALL = (
    _sum("predictions", "Predictions", "1"),
    _state("succeeded", "Succeeded"),
    _sum("failed", "Failed predictions", _FAILED, better="down", states=("failed",)),
    _state("waiting", "Still waiting", "down"),
    _mean("failed_share", "Failed", _FAILED_SHARE, f"avg({_FAILED_SHARE})", "share", states=_ENDED),
    _sum("credits", "Credits", "credits", format="credits", services=_VLMRUN),
    Measure("cost", "Cost", _COST, "money", services=_VLMRUN),
    _sum("pages", "Pages", _PAGES, services=_VLMRUN),
    _mean("mean_seconds", "Mean time to complete", "seconds", "round(avg(seconds), 9)", "seconds"),
    _seconds("median_seconds", "50 % finished within", "round(quantile_cont(seconds, 0.5), 9)"),
    _seconds("p95_seconds", "95 % finished within", "round(quantile_cont(seconds, 0.95), 9)"),
    _seconds("longest_seconds", "Longest time to complete", "max(seconds)"),
    Measure(
        "oldest_waiting_seconds", "Oldest waiting prediction", _WAITED, "seconds", "down", states=_WAITING
    ),
    Measure("fields", "Fields", "coalesce(sum(fields), 0)::BIGINT", services=_CRADL, table="field"),
    Measure(
        *("mean_confidence", "Mean confidence", _CONFIDENCE, "share", "up", _CRADL, "field"),
        kind="mean",
        amount=_CONFIDENCES,
    ),
    _under(70),
    _under(90),
    _said("error"),
    _said("warning"),
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
        if (not measure.services or set(measure.services) & set(services))
        and (priced or measure.format != "money")
    ]
