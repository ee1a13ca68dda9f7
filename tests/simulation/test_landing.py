"""Landings keep their promises whatever happens to their attempts, requests and clocks.

A history that fails is printed with its shrunk tape; ``python -m tests.simulation`` plays many more.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.simulation.corpus import STORIES, TAPES, Case
from tests.simulation.history import History, drawn, play
from tests.simulation.seams import silence
from tests.simulation.tape import Recorded, Story

HISTORIES = {
    "incremental, store": 150,
    "incremental, local": 60,
    "anew, store": 120,
    "anew, local": 60,
    "anew, two filters": 110,
}


@pytest.fixture(autouse=True)
def _silence() -> Iterator[None]:
    with silence():
        yield


def show(history: History) -> None:
    """Fail with a history that breaks an invariant."""
    if history.violation:
        pytest.fail(str(history), pytrace=False)


@pytest.mark.parametrize("scenario", HISTORIES)
def test_whatever_happens_a_committed_landing_stays_whole_and_the_next_run_succeeds(scenario: str) -> None:
    for seed in range(HISTORIES[scenario]):
        history = drawn(scenario, seed)
        if history.violation:
            show(history.shrunk())


@pytest.mark.parametrize("case", STORIES, ids=lambda case: case.name)
def test_a_known_case_harms_nobody(case: Case) -> None:
    story = Story(*case.story)

    show(play(case.scenario, story))

    assert not story.left, "the story was not told to its end"


@pytest.mark.parametrize("case", TAPES, ids=lambda case: case.name)
def test_a_tape_that_once_broke_an_invariant_breaks_none(case: Case) -> None:
    show(play(case.scenario, Recorded(case.tape)))
