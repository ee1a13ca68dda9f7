"""The service's own words, in the body of an error."""

from __future__ import annotations

import pytest

from airflow_provider_predictions.api.errors import message_in


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"detail": "No  such\\n prediction"}', "No such prediction"),
        (b'{"message": "Limit"}', "Limit"),
        (b'{"Message": "Forbidden"}', "Forbidden"),
        (b'{"error": {"message": "bad"}}', "bad"),
        (b'{"detail": {"error": {"message": "worse"}}}', "worse"),
        (b'{"code": 1, "error": "odd"}', "odd"),
        (
            b'{"detail": [{"loc": ["query", "limit"], "msg": "large"}, 7, {"loc": "skip", "msg": "no"}]}',
            "query.limit: large; skip: no",
        ),
        (b'{"detail": [{"loc": ["items", 0], "msg": "no"}]}', "items.0: no"),
        (b'{"code": 1}', ""),
        (b'{"detail": 7}', ""),
        (b"[7]", ""),
        (b'"all of it"', "all of it"),
        (b"<html>", ""),
        (b"", ""),
        (b"[" * 100_000, ""),
    ],
)
def test_the_words_of_every_known_shape_are_found_and_of_no_other(body: bytes, words: str) -> None:
    assert message_in(body) == words
