"""What one incremental run leaves for the next to know, and what a watcher keeps of a list."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_predictions.api.feed import LARGEST_EVENT, Feed, events
from airflow_provider_predictions.api.incremental import NAMED, SETTLED_AFTER, Ledger
from airflow_provider_predictions.api.models import Page, Prediction

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def row(id_: str, status: str = "completed", created: datetime | None = NOON) -> Prediction:
    return Prediction(id_, status, created, None, b"{}")


def ledger(**changes: Any) -> Ledger:
    return replace(Ledger({"completed", "failed"}, None, None, {}), **changes)


def kept(ledger: Ledger, *rows: Prediction) -> list[str]:
    return [prediction.id for prediction in ledger.keep(Page(rows)).predictions]


def test_what_is_finished_and_has_not_landed_lands() -> None:
    rows = [row("a"), row("b", "running"), row("c", "failed"), row("d", created=None)]

    assert kept(ledger(), *rows) == ["a", "c", "d"]
    assert kept(ledger(statuses={"failed"}), *rows) == ["c"]
    assert kept(ledger(landed={"a": NOON}), *rows) == ["c", "d"]


def test_the_watermark_stays_an_hour_behind_the_newest_and_never_passes_what_is_unfinished() -> None:
    assert ledger().next_watermark is None
    assert ledger(watermark=NOON).next_watermark == NOON
    for rows, watermark in [
        ([row("a", created=None)], None),
        ([row("a")], NOON - SETTLED_AFTER),
        ([row("a"), row("b", created=NOON + HOUR), row("c", created=NOON - HOUR)], NOON),
        ([row("a"), row("b", "running", NOON - 5 * HOUR), row("c", "running", NOON - HOUR)], NOON - 5 * HOUR),
        ([row("a"), row("b", "running", NOON)], NOON - SETTLED_AFTER),
        ([row("a"), row("b", "running", None)], NOON - SETTLED_AFTER),
    ]:
        book = ledger()
        book.keep(Page(tuple(rows)))
        assert book.next_watermark == watermark


def test_the_watermark_does_not_go_back() -> None:
    book = ledger(watermark=NOON)
    book.keep(Page((row("a"), row("b", "running", NOON - HOUR))))

    assert book.next_watermark == NOON


def test_what_is_unfinished_is_given_up_when_it_is_older_than_the_bound_and_ten_are_named() -> None:
    book = ledger(give_up_before=NOON)
    old = [row(f"old-{n}", "running", NOON - HOUR) for n in range(NAMED + 2)]

    assert kept(
        book, *old, row("a", "running"), row("b", "running", None), row("c", created=NOON - HOUR)
    ) == ["c"]
    assert (book.given_up, book.unfinished) == (NAMED + 2, 2)
    assert book.given_up_ids == [each.id for each in old[:NAMED]]
    assert book.oldest_unfinished == NOON


def test_what_has_landed_is_remembered_while_it_is_not_older_than_the_watermark() -> None:
    before = {"old": NOON - 2 * HOUR, "edge": NOON - HOUR, "new": NOON, "without": None}
    book = ledger(landed=before)
    book.keep(Page((row("a"),)))

    remembered = book.next_landed([("a", NOON), ("late", NOON - 2 * HOUR)])

    assert book.next_watermark == NOON - HOUR
    assert remembered == {"edge": NOON - HOUR, "new": NOON, "without": None, "a": NOON}


def test_a_ledger_is_gone_on_with_from_what_it_noted() -> None:
    book, again = ledger(give_up_before=NOON), ledger(give_up_before=NOON)
    book.keep(Page((row("a"), row("b", "running", NOON + HOUR), row("c", "running", NOON - HOUR))))

    noted = json.loads(json.dumps(book.position()))
    again.go_on(noted)

    assert again == book
    assert book.facts()["watermark"] == "2026-11-01T12:00:00Z"
    assert ledger().facts()["watermark"] is None
    assert noted["newest"] == "2026-11-01T13:00:00Z"
    assert noted["oldest_unfinished"] == "2026-11-01T13:00:00Z"


def test_a_feed_tells_of_each_finished_prediction_once_and_crosses_json() -> None:
    feed = Feed(NOON - HOUR)
    arguments = {"terminal": {"completed"}, "statuses": None, "give_up_before": NOON - HOUR}
    rows = [row("a"), row("b", "running"), row("c", created=None)]

    fresh, then = feed.news(rows, **arguments)
    then = Feed.of(json.loads(json.dumps(then.facts())))
    rows[1] = row("b")
    later, last = then.news(rows, **arguments)

    assert [each.id for each in fresh] == ["a", "c"]
    assert then == Feed(NOON - HOUR, {"a": NOON, "c": None})
    assert [each.id for each in later] == ["b"]
    assert last.told.keys() == {"a", "b", "c"}


def test_a_feed_waits_for_nothing_that_is_unfinished_and_too_old() -> None:
    rows = [row("a", created=NOON + 4 * HOUR), row("b", "running")]
    given = {"terminal": {"completed"}, "statuses": None}

    _, waiting = Feed(NOON - HOUR).news(rows, **given, give_up_before=NOON - HOUR)
    _, given_up = Feed(NOON - HOUR).news(rows, **given, give_up_before=NOON + HOUR)

    assert waiting.watermark == NOON
    assert given_up.watermark == NOON + 4 * HOUR - SETTLED_AFTER


def test_a_feed_of_which_nothing_is_seen_keeps_its_watermark() -> None:
    fresh, then = Feed(NOON).news([], terminal={"completed"}, statuses=None, give_up_before=NOON)

    assert (fresh, then) == ([], Feed(NOON))


@pytest.mark.parametrize(("length", "sizes"), [(998, [60, 1]), (999, [59, 2])])
def test_an_event_is_filled_up_to_its_largest_size(length: int, sizes: list[int]) -> None:
    # Around an id stand two quotation marks, a comma and a space.
    rows = [row(f"{n:0{length - 2}}") for n in range(61)]

    found = list(events("vlmrun", rows))

    assert LARGEST_EVENT == 60 * 1000
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
