"""One history: attempts that are stepped at each call; a tape chooses the order and the faults."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Set
from dataclasses import replace
from typing import Any, Protocol, TypeVar

import greenlet

from tests.simulation.attempt import MOST_ATTEMPTS, ODD, Attempt, HistoryOver, InvariantError, Which, odd
from tests.simulation.options import options
from tests.simulation.tape import Option, Source

T = TypeVar("T")

MOST_STEPS = 3000
LAST = "last"
"""The run that must succeed when all is over."""
AFTER = "after"
"""The run after that, where something is left to be tidied up."""
LAST_AFTER = 3600.0
"""Seconds after which it begins."""


class Scene(Protocol):
    """What a world's attempts do, and what must hold meanwhile."""

    @property
    def is_finished(self) -> bool:
        """Whether no prediction is unfinished."""

    def land(self, attempt: Attempt) -> Any:
        """The work of an attempt."""

    def enter(self, attempt: Attempt) -> None:
        """Be on the machine of an attempt."""

    def pass_time(self, seconds: float) -> None:
        """Move the clock."""

    def calm(self, seconds: float) -> None:
        """Move the clock, and make room where there was none."""

    def first(self, run: str) -> int:
        """Which arguments a run begins with."""

    def others(self, attempt: Attempt) -> Iterable[int]:
        """Which other arguments its retry may have."""

    def listed(self) -> list[dict[str, Any]]:
        """The list as it is."""

    def leftovers(self) -> list[str]:
        """What nothing names that is committed."""

    def grow(self, *, ahead: bool = False) -> None:
        """Add a prediction to the list.

        :param ahead: its creation time is.
        """

    def fill(self) -> None:
        """Leave little room in the storage."""

    def finish(self) -> None:
        """Finish a prediction."""

    def check(self) -> None:
        """Raise a violation where an invariant does not hold."""

    def ended(self, attempt: Attempt) -> None:
        """Check what an attempt returns."""


