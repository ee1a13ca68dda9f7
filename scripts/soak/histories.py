"""Attempts are frozen, killed and woken in every order, and no committed record is harmed.

The list, the storage, the clock and the workers are simulated, so it takes no real time.
"""

from __future__ import annotations

import tests.conftest  # noqa: F401  (Airflow's environment, before anything imports Airflow)
from soak.common import Report
from tests.simulation.soak import run as play


def run(histories: int = 2_500) -> Report:
    """Play histories of each scenario.

    :param histories: of each.
    """
    summaries = play(histories)
    report = Report(("", *summaries))
    report.rows = [
        ("histories", *(f"{one.histories:,}" for one in summaries.values())),
        ("steps", *(f"{one.steps:,}" for one in summaries.values())),
        ("seconds of a core", *(f"{one.seconds:,.0f}" for one in summaries.values())),
    ]
    kinds = sorted({kind for one in summaries.values() for kind in one.happened})
    report.rows += [(kind, *(f"{one.happened[kind]:,}" for one in summaries.values())) for kind in kinds]
    broken = [sum(map(len, one.found.values())) for one in summaries.values()]
    report.rows.append(("histories that broke an invariant", *broken))
    for name, one in summaries.items():
        report.promise(not one.found, f"{name}: {', '.join(one.found)}; the seeds are printed above")
    return report
