"""Histories: played from a seed, a tape or a story; shrunk, and told."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.simulation.attempt import Attempt, InvariantError
from tests.simulation.invariants import Anew, Incremental, Invariants
from tests.simulation.listing import BEGAN, DOMAINS, Listing, Task
from tests.simulation.local import Directory
from tests.simulation.seams import Machine
from tests.simulation.store import STORE
from tests.simulation.tape import Drawn, Recorded, Source, as_text, shrink
from tests.simulation.world import World

RUNS = ("a", "b")
IN_MEMORY = next((place for place in ("/dev/shm",) if os.access(place, os.W_OK)), None)
"""Where files cost nothing; None where Linux has no such place."""


@dataclass(frozen=True)
class Scenario:
    """What is landed, and where.

    :param incremental: else anew by each run.
    :param local: in a directory, else in an object store.
    :param filtered: each run lands another domain, which nobody should do under one path.
    """

    incremental: bool
    local: bool
    filtered: bool = False

    def domains(self, run: str) -> tuple[str, ...] | None:
        """What a run lands; None for all."""
        return (DOMAINS[RUNS.index(run)],) if self.filtered and run in RUNS else None


SCENARIOS = {
    "incremental, store": Scenario(incremental=True, local=False),
    "incremental, local": Scenario(incremental=True, local=True),
    "anew, store": Scenario(incremental=False, local=False),
    "anew, local": Scenario(incremental=False, local=True),
    "anew, two filters": Scenario(incremental=False, local=False, filtered=True),
}


@dataclass(frozen=True)
class History:
    """A history as it was played.

    :param scenario: its name.
    :param tape: plays it again.
    :param violation: of an invariant; None where all of them held.
    :param happened: how often each kind of fault did, and each other choice but to go on.
    :param log: what happened, a line each.
    """

    scenario: str
    tape: list[int]
    violation: InvariantError | None
    happened: Counter[str]
    steps: int
    log: list[str]

    @property
    def kind(self) -> str | None:
        """Which invariant did not hold."""
        return self.violation and self.violation.kind

    def shrunk(self) -> History:
        """The shortest history found that breaks the same invariant."""

        def fails(tape: list[int]) -> bool:
            return play(self.scenario, Recorded(tape)).kind == self.kind

        return play(self.scenario, Recorded(shrink(self.tape, fails)))

    def __str__(self) -> str:
        """What has happened, and how to let it happen again."""
        script = f"play({self.scenario!r}, Recorded({as_text(self.tape)}))"
        return "\n".join([*self.log, f"{self.violation}", f"To play it again: {script}"])


def play(scenario: str, source: Source) -> History:
    """Play a history.

    :param scenario: the name of one of ``SCENARIOS``.
    :param source: makes its choices.
    """
    with tempfile.TemporaryDirectory(prefix="simulation-", dir=IN_MEMORY) as home:
        scene = _Scene(SCENARIOS[scenario], source, Path(home))
        violation = scene.play()
    world = scene.world
    log = [line.replace(home, "") for line in world.log]
    if violation:
        violation = InvariantError(str(violation).replace(home, ""))
    return History(scenario, world.tape, violation, world.happened, world.steps, log)


def drawn(scenario: str, seed: int) -> History:
    """Play the history of a seed."""
    return play(scenario, Drawn(seed))


class _Scene:
    """Lets the attempts of a world land, and checks what they have done.

    :param home: an empty directory of the real disk.
    """

    def __init__(self, scenario: Scenario, source: Source, home: Path) -> None:
        self.world = World(source, RUNS, self)
        self._scenario = scenario
        self._machine = Machine(home, BEGAN, self.world)
        self._storage = Directory(home / "landed", self.world) if scenario.local else STORE
        self._storage.begin(self.world)
        self._listing = Listing()
        self._task = Task(self.world, self._listing, self._storage.url, scenario.incremental)
        self._invariants: Invariants = Incremental() if scenario.incremental else Anew()
        self._checked = -1

    def play(self) -> InvariantError | None:
        """All of the history; what was violated."""
        with self._storage.steps(), self._machine.simulated():
            try:
                self.world.play()
                self._invariants.complete({row["id"] for row in self._listing.rows})
            except InvariantError as violation:
                return violation
            finally:
                self.world.close()
        return None

    @property
    def is_finished(self) -> bool:
        """Whether no prediction is unfinished."""
        return self._listing.is_finished

    def land(self, attempt: Attempt) -> Any:
        """The work of an attempt."""
        return self._task.run(attempt, self._scenario.domains(attempt.run))

    def enter(self, attempt: Attempt) -> None:
        """Be on the machine of an attempt."""
        self._machine.enter(attempt)

    def pass_time(self, seconds: float) -> None:
        """Move the clock."""
        self._machine.pass_time(seconds)

    def grow(self) -> None:
        """Add a prediction to the list."""
        self._listing.grow()

    def finish(self) -> None:
        """Finish a prediction."""
        self._listing.finish()

    def check(self) -> None:
        """Raise a violation where an invariant does not hold."""
        if self._checked != self._storage.version:
            self._checked = self._storage.version
            self._invariants.check(self._storage.objects(), self.world.steps)

    def ended(self, attempt: Attempt) -> None:
        """Check what an attempt returns."""
        self._checked = -1  # however it has changed what lies there
        self.check()
        if attempt.status == "succeeded":
            self._invariants.ended(attempt)
