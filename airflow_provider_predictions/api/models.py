"""What travels between the layers: frozen, and without a thought of HTTP or Airflow."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec


@dataclass(frozen=True, slots=True)
class Prediction:
    """One record of a list: its envelope, decoded, and its bytes, as sent.

    :param id: the service's id; of a record without one, the hash of its bytes.
    :param status: the service's own word.
    :param created_at: aware; None where the record does not say.
    :param group: what the service files predictions under: VLM Run's domain, Cradl's model id.
    :param raw: the record, byte for byte as the service sent it.
    """

    id: str
    status: str
    created_at: datetime | None
    group: str | None
    raw: bytes


@dataclass(frozen=True, slots=True)
class PageRequest:
    """One GET.

    :param path: relative to the base URL, each segment percent-encoded; or an absolute URL.
    :param params: the query.
    """

    path: str
    params: Mapping[str, str | int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Page:
    """What one answer added.

    :param predictions: those that match the filters and were not seen before in this list.
    :param duplicates: how many rows had been seen before.
    """

    predictions: tuple[Prediction, ...]
    duplicates: int = 0


def as_text(value: object) -> str | None:
    """A field that should be text, whatever JSON type it came in."""
    if value is None or isinstance(value, str):
        return value
    return msgspec.json.encode(value).decode()


def as_time(value: object) -> datetime | None:
    """A timestamp of a service; without an offset it is UTC, unreadable it is None.

    VLM Run sends ``created_at`` without an offset although it documents UTC; Cradl's pattern allows a space
    for the T and offsets without a colon.
    """
    if not isinstance(value, str):
        return None
    try:
        time = datetime.fromisoformat(value)
    except ValueError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def id_of(value: object, raw: bytes) -> str:
    """The id of a record; neither specification promises one to every record, its bytes always exist."""
    return as_text(value) or f"sha256:{hashlib.sha256(raw).hexdigest()}"
