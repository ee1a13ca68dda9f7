"""The choices of a history: drawn from a seed, replayed from a list, made by a story; and shrunk.

A history is a tape of integers, one for each choice: which of the options is taken. 0 is always the dullest
one: the same attempt goes on and nothing fails. So the empty tape is a history without faults.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatch
from typing import NamedTuple, Protocol

WEIGHTS = {
    "go": 60,
    "switch": 20,
    "retry": 4,
    "move": 2,
    "twin": 1,
    "start": 5,
    "wake": 4,
    "stop": 3,
    "kill": 2,
    "freeze": 2,
    "fail": 1,
    "arrived": 1,
    "late": 1,
    "deliver": 3,
    "repeated": 1,
    "stale": 3,
    "clock": 1,
    "grow": 1,
    "finish": 1,
    "odd": 1,
    "other": 2,
    "again": 3,
    "clear": 3,
    "raised": 1,
    "lowered": 1,
    "ahead": 2,
    "full": 4,
}
"""Kinds of options, and how often each is drawn."""
ALWAYS = {"go", "switch", "retry", "stop"}
LEFT_OUT = 0.3
"""Of each other kind: the chance that a history does without. Few kinds at once find what many hide."""
STEADY = 0.4
"""The chance that attempts of a history run long: it departs from 0 at a few points only."""
POINTS = 4
"""How many such points there are at most."""


class Option(NamedTuple):
    """What may happen next.

    :param kind: such as ``freeze``.
    :param subject: to whom.
    """

    kind: str
    subject: object = None

    def __str__(self) -> str:
        whom = self.subject if isinstance(self.subject, tuple) else [self.subject]
        return " ".join([self.kind, *(str(one) for one in whom if one is not None)])


class Source(Protocol):
    """Makes the choices of a history."""

    def pick(self, options: Sequence[Option], where: str) -> int:
        """One of the options.

        :param where: the current attempt, and the call that it is about to make.
        """


class Drawn:
    """Choices by weights, or 0 but for a few points; both from a seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._left_out = {kind for kind in WEIGHTS if self._random.random() < LEFT_OUT} - ALWAYS
        self._points: set[int] | None = None
        if self._random.random() < STEADY:
            length = self._random.choice((20, 40, 80))
            self._points = set(self._random.sample(range(length), self._random.randint(1, POINTS)))
        self._count = -1

    def pick(self, options: Sequence[Option], where: str) -> int:
        """One of the options."""
        self._count += 1
        weights = [0 if one.kind in self._left_out else WEIGHTS[one.kind] for one in options]
        if self._points is not None and options[0].kind == "go":
            if self._count not in self._points:
                return 0
            weights[0] = 0
        return self._random.choices(range(len(options)), weights)[0] if any(weights) else 0


class Recorded:
    """Choices that were made before, and 0 from there on."""

    def __init__(self, tape: Sequence[int]) -> None:
        self._left = [*reversed(tape)]

    def pick(self, options: Sequence[Option], where: str) -> int:
        """One of the options."""
        return self._left.pop() % len(options) if self._left else 0


class Story:
    """Choices at named places, and 0 elsewhere.

    :param directions: places as ``fnmatch`` takes them, such as ``a.1 put *part-00001*``, and which kind of
        option is taken there; one after the other.
    """

    def __init__(self, *directions: tuple[str, str]) -> None:
        self.left = [*directions]
        """What was not met yet."""

    def pick(self, options: Sequence[Option], where: str) -> int:
        """One of the options."""
        for number, option in enumerate(options):
            if self.left and fnmatch(where, self.left[0][0]) and option.kind == self.left[0][1]:
                self.left.pop(0)
                return number
        return 0


def shrink(tape: list[int], fails: Callable[[list[int]], bool], *, most: int = 1000) -> list[int]:
    """A tape with fewer choices, and fewer that are not 0, that still fails.

    :param fails: plays a tape.
    :param most: how many are played.
    """
    tape, left, is_better = trimmed(tape), most, True
    while is_better and left > 0:
        is_better, size = False, max(1, len(tape) // 2)
        while size and left > 0:
            start = 0
            while start < len(tape) and left > 0:
                for changed in _simpler(tape, start, min(len(tape), start + size)):
                    left -= 1
                    if fails(changed):
                        tape, is_better = changed, True
                        break
                else:
                    start += size
            size //= 2
    return tape


def _simpler(tape: list[int], start: int, end: int) -> Iterator[list[int]]:
    """A tape without what is between two places, and with zeros there; each of them once."""
    duller = trimmed(tape[:start] + [0] * (end - start) + tape[end:])
    if duller != tape:
        yield duller
    shorter = trimmed(tape[:start] + tape[end:])
    if shorter not in (tape, duller):
        yield shorter


def trimmed(tape: Sequence[int]) -> list[int]:
    """A tape without the zeros at its end, which go without saying."""
    length = max((place + 1 for place, pick in enumerate(tape) if pick), default=0)
    return [*tape[:length]]


def as_text(tape: Sequence[int]) -> str:
    """A tape as Python takes it, its zeros counted."""
    pieces, zeros = [], 0
    for pick in [*trimmed(tape), None]:
        if pick == 0:
            zeros += 1
            continue
        if zeros:
            pieces.append("0" if zeros == 1 else f"*[0] * {zeros}")
        pieces += [str(pick)] * (pick is not None)
        zeros = 0
    return f"[{', '.join(pieces)}]"
