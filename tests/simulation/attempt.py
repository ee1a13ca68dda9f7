"""One try of a task, which stops before each call and waits to be let through."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

import greenlet

FAULTS = {
    "get": ("fail",),
    "ls": ("fail", "stale"),
    "put": ("fail", "arrived", "late"),
    "create": ("fail", "arrived", "late", "repeated"),
    "rm": ("fail", "arrived", "late"),
    "list": ("fail",),
    "open": ("fail",),
    "write": ("fail",),
    "link": ("fail", "arrived"),
    "replace": ("fail",),
    "remove": ("fail",),
}
"""What may go wrong with each call.

``fail`` never arrives; ``arrived`` does, though its sender gets an error; ``late`` does so later, or never;
``repeated`` is sent again by a library that missed the response. ``stale`` lists what was there before.
"""

MOST_ATTEMPTS = 3
"""Of a run, if its task is not cleared."""
ODD = ("400", "405", "501", "TypeError", "ValueError")
"""What a proxy may answer to a put, whether or not that arrives; so stores answer unknown conditions."""


class _AnswerError(Exception):
    """An error as botocore raises it.

    :param status: of HTTP.
    """

    def __init__(self, status: int) -> None:
        super().__init__(f"HTTP {status}")
        self.response = {"ResponseMetadata": {"HTTPStatusCode": status}}


def odd(answer: str) -> NoReturn:
    """Raise what a library makes of an odd answer."""
    if answer == "TypeError":
        raise TypeError("the response is no XML")
    if answer == "ValueError":
        raise ValueError("the response is no XML")
    raise OSError(22, f"HTTP {answer}") from _AnswerError(int(answer))


class InvariantError(Exception):
    """An invariant does not hold. The word before the colon is its kind."""

    @property
    def kind(self) -> str:
        """Which invariant."""
        return str(self).partition(":")[0]


class HistoryOver(BaseException):
    """Unwinds what is left of an attempt when its history is over."""


@dataclass(frozen=True)
class Which:
    """Which attempt this is, as far as Airflow knows.

    :param run: the id of its run.
    :param number: its try number, from 1.
    :param machine: on which worker.
    :param arguments: which of its scenario's the task has.
    :param life: how many runs of this id were deleted before.
    :param clears: how often the task was cleared.
    :param started: tells when its run did, in steps; a run that had finished starts again when it is cleared.
    :param most: the try number of its last retry.
    :param lands_since: after how many steps it was cleared that had succeeded; what it returns landed later.
    :param is_twin: the scheduler had started the same try before.
    """

    run: str
    number: int = 1
    machine: int = 0
    arguments: int = 0
    life: int = 0
    clears: int = 0
    started: int = 0
    most: int = MOST_ATTEMPTS
    lands_since: int = -1
    is_twin: bool = False


class Attempt:
    """One try of a task.

    :param which: it is.
    :param began: after how many steps.
    :param body: what it does.
    """

    def __init__(self, which: Which, began: int, body: Callable[[Attempt], Any]) -> None:
        self.which, self.began = which, began
        self.run, self.number, self.is_twin = which.run, which.number, which.is_twin
        self.status = "ready"
        self.call = "begin"
        self.place = ""
        self.fault: str | None = None
        self.failed: set[str] = set()
        """The kinds of its calls of which one failed."""
        self.result: Any = None
        self.error: Exception | None = None
        self.locks: list[Any] = []
        self.read: set[str] = set()
        """What it has got of the storage."""
        self.listed: list[dict[str, Any]] = []
        """The list as it was when the first attempt of its run began."""
        self._body = body
        self.greenlet = greenlet.greenlet(self._live)

    @property
    def life(self) -> tuple[str, int]:
        """Of its run, from one deletion to the next."""
        return self.run, self.which.life

    def __str__(self) -> str:
        again = "'" * self.which.life
        return f"{self.run}{again}.{self.number}{'-twin' * self.is_twin}"

    @property
    def where(self) -> str:
        """The call that it is about to make, or how it has ended."""
        return (
            f"{self} {self.call} {self.place}".rstrip() if self.status == "ready" else f"{self} {self.status}"
        )

    @property
    def outcome(self) -> str:
        """What it has returned or raised, in a few words."""
        if self.error:
            return f"{type(self.error).__name__}: {self.error}"
        return f"{self.result['count']} records in {self.result['path'].rpartition('/')[2]}"

    def _live(self) -> None:
        try:
            self.result = self._body(self)
            self.status = "succeeded"
        except HistoryOver:
            self.status = "over"
        except Exception as error:
            self.error, self.status = error, "failed"
