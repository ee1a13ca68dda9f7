"""How the next poll of a wait is put off, and what a verdict says, word for word."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from airflow_provider_predictions.api.errors import PredictionsError, ServerError
from airflow_provider_predictions.api.limits import MAX_RETRY_AFTER
from airflow_provider_predictions.api.models import Page
from airflow_provider_predictions.api.waiting.decide import (
    ADVICE,
    NAMED,
    Decision,
    FailureCounter,
    Pace,
    Tally,
    Wait,
    decide,
)
from tests.api.services import VLMRUN


@pytest.mark.parametrize(
    ("pace", "age", "error", "least"),
    [
        (Pace(10), 0, None, 10),
        (Pace(0.1), 600, ServerError(""), 0.1),
        (Pace(10, 300), 50, None, 10),
        (Pace(10, 300), 600, None, 60),
        (Pace(10, 300), 3600, None, 300),
        (Pace(10, 300), 600, ServerError(""), 60),
        (Pace(10), 0, ServerError("", retry_after=200), 200),
        (Pace(10), 0, ServerError("", retry_after=1e6), MAX_RETRY_AFTER),
    ],
)
def test_the_longest_of_interval_growth_and_retry_after_counts_and_up_to_a_tenth_is_added(
    pace: Pace, age: float, error: PredictionsError | None, least: float
) -> None:
    found = [pace.seconds(age, error) for _ in range(1000)]

    assert least <= min(found) < 1.01 * least
    assert 1.09 * least < max(found) <= 1.1 * least


def decision(age: float = 0, pages: tuple[dict[str, str], ...] = ({},), **wait: Any) -> Decision:
    tally = Tally(Wait(**wait), VLMRUN)
    for page in pages:
        rows = [{"id": id_, "status": status, "message": "no  pages"} for id_, status in page.items()]
        tally.add(Page(tuple(VLMRUN.row(json.dumps(row).encode()) for row in rows)))
    return decide(tally, age)


def test_a_verdict_says_what_is_waited_for() -> None:
    found = decision(pages=({"b": "running", "a": "completed"}, {"c": "odd"}), min_predictions=4)

    assert found.state == "waiting"
    assert found.message == (
        "VLM Run: 2 of 3 predictions are unfinished; statuses: completed: 1, odd: 1, running: 1"
        "; 4 are waited for (min_predictions)"
    )
    assert found.statuses == {"completed": 1, "odd": 1, "running": 1}
    assert found.unknown == ("odd",)


def test_a_verdict_names_what_is_missing_once_its_timeout_is_there() -> None:
    ids = {"prediction_ids": ["a", "b", "c"], "missing_timeout": 600}
    waiting, failed = (decision(age, ({"b": "completed", "x": "failed"},), **ids) for age in (599.9, 600))

    assert (waiting.state, failed.state) == ("waiting", "failed")
    assert waiting.message == (
        "VLM Run: 0 of 1 predictions are unfinished; statuses: completed: 1; 2 are not there yet"
    )
    assert failed.message == "prediction_ids: VLM Run has not known a, c for 600 s (missing_timeout)"


def test_a_verdict_names_what_failed_in_the_services_words() -> None:
    found = decision(pages=({"a": "failed", "b": "completed"},))

    assert found == Decision(
        "failed",
        f"VLM Run: 1 of 2 predictions: a is failed: no pages. {ADVICE}",
        {"completed": 1, "failed": 1},
    )


@pytest.mark.parametrize(("missing", "more"), [(NAMED, " for"), (NAMED + 2, " and 2 more for")])
def test_a_verdict_names_a_few_and_counts_the_others(missing: int, more: str) -> None:
    ids = [f"id-{number:02}" for number in range(missing)]

    found = decision(600, prediction_ids=ids, missing_timeout=600)

    assert f"has not known {', '.join(ids[:NAMED])}{more} 600 s" in found.message


def test_no_more_predictions_are_counted_than_are_waited_for_over_all_pages() -> None:
    pages = ({"a": "completed", "b": "completed"}, {"c": "completed", "d": "running"}, {"e": "running"})

    assert decision(pages=pages, filters={"max_predictions": 3}).statuses == {"completed": 3}


def test_a_wait_that_was_ended_by_failures_begins_to_count_anew() -> None:
    failures = FailureCounter(logging.getLogger("test"), limit=2)

    assert [failures.tolerates(ServerError("")) for _ in range(4)] == [True, False, True, False]


def test_a_failure_that_is_borne_is_told(caplog: pytest.LogCaptureFixture) -> None:
    failures = FailureCounter(logging.getLogger("test"), limit=2)
    for _ in range(2):
        failures.tolerates(ServerError("VLM Run answered 500"))

    assert caplog.messages == ["VLM Run answered 500. The wait goes on."]


def test_a_status_that_is_not_known_is_told_once_however_often_it_comes_and_goes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING)
    failures = FailureCounter(logging.getLogger("test"))
    for statuses in ({"a": "odd"}, {"b": "strange"}, {"a": "odd"}):
        failures.record_success(decision(pages=(statuses,)))

    assert [message.split(" is not")[0] for message in caplog.messages] == [
        "The status 'odd'",
        "The status 'strange'",
    ]
