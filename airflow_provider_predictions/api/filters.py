"""What people give, checked: the filters of a list, and the values that a connection is made of.

Every refusal is a ConfigurationError that starts with the name of the argument or field.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from ipaddress import ip_address
from socket import inet_aton
from typing import Annotated, Any, Self, TypeVar
from urllib.parse import SplitResult, urlsplit

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from airflow_provider_predictions.api.coercion import given, ids, number, short, text, words
from airflow_provider_predictions.api.errors import ConfigurationError
from airflow_provider_predictions.api.models import Prediction, as_time

MAX_URL_LENGTH = 8192
"""Characters. Servers take no longer ones, and to read one of accents takes a time that is its square."""
_Model = TypeVar("_Model", bound=BaseModel)
_BRACKETS = re.compile(r"\[([0-9A-Fa-f.]*:[0-9A-Fa-f:.]*)\]")
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")


def _once(words: tuple[str, ...]) -> tuple[str, ...]:
    """In one order, so that equal lists are equal arguments."""
    return tuple(sorted(set(words)))


def _time(value: object) -> object:
    """Text without an offset is UTC (``{{ ds }}`` has none); a date is its first moment in UTC."""
    value = given(value)
    if isinstance(value, str):
        return as_time(value) or value
    if isinstance(value, date) and not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    return value


def checked_id(value: str) -> str:
    """An id as a segment of a path; dots alone, which programs on the way resolve, would be another path."""
    if not isinstance(value, str) or value in ("", ".", ".."):
        raise ValueError(f"{short(value)} is not an id")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("holds half a surrogate pair, which no URL can hold") from None
    return value


def _ids(words: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(map(checked_id, words))


def seconds_of(span: float | timedelta | None) -> float | None:
    """Seconds, whichever way they are given."""
    return span.total_seconds() if isinstance(span, timedelta) else span


def timedelta_of(span: float | timedelta) -> timedelta:
    """A timedelta, whichever way it is given; the longest one for more seconds than any holds."""
    try:
        return span if isinstance(span, timedelta) else timedelta(seconds=span)
    except OverflowError:
        return timedelta.max


def checked_host(value: str) -> str:
    """The name or the address of a host, in lower case, as ``urlsplit(url).hostname`` gives it.

    :raises ValueError: for a URL, a port, a path or a wildcard, which would match no host.
    """
    host = value.strip().lower().rstrip(".")
    try:
        return str(ip_address(host.strip("[]")))
    except ValueError:
        pass
    if not all(map(_LABEL.fullmatch, host.split("."))):
        raise ValueError("must be names of hosts without scheme, port and path, such as files.api.cradl.ai")
    return host


def _without_brackets(value: object) -> object:
    """IPv6 addresses as they stand in URLs, which are no lists."""
    return _BRACKETS.sub(r"\1", value) if isinstance(value, str) else value


def _hosts(words: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(map(checked_host, words))


def _in_order(words: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(words))


Names = Annotated[tuple[str, ...], Field(strict=False), BeforeValidator(words), AfterValidator(_in_order)]
Words = Annotated[Names, AfterValidator(_once)]
Ids = Annotated[Words, AfterValidator(_ids), BeforeValidator(ids)]
Hosts = Annotated[Words, AfterValidator(_hosts), AfterValidator(_once), BeforeValidator(_without_brackets)]
Text = Annotated[str, BeforeValidator(text)]
Number = BeforeValidator(number)
MaxPredictions = Annotated[int, Field(ge=1), Number]
PageSize = Annotated[int, Field(ge=1, le=1000), Number]
# Strict, since 20261101 would be a number of seconds: a day in 1970.
Time = Annotated[Annotated[AwareDatetime, Field(strict=True)] | None, BeforeValidator(_time)]
Seconds = Annotated[float, BeforeValidator(seconds_of), Field(gt=0, allow_inf_nan=False)]
Lookback = Annotated[float, BeforeValidator(seconds_of), Field(ge=0, allow_inf_nan=False)]


class Arguments(BaseModel):
    """Arguments that no template makes: each must have the very type that it is to have.

    Nothing is made to fit, since "false" would be true.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class Filters(BaseModel):
    """Which predictions of a list are wanted, in the words that hooks, operators and sensors share."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    statuses: Words | None = None
    created_after: Time = None
    created_before: Time = None
    max_predictions: MaxPredictions | None = None
    page_size: PageSize | None = None

    @model_validator(mode="before")
    @classmethod
    def _given(cls, values: Any) -> Any:
        """No filter is what stands for nothing."""
        return {name: given(value) for name, value in values.items()}

    @model_validator(mode="after")
    def _window(self) -> Self:
        after, before = self.created_after, self.created_before
        if after and before and before < after:
            raise ValueError(
                f"created_before: {before.isoformat()} lies before created_after {after.isoformat()}"
            )
        return self

    def choose(self, rows: Sequence[Prediction]) -> Sequence[Prediction]:
        """The records that are wanted; one without a creation time lies in every window."""
        statuses, after, before = self.statuses, self.created_after, self.created_before
        if statuses is not None:
            rows = [row for row in rows if row.status in statuses]
        if after:
            rows = [row for row in rows if row.created_at is None or row.created_at >= after]
        if before:
            rows = [row for row in rows if row.created_at is None or row.created_at < before]
        return rows

    def is_past(self, created: datetime, *, newest_first: bool) -> bool:
        """Whether nothing that follows a row of this time can be wanted, in a list of this order."""
        if newest_first:
            return self.created_after is not None and created < self.created_after
        return self.created_before is not None and created >= self.created_before


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def split_url(url: str) -> SplitResult:
    """The parts of a URL from outside.

    :raises ValueError: where it is none, or too long for one.
    """
    if len(url) > MAX_URL_LENGTH:
        raise ValueError(f"is longer than {MAX_URL_LENGTH} characters")
    return urlsplit(url)


def is_private_url(url: str) -> bool:
    """Whether a URL names an address of this machine or of its network, in whatever form.

    Names other than ``localhost`` are not looked up.
    """
    host = (urlsplit(url).hostname or "").rstrip(".")
    try:
        address = ip_address(host)
    except ValueError:
        try:
            address = ip_address(inet_aton(host))  # also takes 127.1, 2130706433 and 0x7f000001
        except OSError:
            return host == "localhost" or host.endswith(".localhost")
    return not (getattr(address, "ipv4_mapped", None) or address).is_global


def is_safe_url(url: str) -> bool:
    """Whether credentials may travel to a URL: https, or plain http that stays on this machine."""
    try:
        parts = split_url(url)
    except ValueError:
        return False
    return bool(parts.hostname) and (
        parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(parts.hostname or ""))
    )


def origin(url: str) -> tuple[str, str | None, int | None]:
    """Scheme, host and port of a URL (RFC 6454, section 4)."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def checked_url(value: str) -> str:
    """A URL that credentials may be sent to, without its trailing slash."""
    value = value.strip()
    if " " in value or not value.isprintable():
        raise ValueError("holds a space or a line break")
    if len(value) > MAX_URL_LENGTH:
        raise ValueError(f"is longer than {MAX_URL_LENGTH} characters")
    try:
        parts = split_url(value)
        _ = parts.port
    except ValueError:
        raise ValueError("is not a URL; check its host and port") from None
    if not parts.hostname:
        raise ValueError("has no host; give the whole URL, such as https://api.example.com/v1")
    if not is_safe_url(value):
        raise ValueError("must start with https:// (plain http is for loopback addresses only)")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("must hold neither credentials nor a query")
    return value.rstrip("/")


