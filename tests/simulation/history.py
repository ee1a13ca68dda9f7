"""Histories: played from a seed, a tape or a story; shrunk, and told."""

from __future__ import annotations

import os
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.simulation.attempt import Attempt, InvariantError
from tests.simulation.invariants import Anew, Claims, Incremental, Invariants
from tests.simulation.leftovers import Leftovers
from tests.simulation.listing import AHEAD, BEGAN, BETWEEN, Arguments, Listing, Task
from tests.simulation.local import Directory
from tests.simulation.scenarios import RUNS, SCENARIOS, Scenario
from tests.simulation.seams import Machine
from tests.simulation.store import STORE
from tests.simulation.tape import Drawn, Recorded, Source, as_text, shrink
from tests.simulation.world import World

IN_MEMORY = next((place for place in ("/dev/shm",) if os.access(place, os.W_OK)), None)
"""Where files cost nothing; None where Linux has no such place."""


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
        is_alone = scenario.creates != "created"
        self.world = World(source, RUNS, self, scenario.freedoms, alone=is_alone)
        self._scenario = scenario
        self._machine = Machine(home, BEGAN, self.world)
        self._storage = Directory(home / "landed", self.world) if scenario.local else STORE
        self._storage.begin(self.world, scenario.creates)
        self._listing = Listing()
        self._task = Task(
            self.world, self._listing, self._storage.url, scenario.incremental, has_ids=scenario.has_ids
        )
        claims = Claims(self.world.authors, self._arguments)
        self._invariants: Invariants = Incremental(claims) if scenario.incremental else Anew(claims)
        self._leftovers = Leftovers(self.world.authors, incremental=scenario.incremental)
        self._checked = -1

    def play(self) -> InvariantError | None:
        """All of the history; what was violated."""
        with self._storage.steps(), self._machine.simulated():
            try:
                self.world.play()
                self._invariants.complete(self._listing.rows)
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
        return self._task.run(attempt, self._arguments(attempt))

    def _arguments(self, attempt: Attempt) -> Arguments:
        return self._scenario.arguments[attempt.which.arguments]

    def first(self, run: str) -> int:
        """Which arguments a run begins with."""
        if run in RUNS:
            return self._scenario.begins[RUNS.index(run)]
        newest = self._invariants.newest()
        return newest.which.arguments if newest and self._scenario.incremental else 0

    def others(self, attempt: Attempt) -> list[int]:
        """Which other arguments its retry may have."""
        return [
            number for number in range(len(self._scenario.arguments)) if number != attempt.which.arguments
        ]

    def listed(self) -> list[dict[str, Any]]:
        """The list as it is."""
        return [{**row} for row in self._listing.rows]

    def enter(self, attempt: Attempt) -> None:
        """Be on the machine of an attempt."""
        self._machine.enter(attempt)

    def pass_time(self, seconds: float) -> None:
        """Move the clock."""
        self._machine.pass_time(seconds)

    def calm(self, seconds: float) -> None:
        """Move the clock, and make room where there was none."""
        self._machine.pass_time(seconds)
        STORE.most_parts = sys.maxsize

    def grow(self, *, ahead: bool = False) -> None:
        """Add a prediction to the list.

        :param ahead: its creation time is.
        """
        self._machine.pass_time(BETWEEN.total_seconds())
        self._listing.grow(datetime.now(UTC) + (AHEAD if ahead else timedelta()))

    def fill(self) -> None:
        """Leave little room in the store."""
        STORE.fill()

    def leftovers(self) -> list[str]:
        """What nothing names that is committed."""
        return self._leftovers.found(self._storage.objects())

    def finish(self) -> None:
        """Finish a prediction."""
        self._listing.finish()

    def check(self) -> None:
        """Raise a violation where an invariant does not hold."""
        if self._checked != self._storage.version:
            self._checked = self._storage.version
            objects = self._storage.objects()
            self._invariants.check(objects, self.world.steps)
            self._leftovers.see(objects)

    def ended(self, attempt: Attempt) -> None:
        """Check what an attempt returns or raises."""
        self._checked = -1  # however it has changed what lies there
        self.check()
        if attempt.status == "succeeded":
            self._invariants.ended(attempt)
        elif attempt.status == "failed":
            self._invariants.failed(attempt)
            self._leftovers.ended(attempt, self._storage.objects())
