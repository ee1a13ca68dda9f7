"""Targets of a report, and its verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from airflow_provider_predictions.api.wording import counted
from airflow_provider_predictions.report.measures import MEASURES, Measure
from airflow_provider_predictions.report.summary import Change, Number, Target, Verdict
from airflow_provider_predictions.report.words import clean, number

LONGEST = 80
"""Characters of the name of a group in the verdict."""
ALARMING = 3
"""Standard deviations by which a mean or a share must get worse before the verdict names it."""


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


def verdict(
    targets: Sequence[Target],
    changes: Sequence[Change],
    measures: Mapping[str, Number],
    groups: Mapping[str, Mapping[str, Number]],
    currency: str | None,
) -> Verdict:
    """Decide whether to look, and at what: first a missed target, then what got much worse.

    :param changes: the least likely first.
    """
    worse = [change for change in changes if _is_alarming(change)]
    missed = [target for target in targets if target["state"] == "missed"]
    if missed:
        found: Target | Change = missed[0]
        same = [change for change in worse if change["measure"] == found["measure"]]
        if found["group"] is None and same:  # the group that is behind it
            found = same[0]
    elif worse:
        found = worse[0]
    elif not measures["predictions"]["now"]:
        return _unknown("No predictions were created in this period.")
    elif measures["failed_share"]["now"] is None:
        return _unknown("Failures are not known.")
    elif not (measures["predictions"]["before"] or targets):
        return _unknown("There is nothing to compare with yet.")
    else:
        return {"state": "normal", "text": "Normal.", "measure": None, "group": None}
    measure, group = MEASURES[found["measure"]], found["group"]
    numbers = groups.get(group, {}) if group else measures
    before = numbers[measure.name]["before"] if measure.name in numbers else None
    text = f"Look at {clean(group)[:LONGEST]}: {measure.phrase}" if group else f"Look at {measure.phrase}:"
    now = number(measure.format, found["now"], currency)
    came = f"{number(measure.format, before, currency)} to {now}" if before is not None else now
    return {"state": "look", "text": f"{text} {came}.", "measure": measure.name, "group": group}


def count_missed(targets: Sequence[Target]) -> str:
    """The number of missed targets, in words; empty if none is missed."""
    missed = sum(target["state"] == "missed" for target in targets)
    return (
        f"{missed} of {counted(len(targets), 'target')} {'is' if missed == 1 else 'are'} missed"
        if missed
        else ""
    )


def _is_alarming(change: Change) -> bool:
    measure: Measure = MEASURES[change["measure"]]
    worse = change["score"] if measure.better == "down" else -change["score"]
    return measure.better != "none" and measure.kind == "mean" and worse >= ALARMING


def _unknown(text: str) -> Verdict:
    return {"state": "unknown", "text": text, "measure": None, "group": None}
