"""What a poll means for a wait."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_predictions.api.http.auth import BearerAuth
from airflow_provider_predictions.api.limits import MAX_NAMED
from airflow_provider_predictions.api.page import Page
from airflow_provider_predictions.api.service import Service
from airflow_provider_predictions.api.waiting.decide import ADVICE, Decision, MissingIds, Tally, Wait, decide
from tests.api.services import CRADL, SERVICES, VLMRUN


def records(service: Service[Any], **statuses: str) -> Page:
    """A page of records, by id and status."""
    id_ = "id" if service is VLMRUN else "predictionId"
    return Page(
        tuple(service.row(json.dumps({id_: name, "status": s}).encode()) for name, s in statuses.items())
    )


def decision(page: Page, *, service: Service[Any] = VLMRUN, age: float = 0, **wait: Any) -> Decision:
    tally = Tally(Wait(**wait), service)
    tally.add(page)
    return decide(tally, age)


@pytest.mark.parametrize("status", ["pending", "enqueued", "running", "paused"])
def test_each_waiting_status_keeps_the_wait_going(status: str) -> None:
    found = decision(records(VLMRUN, a="completed", b=status))

    assert found.state == "waiting"
    assert found.unknown == ()


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
def test_each_final_status_ends_the_wait(status: str) -> None:
    assert decision(records(VLMRUN, a=status), fail_on=()).state == "done"


@SERVICES
def test_a_cancelled_prediction_fails_the_wait_by_default(service: Service[Any]) -> None:
    assert decision(records(service, a="cancelled"), service=service).state == "failed"


@SERVICES
def test_an_unknown_status_keeps_the_wait_going_and_is_named(service: Service[Any]) -> None:
    found = decision(records(service, a="archived"), service=service)

    assert (found.state, found.unknown) == ("waiting", ("archived",))


@SERVICES
def test_what_airflow_cannot_store_is_replaced_in_a_decision(service: Service[Any]) -> None:
    page = records(service, **{"a": "failed", "half \ud800": "failed", "c": "new \udfff", "d": "new \x00"})
    found = decision(page, service=service)

    assert found.statuses == {"failed": 2, "new \ufffd": 2}
    assert "half \ufffd" in found.message
    str(found).encode()


def test_with_waiting_statuses_no_status_is_unknown() -> None:
    for waiting_statuses in ("running", ()):
        found = decision(records(VLMRUN, a="archived"), waiting_statuses=waiting_statuses)

        assert (found.state, found.unknown) == ("done", ())


@SERVICES
def test_a_row_that_is_no_record_may_be_unfinished(service: Service[Any]) -> None:
    page = replace(records(service, a="cancelled"), rejected=(service.row(b"null"),))

    assert decision(page, service=service, fail_on=()).state == "waiting"
    assert "1 row without a JSON object" in decision(page, service=service, fail_on=()).message
    assert decision(page, service=service).state == "failed"
    assert decision(page, service=service, fail_on=(), waiting_statuses="pending").state == "done"
    assert decision(page, service=service, fail_on=(), prediction_ids="a").state == "done"


def test_a_poll_that_may_have_missed_a_row_ends_no_wait() -> None:
    tally = Tally(Wait(), VLMRUN)
    tally.add(records(VLMRUN, a="completed"))
    tally.doubt = "rows moved"

    assert decide(tally, 0).state == "waiting"
    assert decide(tally, 0).message.endswith("predictions may be missing: rows moved")


@pytest.mark.parametrize(("count", "state"), [(0, "waiting"), (2, "waiting"), (3, "done"), (4, "done")])
def test_fewer_than_min_predictions_keep_the_wait_going(count: int, state: str) -> None:
    page = records(VLMRUN, **{f"p{n}": "completed" for n in range(count)})

    assert decision(page, min_predictions=3).state == state


def test_a_missing_id_keeps_the_wait_going_until_missing_timeout() -> None:
    page = records(VLMRUN, a="completed")

    assert decision(page, prediction_ids=["a", "b"], missing_timeout=60, age=59).state == "waiting"
    late = decision(page, prediction_ids=["a", "b"], missing_timeout=60, age=60)
    assert late.state == "failed"
    assert late.message.startswith("prediction_ids: VLM Run does not know b after 60 s")


@pytest.mark.parametrize(
    ("service", "record", "text"),
    [
        (VLMRUN, {"id": "a", "message": "no pages"}, "a is failed: no pages"),
        (VLMRUN, {"id": "a", "error": "no\npages"}, "a is failed: no pages"),
        (VLMRUN, {"id": "a", "usage": {"message": "no credits"}}, "a is failed: no credits"),
        (VLMRUN, {"id": "a", "usage": None}, "a is failed"),
        (CRADL, {"predictionId": "a", "error": "no model"}, "a is failed: no model"),
        (CRADL, {"predictionId": "a", "errors": ["one", "two"]}, "a is failed: one; two"),
        (VLMRUN, {"id": "a", "error": {"message": "no pages", "code": 7}}, "a is failed: no pages"),
        (VLMRUN, {"id": "a", "message": 7}, "a is failed: 7"),
    ],
)
def test_a_failure_is_reported_in_the_services_words(service, record: dict[str, Any], text: str) -> None:
    page = Page((service.row(json.dumps(record | {"status": "failed"}).encode()),))

    assert decision(page, service=service).message.endswith(f"1 of 1 predictions: {text}. {ADVICE}")


SIGNED = "https://bucket.test/a.pdf?X-Amz-Signature=0123456789abcdef"


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("no document for sk-very-secret here", "no document for *** here"),
        (f"cannot open {SIGNED} now", "cannot open https://bucket.test/a.pdf?*** now"),
        ("https://user:pass-word@files.test/a", "https://files.test/a"),
        ("red\x1b[31m and\u2028 forged", "red [31m and forged"),
    ],
)
@SERVICES
def test_a_reason_shows_no_secret_and_no_signature(service: Service[Any], reason: str, told: str) -> None:
    service = replace(service, auth=BearerAuth("sk-very-secret"))
    name, field = ("id", "message") if service.name == "vlmrun" else ("predictionId", "error")
    page = Page((service.row(json.dumps({name: "a", "status": "failed", field: reason}).encode()),))

    assert f"a is failed: {told}. " in decision(page, service=service).message


def test_a_long_message_is_cut() -> None:
    page = Page((VLMRUN.row(json.dumps({"id": "a", "status": "failed", "message": "x" * 9999}).encode()),))

    assert len(decision(page).message) < 500


def test_ten_failures_are_named_and_the_others_counted() -> None:
    page = records(VLMRUN, **{f"p{n:02}": "failed" for n in range(12)})

    message = decision(page).message

    assert f"p00, {', '.join(f'p{n:02}' for n in range(1, MAX_NAMED))} are failed and 2 more. " in message


def test_failures_are_grouped_by_reason() -> None:
    reasons = {"a": "no pages", "b": "no credits", "c": "no pages"}
    page = Page(tuple(
        VLMRUN.row(json.dumps({"id": id_, "status": "failed", "message": text}).encode())
        for id_, text in reasons.items()
    ))  # fmt: skip

    message = decision(page).message

    assert "a, c are failed: no pages; b is failed: no credits. " in message
    assert message.endswith("with fail_on=() they do not")


def of_pages(age: float = 0, pages: tuple[dict[str, str], ...] = ({},), **wait: Any) -> Decision:
    tally = Tally(Wait(**wait), VLMRUN)
    for page in pages:
        rows = [{"id": id_, "status": status, "message": "no  pages"} for id_, status in page.items()]
        tally.add(Page(tuple(VLMRUN.row(json.dumps(row).encode()) for row in rows)))
    return decide(tally, age)


def test_a_decision_says_what_the_wait_needs() -> None:
    found = of_pages(pages=({"b": "running", "a": "completed"}, {"c": "odd"}), min_predictions=4)

    assert found.state == "waiting"
    assert found.message == (
        "VLM Run: 2 of 3 predictions are unfinished; statuses: completed: 1, odd: 1, running: 1"
        "; the wait needs 4 (min_predictions)"
    )
    assert found.statuses == {"completed": 1, "odd": 1, "running": 1}
    assert found.unknown == ("odd",)


def test_a_decision_names_missing_ids_after_missing_timeout() -> None:
    ids = {"prediction_ids": ["a", "b", "c"], "missing_timeout": 600}
    waiting, failed = (of_pages(age, ({"b": "completed", "x": "failed"},), **ids) for age in (599.9, 600))

    assert (waiting.state, failed.state) == ("waiting", "failed")
    assert waiting.message == (
        "VLM Run: 0 of 1 predictions are unfinished; statuses: completed: 1; 2 ids not known yet"
    )
    assert failed.message == "prediction_ids: VLM Run does not know a, c after 600 s (missing_timeout)"


def test_an_id_that_was_known_may_be_missing_for_missing_timeout_again() -> None:
    wait, missing = Wait(prediction_ids=["a", "b"], missing_timeout=60), MissingIds()
    seen = Tally(wait, VLMRUN)
    seen.add(records(VLMRUN, a="running", b="running"))
    hidden = Tally(wait, VLMRUN)
    hidden.add(records(VLMRUN, a="running"))

    polls = ((seen, 10), (hidden, 100), (hidden, 159), (seen, 200), (hidden, 300), (hidden, 360))
    found = [decide(tally, age, missing.record(tally, age)) for tally, age in polls]

    assert [one.state for one in found] == ["waiting"] * 5 + ["failed"]
    assert "does not know b after 60 s" in found[-1].message


@pytest.mark.parametrize(
    ("before", "states"),
    [
        (None, ["waiting", "failed"]),
        (["a"], ["waiting", "failed"]),
        ([], ["waiting", "waiting", "failed"]),
    ],
)
def test_an_id_counts_as_missing_from_when_another_process_last_saw_it_and_not_after_one_look(
    before: list[str] | None, states: list[str]
) -> None:
    wait, missing = Wait(prediction_ids=["a"], missing_timeout=60), MissingIds(before)
    ages = [100 + 30 * n for n in range(len(states))]

    tallies = [Tally(wait, VLMRUN) for _ in ages]

    assert [
        decide(tally, age, missing.record(tally, age)).state for tally, age in zip(tallies, ages, strict=True)
    ] == states


def test_an_id_that_is_missed_once_does_not_fail_a_wait_without_missing_timeout() -> None:
    wait, missing = Wait(prediction_ids=["a"], missing_timeout=0), MissingIds()
    seen, hidden = Tally(wait, VLMRUN), Tally(wait, VLMRUN)
    seen.add(records(VLMRUN, a="running"))

    polls = ((hidden, 0), (seen, 5), (hidden, 10), (seen, 15), (hidden, 20), (hidden, 25))

    found = [decide(tally, age, missing.record(tally, age)).state for tally, age in polls]
    assert found == ["waiting"] * 5 + ["failed"]
    assert missing.ids == ["a"]


def test_a_decision_names_failures_in_the_services_words() -> None:
    found = of_pages(pages=({"a": "failed", "b": "completed"},))

    assert found == Decision(
        "failed",
        f"VLM Run: 1 of 2 predictions: a is failed: no pages. {ADVICE}",
        {"completed": 1, "failed": 1},
    )


@pytest.mark.parametrize(("missing", "more"), [(MAX_NAMED, " after"), (MAX_NAMED + 2, " and 2 more after")])
def test_a_decision_names_a_few_ids_and_counts_the_others(missing: int, more: str) -> None:
    ids = [f"id-{number:02}" for number in range(missing)]

    found = of_pages(600, prediction_ids=ids, missing_timeout=600)

    assert f"does not know {', '.join(ids[:MAX_NAMED])}{more} 600 s" in found.message


def test_max_predictions_bounds_the_count_over_all_pages() -> None:
    pages = ({"a": "completed", "b": "completed"}, {"c": "completed", "d": "running"}, {"e": "running"})

    assert of_pages(pages=pages, filters={"max_predictions": 3}).statuses == {"completed": 3}
