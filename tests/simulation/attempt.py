"""One try of a task, which stops before each call and waits to be let through."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

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


class InvariantError(Exception):
    """An invariant does not hold. The word before the colon is its kind."""

    @property
    def kind(self) -> str:
        """Which invariant."""
        return str(self).partition(":")[0]


class HistoryOver(BaseException):
    """Unwinds what is left of an attempt when its history is over."""


class Attempt:
    """One try of a task.

    :param run: whose.
    :param number: from 1.
    :param machine: on which worker.
    :param began: after how many steps.
    :param is_twin: the scheduler had started the same try before.
    :param body: what it does.
    """

    def __init__(
        self, run: str, number: int, machine: int, began: int, is_twin: bool, body: Callable[[Attempt], Any]
    ) -> None:
        self.run, self.number, self.machine, self.began, self.is_twin = run, number, machine, began, is_twin
        self.status = "ready"
        self.call = "begin"
        self.place = ""
        self.fault: str | None = None
        self.result: Any = None
        self.error: Exception | None = None
        self.locks: list[Any] = []
        self._body = body
        self.greenlet = greenlet.greenlet(self._live)

    def __str__(self) -> str:
        return f"{self.run}.{self.number}{'-twin' * self.is_twin}"

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
