"""The simulation itself: a tape repeats, calls fail as it says, and each invariant notices what breaks it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from tests.simulation.attempt import InvariantError, Which
from tests.simulation.claims import Claims
from tests.simulation.history import drawn, play
from tests.simulation.invariants import Anew, Incremental, agree, once
from tests.simulation.layout import Commit, Noted, commits, entries, sha256
from tests.simulation.listing import Arguments
from tests.simulation.scenarios import SCENARIOS
from tests.simulation.seams import silence
from tests.simulation.store import STORE
from tests.simulation.tape import Recorded, Story, as_text, shrink
from tests.simulation.world import World


@pytest.fixture(autouse=True)
def _silence() -> Iterator[None]:
    with silence():
        yield


def nobody() -> Claims:
    """Claims of commits whose authors are not known."""
    return Claims({}, lambda _: Arguments())


class Letters:
    """A scene in which each attempt puts two letters into a text.

    :param ends: what an attempt does then.
    """

    is_finished = True

    def __init__(self, *story: tuple[str, str], ends: Callable[[], Any] = lambda: None) -> None:
        self.text = ""
        self.waited = 0.0
        self.world = World(Story(*story), ("a",), self)
        self._ends = ends

    def play(self) -> str:
        """The text at the end."""
        try:
            self.world.play()
        finally:
            self.world.close()
        return self.text

    def land(self, attempt: Any) -> Any:
        for letter in "xy":
            self.world.act("put", letter, lambda letter=letter: self._write(f"{attempt}{letter} "))
        self._ends()
        return {"count": 2, "path": ""}

    def _write(self, text: str) -> None:
        self.text += text

    def pass_time(self, seconds: float) -> None:
        self.waited += seconds

    def calm(self, seconds: float) -> None:
        self.waited += seconds

    def first(self, run: str) -> int:
        return 0

    def others(self, attempt: Any) -> list[int]:
        return []

    def listed(self) -> list[dict[str, Any]]:
        return []

    def leftovers(self) -> list[str]:
        return []

    def enter(self, attempt: Any) -> None: ...
    def grow(self, *, ahead: bool = False) -> None: ...
    def fill(self) -> None: ...
    def finish(self) -> None: ...
    def check(self) -> None: ...
    def ended(self, attempt: Any) -> None: ...


@pytest.mark.parametrize(
    ("story", "text"),
    [
        ((), "a.1x a.1y last.1x last.1y "),
        ((("a.1 put y", "kill"),), "a.1x a.2x a.2y last.1x last.1y "),
        ((("a.1 put y", "freeze"), ("a.2 put y", "wake")), "a.1x a.2x a.1y a.2y last.1x last.1y "),
        (
            (("a.1 put x", "twin"), ("a.1-twin put y", "switch")),
            "a.1-twinx a.1x a.1y a.1-twiny last.1x last.1y ",
        ),
        ((("a.1 put y", "fail"),), "a.1x a.2x a.2y last.1x last.1y "),
        ((("a.1 put y", "arrived"),), "a.1x a.1y a.2x a.2y last.1x last.1y "),
        ((("a.1 put y", "late"), ("a.2 put y", "deliver")), "a.1x a.2x a.1y a.2y last.1x last.1y "),
        ((("a.1 put y", "late"),), "a.1x a.2x a.2y last.1x last.1y "),
        ((("a.1 put y", "freeze"), ("a.1 frozen", "stop")), "a.1x last.1x last.1y "),
    ],
    ids=[
        "nothing",
        "kill",
        "freeze and wake",
        "twin",
        "fail",
        "arrived",
        "late",
        "never",
        "frozen to the end",
    ],
)
def test_what_is_chosen_happens_to_an_attempt(story: tuple[tuple[str, str], ...], text: str) -> None:
    assert Letters(*story).play() == text


def test_a_new_run_that_fails_at_the_end_is_a_violation() -> None:
    def fail() -> None:
        raise OSError("full")

    with pytest.raises(InvariantError, match="blocked: OSError: full"):
        Letters(ends=fail).play()


def test_an_attempt_that_was_cut_short_changes_nothing_when_the_history_is_over() -> None:
    letters = Letters(("a.1 put y", "freeze"), ("a.1 frozen", "stop"))
    text = letters.play()

    assert letters.text == text
    assert all(not attempt.greenlet for attempt in letters.world.attempts)


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize(
    "seeds", [pytest.param(range(1), id="one"), pytest.param(range(1, 5), id="more", marks=pytest.mark.slow)]
)
def test_a_tape_plays_the_same_history_again(scenario: str, seeds: range) -> None:
    for seed in seeds:
        history = drawn(scenario, seed)
        again = play(scenario, Recorded(history.tape))

        assert (again.log, again.tape, again.kind) == (history.log, history.tape, history.kind)


def test_a_shrunk_tape_holds_the_choices_that_matter_alone() -> None:
    tape = [0, 4, 0, 7, 7, 0, 9, 1, 1, 1]

    assert shrink(tape, lambda tape: 7 in tape and 9 in tape) == [7, 9]
    assert as_text([0, 0, 7, 0, 9, 0]) == "[*[0] * 2, 7, 0, 9]"


@pytest.fixture(scope="module")
def landed() -> dict[str, bytes]:
    """What three runs leave to whom nothing happened."""
    with silence():
        play("incremental, store", Recorded([]))
    return STORE.objects()


def test_a_part_that_is_gone_or_changed_is_noticed(landed: dict[str, bytes]) -> None:
    part = next(name for commit in commits(landed, incremental=True) for name, _ in commit.parts)
    history = Incremental(nobody())
    history.check(landed, 0)

    with pytest.raises(InvariantError, match="lost"):
        history.check({name: content for name, content in landed.items() if name != part}, 1)
    with pytest.raises(InvariantError, match="changed"):
        history.check(landed | {part: landed[part] + b"\n"}, 1)


def test_a_commit_that_is_gone_changed_or_left_out_is_noticed(landed: dict[str, bytes]) -> None:
    first, *_, last = entries(landed)
    history = Incremental(nobody())
    history.check(landed, 0)

    with pytest.raises(InvariantError, match="log"):
        history.check({name: content for name, content in landed.items() if name != last}, 1)
    with pytest.raises(InvariantError, match="log"):
        history.check(landed | {first: landed[last]}, 1)
    with pytest.raises(InvariantError, match="log"):
        Incremental(nobody()).check({name: content for name, content in landed.items() if name != first}, 0)


def test_a_success_that_is_not_its_runs_commit_is_noticed(landed: dict[str, bytes]) -> None:
    history = Incremental(nobody())
    history.check(landed, 5)
    result = {"path": "s3://bucket/landed/other", "parts": [], "count": 0}
    found_nothing = SimpleNamespace(
        life=("last", 0), which=Which("last"), began=4, result=result, outcome="nothing"
    )

    history.ended(found_nothing)
    found_nothing.began = 6
    with pytest.raises(InvariantError, match="forgotten"):
        history.ended(found_nothing)


def test_a_record_that_landed_twice_is_noticed() -> None:
    assert once(["r1", "r2"]) == {"r1", "r2"}
    with pytest.raises(InvariantError, match=r"doubled: \['r1'\]"):
        once(["r1", "r2", "r1"])


@pytest.mark.parametrize("noted", [{"new"}, {"old", "new", "newest"}, {"new", "newest", "unknown"}])
def test_a_state_that_knows_too_little_or_too_much_is_noticed(noted: set[str]) -> None:
    times = {name: datetime(2020, 1, day, tzinfo=UTC) for day, name in enumerate(("old", "new", "newest"), 1)}

    if "old" in noted:  # older than the watermark: it may be known
        agree(times.items(), Noted(frozenset(noted), times["new"]))
    else:
        with pytest.raises(InvariantError, match="disagree"):
            agree(times.items(), Noted(frozenset(noted), times["new"]))


def test_a_landing_that_nobody_can_read_is_noticed() -> None:
    content = b'{"id": "r1", "created_at": "2020-01-01T00:00:00"}\n'
    history, part = Anew(nobody()), ("part", sha256(content))
    history.see([Commit("", (part,))], {"part": content})

    with pytest.raises(InvariantError, match="neither"):
        history.see([], {"part": content})
    with pytest.raises(InvariantError, match="lost"):
        history.see([Commit("", (part,)), Commit("", (("other", ""),))], {"part": content})
    result = {"path": "s3://bucket/landed", "parts": [{"uri": "part", "sha256": "another"}], "count": 1}
    with pytest.raises(InvariantError, match="uncommitted"):
        history.ended(SimpleNamespace(life=("a", 0), which=Which("a"), result=result, outcome="another"))
