"""How long tests wait for a whole Airflow, on an idle machine and on a busy one."""

from __future__ import annotations

import os
from itertools import count

import pytest
from stack import SHARE, until, worked

LONG = 30
"""Seconds; a look every half second."""


@pytest.mark.usefixtures("simulated_time")
def test_who_gets_no_processor_time_is_waited_for_beyond_the_time_of_an_idle_machine() -> None:
    looks = count()

    assert until("done", lambda: next(looks) > 3 * LONG, LONG, [os.getpid()])


@pytest.mark.usefixtures("simulated_time")
def test_without_workers_the_clock_decides() -> None:
    looks = count()

    with pytest.raises(AssertionError, match=f"done: not within {LONG} s"):
        until("done", lambda: next(looks) > 3 * LONG, LONG)


@pytest.mark.usefixtures("simulated_time")
def test_who_has_had_the_processor_time_of_an_idle_machine_is_waited_for_no_longer() -> None:
    before = worked([os.getpid()])

    with pytest.raises(AssertionError, match="done: not within 1 s"):
        until("done", lambda: sum(range(300_000)) < 0, 1, [os.getpid()])

    # The kernel counts in hundredths.
    assert round(worked([os.getpid()]) - before, 2) >= SHARE
