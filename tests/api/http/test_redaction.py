"""Secrets go from texts of others, in a time that grows with the text and no faster."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable

import pytest

from airflow_provider_predictions.api.http.redaction import without

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
