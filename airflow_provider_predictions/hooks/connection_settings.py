"""The fields of a connection, checked. Errors name a field by its label in the form."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any

from airflow.providers.common.compat.sdk import Connection
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from airflow_provider_predictions.api.coercion import NOTHING
from airflow_provider_predictions.api.errors import ConfigurationError
from airflow_provider_predictions.api.filters import Number, Words
from airflow_provider_predictions.api.limits import MAX_RESPONSE_BYTES, MAX_TIMEOUT_SECONDS, TIMEOUT_SECONDS
from airflow_provider_predictions.api.service import BASE_URL
from airflow_provider_predictions.api.urls import checked_host, checked_url, split_url

_BRACKETS = re.compile(r"\[([0-9A-Fa-f.]*:[0-9A-Fa-f:.]*)\]")
_PORTS = range(1, 65536)
NOT_GIVEN = (None, *NOTHING)
"""How forms, environment variables and chart templates write an omitted extra."""


def _one_line(value: str) -> str:
    if not (value := value.strip()) or not value.isprintable():
        raise ValueError("is empty or holds a line break")
    return value


def _without_brackets(value: object) -> object:
    """Remove the brackets of IPv6 addresses. Text that starts with a bracket would look like a list."""
    return _BRACKETS.sub(r"\1", value) if isinstance(value, str) else value


Url = Annotated[str, AfterValidator(checked_url)]
Hosts = Annotated[
    Words,
    AfterValidator(lambda words: (*sorted({*map(checked_host, words)}),)),
    BeforeValidator(_without_brackets),
]
OneLine = Annotated[str, AfterValidator(_one_line)]


class Settings(BaseModel):
    """The extras of a connection that both services know.

    :ivar timeout: seconds for each of connecting, sending and each read. A response may take five times as
        long in all.
    :ivar requests_per_minute: the limit that all clients of a credential in a process share.
    :ivar max_response_bytes: of a response, unpacked; by default 256 MiB.
    :ivar dashboard_url: where the link of a task leads.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    timeout: Annotated[float, Field(gt=0, le=MAX_TIMEOUT_SECONDS, allow_inf_nan=False), Number] = (
        TIMEOUT_SECONDS
    )
    requests_per_minute: Annotated[int, Field(ge=1), Number] | None = None
    max_response_bytes: Annotated[int, Field(ge=1), Number] = MAX_RESPONSE_BYTES
    dashboard_url: Url | None = None


def extras(conn: Connection, prefix: str) -> dict[str, Any]:
    """The extras that have a value. Null, empty text, "None" and "null" stand for none.

    :param prefix: removed from names. The test button of Airflow 2.11 sends each field a second time with it.
    """
    try:
        extra = json.loads("{}" if conn.extra in NOT_GIVEN else conn.extra)
    except (ValueError, RecursionError):
        raise ConfigurationError("extra: is not JSON") from None
    if not isinstance(extra, dict):
        raise ConfigurationError("extra: must be a JSON object")
    return {name.removeprefix(prefix): value for name, value in extra.items() if value not in NOT_GIVEN}


def base_url(conn: Connection, default: str) -> str:
    """The URL of a connection, with its port if the URL names none.

    :raises ConfigurationError: naming the field that is wrong.
    """
    # In the URI of a connection, a path behind the host is the schema.
    if conn.schema and conn.schema not in ("http", "https"):
        raise ConfigurationError(f"Schema: is not used; enter the whole URL in {BASE_URL}")
    # A secrets backend may give it as text.
    if conn.port and not (str(conn.port).isdecimal() and int(conn.port) in _PORTS):
        raise ConfigurationError(f"Port: must be a number from 1 to {_PORTS[-1]}")
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
    """A credential without the spaces around it.

    :param field: its label in the form and its name.
    :raises ConfigurationError: if it is empty, or holds a line break or a letter that is not ASCII.
    """
    if not (value := (value or "").strip()):
        raise ConfigurationError(f"{field}: is empty")
    if not (value.isascii() and value.isprintable()):
        raise ConfigurationError(f"{field}: holds a line break or a letter that is not ASCII")
    return value
