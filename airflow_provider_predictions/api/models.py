"""The records and requests that the layers pass to each other."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Generic, Literal, NamedTuple, TypeVar
from urllib.parse import urlsplit

import msgspec
from pydantic import (
    BaseModel,
    StrictFloat,
    StrictInt,
    ValidationError,
    ValidatorFunctionWrapHandler,
    field_validator,
)
from typing_extensions import override

T = TypeVar("T")
_parse = datetime.fromisoformat
_SPELLED = re.compile(
    r"(\d{4})-?(\d\d)-?(\d\d)[T ]?(\d\d):?(\d\d):?(\d\d)(\.\d{1,6})?(Z|[+-]\d\d:?\d\d)", re.ASCII
)
"""How Cradl may write a time. Python does not read all of it."""
# Converting year 1 or 9999 to UTC can overflow.
_UNREADABLE = (ValueError, OverflowError)
WITHOUT_OFFSET = (len("2026-01-01T00:00:00"), len("2026-01-01T00:00:00.000000"))
"""Lengths of VLM Run's timestamps. Parsing them with a Z is ten times as fast as adding UTC later."""


_BY_CONTENT = "sha256:"


class Prediction(msgspec.Struct, frozen=True, gc=False):
    """One row of a list: its decoded envelope and its bytes.

    :ivar id: the service's id; a hash of the bytes if the record has none.
    :ivar status: the service's own word.
    :ivar created_at: aware; None if the record has no readable time.
    :ivar group: VLM Run's domain or Cradl's model id; None if the record has none.
    :ivar raw: the record on one line, otherwise byte for byte as the service sent it.
    :ivar fault: why the row is not a record; None if it is one.
    :ivar lacks_values: why the values of the record could not be fetched; None if they were fetched, or not
        requested.
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
        """Whether the record has no id."""
        return self.id.startswith(_BY_CONTENT) and self.id == id_by_content(self.raw)

    @classmethod
    def rejected(cls, raw: bytes, fault: str) -> Prediction:
        """Keep a row that is not a record."""
        return cls(id_by_content(raw), "", None, None, raw, fault)


JsonNumber = StrictInt | StrictFloat | None
"""A number of a record. Text and booleans are none."""


class Record(BaseModel):
    """A record. A field that violates the specification keeps the value that the service sent.

    A dump does not warn about such fields, since pydantic's warnings quote the values.
    """

    @override
    def model_dump(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        return super().model_dump(*args, **{"warnings": False, **kwargs})

    @override
    def model_dump_json(self, *args: Any, **kwargs: Any) -> str:
        return super().model_dump_json(*args, **{"warnings": False, **kwargs})

    @field_validator("*", mode="wrap")
    @classmethod
    def _as_it_came(cls, value: Any, read: ValidatorFunctionWrapHandler) -> Any:
        try:
            return read(value)
        except ValidationError:
            return value


class Column(NamedTuple):
    """A column for a member of a service's records.

    :param envelope: the attribute of ``Prediction`` that holds the member; None if none does.
    """

    name: str
    kind: Literal["text", "time", "number", "json"]
    envelope: str | None = None


@dataclass(frozen=True, slots=True)
class GetRequest:
    """One GET.

    :param path: relative to the base URL, each segment percent-encoded; or an absolute URL.
    :param params: the query.
    :param hidden: parts of path or query that no message may quote.
    :param anonymous: sent without the token, to any host.
    :param shrinks: whether a smaller page can be requested. Then a page that is too large is not retried.
    """

    path: str
    params: Mapping[str, str | int] = field(default_factory=dict)
    hidden: tuple[str, ...] = ()
    anonymous: bool = False
    shrinks: bool = False

    @property
    def is_file(self) -> bool:
        """Whether it requests a file that a record names, not the API."""
        return bool(urlsplit(self.path).scheme)


@dataclass(frozen=True)
class ListEndpoint(Generic[T]):
    """What a paginator needs to know about a service's list.

    :param title: the service's name in messages.
    :param path: relative to the base URL.
    :param page_size: rows of a page, unless the filters set it.
    :param parse: reads the body of a response. Raises MalformedAnswerError.
    :param params: the query of every page.
    """

    title: str
    path: str
    page_size: int
    parse: Callable[[bytes], T]
    params: Mapping[str, str | int] = field(default_factory=dict)


def as_time(value: object) -> datetime | None:
    """Read a timestamp. Without an offset it is UTC. An unreadable one is None, and so is a number.

    VLM Run documents UTC and sends ``created_at`` without an offset. In Cradl's pattern, each separator may
    be missing, and a space may stand for the T.
    """
    # Python reads some numbers of seconds since 1970 as dates without dashes.
    if not isinstance(value, str) or value.replace(".", "", 1).isdigit():
        return None
    # Python 3.11 reads 20261101120000Z as midnight: it takes any character for the T.
    has_separator = not (value[8:9].isdigit() and value[10:11].isdigit())
    try:
        if has_separator:
            return _parse(f"{value}Z") if len(value) in WITHOUT_OFFSET else _as_utc(_parse(value))
    except _UNREADABLE:
        pass
    try:
        if spelled := _SPELLED.fullmatch(value):
            return _as_utc(_parse(spelled.expand(r"\1-\2-\3T\4:\5:\6\7\8")))
        # It may have an offset, but the length of one without.
        return _as_utc(_parse(value)) if has_separator else None
    except _UNREADABLE:
        return None


def _as_utc(time: datetime) -> datetime:
    return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)


def id_by_content(raw: bytes) -> str:
    """Make an id from the bytes of a record without one. Neither specification promises an id."""
    return f"{_BY_CONTENT}{hashlib.sha256(raw).hexdigest()}"
