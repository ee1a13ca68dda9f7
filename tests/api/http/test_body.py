"""The body of a response, chunk by chunk."""

from __future__ import annotations

import gzip

import pytest

from airflow_provider_predictions.api.errors import AnswerTooLargeError, MalformedAnswerError
from airflow_provider_predictions.api.http.body import Body

TEXT = b"[" + b"7, " * 1000 + b"7]"


def body_of(*chunks: bytes, encoding: str = "", most: int = len(TEXT)) -> bytes:
    body = Body("Cradl", encoding, most)
    for chunk in chunks:
        body.add(chunk)
    return body.content()


@pytest.mark.parametrize("encoding", ["", "identity", " Identity "])
def test_an_uncompressed_body_stays_as_it_is(encoding: str) -> None:
    assert body_of(TEXT[:7], TEXT[7:], encoding=encoding) == TEXT
    assert body_of(encoding=encoding) == b""


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", " GZIP "])
def test_a_body_is_unpacked_while_it_arrives(encoding: str) -> None:
    packed = gzip.compress(TEXT)

    assert body_of(packed[:7], packed[7:9], packed[9:], encoding=encoding) == TEXT


def test_all_members_of_a_gzip_body_are_unpacked() -> None:
    packed = gzip.compress(TEXT[:9]) + gzip.compress(b"") + gzip.compress(TEXT[9:])

    for size in (1, 7, len(packed)):
        assert (
            body_of(*(packed[at : at + size] for at in range(0, len(packed), size)), encoding="gzip") == TEXT
        )
    with pytest.raises(AnswerTooLargeError):
        body_of(packed, encoding="gzip", most=len(TEXT) - 1)
    with pytest.raises(MalformedAnswerError, match="without its end"):
        body_of(packed[:-1], encoding="gzip")
    with pytest.raises(MalformedAnswerError, match="is not gzip"):
        body_of(packed + b"more", encoding="gzip")


@pytest.mark.parametrize("most", [2**31, 2**63 - 2, 2**63 - 1, 2**63, 10**30])
@pytest.mark.parametrize("encoding", ["", "gzip"])
def test_a_bound_may_be_larger_than_any_body(most: int, encoding: str) -> None:
    sent = gzip.compress(TEXT) if encoding else TEXT

    assert body_of(sent, encoding=encoding, most=most) == TEXT


def test_zeros_behind_a_packed_body_are_padding() -> None:
    packed = gzip.compress(TEXT[:9]) + bytes(3) + gzip.compress(TEXT[9:]) + bytes(40_000)

    for size in (1, 7, len(packed)):
        chunks = [packed[at : at + size] for at in range(0, len(packed), size)]
        assert body_of(*chunks, encoding="gzip") == TEXT
    with pytest.raises(MalformedAnswerError, match="is not gzip"):
        body_of(bytes(3) + packed, encoding="gzip")
    with pytest.raises(MalformedAnswerError, match="is not gzip"):
        body_of(packed + b"more", encoding="gzip")


@pytest.mark.parametrize("encoding", ["br", "deflate", "gzip, gzip", "zstd"])
def test_a_coding_that_was_not_requested_is_refused(encoding: str) -> None:
    with pytest.raises(MalformedAnswerError, match="Cradl sent a body in an encoding that was not requested"):
        Body("Cradl", encoding, 1)


@pytest.mark.parametrize("encoding", ["", "gzip"])
def test_a_response_that_is_too_large_says_what_to_do(encoding: str) -> None:
    sent = gzip.compress(TEXT) if encoding else TEXT

    for size in (1, len(sent)):
        chunks = [sent[at : at + size] for at in range(0, len(sent), size)]
        with pytest.raises(AnswerTooLargeError) as raised:
            body_of(*chunks, encoding=encoding, most=len(TEXT) - 1)
        assert str(raised.value) == (
            f"Cradl sent a response of more than {len(TEXT) - 1} bytes. Request fewer rows a page "
            "(page_size), or raise extra max_response_bytes of the connection"
        )


def test_a_body_that_cannot_be_unpacked_is_an_error() -> None:
    with pytest.raises(MalformedAnswerError, match="Cradl sent a body that is not gzip"):
        body_of(TEXT, encoding="gzip")
    with pytest.raises(MalformedAnswerError, match="Cradl sent a gzip body without its end"):
        body_of(gzip.compress(TEXT)[:-1], encoding="gzip")
