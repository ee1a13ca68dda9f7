"""The fields of a connection, checked; what is wrong is named by its label in the form."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from airflow_provider_predictions.api.coercion import NOTHING
from airflow_provider_predictions.api.errors import ConfigurationError
from airflow_provider_predictions.api.filters import Number, Url, checked_url, split_url
from airflow_provider_predictions.api.service import BASE_URL, MAX_RESPONSE_BYTES

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Connection

NOT_GIVEN = (None, *NOTHING)
"""How forms, environments and templates of charts write an extra that was left out."""


class Settings(BaseModel):
    """The extras of a connection that both services know.

    :ivar timeout: seconds for each of connecting, sending and each read; an answer may take five times as
        long in all.
    :ivar requests_per_minute: the budget that all clients of one credential in a process share.
    :ivar max_response_bytes: of one answer, unpacked; by default 256 MiB.
    :ivar dashboard_url: where the link of a task leads.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    timeout: Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False), Number] = 60
    requests_per_minute: Annotated[int, Field(ge=1), Number] | None = None
    max_response_bytes: Annotated[int, Field(ge=1), Number] = MAX_RESPONSE_BYTES
    dashboard_url: Url | None = None


def extras(conn: Connection, prefix: str) -> dict[str, Any]:
    """The extras that are given; null, empty text, "None" and "null" stand for nothing.

    :param prefix: the test button of Airflow 2.11 sends each field a second time, with this in front.
    """
    try:
        extra = json.loads("{}" if conn.extra in NOT_GIVEN else conn.extra)
    except (ValueError, RecursionError):
        raise ConfigurationError("extra: is not JSON") from None
    if not isinstance(extra, dict):
        raise ConfigurationError("extra: must be a JSON object")
    return {name.removeprefix(prefix): value for name, value in extra.items() if value not in NOT_GIVEN}


def base_url(conn: Connection, default: str) -> str:
    """The URL of a connection, with its port where the URL names none."""
    if not conn.host:
        return default
    try:
        url = checked_url(conn.host)
    except ValueError as error:
        raise ConfigurationError(f"{BASE_URL}: {error}") from None
    parts = split_url(url)
    if conn.port and not parts.port:
        return parts._replace(netloc=f"{parts.netloc}:{conn.port}").geturl()
    return url


def required(value: str | None, field: str) -> str:
    """A credential: not empty, and without what only a slip of copy and paste puts into one.

    :param field: its label in the form, and its name.
    """
    value = (value or "").strip()
    if not value:
        raise ConfigurationError(f"{field}: is empty")
    if not (value.isascii() and value.isprintable()):
        raise ConfigurationError(f"{field}: holds a line break or a letter that is not ASCII")
    return value
