"""``python -m tests.simulation``: play many histories, and print a shrunk one of each kind that fails."""

from __future__ import annotations

import argparse
import os
import sys

import tests.conftest  # noqa: F401  (Airflow's environment, before anything imports Airflow)
from tests.simulation.scenarios import SCENARIOS
from tests.simulation.soak import run


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument(
        "scenarios", nargs="*", metavar="scenario", help=f"of {', '.join(SCENARIOS)}; by default all"
    )
    parser.add_argument("--histories", type=int, default=1000, help="of each; by default 1000")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="by default one a core")
    given = parser.parse_args()
    names = tuple(given.scenarios) or tuple(SCENARIOS)
    summaries = run(given.histories, given.first_seed, given.processes, names)
    sys.exit(any(summary.found for summary in summaries.values()))


if __name__ == "__main__":
    main()
