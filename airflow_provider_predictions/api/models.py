"""What travels between the layers: frozen, and without a thought of HTTP or Airflow."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Literal, NamedTuple
from urllib.parse import urlsplit

import msgspec
from pydantic import BaseModel, ValidationError, ValidatorFunctionWrapHandler, field_validator

from airflow_provider_predictions.api.observed import Observed

_parse = datetime.fromisoformat
# The second: in UTC, a time of the first or last day that there is may lie in no year that there is.
_UNREADABLE = (ValueError, OverflowError)
_WITHOUT_OFFSET = (len("2026-01-01T00:00:00"), len("2026-01-01T00:00:00.000000"))
"""So long are VLM Run's timestamps; to parse them with a Z takes a tenth of what adding UTC later takes."""


class Prediction(msgspec.Struct, frozen=True, gc=False):
    """One row of a list: its envelope, decoded, and its bytes, as sent.

    :ivar id: the service's id; of a record without one, the hash of its bytes.
    :ivar status: the service's own word.
    :ivar created_at: aware; None where the record does not say.
    :ivar group: what the service files predictions under: VLM Run's domain, Cradl's model id.
    :ivar raw: the record, byte for byte as the service sent it, but on one line.
    :ivar fault: why the row is no record; None where it is one.
    :ivar lacks_values: why the values that the record points to cannot be fetched; None where it has them, or
        nobody wanted to fetch them.
    """

    id: str
    status: str
    created_at: datetime | None
    group: str | None
    raw: bytes
    fault: str | None = None
    lacks_values: str | None = None

    @property
    def is_unnamed(self) -> bool:
        """Whether the record names no id."""
        return self.id == id_by_content(self.raw)

    @classmethod
    def rejected(cls, raw: bytes, fault: str) -> Prediction:
        """A row that is no record."""
        return cls(id_by_content(raw), "", None, None, raw, fault)


class Record(BaseModel):
    """A record, each of whose fields is kept as it came where it does not fit the specification."""

    @field_validator("*", mode="wrap")
    @classmethod
    def _as_it_came(cls, value: Any, read: ValidatorFunctionWrapHandler) -> Any:
        try:
            return read(value)
        except ValidationError:
            return value


class Column(NamedTuple):
    """A member of a service's records that is worth a column.

    :param envelope: the attribute of ``Prediction`` that holds it.
    """

    name: str
    kind: Literal["text", "time", "number", "json"]
    envelope: str | None = None


@dataclass(frozen=True, slots=True)
class PageRequest:
    """One GET.

    :param path: relative to the base URL, each segment percent-encoded; or an absolute URL.
    :param params: the query.
    :param hidden: what of all that no message may quote.
    :param anonymous: goes out without the token, wherever it goes.
    :param shrinks: whether a smaller page may be asked for instead; then one that is too much is not retried.
    """

    path: str
    params: Mapping[str, str | int] = field(default_factory=dict)
    hidden: tuple[str, ...] = ()
    anonymous: bool = False
    shrinks: bool = False

    @property
    def is_file(self) -> bool:
        """Whether it leads to a file that a record names, not to the API."""
        return bool(urlsplit(self.path).scheme)


@dataclass(frozen=True)
class Page:
    """What one answer added.

    :param predictions: those that match the filters and were not seen before in this list.
    :param duplicates: how many rows had been seen before.
    :param rejected: rows that are no records.
    :param met: what was looked at before filters dropped rows; None where nothing was.
    :param listed: whether these are rows of the list. Records that were asked for by their ids are none.
    """

    predictions: tuple[Prediction, ...]
    duplicates: int = 0
    rejected: tuple[Prediction, ...] = ()
    observed: Observed | None = None
    listed: bool = True

    @cached_property
    def by_id(self) -> dict[str, Prediction]:
        """The records by their ids."""
        return {row.id: row for row in self.predictions}

    @cached_property
    def without_values(self) -> list[Prediction]:
        """The records that land without the values that they point to."""
        return [row for row in self.predictions if row.lacks_values is not None]

    @cached_property
    def span(self) -> tuple[datetime, datetime] | None:
        """The oldest and the newest creation time; None where no record tells one."""
        times = [row.created_at for row in self.predictions if row.created_at]
        return (min(times), max(times)) if times else None


def as_time(value: object) -> datetime | None:
    """A timestamp of a service; without an offset it is UTC, unreadable it is None.

    VLM Run sends ``created_at`` without an offset although it documents UTC; Cradl's pattern allows a space
    for the T and offsets without a colon.
    """
    if not isinstance(value, str):
        return None
    try:
        return _parse(f"{value}Z") if len(value) in _WITHOUT_OFFSET else _as_utc(_parse(value))
    except _UNREADABLE:
        # One as long as those without an offset may have one.
        return _as_time_slowly(value)


def _as_time_slowly(text: str) -> datetime | None:
    try:
        return _as_utc(_parse(text))
    except _UNREADABLE:
        return None


def _as_utc(time: datetime) -> datetime:
    return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)


def id_by_content(raw: bytes) -> str:
    """The id of a record that names none, as neither specification promises; its bytes always exist."""
    return f"sha256:{hashlib.sha256(raw).hexdigest()}"
