"""Unpack the body of a response while it arrives, up to the size that the connection allows.

httpx unpacks a whole chunk at once and accepts nested encodings. It drops all but the first member of a gzip
body, and does not notice a missing end.
"""

from __future__ import annotations

import sys
import zlib

from airflow_provider_predictions.api.errors import AnswerTooLargeError, MalformedAnswerError
from airflow_provider_predictions.api.limits import MAX_UNPACK_BYTES

GZIP = 31
"""zlib's ``wbits`` for a gzip header and a window of 32 kB."""


class Body:
    """The part of a body that has arrived.

    It never unpacks more than ``most``, since a few kilobytes can hold gigabytes. It accepts only the
    encoding that was requested (RFC 9110, section 8.4.1.3).

    :param encoding: the header ``Content-Encoding``, empty if there is none.
    :param most: bytes, unpacked.
    :param is_page: whether it is a page of a list, whose ``page_size`` can be smaller.
    :raises MalformedAnswerError: for another encoding.
    """

    def __init__(self, title: str, encoding: str, most: int, *, is_page: bool = True) -> None:
        self._title = title
        self._left = self._most = min(most, sys.maxsize - 1)  # zlib takes no more than sys.maxsize
        self._is_page = is_page
        self._chunks: list[bytes] = []
        coding = encoding.strip().lower()
        if coding not in ("", "identity", "gzip", "x-gzip"):
            raise MalformedAnswerError(f"{title} sent a body in an encoding that was not requested")
        self._unpacker = zlib.decompressobj(GZIP) if coding.endswith("gzip") else None

    def add(self, chunk: bytes) -> None:
        """Add a chunk as it was sent.

        :raises AnswerTooLargeError: if the body is larger than allowed.
        :raises MalformedAnswerError: if it is not gzip.
        """
        if self._unpacker:
            try:
                chunk = self._unpacked(chunk)
            except zlib.error:
                raise MalformedAnswerError(f"{self._title} sent a body that is not gzip") from None
        self._left -= len(chunk)
        if self._left < 0:
            advice = "Request fewer rows a page (page_size), or raise" if self._is_page else "Raise"
            raise AnswerTooLargeError(
                f"{self._title} sent a response of more than {self._most} bytes. "
                f"{advice} extra max_response_bytes of the connection"
            )
        self._chunks.append(chunk)

    def _unpacked(self, chunk: bytes) -> bytes:
        """Unpack a chunk of one or more gzip members (RFC 1952, section 2.2).

        Zeros after a member are padding. gzip and Python's own reader skip them, too.
        """
        found, most = [], self._left + 1
        for at in range(0, len(chunk), MAX_UNPACK_BYTES):
            piece = chunk[at : at + MAX_UNPACK_BYTES]
            while piece and most > 0:
                if self._unpacker is None or self._unpacker.eof:
                    piece = piece.lstrip(b"\0") if self._unpacker else piece
                    if not piece:
                        break
                    self._unpacker = zlib.decompressobj(GZIP)
                found.append(self._unpacker.decompress(piece, most))
                most -= len(found[-1])
                piece = self._unpacker.unused_data
        return b"".join(found)

    def content(self) -> bytes:
        """Return the whole body.

        :raises MalformedAnswerError: if the end of a gzip body is missing.
        """
        if self._unpacker and not self._unpacker.eof:
            raise MalformedAnswerError(f"{self._title} sent a gzip body without its end")
        return b"".join(self._chunks)
