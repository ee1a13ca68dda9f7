"""Landings keep their promises whatever happens to their attempts, requests and clocks.

A history that fails is printed with its shrunk tape; ``python -m tests.simulation`` plays many more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from tests.simulation.corpus import STORIES, TAPES, Case
from tests.simulation.history import History, drawn, play
from tests.simulation.seams import silence
from tests.simulation.tape import Recorded, Story

HISTORIES = {
    "incremental, store": 80,
    "incremental, local": 25,
    "anew, store": 60,
    "anew, local": 25,
    "anew, two filters": 40,
    "incremental, odd answers": 25,
    "anew, odd answers": 25,
    "incremental, conditions refused": 15,
    "incremental, conditions ignored": 10,
    "anew, conditions refused": 15,
    "incremental, other statuses": 20,
    "incremental, other max_age": 20,
    "anew, other arguments": 15,
    "anew, other account": 15,
    "incremental, made anew": 20,
    "incremental, made anew, no ids": 15,
    "anew, made anew": 20,
    "anew, made anew, no ids": 15,
    "incremental, dates ahead": 20,
    "incremental, by day": 15,
    "anew, by day": 15,
    "anew, by day, local": 10,
    "incremental, no room": 15,
    "anew, no room": 15,
}
"""550 in all."""


def known(cases: Iterable[Case]) -> list[Any]:
    """Cases as pytest takes them."""
    return [pytest.param(case, id=case.name) for case in cases]


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


@pytest.mark.parametrize("case", known(STORIES))
def test_a_known_case_harms_nobody(case: Case) -> None:
    story = Story(*case.story)

    show(play(case.scenario, story))

    assert not story.left, "the story was not told to its end"


@pytest.mark.parametrize("case", known(TAPES))
def test_a_tape_that_once_broke_an_invariant_breaks_none(case: Case) -> None:
    show(play(case.scenario, Recorded(case.tape)))
