"""Arguments and filters, value by value."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from airflow_provider_predictions.api.errors import ConfigurationError
from airflow_provider_predictions.api.filters import (
    Filters,
    checked,
    checked_conn_id,
    checked_id,
    ids,
    seconds_of,
    utc,
    words,
)
from airflow_provider_predictions.api.models import Prediction

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_words_are_a_list_or_the_text_of_one_in_one_order() -> None:
    assert words(" failed, ,cancelled") == ["failed", "cancelled"]
    assert words(None) is None
    assert words("('failed')") == ["failed"]  # a tuple without its comma
    assert words("""'failed', "cancelled" """) == ["failed", "cancelled"]  # as native rendering reads it
    assert words(b"failed") == b"failed"  # for pydantic to refuse
    assert Filters(statuses="b,a,b").statuses == ("a", "b")
    assert Filters(statuses=["b", "a"]) == Filters(statuses=("a", "b", "b"))


def test_lists_of_ids_are_one_list() -> None:
    """As mapped tasks give them, some as text."""
    assert ids([["a", "b"], "c", "['d', 5]"]) == ["a", "b", "c", "d", "5"]


@pytest.mark.parametrize("value", ["", ".", "..", "\ud800"])
def test_what_no_url_can_hold_as_a_segment_is_no_id(value: str) -> None:
    with pytest.raises(ValueError, match=r"is not an id|surrogate"):
        checked_id(value)


@pytest.mark.parametrize(
    ("values", "prefix", "message"),
    [
        ({"page_size": 0}, "", "page_size: Input should be greater than or equal to 1; found 0"),
        ({"page_size": 0}, "extra ", "extra page_size: Input should be greater than or equal to 1"),
        ({"page_size": 1001}, "", "page_size: Input should be less than or equal to 1000; found 1001"),
        ({"max_predictions": 0}, "", "max_predictions: Input should be greater than or equal to 1; found 0"),
        (
            {"created_after": NOON, "created_before": NOON - HOUR},
            "",
            "created_before: 2026-11-01T11:00:00+00:00 lies before created_after 2026-11-01T12:00:00+00:00",
        ),
        (
            {"colour": 1},
            "",
            "colour: unknown; known are created_after, created_before, max_predictions, page_size, statuses",
        ),
    ],
)
def test_the_first_value_that_is_wrong_is_named(values: dict[str, Any], prefix: str, message: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        checked(Filters, values, prefix)

    assert str(raised.value) == message


@pytest.mark.parametrize("value", ["", "  ", None, 7])
def test_what_is_no_connection_id_is_named(value: object) -> None:
    with pytest.raises(ConfigurationError) as raised:
        checked_conn_id("conn_id", value)

    assert str(raised.value) == f"conn_id: must be the id of an Airflow connection; found {value!r}"


def test_times_and_spans_are_read_in_every_form_that_templates_make() -> None:
    for given in ("2026-11-01T12:00:00", " 2026-11-01T13:00:00+01:00 ", NOON):
        assert checked(Filters, {"created_after": given}).created_after == NOON
    assert checked(Filters, {"created_after": " ", "created_before": NOON}).created_after is None
    assert checked(Filters, {"created_after": NOON, "created_before": NOON}).created_before == NOON
    assert (seconds_of(HOUR), seconds_of(1.5), seconds_of(None)) == (3600, 1.5, None)
    assert utc(NOON.astimezone()) == "2026-11-01T12:00:00Z"


def test_a_window_takes_its_start_and_not_its_end_and_what_has_no_time() -> None:
    times = {"early": -1, "start": 0, "in": 1, "end": 2, "late": 3}
    rows = [Prediction(id_, "done", NOON + n * HOUR, None, b"{}") for id_, n in times.items()]
    rows.append(Prediction("without", "other", None, None, b"{}"))

    def chosen(**values: Any) -> list[str]:
        return [row.id for row in Filters(**values).choose(rows)]

    assert chosen(created_after=NOON, created_before=NOON + 2 * HOUR) == ["start", "in", "without"]
    assert chosen(created_after=NOON + HOUR) == ["in", "end", "late", "without"]
    assert chosen(created_before=NOON) == ["early", "without"]
    assert chosen(statuses="other") == ["without"]
    assert chosen(statuses=()) == []


def test_nothing_that_follows_is_wanted_beyond_the_far_end_of_the_window() -> None:
    window = Filters(created_after=NOON, created_before=NOON + HOUR)

    assert [window.is_past(NOON + n * HOUR / 2, newest_first=True) for n in (-1, 0, 3)] == [
        True,
        False,
        False,
    ]
    assert [window.is_past(NOON + n * HOUR / 2, newest_first=False) for n in (-1, 1, 2)] == [
        False,
        False,
        True,
    ]
    assert not Filters().is_past(NOON, newest_first=True)
    assert not Filters().is_past(NOON, newest_first=False)


def test_a_window_in_the_hour_that_the_clocks_repeat_is_read_by_utc() -> None:
    zone = ZoneInfo("Europe/Oslo")
    first = datetime(2026, 10, 25, 2, 45, tzinfo=zone)  # 00:45 UTC
    second = datetime(2026, 10, 25, 2, 15, tzinfo=zone, fold=1)  # 01:15 UTC

    assert Filters(created_after=first, created_before=second)
    with pytest.raises(ValidationError, match=r"created_before: .* lies before created_after"):
        Filters(created_after=second, created_before=first)
