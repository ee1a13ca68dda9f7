"""What one incremental run leaves for the next to know, and what a watcher keeps of a list."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_predictions.api.clock import ServiceClock, time_before
from airflow_provider_predictions.api.incremental import IncrementalCursor, Memory
from airflow_provider_predictions.api.limits import (
    MAX_EVENT_BYTES,
    MAX_LISTING_DELAY,
    MAX_NAMED,
    MAX_SAVED_ROWS,
)
from airflow_provider_predictions.api.models import Prediction
from airflow_provider_predictions.api.page import Page
from airflow_provider_predictions.api.state import dump, load
from airflow_provider_predictions.api.waiting.finished_events import FinishedEvents, events

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
YEARS = timedelta(days=36_500)
DAWN, END = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


def row(id_: str, status: str = "completed", created: datetime | None = NOON) -> Prediction:
    return Prediction(id_, status, created, None, b"{}")


def cursor(**changes: Any) -> IncrementalCursor:
    memory = Memory(**{name: changes.pop(name) for name in Memory.__struct_fields__ if name in changes})
    return replace(IncrementalCursor({"completed", "failed"}, None, memory), **changes)


def fields(memory: Memory) -> dict[str, Any]:
    return {name: getattr(memory, name) for name in Memory.__struct_fields__ if name != "version"}


def crossed(told: FinishedEvents) -> FinishedEvents:
    """As another process loads it from JSON."""
    return load(json.loads(json.dumps(dump(told))), FinishedEvents)


def at(moment: datetime) -> ServiceClock:
    return ServiceClock(moment, moment)


def kept(cursor: IncrementalCursor, *rows: Prediction) -> list[str]:
    return [prediction.id for prediction in cursor.keep(Page(rows)).predictions]


def test_what_is_finished_and_has_not_landed_lands() -> None:
    rows = [row("a"), row("b", "running"), row("c", "failed"), row("d", created=None)]

    assert kept(cursor(), *rows) == ["a", "c", "d"]
    assert kept(cursor(statuses={"failed"}), *rows) == ["c"]
    assert kept(cursor(landed={"a": NOON}), *rows) == ["c", "d"]


def test_the_watermark_stays_an_hour_behind_the_newest_and_never_passes_what_is_unfinished() -> None:
    assert cursor().next_watermark is None
    assert cursor(watermark=NOON).next_watermark == NOON
    for rows, watermark in [
        ([row("a", created=None)], None),
        ([row("a")], NOON - MAX_LISTING_DELAY),
        ([row("a"), row("b", created=NOON + HOUR), row("c", created=NOON - HOUR)], NOON),
        ([row("a"), row("b", "running", NOON - 5 * HOUR), row("c", "running", NOON - HOUR)], NOON - 5 * HOUR),
        ([row("a"), row("b", "running", NOON)], NOON - MAX_LISTING_DELAY),
        ([row("a"), row("b", "running", None)], NOON - MAX_LISTING_DELAY),
    ]:
        run = cursor()
        run.keep(Page(tuple(rows)))
        assert run.next_watermark == watermark


def test_the_watermark_never_passes_the_clock_of_the_service() -> None:
    run = cursor(clock=at(NOON), lookback=HOUR / 2)
    ahead = [row("a", created=NOON + YEARS), row("b", created=END), row("e", created=NOON + 3 * HOUR)]

    assert kept(run, *ahead, row("soon", created=NOON + HOUR / 20)) == ["a", "b", "e", "soon"]
    assert run.next_watermark == NOON - HOUR / 2
    assert (run.noted.counts.ahead, run.noted.counts.ahead_ids) == (3, ["a", "b", "e"])
    landed = run.next_memory((one.id, one.created_at) for one in ahead).landed
    later = cursor(watermark=run.next_watermark, landed=landed, clock=at(NOON + HOUR))
    assert kept(later, *ahead, row("c"), row("d", created=NOON + HOUR)) == ["c", "d"]
    assert (later.next_watermark, later.noted.counts.ahead) == (NOON, 0)


def test_a_list_in_which_all_is_dated_ahead_moves_no_watermark() -> None:
    for before in (None, NOON - HOUR):
        run = cursor(watermark=before, clock=at(NOON))

        assert kept(run, row("a", created=NOON + HOUR), row("b", "running", END)) == ["a"]
        assert (run.next_watermark, run.noted.counts.unfinished, run.has_moved) == (before, 1, False)


def test_the_clock_is_the_earliest_that_was_told_also_by_an_attempt_before() -> None:
    """What was created since may not have been read, and is not called ahead by a page of a slow cache."""
    clock = ServiceClock()
    for moment in (NOON, NOON + 24 * HOUR, NOON - HOUR):
        clock.note(moment)
    run, retry = cursor(clock=clock), cursor(clock=at(NOON + 48 * HOUR))

    kept(run, row("a", created=NOON + 20 * HOUR))
    retry.restore(json.loads(json.dumps(run.state())))

    assert run.next_watermark == retry.next_watermark == NOON - 2 * HOUR
    assert run.noted.counts.ahead == 0


@pytest.mark.parametrize("by", [2, -2])
def test_one_wrong_time_of_the_service_gives_up_nothing_that_was_waited_for(by: int) -> None:
    now = datetime.now(UTC)
    known = {"slow": now - 3 * HOUR, "hidden": now - 2 * HOUR}
    run = cursor(watermark=known["slow"], unfinished=known, max_age=24 * HOUR, clock=at(now + by * 24 * HOUR))

    assert kept(run, row("new", created=now), row("slow", "running", known["slow"])) == ["new"]

    memory = run.next_memory([("new", now)])
    assert memory.unfinished == known
    assert memory.watermark == known["slow"]


def test_the_first_and_the_last_moment_that_there_are_end_nothing() -> None:
    for moment in (DAWN, END):
        for span in (HOUR, timedelta.max):
            run = cursor(clock=at(NOON), lookback=span, max_age=span)
            kept(run, row("a", created=moment), row("b", "running", moment))

            again = cursor(clock=at(NOON))
            again.restore(json.loads(json.dumps(run.state())))
            assert again.facts()["ahead"] == (moment == END)
    assert time_before(NOON, timedelta.max) == DAWN


def test_a_window_that_begins_in_the_future_moves_no_watermark_there() -> None:
    run = cursor(created_after=NOON + YEARS, clock=at(NOON))

    assert run.start == NOON + YEARS
    assert not run.has_moved
    assert kept(run, row("a", created=END)) == ["a"]
    assert run.next_watermark == NOON - HOUR
    assert run.next_memory([("a", END)]).begin is None


def test_only_the_first_run_decides_where_the_landings_begin() -> None:
    """A template moves ``created_after`` from run to run, past what is unfinished."""
    for rows in [(row("a", "running", NOON - 2 * HOUR),), (row("n", created=None),), ()]:
        first = cursor(created_after=NOON - 3 * HOUR, clock=at(NOON))
        kept(first, *rows)
        assert first.has_moved
        memory = first.next_memory([])
        for later in (NOON - 9 * HOUR, NOON, None):
            then = replace(cursor(created_after=later, clock=at(NOON + HOUR)), memory=memory)
            assert then.start == NOON - 3 * HOUR
            assert then.next_memory([]).begin == NOON - 3 * HOUR

    start = cursor(created_after=NOON, clock=at(NOON))
    kept(start, row("a"))
    then = replace(cursor(clock=at(NOON + HOUR / 2)), memory=start.next_memory([("a", NOON)]))
    assert (then.memory.watermark, then.start) == (NOON - HOUR, NOON)


def runs_until_forgotten(landed: dict[str, datetime | None], others: list[Prediction], **given: Any) -> int:
    """After how many runs, one an hour and each with a new row, nothing of this is remembered."""
    is_complete = given.pop("is_complete", True)
    watermark, unmet, ids = NOON - HOUR, {}, set(landed)
    for number in range(1, 100):
        now = NOON + number * HOUR
        run = cursor(watermark=watermark, landed=landed, unmet=unmet, clock=at(now), **given)
        new = row(f"new-{number}", created=now)
        run.is_complete = is_complete
        kept(run, new, *others)
        memory = run.next_memory([(new.id, new.created_at)])
        watermark, landed, unmet = memory.watermark, memory.landed, memory.unmet
        assert len(landed) <= len(ids) + (7 if is_complete else number)
        if not ids & landed.keys():
            assert not unmet.keys() - landed.keys() - ids
            return number
    return 100


def test_what_no_time_settles_is_remembered_until_it_has_been_gone_for_the_look_back() -> None:
    ahead, undated, other = row("a", created=END), row("n", created=None), row("m", created=None)

    assert runs_until_forgotten({"a": END}, []) == 3
    assert runs_until_forgotten({"a": END}, [], lookback=5 * HOUR) > 5
    assert runs_until_forgotten({"a": END}, [ahead]) == 100
    assert runs_until_forgotten({"n": None}, [other]) == 3
    assert runs_until_forgotten({"n": None}, [undated]) == 100


def test_what_a_run_may_have_missed_is_remembered() -> None:
    """A list in order is not read to its end, where a row without a creation time may lie."""
    assert runs_until_forgotten({"n": None}, []) == 100
    assert runs_until_forgotten({"a": END}, [], is_complete=False) == 100
    assert runs_until_forgotten({"a": NOON + YEARS}, [], begin=END) == 100


def test_a_run_that_may_have_missed_a_row_leaves_the_watermark_for_the_next_to_find_it() -> None:
    run = cursor(watermark=NOON - 9 * HOUR, clock=at(NOON))
    first = cursor(created_after=NOON - 9 * HOUR, clock=at(NOON))
    for each in (run, first):
        kept(each, row("b"))
        each.is_complete = False
        memory = each.next_memory([("b", NOON)])
        then = replace(cursor(created_after=NOON, clock=at(NOON + HOUR)), memory=memory)

        assert then.start == NOON - 9 * HOUR
        assert kept(then, row("missed", created=NOON - 8 * HOUR), row("b")) == ["missed"]


def test_a_row_that_was_gone_for_less_than_the_look_back_does_not_land_again() -> None:
    """As an older copy of the list would have it."""
    first = cursor(watermark=NOON - HOUR, landed={"a": END}, clock=at(NOON))
    kept(first, row("b"))
    memory = first.next_memory([])
    then = cursor(landed=memory.landed, unmet=memory.unmet, clock=at(NOON + HOUR / 2))

    assert memory.unmet == {"a": NOON}
    assert kept(then, row("a", created=END)) == []
    assert then.next_memory([]).unmet == {}


def test_what_is_unfinished_and_hidden_for_less_than_the_look_back_still_lands() -> None:
    """A page token that is an offset hides a row when others are removed in front of it."""
    created, memory, starts = NOON - 5 * HOUR, Memory(), []
    for number, status in enumerate(("running", None, "completed")):
        now = NOON + number * HOUR / 4
        run = cursor(**fields(memory), clock=at(now))
        rows = [row(f"new-{number}", created=now), *([row("a", status, created)] if status else [])]
        landed = kept(run, *rows)
        memory = run.next_memory((one.id, one.created_at) for one in rows if one.id in landed)
        starts.append(run.start)

    assert starts == [None, created, created]
    assert landed == ["new-2", "a"]
    assert (memory.watermark, memory.unfinished, memory.unmet) == (NOON - HOUR / 2, {}, {})


def test_what_a_retry_is_told_stays_small_whatever_is_unfinished() -> None:
    run = cursor(clock=at(NOON))
    kept(run, *(row(f"row-{number}", "running") for number in range(MAX_SAVED_ROWS + 1)))

    assert len(run.state()["unfinished"]) == MAX_SAVED_ROWS
    assert len(run.next_memory([]).unfinished) == MAX_SAVED_ROWS + 1


@pytest.mark.parametrize("seed", range(40))
def test_what_one_run_saw_unfinished_lands_though_another_run_does_not_see_it(seed: int) -> None:
    """Runs follow each other at any distance, are interrupted at any page, and each may miss a row."""
    rng, now, memory = random.Random(seed), NOON, Memory()
    rows: dict[str, tuple[datetime, datetime]] = {}
    seen, landed, missed = set[str](), set[str](), ""
    for number in range(60):
        now += HOUR * rng.choice([0.1, 0.5, 3])
        if number < 50 and rng.random() < 0.7:
            rows[f"row-{number}"] = (now, now + HOUR * rng.choice([0, 0.5, 6, 30]))
        run = cursor(**fields(memory), clock=at(now))
        shown = [id_ for id_ in reversed(rows) if run.start is None or rows[id_][0] >= run.start]
        missed = rng.choice([id_ for id_ in sorted(seen - landed) if id_ != missed] or [""])
        new: list[tuple[str, datetime | None]] = []
        for id_ in shown:
            if id_ == missed:
                continue
            created, finished = rows[id_]
            new += [(id_, created)] * len(
                kept(run, row(id_, ["running", "completed"][finished <= now], created))
            )
            if rng.random() < 0.2:
                resumed = cursor(**fields(memory), clock=at(now))
                resumed.restore(json.loads(json.dumps(run.state())))
                run = resumed
            seen.add(id_)
        if new or run.has_moved:
            memory = run.next_memory(new)
        assert landed.isdisjoint(id_ for id_, _ in new)
        landed |= {id_ for id_, _ in new}

    assert seen - landed <= {id_ for id_, (_, finished) in rows.items() if finished > now - 6 * HOUR}


def test_what_is_unfinished_and_hidden_for_longer_holds_the_watermark_no_more() -> None:
    created, memory = NOON - 5 * HOUR, Memory(NOON - 6 * HOUR, unfinished={"a": NOON - 5 * HOUR})
    reached = []
    for hours in range(3):
        run = cursor(**fields(memory), clock=at(NOON + hours * HOUR))
        kept(run, row("b", created=NOON + hours * HOUR))
        memory = run.next_memory([])
        reached.append(memory.watermark)

    assert reached == [created, created, NOON + HOUR]
    assert memory.unfinished == memory.unmet == {}


def test_what_is_unfinished_and_hidden_is_given_up_like_any_other() -> None:
    run = cursor(unfinished={"a": NOON - 5 * HOUR}, max_age=4 * HOUR, clock=at(NOON))
    kept(run, row("b"))

    assert run.next_watermark == NOON - HOUR


def test_what_a_retry_has_not_read_itself_is_remembered() -> None:
    run = cursor(watermark=NOON - HOUR, landed={"a": END}, unmet={"a": NOON - 9 * HOUR}, clock=at(NOON))
    run.restore(cursor(clock=at(NOON)).state())

    assert run.next_memory([]).landed == {"a": END}
    assert run.next_memory([]).unmet == {"a": NOON - 9 * HOUR}


def test_the_watermark_does_not_go_back() -> None:
    run = cursor(watermark=NOON)
    run.keep(Page((row("a"), row("b", "running", NOON - HOUR))))

    assert run.next_watermark == NOON


def test_what_is_unfinished_is_given_up_when_it_is_older_than_the_bound_and_ten_are_named() -> None:
    run = cursor(max_age=HOUR, clock=at(NOON + HOUR))
    old = [row(f"old-{n}", "running", NOON - HOUR) for n in range(MAX_NAMED + 2)]

    assert kept(run, *old, row("a", "running"), row("b", "running", None), row("c", created=NOON - HOUR)) == [
        "c"
    ]
    assert (run.noted.counts.given_up, run.noted.counts.unfinished) == (MAX_NAMED + 2, 2)
    assert run.noted.counts.given_up_ids == [each.id for each in old[:MAX_NAMED]]
    assert run.noted.oldest_unfinished == NOON


def test_what_has_landed_is_remembered_while_it_is_not_older_than_the_watermark() -> None:
    before = {"old": NOON - 2 * HOUR, "edge": NOON - HOUR, "new": NOON, "without": None}
    run = cursor(landed=before)
    run.keep(Page((row("a"),)))

    remembered = run.next_memory([("a", NOON), ("late", NOON - 2 * HOUR)]).landed

    assert run.next_watermark == NOON - HOUR
    assert remembered == {"edge": NOON - HOUR, "new": NOON, "without": None, "a": NOON}


def test_a_cursor_resumes_from_its_state() -> None:
    run, again = (cursor(max_age=HOUR, clock=at(NOON + HOUR)) for _ in range(2))
    run.keep(Page((row("a"), row("b", "running", NOON + HOUR), row("c", "running", NOON - HOUR))))

    noted = json.loads(json.dumps(run.state()))
    again.restore(noted)

    assert again == run
    assert run.facts()["watermark"] == "2026-11-01T12:00:00Z"
    assert cursor().facts()["watermark"] is None
    assert noted["newest"] == "2026-11-01T13:00:00Z"
    assert noted["oldest_unfinished"] == "2026-11-01T13:00:00Z"


def test_a_watcher_reports_each_finished_prediction_once_also_after_a_restart() -> None:
    reported = FinishedEvents(NOON - HOUR)
    arguments = {"terminal": {"completed"}, "statuses": None, "max_age": HOUR, "clock": at(NOON)}
    rows = [row("a"), row("b", "running"), row("c", created=None)]

    fresh, then = reported.news(rows, **arguments)
    then = crossed(then)
    rows[1] = row("b")
    later, last = then.news(rows, **arguments)

    assert [each.id for each in fresh] == ["a", "c"]
    assert then == FinishedEvents(NOON - HOUR, {"a": NOON, "c": None}, unfinished={"b": NOON})
    assert [each.id for each in later] == ["b"]
    assert last.told.keys() == {"a", "b", "c"}


def test_a_watcher_reports_what_one_poll_did_not_show() -> None:
    given = {"terminal": {"completed"}, "statuses": None, "max_age": 24 * HOUR, "clock": at(NOON)}
    old, told = NOON - 5 * HOUR, FinishedEvents(NOON - 6 * HOUR)
    for shown in ([row("a", "running", old)], [], [row("a", created=old)]):
        assert told.watermark <= old
        fresh, told = crossed(told).news([row("b"), *shown], **given)

    assert [each.id for each in fresh] == ["a"]
    assert told.watermark == NOON - HOUR


def test_a_watcher_gives_up_what_is_unfinished_and_too_old() -> None:
    rows = [row("a", created=NOON + 4 * HOUR), row("b", "running")]
    given = {"terminal": {"completed"}, "statuses": None, "clock": at(NOON + 4 * HOUR)}

    _, waiting = FinishedEvents(NOON - HOUR).news(rows, **given, max_age=5 * HOUR)
    _, given_up = FinishedEvents(NOON - HOUR).news(rows, **given, max_age=3 * HOUR)
    _, patient = FinishedEvents(NOON - HOUR).news(rows, **given, max_age=3 * HOUR, lookback=2 * HOUR)

    assert waiting.watermark == NOON
    assert given_up.watermark == NOON + 4 * HOUR - MAX_LISTING_DELAY
    assert patient.watermark == NOON + 2 * HOUR


def test_a_watcher_that_sees_nothing_keeps_its_watermark() -> None:
    given = {"terminal": {"completed"}, "statuses": None, "max_age": HOUR, "clock": at(NOON + HOUR)}

    assert FinishedEvents(NOON).news([], **given) == ([], FinishedEvents(NOON))


def test_a_row_that_is_dated_ahead_does_not_silence_a_watcher() -> None:
    given = {"terminal": {"completed"}, "statuses": None, "max_age": HOUR}
    rows = [row("a", created=END), row("b", created=NOON + 3 * HOUR)]
    reported, told = FinishedEvents(NOON - HOUR), []
    for n in range(4):
        rows.append(row(f"new-{n}", created=NOON + n * HOUR))
        seen = [each for each in rows if each.created_at >= reported.watermark]
        fresh, reported = reported.news(seen, **given, clock=at(NOON + n * HOUR))
        reported = crossed(reported)
        told += [each.id for each in fresh]

    assert sorted(told) == sorted(each.id for each in rows)
    assert reported.watermark == NOON + 2 * HOUR


def test_a_watcher_that_was_silenced_resumes() -> None:
    given = {"terminal": {"completed"}, "statuses": None, "max_age": HOUR, "clock": at(NOON)}
    silenced = FinishedEvents(NOON + YEARS, {"a": NOON + YEARS})
    rows = [row("a", created=NOON + YEARS), row("b")]

    nothing, reported = silenced.news(rows, **given)
    fresh, _ = reported.news(rows, **given)

    assert (nothing, reported.watermark) == ([], NOON - HOUR)
    assert [each.id for each in fresh] == ["b"]


@pytest.mark.parametrize(("length", "sizes"), [(998, [60, 1]), (999, [59, 2])])
def test_an_event_is_filled_up_to_its_largest_size(length: int, sizes: list[int]) -> None:
    # Around an id stand two quotation marks, a comma and a space.
    rows = [row(f"{n:0{length - 2}}") for n in range(61)]

    found = list(events("vlmrun", rows))

    assert MAX_EVENT_BYTES == 60 * 1000
    assert [event["count"] for event in found] == sizes
    assert [id_ for event in found for id_ in event["ids"]] == [each.id for each in rows]


def test_an_event_counts_statuses_and_is_named_by_its_ids() -> None:
    rows = [row("a", "failed"), row("b"), row("c", "failed")]
    ((event,), (again,), (other,)) = (list(events("cradl", chosen)) for chosen in (rows, rows, rows[:2]))

    assert event == again | {"ids": ["a", "b", "c"], "count": 3}
    assert event["service"] == "cradl"
    assert list(event["statuses"].items()) == [("completed", 1), ("failed", 2)]
    assert len(event["batch"]) == 16
    assert other["batch"] != event["batch"]
    assert list(events("cradl", [])) == []
