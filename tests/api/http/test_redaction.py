"""Secrets are hidden in every form, in a time that grows with the text and no faster."""

from __future__ import annotations

import base64
import html
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

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


ESCAPES: dict[str, Callable[[int], str]] = {
    "percent escapes": lambda size: "%41" * (size // 3),
    "escaped percent signs": lambda size: "%" + "25" * (size // 2),
    "escaped escapes": lambda size: "%5Cu0025" + "5Cu0025" * (size // 7),
    "entities": lambda size: "&amp;" * (size // 5),
    "entities without an end": lambda size: "&" + "amp;" * (size // 4),
    "digits of an entity": lambda size: "&#" + "0" * size,
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


@pytest.mark.parametrize("shape", ESCAPES)
def test_ten_times_as_many_escapes_take_ten_times_as_long(shape: str) -> None:
    few = seconds(ESCAPES[shape](SIZE // 10))

    assert seconds(ESCAPES[shape](SIZE)) < 30 * few + 0.05


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
        "a%2fsecret%20%26%22that%22%2bis%3dl%c3%a4ng",
        "a%252Fsecret%2520%2526%2522that%2522%252Bis%253Dl%25C3%25A4ng",
        r"a\/secret &\"that\"\u002bis\u003Dl\u00E4ng",
        r"a\\/secret &\\\"that\\\"\\u002bis=l\\u00e4ng",
        "a&#x2F;secret &#38;&#34;that&#x22;&#x2b;is&#61;l&#228;ng",
        "a&sol;secret &amp;amp;&quot;that&quot;&plus;is&equals;l&auml;ng",
        r"a%5C%2Fsecret &\x22that\x22%5Cu002Bis=l\xe4ng",
    ],
)
def test_a_secret_is_hidden_however_it_is_quoted(quoted: str) -> None:
    assert without(f"<{quoted}> and {quoted}", "other", QUOTED, "") == "<***> and ***"


SPELLINGS: list[Callable[[str], str]] = [
    lambda char: char,
    lambda char: "".join(f"%{byte:02x}" for byte in char.encode()),
    lambda char: "".join(f"%{byte:02X}" for byte in char.encode()),
    lambda char: json.dumps(char)[1:-1],
    lambda char: "".join(f"\\u{unit:04x}" for unit in memoryview(char.encode("utf-16")).cast("H")[1:]),
    lambda char: f"\\{char}" if char in "\\/\"'" else char,
    lambda char: html.escape(char),
    lambda char: f"&#{ord(char)};",
    lambda char: f"&#x{ord(char):X};",
]
KEYS = st.text(st.sampled_from("aB1+/=-_.%&#;\\u\"'x ~äß😀"), min_size=6, max_size=12)
AROUND = st.text(st.sampled_from("<ö >: "), max_size=2)


@given(KEYS, AROUND, AROUND, st.data())
def test_a_secret_is_hidden_whatever_character_of_it_is_escaped(
    secret: str, before: str, behind: str, data: st.DataObject
) -> None:
    spelled = secret
    for _ in range(data.draw(st.integers(0, 2))):
        # What one escapes, it escapes everywhere, or else the text stands for another one.
        spell = data.draw(st.sampled_from(SPELLINGS))
        plain = data.draw(st.sets(st.sampled_from("aB1u")))
        spelled = "".join(char if char in plain else spell(char) for char in spelled)
    text = f"{before}{spelled}{behind}"

    assert spelled not in (found := without(text, secret))
    assert found.startswith(before)
    assert "***" in found


def test_a_text_without_a_secret_stays_as_it_is() -> None:
    text = r"GET /a%2Fb?c=d+e \u00e4 \\n &amp; \ud800 " + "ä😀\ud800"

    assert without(text, "another secret") == text


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
