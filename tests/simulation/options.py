"""What may happen next in a history. A scenario adds freedoms to those that every world has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tests.simulation.attempt import FAULTS, ODD, Attempt
from tests.simulation.tape import Option

if TYPE_CHECKING:
    from tests.simulation.world import World

JUMPS = (700.0, 90_000.0)
"""Seconds by which the clock may go on at once: over a lock's lifetime, over a checkpoint's."""
OVER = ("killed", "frozen", "failed")
"""An attempt, for the scheduler, which starts the next one."""
TWO_AT_ONCE = {"switch", "freeze", "wake", "twin", "late", "deliver"}
"""What makes two attempts, or requests of two, meet."""
STARTS = {"start", "retry", "move", "other", "again", "raised", "clear", "lowered"}
MOST_LIVES = 2
"""Of a run that is deleted and made anew, and of one that is cleared."""


def options(world: World, current: Attempt) -> Iterator[Option]:
    """What may happen, the dullest first.

    :param current: who goes on if nothing else is chosen.
    """
    found = (*_common(world, current), *_free(world, current))
    if not world.alone:
        return iter(found)
    kept = (option for option in found if option.kind not in TWO_AT_ONCE)
    return (option for option in kept if option.kind not in STARTS or current.status != "ready")


def _common(world: World, current: Attempt) -> Iterator[Option]:
    is_ready = current.status == "ready"
    last = world.newest()
    if is_ready:
        yield Option("go", current)
    yield from (
        Option("switch", one) for one in world.attempts if one.status == "ready" and one is not current
    )
    for one in last.values():
        if one.status in OVER and one.number < one.which.most:
            yield from (Option("retry", one), Option("move", one))
    yield from (Option("start", run) for run in world.runs if run not in last)
    yield from (Option("wake", one) for one in world.attempts if one.status == "frozen")
    if is_ready:
        yield from (Option("kill", current), Option("freeze", current))
        yield from (Option(fault, current) for fault in FAULTS.get(current.call, ()) if not current.fault)
    else:
        yield Option("stop")
    yield from (Option("twin", one) for one in last.values() if one.status == "ready" and not one.is_twin)
    yield from (Option("deliver", number) for number in range(len(world.late)))
    yield from (Option("clock", seconds) for seconds in JUMPS)
    yield Option("grow")
    if not world.scene.is_finished:
        yield Option("finish")


def _free(world: World, current: Attempt) -> Iterator[Option]:
    """What only some worlds have."""
    last = world.newest().values()
    if "odd" in world.freedoms and current.status == "ready" and current.call in ("put", "create"):
        yield from (Option("odd", f"{arrived}{answer}") for arrived in ("", "arrived ") for answer in ODD)
    if "other" in world.freedoms:
        failed = [one for one in last if one.status in OVER and one.number < one.which.most]
        yield from (Option("other", (one, number)) for one in failed for number in world.scene.others(one))
    if "again" in world.freedoms:
        done = [one for one in last if one.status != "ready" and one.which.life + 1 < MOST_LIVES]
        yield from (Option(kind, one) for one in done for kind in ("again", "raised"))
    if "clear" in world.freedoms:
        ended = [one for one in last if one.status in ("succeeded", "failed")]
        ended = [one for one in ended if one.which.clears + 1 < MOST_LIVES]
        yield from (Option(kind, one) for one in ended for kind in ("clear", "lowered"))
    if "ahead" in world.freedoms and not world.happened["ahead"]:
        yield Option("ahead")
    if "full" in world.freedoms and not world.happened["full"]:
        yield Option("full")
