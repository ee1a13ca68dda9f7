"""Attempts are frozen, killed and woken in every order, and no committed record is harmed.

The list, the storage, the clock and the workers are simulated, so it takes no real time.
"""

from __future__ import annotations

import tests.conftest  # noqa: F401  (Airflow's environment, before anything imports Airflow)
from soak.common import Report
from tests.simulation.soak import Summary
from tests.simulation.soak import run as play


def run(histories: int = 2_500) -> Report:
    """Play histories of each scenario.

    :param histories: of each.
    """
    summaries = play(histories)
    report = Report(("scenario", "histories", "steps", "seconds of a core", "broken", "what happened"))
    report.rows = [row(name, one) for name, one in summaries.items()]
    for name, one in summaries.items():
        report.promise(not one.found, f"{name}: {', '.join(one.found)}")
    return report


def row(scenario: str, one: Summary) -> tuple[str, ...]:
    """What came of the histories of a scenario."""
    broken, happened = sum(map(len, one.found.values())), sorted(one.happened.items())
    return (
        scenario, *(f"{number:,.0f}" for number in (one.histories, one.steps, one.seconds, broken)),
        ", ".join(f"{kind} {count:,}" for kind, count in happened),
    )  # fmt: skip
