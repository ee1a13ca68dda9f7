"""Targets of a report, and its verdict."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_predictions.api.wording import counted
from airflow_provider_predictions.report.coverage import Sources
from airflow_provider_predictions.report.measures import MEASURES
from airflow_provider_predictions.report.summary import Change, Number, Target, Verdict
from airflow_provider_predictions.report.words import (
    change,
    digits,
    joined_with_and,
    number,
    without_controls,
)

Numbers = Mapping[str | None, Mapping[str, Number]]
"""By group, None for all predictions together, and by measure."""
NORMAL = "Normal."
LONGEST = 80
"""Characters of the name of a group in the verdict."""
ALARMING = 3
RELEVANT = 1.1
"""The verdict names a mean or a share that got worse by so many standard deviations, if what is bad in it
(the failed share, the duration, what a confidence lacks) also grew to so many times what it was."""


def judged(
    name: str, bounds: Mapping[str, float], numbers: Numbers, sources: Sources, without_values: int
) -> Target:
    """Judge a target.

    :param without_values: the predictions of the period whose values were not read.
    """
    measure, _, group = name.partition(":")
    low, high, found = bounds.get("min"), bounds.get("max"), numbers.get(group or None, {}).get(measure)
    least, most, why = -math.inf, math.inf, ""  # what is known of the number
    if measure not in numbers[None]:
        why = f"{joined_with_and(sources.titles)} has no {measure}"
    elif not MEASURES[measure].is_known(sources.missing[0]):
        why = f"only {sources.narrowed} predictions were to land"
    elif MEASURES[measure].is_of_values and without_values:
        why = f"the values of {counted(without_values, 'prediction')} have not landed"
        least = (found and found["now"]) or 0
    elif found is None:
        # The name may be a typo, so no bound is met. But a minimum is missed, also if a group is long gone.
        why = f"there is no {without_controls(group)} in the periods that were read"
        most = 0 if MEASURES[measure].is_sum else most
    elif found["now"] is None:
        why = "this period has nothing to compute it from"
    elif not sources.reach_period:
        # A maximum may hold or not. But a minimum is missed, so that a service that stops is seen.
        why = "no landing has read the list since the period began"
        most = found["now"] if MEASURES[measure].is_sum else most
    else:
        least = most = found["now"]
    missed = (low is not None and most < low) or (high is not None and least > high)
    met = math.isfinite(least) and (low is None or least >= low) and (high is None or most <= high)
    state: Any = "missed" if missed else "met" if met else "unknown"
    now = next(filter(math.isfinite, (least, most)), None) if missed or met else None
    return Target(measure=measure, group=group or None, min=low, max=high, now=now, state=state, why=why)


def verdict(
    targets: Sequence[Target],
    numbers: Numbers,
    changes: Sequence[Change],
    overall: Sequence[Change],
    currency: str | None,
) -> Verdict:
    """Decide whether to look, and at what: first a missed target, then what got much worse.

    It is normal only if failures were compared, or a target on them is met.

    :param changes: of groups, the least likely first.
    :param overall: each measure of all predictions together that could be compared, whatever its score.
    """
    worse = sorted(filter(_is_alarming, [*changes, *overall]), key=lambda one: -abs(one["score"]))
    missed = [target for target in targets if target["state"] == "missed"]
    if not (missed or worse):
        text = _calm(targets, numbers[None], overall)
        return Verdict(state="normal" if text == NORMAL else "unknown", text=text, measure=None, group=None)
    found: Target | Change = (missed or worse)[0]
    behind = [one for one in worse if one["measure"] == found["measure"] and one not in overall]
    if found["group"] is None and behind:
        found = behind[0]
    measure, group = MEASURES[found["measure"]], found["group"]
    # A change may be of a group that has no numbers here.
    known: Any = found if "before" in found else numbers.get(group or None, {}).get(measure.name)
    bounds = [target[end] for target in missed[:1] if target is found for end in ("min", "max")]
    more = digits(measure.format, found["now"], bounds)
    came = number(measure.format, found["now"], currency, more)
    if known and known["before"] is not None:
        came = f"{number(measure.format, known['before'], currency, more)} to {came}"
    words = "failures" if measure.name == "failed_share" else measure.words[0].lower() + measure.words[1:]
    is_nameless = not group and "before" in found and found not in overall
    name = "those without a name" if is_nameless else without_controls(group)[:LONGEST] if group else ""
    text = f"Look at {name}: {words}" if name else f"Look at {words}:"
    return Verdict(state="look", text=f"{text} {came}.", measure=measure.name, group=without_controls(group))


def _calm(targets: Sequence[Target], totals: Mapping[str, Number], overall: Sequence[Change]) -> str:
    """What to say if no target is missed and nothing got much worse."""
    if not totals["predictions"]["now"]:
        return "No predictions of this period have landed."
    met = {one["measure"] for one in targets if (one["group"], one["state"]) == (None, "met")}
    if met & {"failed", "failed_share"} or any(one["measure"] == "failed_share" for one in overall):
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
    is_seen = change(measure.format, now, before) != "unchanged"
    if measure.is_sum or not is_seen or measure.tone(now, before) != "bad":
        return False
    if measure.better == "up":
        now, before = 1 - now, 1 - before
    return abs(one["score"]) >= ALARMING and now >= RELEVANT * before
