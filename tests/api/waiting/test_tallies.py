"""The tallies of many polls beside tallies that are counted anew."""

from __future__ import annotations

import random

import pytest

from airflow_provider_predictions.api.errors import PredictionsError, TransientError
from airflow_provider_predictions.api.models import Prediction
from airflow_provider_predictions.api.page import Observed, Page
from airflow_provider_predictions.api.waiting.decide import Tally, Wait, decide
from airflow_provider_predictions.api.waiting.tallies import Key, Tallies
from tests.api.services import VLMRUN

STATUSES = ("pending", "running", "completed", "failed", "cancelled", "odd")
IDS = [f"id-{n}" for n in range(12)]


def row(id_: str, status: str) -> Prediction:
    return Prediction(id_, status, None, None, b'{"message": "%s is %s"}' % (id_.encode(), status.encode()))


def keyed(*waits: Wait) -> dict[Key, Wait]:
    return {(Tally, wait.text): wait for wait in waits}


def pages(draw: random.Random, rows: dict[str, str]) -> list[Page]:
    """What one poll reads: some that are known, a part of the list, and some that are looked up."""
    ids = draw.sample(sorted(rows), len(rows))
    cuts = sorted(draw.choices(range(len(ids) + 1), k=3))
    parts = [ids[start:end] for start, end in zip([0, *cuts], [*cuts, len(ids)], strict=True)]
    found = [tuple(row(id_, rows[id_]) for id_ in part) for part in parts]
    listed = (False, True, True, False)
    return [
        Page(part, observed=Observed.of(part), listed=is_l) for part, is_l in zip(found, listed, strict=True)
    ]


def polled(
    waits: dict[Key, Wait], read: list[Page], before: Tallies | None, failing: set[Key]
) -> tuple[Tallies, dict[Key, Tally | PredictionsError]]:
    tallies = Tallies(waits, VLMRUN, before)
    for page in read:
        for tally in tallies.begin(page):
            tally.add(page)
    error = TransientError("it fails")
    return tallies, tallies.end(lambda wait: error if (Tally, wait.text) in failing else None)


def a_wait(draw: random.Random) -> Wait:
    fail_on = draw.choice([(), ("failed",), ("failed", "cancelled")])
    if draw.random() < 0.2:
        return Wait(filters={"statuses": draw.sample(STATUSES, 2)}, fail_on=fail_on)
    return Wait(prediction_ids=draw.sample(IDS, draw.randint(0, 4)), fail_on=fail_on)


@pytest.mark.parametrize("seed", range(200))
def test_a_tally_that_is_kept_says_what_one_counted_anew_says(seed: int) -> None:
    draw = random.Random(seed)
    rows = {id_: draw.choice(STATUSES) for id_ in IDS}
    waits, before = [a_wait(draw) for _ in range(8)], None
    for _ in range(12):
        for id_ in draw.sample(IDS, draw.choice([0, 0, 1, 3])):
            rows.pop(id_, None) if draw.random() < 0.3 else rows.update({id_: draw.choice(STATUSES)})
        if draw.random() < 0.5:
            waits[draw.randrange(len(waits))] = a_wait(draw)
        of_poll = keyed(*waits)
        read, failing = pages(draw, rows), {key for key in of_poll if draw.random() < 0.1}

        before, outcomes = polled(of_poll, read, before if draw.random() < 0.9 else None, failing)

        _, anew = polled(of_poll, read, None, failing)
        assert outcomes.keys() == anew.keys()
        for key, expected in anew.items():
            found = outcomes[key]
            if isinstance(expected, Tally):
                assert isinstance(found, Tally)
                assert decide(found, 1000) == decide(expected, 1000), (seed, key)
                assert (found.missing, found.observed) == (expected.missing, expected.observed), (seed, key)
            else:
                assert isinstance(found, PredictionsError)


def test_an_outcome_is_that_of_the_poll_before_while_nothing_changes() -> None:
    ids, one, by_filters = Wait(prediction_ids=["a", "b"]), Wait(prediction_ids=["c"]), Wait()
    waits = keyed(ids, one, by_filters)
    rows = tuple(row(id_, "pending") for id_ in "abc")
    page = Page(rows, observed=Observed.of(rows))
    before, first = polled(waits, [page], None, set())

    before, second = polled(waits, [page], before, set())
    moved = (row("a", "running"), *rows[1:])
    before, third = polled(waits, [Page(moved, observed=Observed.of(moved))], before, set())

    assert all(second[key] is tally for key, tally in first.items())
    assert {key: third[key] is tally for key, tally in second.items()} == dict(
        zip(waits, (False, True, False), strict=True)
    )


def test_an_id_that_is_not_there_yet_is_judged_by_each_poll() -> None:
    """Its age may end the wait."""
    waits = keyed(Wait(prediction_ids=["a"]))
    before, first = polled(waits, [], None, set())

    _, second = polled(waits, [], before, set())

    assert [*first.values()] != [*second.values()]


def test_an_outcome_after_an_error_is_new_although_nothing_changed() -> None:
    """The error may be one of several in a row."""
    waits = keyed(Wait(prediction_ids=["a"]))
    read = [Page((row("a", "pending"),))]
    before, first = polled(waits, read, None, set())
    before, failed = polled(waits, read, before, {*waits})

    _, third = polled(waits, read, before, set())

    assert [type(each) for each in failed.values()] == [TransientError]
    assert [*first.values()] != [*third.values()]
