"""The measures of a report: their names, words, formats and SQL, listed once.

The cards, the heads of the CSVs, ``summary.json``, ``targets`` and the documentation use this list.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

Format = Literal["count", "share", "seconds", "credits", "money"]
Better = Literal["up", "down", "none"]
SERVICES = ("vlmrun", "cradl")


@dataclass(frozen=True)
class Measure:
    """A number that a report computes of each period, and of each group.

    :param name: in ``summary.json``, in the CSVs, and in ``targets``.
    :param words: its label on the page.
    :param aggregate: SQL over ``table``.
    :param format: how it is written.
    :param better: the direction of a change for the better.
    :param services: whose predictions have it.
    :param table: what it is computed of: ``record``, ``field`` or ``problem``.
    :param states: all predictions of these must have landed.
    :param kind: how two periods are compared: as a ``sum`` or a ``mean``; None where they are not.
    :param value: SQL over ``table``: what is summed or averaged; NULL does not count.
    """

    name: str
    words: str
    aggregate: str
    format: Format = "count"
    better: Better = "none"
    services: tuple[str, ...] = SERVICES
    table: Literal["record", "field", "problem"] = "record"
    states: tuple[str, ...] = ()
    kind: Literal["sum", "mean"] | None = None
    value: str = ""

    @property
    def phrase(self) -> str:
        """Its words within a sentence."""
        return "failures" if self.name == "failed_share" else self.words[0].lower() + self.words[1:]

    @property
    def by(self) -> str:
        """The column of ``table`` that holds its groups."""
        return {"record": '"group"', "field": "label", "problem": "message"}[self.table]

    def is_known(self, missing: Collection[str]) -> bool:
        """Whether it can be computed where not all predictions of these states have landed."""
        return not set(self.states) & set(missing)


_FAILED = "CASE state WHEN 'failed' THEN 1 WHEN 'succeeded' THEN 0 END"
_WAITED = "epoch(max(period_end) - min(created) FILTER (state = 'waiting'))"
_VLMRUN, _CRADL = ("vlmrun",), ("cradl",)
_PAGES = "CASE WHEN element_type = 'page' THEN elements END"


def _mean(name: str, words: str, value: str, **others: object) -> Measure:
    return Measure(name, words, f"round(avg({value}), 9)", kind="mean", value=value, **others)  # type: ignore[arg-type]


# docs.cradl.ai, "Predictions": a confidence under 0.7 is uncertain, one over 0.9 is good.
def _under(limit: int) -> Measure:
    share = f"count(*) FILTER (confidence < 0.{limit // 10}) / nullif(count(confidence), 0)"
    words = f"Fields under {limit} % confidence"
    return Measure(f"share_under_{limit}", words, share, "share", "down", _CRADL, "field")


MEASURES = {
    measure.name: measure
    for measure in (
        Measure("predictions", "Predictions", "count(*)", kind="sum", value="1"),
        Measure("succeeded", "Succeeded", "count(*) FILTER (state = 'succeeded')", states=("succeeded",)),
        Measure(
            "failed",
            "Failed predictions",
            "count(*) FILTER (state = 'failed')",
            better="down",
            states=("failed",),
            kind="sum",
            value="CASE WHEN state = 'failed' THEN 1 END",
        ),
        Measure(
            "waiting",
            "Still waiting",
            "count(*) FILTER (state = 'waiting')",
            better="down",
            states=("waiting",),
        ),
        Measure(
            "failed_share",
            "Failed",
            f"avg({_FAILED})",
            "share",
            "down",
            states=("succeeded", "failed"),
            kind="mean",
            value=_FAILED,
        ),
        Measure(
            "credits",
            "Credits",
            "coalesce(round(sum(credits), 9), 0)",
            "credits",
            services=_VLMRUN,
            kind="sum",
            value="credits",
        ),
        Measure(
            "cost",
            "Cost",
            "coalesce(round(sum(credits) * getvariable('price'), 9), 0 * getvariable('price'))",
            "money",
            services=_VLMRUN,
        ),
        Measure("pages", "Pages", f"coalesce(sum({_PAGES}), 0)", services=_VLMRUN, kind="sum", value=_PAGES),
        _mean("mean_seconds", "Mean time to complete", "seconds", format="seconds", better="down"),
        Measure(
            "median_seconds",
            "50 % finished within",
            "quantile_cont(seconds, 0.5)",
            "seconds",
            "down",
        ),
        Measure(
            "p95_seconds",
            "95 % finished within",
            "quantile_cont(seconds, 0.95)",
            "seconds",
            "down",
        ),
        Measure("longest_seconds", "Longest time to complete", "max(seconds)", "seconds", "down"),
        Measure(
            "oldest_waiting_seconds",
            "Oldest waiting prediction",
            _WAITED,
            "seconds",
            "down",
            states=("waiting",),
        ),
        Measure("fields", "Fields", "count(*)", services=_CRADL, table="field"),
        _mean(
            "mean_confidence",
            "Mean confidence",
            "confidence",
            format="share",
            better="up",
            services=_CRADL,
            table="field",
        ),
        _under(70),
        _under(90),
        *(
            Measure(
                f"{kind}s",
                f"{kind.title()}s",
                f"count(*) FILTER (kind = '{kind}')",
                better="down",
                services=_CRADL,
                table="problem",
                kind="sum",
                value=f"CASE WHEN kind = '{kind}' THEN 1 END",
            )
            for kind in ("error", "warning")
        ),
    )
}
"""By name, in the order of the page."""


def measures_of(services: Collection[str], table: str = "", *, priced: bool = True) -> list[Measure]:
    """The measures that predictions of these services have.

    :param table: only those computed of it.
    :param priced: whether a price per credit is given.
    """
    return [
        measure
        for measure in MEASURES.values()
        if set(measure.services) & set(services)
        and table in ("", measure.table)
        and (priced or measure.format != "money")
    ]
