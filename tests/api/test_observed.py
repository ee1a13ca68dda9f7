"""What a pass has met, and what can be said of words from it."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from airflow_provider_predictions.api.limits import MAX_OBSERVED
from airflow_provider_predictions.api.models import Prediction
from airflow_provider_predictions.api.observed import expected_words, unmatched_filters, unmatched_words
from airflow_provider_predictions.api.page import Observed, Page
from airflow_provider_predictions.api.service import Service
from airflow_provider_predictions.api.wording import counted, joined, printable
from airflow_provider_predictions.storage.manifest import Totals
from tests.api.services import CRADL, SERVICES, VLMRUN


def row(number: int, status: str = "completed", group: str | None = None) -> Prediction:
    return Prediction(str(number), status, None, group, b"{}")


def pages_of(service: Service[Any], filters: Any, *answers: list[dict[str, Any]]) -> list[Page]:
    paginator = service.paginator(filters)
    return [paginator.new_rows([service.row(json.dumps(r).encode()) for r in answer]) for answer in answers]


def test_what_filters_drop_is_met() -> None:
    filters = VLMRUN.filters(statuses=["failed"], domains=["b"])
    record = {"id": "1", "status": "completed", "domain": "a"}

    (page,) = pages_of(VLMRUN, filters, [record, {**record, "id": "2", "status": "failed"}])

    assert page.predictions == ()
    assert page.observed == Observed(2, {"completed": 1, "failed": 1}, {"a": 2})


def test_a_row_that_comes_again_and_one_that_is_no_record_are_not_looked_at() -> None:
    record = {"id": "1", "status": "completed"}

    first, again = pages_of(VLMRUN, VLMRUN.filters(), [record, []], [record])

    assert (first.observed, again.observed) == (Observed(1, {"completed": 1}), Observed())


def test_what_is_remembered_is_bounded_and_holds_each_word_that_was_asked_for() -> None:
    observed, asked = (
        Observed(),
        expected_words(VLMRUN, VLMRUN.filters(statuses=["s9999"], domains=["d9998"])),
    )
    for number in range(10_000):
        observed.add(Observed.of([row(number, f"s{number}", f"d{number}")]), asked)

    assert observed.looked_at == 10_000
    assert len(observed.statuses) == len(observed.groups) == MAX_OBSERVED + 1
    assert not unmatched_filters(VLMRUN, VLMRUN.filters(statuses=["s9999"], domains=["d9998"]), observed)


def test_words_without_an_end_are_remembered_and_shown_in_part() -> None:
    word = "x" * 1_000_000
    observed = Observed.of([row(1, word, word)])

    assert len(msgspec.json.encode(observed)) < 1000
    assert not unmatched_filters(VLMRUN, VLMRUN.filters(statuses=[word], domains=[word]), observed)
    assert len(unmatched_filters(VLMRUN, VLMRUN.filters(statuses=["y" * 1_000_000]), observed)) < 500


def test_a_word_from_outside_stays_on_one_line() -> None:
    assert printable("a\nb\x1b[31m\u2028c") == "a b [31m c"


def test_totals_that_were_stored_before_know_of_no_met_words() -> None:
    assert msgspec.json.decode(b'{"count": 3}', type=Totals).observed == Observed()


@pytest.mark.parametrize(
    ("groups", "others"),
    [
        ({"cradl:model:a": 3}, ""),
        ({"cradl:organization:o/cradl:model:a": 3}, ""),
        ({}, ""),
        ({"cradl:model:a": 1, "cradl:model:b": 2, "cradl:organization:o/cradl:model:c": 1}, "3 records"),
        ({"cradl:model:ab": 1}, "1 record"),
    ],
)
def test_records_of_models_that_the_service_should_have_left_out_are_told(
    groups: dict[str, int], others: str
) -> None:
    told = unmatched_filters(CRADL, CRADL.filters(model_id="cradl:model:a"), Observed(5, {}, groups))

    assert (others in told and told.startswith("model_id: ")) if others else told == ""
    assert not unmatched_filters(CRADL, CRADL.filters(), Observed(5, {}, groups))


@SERVICES
def test_a_known_word_is_never_unmatched(service: Service[Any]) -> None:
    known = service.filters(statuses=sorted(service.terminal_statuses | service.unfinished_statuses))

    assert not unmatched_filters(service, known, Observed())
    assert not unmatched_filters(service, known, Observed(5, {"odd": 5}))


def test_unmatched_words_are_named_beside_those_met_and_the_known_ones() -> None:
    text = unmatched_filters(
        VLMRUN, VLMRUN.filters(statuses=["complete", "done", "failed"]), Observed(2, {"odd": 2})
    )

    assert text == (
        "statuses: 'complete', 'done' were not found in 2 records; found: odd; "
        "known: cancelled, completed, enqueued, failed, paused, pending, running"
    )


def test_all_unmatched_words_are_in_one_text() -> None:
    filters = VLMRUN.filters(statuses=["complete"], domains=["a"])

    text = unmatched_filters(VLMRUN, filters, Observed(1, {"failed": 1}, {"b": 1}), {"fail_on": ["fail"]})

    assert [part.split(":")[0] for part in text.split(". ")] == ["statuses", "fail_on", "domains"]
    assert "domains: 'a' was not found in 1 record; found: b" in text


def test_a_domain_is_not_unmatched_if_nothing_was_looked_at() -> None:
    assert not unmatched_filters(VLMRUN, VLMRUN.filters(domains=["a"]), Observed())


def test_a_filter_of_the_service_is_named_only_if_nothing_came() -> None:
    filters = CRADL.filters(model_id="m")

    assert (
        unmatched_filters(CRADL, filters, Observed())
        == "model_id: 'm' matched nothing (Cradl applies this filter)"
    )
    assert not unmatched_filters(CRADL, filters, Observed(1))


def test_without_words_nothing_is_unmatched() -> None:
    assert unmatched_words("statuses", None, {"a": 1}, 1) == unmatched_words("statuses", (), {}, 0) == ""


def test_numbers_have_their_plural_and_long_lists_an_end() -> None:
    assert [counted(n, "page") for n in (0, 1, 2)] == ["0 pages", "1 page", "2 pages"]
    assert joined(f"{n:02}" for n in range(25)).endswith("18, 19 and 5 more")


def test_a_word_that_only_looks_like_another_is_shown_with_escapes() -> None:
    for word, escaped in {"failed\u200b": "failed\\u200b", "f\u0430iled": "f\\u0430iled"}.items():
        text = unmatched_words("statuses", [word], ["failed"], 7)

        assert f" ({escaped}) was not found in 7 records; found: failed" in text
    assert "'fail' was not found" in unmatched_words("statuses", ["fail"], ["failed"], 7)