class World:
    """Attempts, and what of their requests is still on its way.

    :param source: makes the choices.
    :param runs: which runs of the task there are; one more must succeed at the end.
    :param scene: what they do.
    :param freedoms: what may happen here beside what may happen everywhere.
    :param alone: one attempt is at work at a time, and no request outlives it.
    """

    def __init__(
        self,
        source: Source,
        runs: tuple[str, ...],
        scene: Scene,
        freedoms: Set[str] = frozenset(),
        *,
        alone: bool = False,
    ) -> None:
        self.runs = runs
        self.freedoms = freedoms
        self.alone = alone
        self.scene = scene
        self.tape: list[int] = []
        self.log: list[str] = []
        self.happened: Counter[str] = Counter()
        self.steps = 0
        self.attempts: list[Attempt] = []
        self.running: Attempt | None = None
        self.authors: dict[str, Attempt] = {}
        """Of what is committed, by their nonces."""
        self._source = source
        self.late: list[tuple[str, Callable[[], Any]]] = []

    def step(self, call: str, place: str) -> str | None:
        """Let everything else happen before a call of the running attempt.

        :return: how the call fails; None for a call of nobody, or one that works.
        :raises OSError: where it never arrives.
        """
        attempt = self.running
        if attempt is None or greenlet.getcurrent() is not attempt.greenlet:
            return None
        if attempt.status == "over":
            raise HistoryOver
        attempt.call, attempt.place = call, place
        attempt.greenlet.parent.switch()
        if attempt.status == "over":
            raise HistoryOver
        fault, attempt.fault = attempt.fault, None
        if fault:
            attempt.failed.add(call)
        self.log.append(f"{len(self.tape):4} {attempt.where}{f'  <- {fault}' if fault else ''}")
        if fault == "fail":
            raise OSError(5, "the call never arrived")
        if fault in ODD:
            odd(fault)
        return fault

    def get(self, place: str, read: Callable[[], T]) -> T:
        """Let an attempt read what lies at a place, and note that it has got it."""
        self.step("get", place)
        found = read()
        if self.running and greenlet.getcurrent() is self.running.greenlet:
            self.running.read.add(place)
        return found

    def act(self, call: str, place: str, change: Callable[[], Any]) -> None:
        """Change what lies outside of an attempt, if the call is let through."""
        fault = self.step(call, place)
        if fault == "late":
            self.late.append((f"{call} {place}", change))
            raise OSError(5, "no response; the call may still arrive")
        change()
        if fault == "repeated":
            self.act(call, place, change)
        if fault == "arrived":
            raise OSError(5, "the call arrived, its response did not")
        if fault and fault.startswith("arrived "):
            odd(fault.removeprefix("arrived "))

    def play(self) -> None:
        """All of the history.

        :raises InvariantError: where an invariant does not hold.
        """
        current = self._take(Option("start", self.runs[0]), None)
        while True:
            choices = [*options(self, current)]
            pick = self._source.pick(choices, current.where)
            self.tape.append(pick)
            if choices[pick].kind == "stop":
                break
            current = self._take(choices[pick], current)
            self._count_step()
        self._be_calm()

    def close(self) -> None:
        """Unwind all that is left in the middle of something."""
        for attempt in self.attempts:
            while attempt.greenlet and not attempt.greenlet.dead:
                attempt.status = "over"
                self._resume(attempt)

    def newest(self) -> dict[str, Attempt]:
        """The last attempt of each run."""
        return {attempt.run: attempt for attempt in self.attempts}

    def _take(self, option: Option, current: Any) -> Attempt:
        """Let it happen.

        :return: who goes on if nothing else is chosen.
        """
        kind, subject = option
        if kind not in ("go", "switch"):
            self.happened[kind] += 1
            self.log.append(f"{len(self.tape):4} -- {option}")
        match kind, subject:
            case (("go" | "switch"), Attempt()):
                return self._resume(subject)
            case "start", str():
                return self._start(Which(subject, arguments=self.scene.first(subject), started=self.steps))
            case "other", (Attempt() as one, int() as arguments):
                return self._start(replace(self._next(one), arguments=arguments))
            case (("retry" | "move" | "twin" | "again" | "raised" | "clear" | "lowered"), Attempt()):
                return self._start(self._following(subject, kind))
            case "wake", Attempt():
                subject.status = "ready"
                return subject
            case "kill", Attempt():
                self._kill(subject)
            case "freeze", Attempt():
                subject.status = "frozen"
            case "deliver", int():
                self._deliver(subject)
            case "clock", float():
                self.scene.pass_time(subject)
            case "grow", _:
                self.scene.grow()
            case "ahead", _:
                self.scene.grow(ahead=True)
            case "full", _:
                self.scene.fill()
            case "finish", _:
                self.scene.finish()
            case "odd", str():
                current.fault = subject
            case _, Attempt():
                subject.fault = kind
        return current

    def _following(self, one: Attempt, kind: str) -> Which:
        """What Airflow starts after an attempt, or beside it."""
        which = one.which
        match kind:
            case "move":
                return replace(self._next(one), machine=1 - which.machine)
            case "twin":
                return replace(which, machine=1 - which.machine, is_twin=True)
            case "again" | "raised":  # the DAG has one retry more
                most = MOST_ATTEMPTS + (kind == "raised")
                life = which.life + 1
                return Which(one.run, arguments=which.arguments, life=life, started=self.steps, most=most)
            case "clear" | "lowered":  # the DAG has no retries any more
                has_finished = one.status == "succeeded" or one.number >= which.most
                started = self.steps if has_finished else which.started
                most = one.number + (MOST_ATTEMPTS if kind == "clear" else 1)
                since = self.steps if one.status == "succeeded" else which.lands_since
                clears = which.clears + 1
                return replace(self._next(one), clears=clears, started=started, most=most, lands_since=since)
            case _:
                return self._next(one)

    @staticmethod
    def _next(one: Attempt) -> Which:
        return replace(one.which, number=one.number + 1, is_twin=False)

    def _start(self, which: Which) -> Attempt:
        attempt = Attempt(which, self.steps, self.scene.land)
        first = next((one for one in self.attempts if one.life == attempt.life), None)
        attempt.listed = first.listed if first else self.scene.listed()
        self.attempts.append(attempt)
        return self._resume(attempt)

    def _resume(self, attempt: Attempt) -> Attempt:
        """Let an attempt make the call before which it stands, and go on to the next one."""
        attempt.greenlet.parent = greenlet.getcurrent()
        self.running = attempt
        self.scene.enter(attempt)
        attempt.greenlet.switch()
        self.running = None
        if attempt.greenlet.dead and attempt.status != "over":
            self.log.append(f"{len(self.tape):4} {attempt.where}: {attempt.outcome}")
            self.scene.ended(attempt)
        return attempt

    @staticmethod
    def _kill(attempt: Attempt) -> None:
        """It never goes on; the kernel lets go of its locks."""
        attempt.status = "killed"
        for lock in attempt.locks:
            lock.close()

    def _deliver(self, number: int) -> None:
        what, change = self.late.pop(number)
        self.log.append(f"     arrives late: {what}")
        try:
            change()
        except OSError as error:
            self.log.append(f"     and is refused: {type(error).__name__}")

    def _count_step(self) -> None:
        self.steps += 1
        if self.steps > MOST_STEPS:
            raise InvariantError(f"endless: more than {MOST_STEPS} steps")
        self.scene.check()

    def _be_calm(self) -> None:
        """Nothing fails any more, the frozen stay frozen. A new run must succeed, and one more tidy up."""
        self.scene.calm(LAST_AFTER)
        while not self.scene.is_finished:
            self.scene.finish()
        self._land_calmly(LAST)
        if self.scene.leftovers():
            self.scene.grow()
            self._land_calmly(AFTER)
            if found := self.scene.leftovers():
                raise InvariantError(f"leftover: two runs in peace have left {found}")

    def _land_calmly(self, run: str) -> None:
        last = self._start(Which(run, arguments=self.scene.first(run), started=self.steps))
        while last.status == "ready":
            self._count_step()
            self._resume(last)
        self.scene.check()
        if last.status != "succeeded":
            raise InvariantError(f"blocked: {last.outcome}")
