"""What people give, value by value; and texts of others, without our secrets."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_predictions.api.errors import ConfigurationError
from airflow_provider_predictions.api.filters import (
    Filters,
    checked,
    checked_conn_id,
    checked_id,
    checked_url,
    is_safe_url,
    origin,
    seconds_of,
    utc,
    words,
)
from airflow_provider_predictions.api.http.redaction import without
from airflow_provider_predictions.api.models import Prediction

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_words_are_a_list_or_the_text_of_one_in_one_order() -> None:
    assert words(" failed, ,cancelled") == ["failed", "cancelled"]
    assert words(None) is None
    assert Filters(statuses="b,a,b").statuses == ("a", "b")
    assert Filters(statuses=["b", "a"]) == Filters(statuses=("a", "b", "b"))


@pytest.mark.parametrize("value", ["", ".", "..", "\ud800"])
def test_what_no_url_can_hold_as_a_segment_is_no_id(value: str) -> None:
    with pytest.raises(ValueError, match=r"is not an id|surrogate"):
        checked_id(value)


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("https://api.example.com", True),
        ("http://api.example.com", False),
        ("http://localhost:8080", True),
        ("http://127.1.2.3", True),
        ("http://[::1]:80", True),
        ("http://10.0.0.1", False),
        ("http://localhost.example.com", False),
        ("ftp://localhost", False),
        ("https://", False),
        ("https://[", False),
        ("predictions", False),
    ],
)
def test_credentials_travel_encrypted_or_not_at_all(url: str, safe: bool) -> None:
    assert is_safe_url(url) is safe


def test_an_origin_has_the_port_that_its_scheme_implies() -> None:
    assert origin("https://a.test/x?y") == ("https", "a.test", 443)
    assert origin("http://A.test") == ("http", "a.test", 80)
    assert origin("https://a.test:8443") == ("https", "a.test", 8443)
    assert origin("ftp://a.test") == ("ftp", "a.test", None)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("https://a b", "space"),
        ("https://a\n.test", "space"),
        ("https://a.test:port", "not a URL"),
        ("https://[", "not a URL"),
        ("a.test", "no host"),
        ("http://a.test", "must start with https"),
        ("https://me@a.test", "neither"),
        ("https://:secret@a.test", "neither"),
        ("https://a.test?key=1", "neither"),
        ("https://a.test#top", "neither"),
    ],
)
def test_a_url_that_is_wrong_says_how(url: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        checked_url(url)


def test_a_url_loses_its_trailing_slash_and_the_space_around_it() -> None:
    assert checked_url(" https://a.test/v1/\n") == "https://a.test/v1"


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


SECRET = 'a/secret &"that"+is=läng'


@pytest.mark.parametrize(
    "quoted",
    [
        SECRET,
        "a/secret%20%26%22that%22%2Bis%3Dl%C3%A4ng",
        "a%2Fsecret%20%26%22that%22%2Bis%3Dl%C3%A4ng",
        "a%2Fsecret+%26%22that%22%2Bis%3Dl%C3%A4ng",
        json.dumps(SECRET)[1:-1],
        json.dumps(json.dumps(SECRET)[1:-1])[1:-1],
        "a/secret &amp;&quot;that&quot;+is=läng",
    ],
)
def test_a_secret_is_hidden_however_it_is_quoted(quoted: str) -> None:
    assert without(f"<{quoted}> and {quoted}", "other", SECRET, "") == "<***> and ***"


def test_a_secret_is_hidden_as_python_shows_it() -> None:
    odd = "a\x01'\\b"

    assert without(f"{odd!r} and {odd}", odd) == '"***" and ***'


def test_of_a_form_that_holds_another_nothing_is_left() -> None:
    assert without(json.dumps("\\x-secret"), "\\x-secret") == '"***"'


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
@pytest.mark.parametrize("before", ["", "u", "me:", "user:"])
def test_a_secret_is_hidden_within_base64(encode: Any, before: str) -> None:
    text = encode(f"{before}{SECRET}, more".encode()).decode()

    assert without(f"Basic {text}, refused", SECRET) == "Basic ***, refused"


def test_what_is_too_short_to_be_known_in_base64_hides_nothing_else() -> None:
    assert without("YWJj YWJjZGVm stays", "abc") == "YWJj YWJjZGVm stays"
