"""One history: attempts that are stepped at each call, in an order and with faults that a tape chooses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import greenlet

from tests.simulation.attempt import FAULTS, Attempt, HistoryOver, InvariantError
from tests.simulation.tape import Option, Source

MOST_ATTEMPTS = 3
"""Of a run."""
MOST_STEPS = 3000
JUMPS = (700.0, 90_000.0)
"""Seconds by which the clock may go on at once: over a lock's lifetime, over a checkpoint's."""
LAST = "last"
"""The run that must succeed when all is over."""
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

    def grow(self) -> None:
        """Add a prediction to the list."""

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
    """

    def __init__(self, source: Source, runs: tuple[str, ...], scene: Scene) -> None:
        self.runs = runs
        self.scene = scene
        self.tape: list[int] = []
        self.log: list[str] = []
        self.happened: Counter[str] = Counter()
        self.steps = 0
        self.attempts: list[Attempt] = []
        self.running: Attempt | None = None
        self._source = source
        self._late: list[tuple[str, Callable[[], Any]]] = []

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
        self.log.append(f"{len(self.tape):4} {attempt.where}{f'  <- {fault}' if fault else ''}")
        if fault == "fail":
            raise OSError(5, "the call never arrived")
        return fault

    def act(self, call: str, place: str, change: Callable[[], Any]) -> None:
        """Change what lies outside of an attempt, if the call is let through."""
        fault = self.step(call, place)
        if fault == "late":
            self._late.append((f"{call} {place}", change))
            raise OSError(5, "no response; the call may still arrive")
        change()
        if fault == "repeated":
            change()
        if fault == "arrived":
            raise OSError(5, "the call arrived, its response did not")

    def play(self) -> None:
        """All of the history.

        :raises InvariantError: where an invariant does not hold.
        """
        current = self._start(self.runs[0], 1)
        while True:
            options = [*self._options(current)]
            pick = self._source.pick(options, current.where)
            self.tape.append(pick)
            if options[pick].kind == "stop":
                break
            current = self._take(options[pick], current)
            self._count_step()
        self._be_calm()

    def close(self) -> None:
        """Unwind all that is left in the middle of something."""
        for attempt in self.attempts:
            while attempt.greenlet and not attempt.greenlet.dead:
                attempt.status = "over"
                self._resume(attempt)

    def _options(self, current: Attempt) -> Iterator[Option]:
        """What may happen next, the dullest first."""
        is_ready = current.status == "ready"
        last = {attempt.run: attempt for attempt in self.attempts}
        if is_ready:
            yield Option("go", current)
        yield from (
            Option("switch", one) for one in self.attempts if one.status == "ready" and one is not current
        )
        for one in last.values():
            if one.status in ("killed", "frozen", "failed") and one.number < MOST_ATTEMPTS:
                yield from (Option("retry", one), Option("move", one))
        yield from (Option("start", run) for run in self.runs if run not in last)
        yield from (Option("wake", one) for one in self.attempts if one.status == "frozen")
        if is_ready:
            yield from (Option("kill", current), Option("freeze", current))
            yield from (Option(fault, current) for fault in FAULTS.get(current.call, ()) if not current.fault)
        else:
            yield Option("stop")
        yield from (Option("twin", one) for one in last.values() if one.status == "ready" and not one.is_twin)
        yield from (Option("deliver", number) for number in range(len(self._late)))
        yield from (Option("clock", seconds) for seconds in JUMPS)
        yield Option("grow")
        if not self.scene.is_finished:
            yield Option("finish")

    def _take(self, option: Option, current: Attempt) -> Attempt:
        """Let it happen.

        :return: who goes on if nothing else is chosen.
        """
        kind, subject = option
        if kind not in ("go", "switch"):
            self.happened[kind] += 1
            self.log.append(f"{len(self.tape):4} -- {kind} {'' if subject is None else subject}".rstrip())
        match kind, subject:
            case (("go" | "switch"), Attempt()):
                return self._resume(subject)
            case "start", str():
                return self._start(subject, 1)
            case "retry", Attempt():
                return self._start(subject.run, subject.number + 1, subject.machine)
            case "move", Attempt():
                return self._start(subject.run, subject.number + 1, 1 - subject.machine)
            case "twin", Attempt():
                return self._start(subject.run, subject.number, 1 - subject.machine, is_twin=True)
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
            case "finish", _:
                self.scene.finish()
            case _, Attempt():
                subject.fault = kind
        return current

    def _start(self, run: str, number: int, machine: int = 0, *, is_twin: bool = False) -> Attempt:
        attempt = Attempt(run, number, machine, self.steps, is_twin, self.scene.land)
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
        what, change = self._late.pop(number)
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
        """Nothing fails any more, the frozen stay frozen; and a new run must succeed."""
        self.scene.pass_time(LAST_AFTER)
        while not self.scene.is_finished:
            self.scene.finish()
        last = self._start(LAST, 1)
        while last.status == "ready":
            self._count_step()
            self._resume(last)
        self.scene.check()
        if last.status != "succeeded":
            raise InvariantError(f"blocked: {last.outcome}")
