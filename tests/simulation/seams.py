"""What Python and the operating system give to landings, for the time of a history: the same each time."""

from __future__ import annotations

import fcntl
import logging
import os
import random
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from unittest import mock

import time_machine

from tests.simulation.attempt import Attempt
from tests.simulation.world import World

PACKAGE = logging.getLogger("airflow_provider_predictions")


@contextmanager
def silence() -> Iterator[None]:
    """Let the package log nothing: thousands of failures are on purpose."""
    loggers = [PACKAGE, logging.getLogger("tests.simulation")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


class Machine:
    """The clock, the randomness, the file locks and the temporary directories of workers.

    :param home: holds a temporary directory for each of them.
    :param began: what the clock says at first.
    :param world: whose attempts run there.
    """

    def __init__(self, home: Path, began: datetime, world: World) -> None:
        self._directories = [home / f"worker-{number}" for number in (0, 1)]
        self._began = began
        self._world = world
        self._flock = fcntl.flock
        self._random = random.Random(0)
        for directory in self._directories:
            directory.mkdir()

    @contextmanager
    def simulated(self) -> Iterator[None]:
        """Let the attempts run there."""
        before = tempfile.tempdir
        with (
            time_machine.travel(self._began, tick=False) as self._clock,
            mock.patch.object(os, "urandom", self._draw),
            mock.patch.object(fcntl, "flock", self._lock),
        ):
            try:
                yield
            finally:
                tempfile.tempdir = before

    def pass_time(self, seconds: float) -> None:
        """Move the clock."""
        self._clock.shift(seconds)

    def enter(self, attempt: Attempt) -> None:
        """Be on the machine of an attempt."""
        tempfile.tempdir = str(self._directories[attempt.which.machine])

    def _draw(self, count: int) -> bytes:
        """What UUIDs are made of. A nonce is the beginning of one; so whose it is need not be guessed."""
        drawn = self._random.randbytes(count)
        if attempt := self._world.running:
            self._world.authors[drawn[:4].hex()] = attempt
        return drawn

    def _lock(self, file: Any, operation: int) -> None:
        """Note the lock of an attempt: the kernel lets go of it when a process is killed."""
        self._flock(file, operation)
        if attempt := self._world.running:
            attempt.locks.append(file)
