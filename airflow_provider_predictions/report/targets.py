"""Targets of a report, and its verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_provider_predictions.api.wording import counted
from airflow_provider_predictions.report.measures import MEASURES
from airflow_provider_predictions.report.summary import Change, Number, Target, Verdict
from airflow_provider_predictions.report.words import change, clean, digits, number

NORMAL = "Normal."
LONGEST = 80
"""Characters of the name of a group in the verdict."""
ALARMING = 3
RELEVANT = 1.1
"""The verdict names a mean or a share that got worse by so many standard deviations, if what is bad in it
(the failed share, the duration, what a confidence lacks) also grew to so many times what it was."""


def judged(name: str, bounds: Mapping[str, float], value: float | None, why_not: str) -> Target:
    """Judge a target.

    :param value: of the period; None if it is not known.
    :param why_not: why it is not known.
    """
    measure, _, group = name.partition(":")
    low, high = bounds.get("min"), bounds.get("max")
    met = value is not None and (low is None or value >= low) and (high is None or value <= high)
    return {
        "measure": measure,
        "group": group or None,
        "min": low,
        "max": high,
        "now": value,
        "state": "unknown" if value is None else "met" if met else "missed",
        "why": why_not if value is None else "",
    }


@dataclass(frozen=True)
class Facts:
    """What a verdict is decided from.

    :param changes: of groups, the least likely first.
    :param overall: each measure of all predictions together that could be compared, whatever its score.
    :param is_covered: whether the landings reach to the end of the period.
    """

    totals: Mapping[str, Number]
    groups: Mapping[str, Mapping[str, Number]]
    changes: Sequence[Change]
    overall: Sequence[Change]
    currency: str | None
    is_covered: bool


def verdict(targets: Sequence[Target], facts: Facts) -> Verdict:
    """Decide whether to look, and at what: first a missed target, then what got much worse.

    It is normal only if failures were compared, or a target on them is met.
    """
    worse = sorted(filter(_is_alarming, [*facts.changes, *facts.overall]), key=lambda one: -abs(one["score"]))
    missed = [target for target in targets if target["state"] == "missed"]
    if not (missed or worse):
        text = _calm(targets, facts)
        return {
            "state": "normal" if text == NORMAL else "unknown",
            "text": text,
            "measure": None,
            "group": None,
        }
    found: Target | Change = (missed or worse)[0]
    behind = [one for one in worse if one["measure"] == found["measure"] and one not in facts.overall]
    if found["group"] is None and behind:
        found = behind[0]
    measure, group = MEASURES[found["measure"]], found["group"]
    numbers = facts.groups.get(group, {}) if group else facts.totals
    known: Any = found if "before" in found else numbers.get(measure.name)  # these have a few groups only
    before = known["before"] if known else None
    is_nameless = not group and "before" in found and found not in facts.overall
    name = "those without a name" if is_nameless else clean(group)[:LONGEST] if group else ""
    text = f"Look at {name}: {measure.phrase}" if name else f"Look at {measure.phrase}:"
    bounds = [target[end] for target in missed[:1] if target is found for end in ("min", "max")]
    more = digits(measure.format, found["now"], bounds)
    now = number(measure.format, found["now"], facts.currency, more)
    came = f"{number(measure.format, before, facts.currency, more)} to {now}" if before is not None else now
    return {"state": "look", "text": f"{text} {came}.", "measure": measure.name, "group": clean(group)}


def _calm(targets: Sequence[Target], facts: Facts) -> str:
    """What to say if no target is missed and nothing got much worse."""
    totals = facts.totals
    if not totals["predictions"]["now"]:
        return (
            "No predictions were created in this period."
            if facts.is_covered
            else "No predictions of this period have landed yet."
        )
    met = {one["measure"] for one in targets if (one["group"], one["state"]) == (None, "met")}
    if met & {"failed", "failed_share"} or any(one["measure"] == "failed_share" for one in facts.overall):
        return NORMAL
    if totals["failed_share"]["now"] is None and totals["failed"]["now"] is None:
        return "Failures are not known."
    if not totals["predictions"]["before"]:
        return "There is nothing to compare with yet."
    return "Too few finished predictions have landed to compare."


def count_missed(targets: Sequence[Target]) -> str:
    """The number of missed targets, in words; empty if none is missed."""
    missed = sum(target["state"] == "missed" for target in targets)
    verb = "is" if missed == 1 else "are"
    return f"{missed} of {counted(len(targets), 'target')} {verb} missed" if missed else ""


def _is_alarming(one: Change) -> bool:
    measure, now, before = MEASURES[one["measure"]], one["now"], one["before"]
    if measure.kind != "mean" or change(measure.format, now, before) == "unchanged":
        return False
    if measure.better == "up":
        now, before = 1 - now, 1 - before
    return abs(one["score"]) >= ALARMING and now > before and now >= RELEVANT * before