def _one_line(value: str) -> str:
    if not (value := value.strip()) or not value.isprintable():
        raise ValueError("is empty or holds a line break")
    return value


Url = Annotated[str, AfterValidator(checked_url)]
OneLine = Annotated[str, AfterValidator(_one_line)]


def checked(model: type[_Model], values: dict[str, Any], prefix: str = "") -> _Model:
    """Build a model from people's values, or say which one is wrong.

    :param prefix: of a connection's fields, what stands before their names in the message: ``extra ``.
    :raises ConfigurationError: for the first value that is wrong.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise ConfigurationError(_explain(model, error, prefix)) from None


def _conn_id(value: object) -> str:
    """The id of a connection.

    :raises ValueError: for what is none, such as the connection itself.
    """
    if not isinstance(value, str) or not value.strip():
        raise ValueError("must be the id of an Airflow connection")
    if "://" in value or value.startswith("{"):
        raise ValueError("must be the id of an Airflow connection, not the connection itself")
    return value


def checked_conn_id(name: str, value: object) -> None:
    """Refuse what is not the id of a connection.

    :param name: of the argument.
    :raises ConfigurationError: naming it.
    """
    try:
        _conn_id(value)
    except ValueError as error:
        raise ConfigurationError(f"{name}: {error}; found {short(value)}") from None


ConnId = Annotated[Any, AfterValidator(_conn_id)]


def _explain(model: type[BaseModel], error: ValidationError, prefix: str) -> str:
    first = error.errors()[0]
    what = first["msg"].removeprefix("Value error, ")
    if not first["loc"]:
        return what
    name = f"{prefix}{first['loc'][0]}"
    if first["type"] == "extra_forbidden":
        return f"{name}: unknown; known are {', '.join(sorted(model.model_fields))}"
    # Our own validators name what they found. Of a connection nothing is quoted: a secret may have been
    # pasted into the wrong one of its fields.
    found = "" if prefix or first["type"] == "value_error" else f"; found {short(first['input'])}"
    return f"{name}: {what}{found}"


def utc(time: datetime) -> str:
    """A time as the package writes it: ISO 8601, UTC, ``Z``."""
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")
