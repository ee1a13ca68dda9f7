"""Run a command while it is stopped now and then: ``python scripts/pause_check.py pytest tests/api``.

A test that fails only here depends on how fast its machine is.
"""

from __future__ import annotations

import random
import subprocess
import sys
import time
from contextlib import suppress

import psutil

STOP = 0.8
RUN = 4.0
"""Seconds, on average."""


def processes(command: psutil.Process) -> list[psutil.Process]:
    """The command and all that it has started."""
    with suppress(psutil.NoSuchProcess):
        return [command, *command.children(recursive=True)]
    return []


def halt(command: psutil.Process) -> None:
    """Let everything stand still for a moment."""
    halted = processes(command)
    try:
        for process in halted:
            with suppress(psutil.NoSuchProcess):
                process.suspend()
        time.sleep(STOP)
    finally:
        for process in halted:
            with suppress(psutil.NoSuchProcess):
                process.resume()


def main() -> int:
    """Run it to its end; its exit code."""
    running = subprocess.Popen(sys.argv[1:])
    while running.poll() is None:
        with suppress(subprocess.TimeoutExpired):
            running.wait(random.uniform(0, 2 * RUN))
            break
        halt(psutil.Process(running.pid))
    return running.returncode


if __name__ == "__main__":
    sys.exit(main())
