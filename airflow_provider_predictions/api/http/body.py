"""The body of an answer: unpacked while it arrives, and never more of it than is allowed."""

from __future__ import annotations

import zlib

from airflow_provider_predictions.api.errors import AnswerTooLargeError, MalformedAnswerError

GZIP = 31
"""What zlib calls a window of 32 kB behind a gzip header."""
PIECE = 1 << 14
"""Bytes that are unpacked at once: behind each member, what follows of them is copied."""


class Body:
    """What has come of an answer so far.

    A few kilobytes can unpack to gigabytes, so no more is unpacked than may be kept, and only the coding that
    was asked for is taken (RFC 9110, section 8.4.1.3).

    :param title: of the service.
    :param encoding: the header ``Content-Encoding``; empty where there is none.
    :param most: bytes.
    :param is_page: of a list, which can be asked for with fewer rows.
    """

    def __init__(self, title: str, encoding: str, most: int, *, is_page: bool = True) -> None:
        self._title = title
        self._left = most
        self._most = most
        self._is_page = is_page
        self._chunks: list[bytes] = []
        self._unpacker: zlib._Decompress | None = None
        match encoding.strip().lower():
            case "" | "identity":
                pass
            case "gzip" | "x-gzip":
                self._unpacker = zlib.decompressobj(GZIP)
            case _:
                raise MalformedAnswerError(f"{title} sent a body in a coding that was not asked for")

    def add(self, chunk: bytes) -> None:
        """Take what has come.

        :param chunk: as it was sent.
        :raises AnswerTooLargeError: where there is more than allowed.
        :raises MalformedAnswerError: where it cannot be unpacked.
        """
        if self._unpacker:
            try:
                chunk = self._unpacked(chunk)
            except zlib.error:
                raise MalformedAnswerError(f"{self._title} sent a body that is no gzip") from None
        self._left -= len(chunk)
        if self._left < 0:
            advice = "Ask for fewer rows a page (page_size), or raise" if self._is_page else "Raise"
            raise AnswerTooLargeError(
                f"{self._title} sent an answer of more than {self._most} bytes. "
                f"{advice} extra max_response_bytes of the connection"
            )
        self._chunks.append(chunk)

    def _unpacked(self, chunk: bytes) -> bytes:
        """What a chunk holds, of one member of a gzip file or of several (RFC 1952, section 2.2).

        Zeros behind a member are padding, as gzip and Python's own reader take them.
        """
        found, most = [], self._left + 1
        for at in range(0, len(chunk), PIECE):
            piece = chunk[at : at + PIECE]
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
        """All that was sent.

        :raises MalformedAnswerError: where its end is missing.
        """
        if self._unpacker and not self._unpacker.eof:
            raise MalformedAnswerError(f"{self._title} sent a gzip body without its end")
        return self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
