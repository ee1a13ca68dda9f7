"""Many histories: how many break which invariant, and a shrunk one of each."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter, defaultdict
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import product

from tests.simulation.history import drawn
from tests.simulation.scenarios import SCENARIOS
from tests.simulation.seams import silence

CHUNK = 25
"""Histories that a process plays at once."""
NAMED = 10
"""Seeds of a kind that are printed."""


@dataclass
class Summary:
    """Of histories of a scenario."""

    histories: int = 0
    steps: int = 0
    seconds: float = 0
    happened: Counter[str] = field(default_factory=Counter)
    found: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    """Seeds, by the kind of what they violate."""

    def add(self, other: Summary) -> None:
        """Count others."""
        self.histories += other.histories
        self.steps += other.steps
        self.seconds += other.seconds
        self.happened += other.happened
        for kind, seeds in other.found.items():
            self.found[kind] += seeds

    def __str__(self) -> str:
        happened = ", ".join(f"{kind} {count}" for kind, count in sorted(self.happened.items()))
        lines = [
            f"{self.histories} histories, {self.steps} steps, {self.seconds:.0f} s of a core "
            f"({self.histories / self.seconds:.0f} a second); {happened}"
        ]
        for kind, seeds in sorted(self.found.items()):
            lines.append(f"  {kind}: {len(seeds)}, seeds {', '.join(map(str, sorted(seeds)[:NAMED]))}")
        return "\n".join(lines)


def run(
    histories: int,
    first_seed: int = 0,
    processes: int = os.cpu_count() or 1,
    scenarios: tuple[str, ...] = tuple(SCENARIOS),
) -> dict[str, Summary]:
    """Play histories of each scenario; print what happened, and a shrunk history of each kind that fails.

    :param histories: of each scenario.
    """
    chunks = range(first_seed, first_seed + histories, CHUNK)
    tasks = [
        (name, range(first, min(first + CHUNK, first_seed + histories)))
        for first, name in product(chunks, scenarios)
    ]
    summaries = {name: Summary() for name in scenarios}
    with ProcessPoolExecutor(processes) as pool:
        for (name, _), summary in zip(tasks, pool.map(summarize, tasks), strict=True):
            summaries[name].add(summary)
    for name, summary in summaries.items():
        sys.stdout.write(f"{name}: {summary}\n")
    with silence():
        for name, summary in summaries.items():
            for kind, seeds in summary.found.items():
                shrunk = drawn(name, min(seeds)).shrunk()
                sys.stdout.write(f"\n--- {name}, {kind}, seed {min(seeds)}\n{shrunk}\n")
    return summaries


def summarize(task: tuple[str, range]) -> Summary:
    """Play the histories of some seeds.

    :param task: a scenario, and the seeds.
    """
    scenario, seeds = task
    summary, began = Summary(len(seeds)), time.perf_counter()
    with silence():
        for seed in seeds:
            history = drawn(scenario, seed)
            summary.steps += history.steps
            summary.happened += history.happened
            if history.kind:
                summary.found[history.kind].append(seed)
    summary.seconds = time.perf_counter() - began
    return summary
