"""The rows of a page by column, so that the usual page lands without an object for each row."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import cache, cached_property
from itertools import compress, repeat
from operator import add, attrgetter, gt, itemgetter, lt
from typing import Any, overload

import msgspec
from typing_extensions import override

from airflow_provider_predictions.api.limits import MAX_COLUMN_BYTES
from airflow_provider_predictions.api.models import WITHOUT_OFFSET, Prediction

_FIELDS = ("id", "status", "created_at", "group")
"""The fields of a prediction that make a column."""


def _column(field: str) -> cached_property[list[Any]]:
    return cached_property(lambda batch: [getattr(row, field) for row in batch._rows])


class RecordBatch(Sequence[Prediction]):
    """Rows of a page: a sequence of predictions, and a column for each of their fields."""

    ids: cached_property[list[str]] = _column("id")
    statuses: cached_property[list[str]] = _column("status")
    times: cached_property[list[datetime | None]] = _column("created_at")
    groups: cached_property[list[str | None]] = _column("group")

    def __init__(self, rows: Sequence[Prediction]) -> None:
        self._given = rows

    @classmethod
    def of(cls, rows: Sequence[Prediction]) -> RecordBatch:
        """The rows themselves if they are a batch; else a batch of them."""
        return rows if isinstance(rows, RecordBatch) else cls(rows)

    @property
    def _rows(self) -> Sequence[Prediction]:
        return self._given

    @property
    def texts(self) -> Iterator[tuple[bytes | memoryview, int]]:
        """The records in pieces, with line breaks between them, and how many a piece holds.

        A piece is a copy, so a large page is not joined as a whole.
        """
        lines, size = [], 0
        for row in self._rows:
            lines.append(row.raw)
            size += len(row.raw)
            if size >= MAX_COLUMN_BYTES:
                yield b"\n".join(lines), len(lines)
                lines, size = [], 0
        if lines:
            yield b"\n".join(lines), len(lines)

    @cached_property
    def rejected(self) -> tuple[Prediction, ...]:
        """The rows that are not records."""
        return tuple(row for row in self._rows if row.fault is not None)

    @cached_property
    def without_values(self) -> tuple[Prediction, ...]:
        """The records whose values could not be fetched."""
        return tuple(row for row in self._rows if row.lacks_values is not None)

    @cached_property
    def order(self) -> Callable[[Any, Any], bool] | None:
        """How each creation time compares with the next: ``gt``, ``lt``, or None without a strict order."""
        times: list[Any] = self.times
        try:
            in_order = (order for order in (gt, lt) if all(map(order, times, times[1:])))
            return next(in_order, None) if len(times) > 1 else None
        except TypeError:  # one is missing
            return None

    @property
    def times_to_compare(self) -> list[datetime | None]:
        """Creation times that show whether the records are in order: if they are, the first and last."""
        if self.order:
            return [self.times[0], self.times[-1]]
        return [row.created_at for row in self._rows if row.fault is None] if self.rejected else self.times

    @cached_property
    def span(self) -> tuple[datetime, datetime] | None:
        """The oldest and the newest creation time; None if no record has one."""
        times = [time for time in self.times if time]
        return (min(times), max(times)) if times else None

    def select(self, mask: Sequence[bool]) -> RecordBatch:
        """The rows for which the mask is true."""
        return self if all(mask) else RecordBatch(tuple(compress(self, mask)))

    @override
    def __len__(self) -> int:
        return len(self._rows)

    @override
    def __iter__(self) -> Iterator[Prediction]:
        return iter(self._rows)

    @overload
    def __getitem__(self, at: int) -> Prediction: ...
    @overload
    def __getitem__(self, at: slice) -> RecordBatch: ...
    @override
    def __getitem__(self, at: int | slice) -> Prediction | RecordBatch:
        if isinstance(at, int):
            return self._rows[at]
        start, stop, step = at.indices(len(self))
        if step != 1:
            return RecordBatch(self._rows[at])
        if start >= stop:  # the rows need not be made to know that there are none
            return RecordBatch(())
        return self if stop - start == len(self) else self._slice(start, stop)

    def _slice(self, start: int, stop: int) -> RecordBatch:
        return RecordBatch(self._rows[start:stop])

    @override
    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and [*self] == [*other]

    __hash__ = None  # type: ignore[assignment]  # as of a list


class ColumnBatch(RecordBatch):
    """Records that were read by column. The predictions are made when one is asked for.

    :param columns: one for each of ``_FIELDS``.
    :param text: holds the records, with line breaks between them, from ``start`` to ``end``.
    """

    rejected = without_values = ()

    def __init__(self, columns: Sequence[list[Any]], text: bytes, start: int, end: int) -> None:
        # Each of these stands before the property that would compute it.
        vars(self).update(zip(("ids", "statuses", "times", "groups"), columns, strict=True))
        self._columns, self._text, self._start, self._end = columns, text, start, end

    @cached_property
    @override
    def _rows(self) -> Sequence[Prediction]:
        rows = zip(*self._columns, bytes(self._view).split(b"\n"), strict=True)
        return [Prediction(*row) for row in rows]

    @property
    @override
    def texts(self) -> Iterator[tuple[memoryview, int]]:
        yield self._view, len(self)

    @property
    def _view(self) -> memoryview:
        return memoryview(self._text)[self._start : self._end]

    @override
    def __len__(self) -> int:
        return len(self.ids)

    @override
    def _slice(self, start: int, stop: int) -> ColumnBatch:
        first = _after_lines(self._text, self._start, start)
        end = _after_lines(self._text, first, stop - start) - 1 if stop < len(self) else self._end
        return ColumnBatch([column[start:stop] for column in self._columns], self._text, first, end)


def _after_lines(text: bytes, at: int, lines: int) -> int:
    """The place behind so many line breaks. Counting a byte in the whole text takes three times as long."""
    for _ in range(lines):
        at = text.index(b"\n", at) + 1
    return at


def read_usual(body: bytes, start: int, end: int, envelope: type[msgspec.Struct]) -> ColumnBatch | None:
    """Read the records of a JSON array by column; None if anything is unusual.

    The commas between records become line breaks, so what is decoded is what is written. The body had no
    line break before, and there are as many lines as objects. Cut within a record, brackets would not match.

    Unusual are records that begin with different members, other white space between them, an id, a status
    or a creation time that is missing, empty or no text, a time that is not in UTC or has neither T nor space
    behind its date, and what msgspec refuses. So is a page of more than ``MAX_COLUMN_BYTES``, since it would
    be in memory twice.

    :param body: holds the array, from ``start`` to ``end``.
    :param envelope: see ``Service.envelope``.
    """
    if len(body) > MAX_COLUMN_BYTES or b"\n" in body or b"\r" in body:
        return None
    if body[start : start + 2] != b"[{" or body[end - 2 : end] != b"}]":
        return None
    try:
        colon = body.index(b":", start) + 1
        head, space = body[start + 1 : colon], b" " if body[colon : colon + 1] == b" " else b""
        text = body.replace(b"}," + space + head, b"}\n" + head)
        end += len(text) - len(body)
        rows = _decoder(envelope).decode_lines(memoryview(text)[start + 1 : end - 1])
        ids, statuses, created, groups = (list(map(attrgetter(field), rows)) for field in _FIELDS)
        is_naive = set(map(len, created)).issubset(WITHOUT_OFFSET) and {text[4] for text in created} == {"-"}
        times = list(map(datetime.fromisoformat, map(add, created, repeat("Z")) if is_naive else created))
        is_cut = text.find(b"\n", _after_lines(text, start, len(rows) - 1), end) < 0
        has_usual_times = {"T", " "}.issuperset(map(itemgetter(10), created))
        has_usual_times &= set(map(attrgetter("tzinfo"), times)) == {UTC}
    except (msgspec.DecodeError, ValueError, IndexError, RecursionError):
        return None
    is_usual = is_cut and has_usual_times and all(ids) and all(statuses)
    return ColumnBatch((ids, statuses, times, groups), text, start + 1, end - 1) if is_usual else None


@cache
def _decoder(envelope: type[msgspec.Struct]) -> msgspec.json.Decoder[Any]:
    """Decodes the fields of an envelope that make a column. Only the group may be missing."""
    names = dict(zip(envelope.__struct_fields__, envelope.__struct_encode_fields__, strict=True))
    fields: list[Any] = [(field, str, msgspec.field(name=names[field])) for field in _FIELDS[:-1]]
    fields.append(("group", str | None, msgspec.field(name=names["group"], default=None)))
    return msgspec.json.Decoder(msgspec.defstruct("UsualRecord", fields, gc=False))
