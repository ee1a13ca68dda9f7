"""What a wait remembers of predictions that the list hides."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime

from airflow_provider_predictions.api.limits import MAX_PASSED_ROWS, MAX_UNFINISHED_ROWS
from airflow_provider_predictions.api.models import Prediction, id_by_content
from airflow_provider_predictions.api.page import Page
from airflow_provider_predictions.api.vlmrun import VlmRun
from airflow_provider_predictions.api.waiting.decide import Wait
from airflow_provider_predictions.api.waiting.hidden_rows import HiddenRows

FINAL = VlmRun.terminal_statuses
ALL = Wait()
NOW = datetime(2026, 11, 1, tzinfo=UTC)


def unfinished(id_: str, raw: bytes = b"{}") -> Prediction:
    return Prediction(id_, "running", NOW, "document.invoice", raw)


def passed(hidden: HiddenRows, rows: Sequence[Prediction], now: float = 0) -> HiddenRows:
    """After one more pass over the list."""
    hidden.begin()
    hidden.add(Page(tuple(rows), ids=[row.id for row in rows]), FINAL)
    hidden.end(now, ALL.missing_timeout)
    return hidden


def test_a_row_is_hidden_until_it_is_listed_again_or_its_time_is_over() -> None:
    hidden = passed(HiddenRows(), [unfinished("a"), unfinished("b")])
    passed(hidden, [unfinished("b")], 100)

    assert hidden.of(ALL, VlmRun, 100) == hidden.of(ALL, VlmRun, 699) == ["a"]
    assert hidden.of(ALL, VlmRun, 700) == []
    assert passed(hidden, [Prediction("a", "completed", NOW, None, b"")], 200).of(ALL, VlmRun, 200) == ["b"]


def test_a_record_without_an_id_is_not_expected_again() -> None:
    raw = b'{"status": "running"}'

    assert passed(passed(HiddenRows(), [unfinished(id_by_content(raw), raw)]), []).of(ALL, VlmRun, 0) == []


def test_what_is_remembered_and_passed_on_is_bounded_and_fits_into_a_message() -> None:
    hidden = passed(HiddenRows(), [unfinished(f"{n}\ud800" if n < 9 else f"{n}") for n in range(20_000)])
    saved = hidden.save(ALL, VlmRun)
    other = HiddenRows()
    other.remember(json.loads(json.dumps(saved).encode()))
    passed(other, [])

    assert len(saved) == len(other.of(ALL, VlmRun, 0)) == MAX_PASSED_ROWS
    assert saved[0][0] == "9"
    assert len(passed(hidden, []).of(ALL, VlmRun, 0)) == MAX_UNFINISHED_ROWS


def test_only_what_a_wait_waits_for_is_passed_on() -> None:
    hidden = passed(HiddenRows(), [unfinished("a")])
    others = (
        Wait(filters={"domains": ["document.receipt"]}),
        Wait(filters={"created_before": NOW.isoformat()}),
        Wait(waiting_statuses=("pending",)),
        Wait(prediction_ids=("a",)),
    )

    assert hidden.save(ALL, VlmRun) == [["a", "running", "2026-11-01T00:00:00Z", "document.invoice"]]
    assert [hidden.save(wait, VlmRun) for wait in others] == [[]] * len(others)
