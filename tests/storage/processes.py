"""Landings in processes of their own, which can be killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_provider_predictions.sandbox.server import Sandbox
from tests.storage.landings import asked

LONGEST = 60.0
"""Seconds after which a landing in a process hangs."""


class Forks:
    """Processes that begin as fresh ones do, but have imported everything.

    :param within: a command that starts them.
    """

    def __init__(self, *within: str) -> None:
        self._server = subprocess.Popen(
            [*within, sys.executable, "-m", "tests.storage.landing_process"],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    @property
    def root(self) -> Path:
        """Their file systems, which may be others than this process has."""
        return Path(f"/proc/{self._server.pid}/root")

    def ready(self) -> None:
        assert self._answer() == "ready"

    def ask(self, **order: Any) -> int:
        assert self._server.stdin
        self._server.stdin.write(json.dumps(order) + "\n")
        self._server.stdin.flush()
        return int(self._answer())

    def stop(self) -> None:
        self._server.communicate()

    def _answer(self) -> str:
        assert self._server.stdout
        return self._server.stdout.readline().strip()


@dataclass
class Attempt:
    """A landing in a process."""

    forks: Forks
    pid: int
    answer: Path

    @property
    def is_over(self) -> bool:
        """Whether it has landed or failed; its process may still be there."""
        return self.answer.exists()

    def kill(self) -> dict[str, Any] | None:
        """End it at once; what it returned where it was over before."""
        os.kill(self.pid, signal.SIGKILL)
        return self._result(self.forks.ask(wait=self.pid))

    def manifest(self) -> dict[str, Any]:
        """What it returns in the end."""
        manifest = self._result(self.forks.ask(wait=self.pid))
        assert manifest
        return manifest

    def _result(self, code: int) -> dict[str, Any] | None:
        assert code in (0, -signal.SIGKILL), self.answer.with_suffix(".log").read_text()
        return None if code else json.loads(self.answer.read_bytes())


def wait_for(condition: Callable[[], bool], pause: float = 0.001) -> None:
    deadline = time.monotonic() + LONGEST
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(pause)


def kill_after(
    attempt: Attempt, sandbox: Sandbox, service_name: str, requests: int, seconds: float
) -> dict[str, Any] | None:
    """Kill a landing some time after a request; what it returned where it was over by then."""
    wait_for(lambda: len(asked(sandbox, service_name)) >= requests or attempt.is_over)
    time.sleep(seconds)
    return attempt.kill()
