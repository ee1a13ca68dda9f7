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
    :param services: the services that have it; empty for all.
    :param table: where it is computed from: ``record``, ``field`` or ``problem``.
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
        return {"record": '"group"', "field": "label", "problem": "message"}[self.table]

    def is_known(self, missing: Collection[str]) -> bool:
        """Whether it can be computed although the landings left out these states."""
        return not set(self.states) & set(missing)


_FAILED = "CASE state WHEN 'failed' THEN 1 WHEN 'succeeded' THEN 0 END"
_PAGES = "CASE WHEN element_type = 'page' THEN elements END"
_WAITED = "epoch(end_of(max(age)) - min(created) FILTER (state = 'waiting'))"
_COST = "coalesce(round(sum(credits) * getvariable('price'), 9), 0 * getvariable('price'))"


def _count(name: str, words: str, condition: str, **others: Any) -> Measure:
    return Measure(name, words, f"count(*) FILTER ({condition})", **others)


def _amount(value: str) -> tuple[str, str, str]:
    x = f"({value})::DOUBLE"
    return f"count({x})", f"sum({x})", f"sum({x} * {x})"


def _sum(name: str, words: str, value: str, **others: Any) -> Measure:
    aggregate = f"coalesce(round(sum({value}), 9), 0)"
    return Measure(name, words, aggregate, kind="sum", amount=_amount(value), **others)


# docs.cradl.ai, "Predictions": a confidence under 0.7 is uncertain, one over 0.9 is good.
def _under(limit: int) -> Measure:
    share = f"sum(under_{limit}) / nullif(sum(known), 0)"
    words = f"Fields under {limit} % confidence"
    return Measure(f"share_under_{limit}", words, share, "share", "down", **_OF_FIELDS)


def _said(kind: str) -> Measure:
    value, words = f"CASE WHEN kind = '{kind}' THEN 1 END", f"{kind.title()}s"
    return _sum(f"{kind}s", words, value, better="down", services=_CRADL, table="problem")


_VLMRUN, _CRADL = ("vlmrun",), ("cradl",)
_OF_FIELDS: dict[str, Any] = {"services": _CRADL, "table": "field"}
_ENDED, _WAITING = ("succeeded", "failed"), ("waiting",)
_ALL = (
    _sum("predictions", "Predictions", "1"),
    _count("succeeded", "Succeeded", "state = 'succeeded'", states=("succeeded",)),
    _sum(
        "failed",
        "Failed predictions",
        "CASE WHEN state = 'failed' THEN 1 END",
        better="down",
        states=("failed",),
    ),
    _count("waiting", "Still waiting", "state = 'waiting'", better="down", states=_WAITING),
    Measure(
        "failed_share",
        "Failed",
        f"avg({_FAILED})",
        "share",
        "down",
        states=_ENDED,
        kind="mean",
        amount=_amount(_FAILED),
    ),
    _sum("credits", "Credits", "credits", format="credits", services=_VLMRUN),
    Measure("cost", "Cost", _COST, "money", services=_VLMRUN),
    _sum("pages", "Pages", _PAGES, services=_VLMRUN),
    Measure(
        "mean_seconds",
        "Mean time to complete",
        "round(avg(seconds), 9)",
        "seconds",
        "down",
        kind="mean",
        amount=_amount("seconds"),
    ),
    Measure("median_seconds", "50 % finished within", "quantile_cont(seconds, 0.5)", "seconds", "down"),
    Measure("p95_seconds", "95 % finished within", "quantile_cont(seconds, 0.95)", "seconds", "down"),
    Measure("longest_seconds", "Longest time to complete", "max(seconds)", "seconds", "down"),
    Measure(
        "oldest_waiting_seconds", "Oldest waiting prediction", _WAITED, "seconds", "down", states=_WAITING
    ),
    Measure("fields", "Fields", "coalesce(sum(fields), 0)::BIGINT", **_OF_FIELDS),
    Measure(
        "mean_confidence",
        "Mean confidence",
        "round(sum(total) / nullif(sum(known), 0), 12)",
        "share",
        "up",
        kind="mean",
        amount=("sum(known)", "sum(total)", "sum(squares)"),
        **_OF_FIELDS,
    ),
    _under(70),
    _under(90),
    _said("error"),
    _said("warning"),
)
MEASURES = {measure.name: measure for measure in _ALL}
"""By name, in the order of the page."""


def measures_of(services: Collection[str], table: str = "", *, priced: bool = True) -> list[Measure]:
    """The measures that predictions of these services have.

    :param table: only measures of this table; empty for all.
    :param priced: whether a price per credit is given.
    """
    return [
        measure
        for measure in MEASURES.values()
        if (not measure.services or set(measure.services) & set(services))
        and table in ("", measure.table)
        and (priced or measure.format != "money")
    ]
