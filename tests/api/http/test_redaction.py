"""Secrets are hidden in every form, in a time that grows with the text and no faster."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_predictions.api.http.redaction import without, without_values

SECRET = "the secret of the tests"
SIZE = 1_000_000
CODED = base64.b64encode(f"before {SECRET} behind".encode()).decode()

SHAPES: dict[str, Callable[[int], str]] = {
    "one word": lambda size: "a" * size,
    "one word that almost holds it": lambda size: CODED[5:20] * (size // 15),
    "one word that holds it": lambda size: "a" * (size // 2) + CODED + "a" * (size // 2),
    "many words that hold it": lambda size: f"{CODED} " * (size // len(CODED)),
    "equals signs": lambda size: "=" * size,
    "backslashes": lambda size: "\\" * size,
    "quotes": lambda size: '"&<%' * (size // 4),
}


def seconds(text: str) -> float:
    """Of the processor, at best."""
    took = []
    for _ in range(3):
        start = time.process_time()
        without(text, SECRET)
        took.append(time.process_time() - start)
    return min(took)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_megabyte_of_any_shape_takes_as_long_as_a_plain_one(shape: str) -> None:
    plain = seconds(f"words and more of them {CODED} " * (SIZE // 100))

    assert seconds(SHAPES[shape](SIZE)) < 10 * plain + 0.05


@pytest.mark.parametrize("around", ["", "aaaa", "a-b_c/d+e=", "ü"])
def test_a_word_that_holds_a_secret_in_base64_goes_whole(around: str) -> None:
    assert without(f"told: {around}{CODED}{around}, ok", SECRET) == "told: ***, ok"
    assert without(f"{CODED[:8]}, ok", SECRET) == f"{CODED[:8]}, ok"


QUOTED = 'a/secret &"that"+is=läng'


@pytest.mark.parametrize(
    "quoted",
    [
        QUOTED,
        "a/secret%20%26%22that%22%2Bis%3Dl%C3%A4ng",
        "a%2Fsecret%20%26%22that%22%2Bis%3Dl%C3%A4ng",
        "a%2Fsecret+%26%22that%22%2Bis%3Dl%C3%A4ng",
        json.dumps(QUOTED)[1:-1],
        json.dumps(json.dumps(QUOTED)[1:-1])[1:-1],
        "a/secret &amp;&quot;that&quot;+is=läng",
    ],
)
def test_a_secret_is_hidden_however_it_is_quoted(quoted: str) -> None:
    assert without(f"<{quoted}> and {quoted}", "other", QUOTED, "") == "<***> and ***"


def test_query_values_of_six_letters_are_hidden_and_shorter_ones_are_words() -> None:
    assert without_values("a page of tokens: tokens", "tokens", "page") == "a page of ***: ***"


def test_a_secret_is_hidden_as_python_shows_it() -> None:
    odd = "a\x01'\\b"

    assert without(f"{odd!r} and {odd}", odd) == '"***" and ***'


def test_of_a_form_that_holds_another_nothing_is_left() -> None:
    assert without(json.dumps("\\x-secret"), "\\x-secret") == '"***"'


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
@pytest.mark.parametrize("before", ["", "u", "me:", "user:"])
def test_a_secret_is_hidden_within_base64(encode: Any, before: str) -> None:
    text = encode(f"{before}{QUOTED}, more".encode()).decode()

    assert without(f"Basic {text}, refused", QUOTED) == "Basic ***, refused"


def test_a_secret_too_short_for_base64_hides_nothing_else() -> None:
    assert without("YWJj YWJjZGVm stays", "abc") == "YWJj YWJjZGVm stays"


def test_seven_bytes_are_found_at_any_place_in_base64() -> None:
    assert without("Basic eDEyMzQ1Njc=", "1234567") == "Basic ***"
    assert without("Basic MTIzNDU2Nw==", "1234567") == "Basic ***"
    assert without("Basic eDEyMzQ1Ng==", "123456") == "Basic eDEyMzQ1Ng=="
