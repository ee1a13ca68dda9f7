"""The filters of a list, and the types of arguments. Error messages start with the name of the argument."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Self, TypeVar

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

from airflow_provider_predictions.api.coercion import given, ids, number, short, short_conn_id, text, words
from airflow_provider_predictions.api.errors import ConfigurationError
from airflow_provider_predictions.api.limits import MAX_PAGE_SIZE
from airflow_provider_predictions.api.models import Prediction, as_time
from airflow_provider_predictions.api.record_batch import RecordBatch

_Model = TypeVar("_Model", bound=BaseModel)


def _time(value: object) -> object:
    """Read a time. Text without an offset, such as ``{{ ds }}``, is UTC. A date starts at midnight UTC."""
    value = given(value)
    if isinstance(value, str):
        return as_time(value) or value
    if isinstance(value, date) and not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    return value


def checked_id(value: str) -> str:
    """Check an id that becomes a segment of a path. Proxies would resolve ``.`` and ``..``.

    :raises ValueError: for a value that cannot be an id.
    """
    if not isinstance(value, str) or value in ("", ".", ".."):
        raise ValueError(f"{short(value)} is not an id")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("holds a lone surrogate, which no URL can hold") from None
    return value


def seconds_of(span: float | timedelta | None) -> float | None:
    """A span in seconds."""
    return span.total_seconds() if isinstance(span, timedelta) else span


def timedelta_of(span: float | timedelta) -> timedelta:
    """A span as a timedelta, at most ``timedelta.max``."""
    try:
        return span if isinstance(span, timedelta) else timedelta(seconds=span)
    except OverflowError:
        return timedelta.max


Names = Annotated[
    tuple[str, ...],
    Field(strict=False),
    BeforeValidator(words),
    AfterValidator(lambda x: (*dict.fromkeys(x),)),
]
# Sorted, so that the order of a list does not matter.
Words = Annotated[Names, AfterValidator(lambda words: (*sorted(words),))]
Ids = Annotated[Words, AfterValidator(lambda words: (*map(checked_id, words),)), BeforeValidator(ids)]
Text = Annotated[str, BeforeValidator(text)]
Number = BeforeValidator(number)
MaxPredictions = Annotated[int, Field(ge=1), Number]
PageSize = Annotated[int, Field(ge=1, le=MAX_PAGE_SIZE), Number]
# Strict, because 20261101 would be seconds: a day in 1970.
Time = Annotated[Annotated[AwareDatetime, Field(strict=True)] | None, BeforeValidator(_time)]
Seconds = Annotated[float, BeforeValidator(seconds_of), Field(gt=0, allow_inf_nan=False)]
Lookback = Annotated[float, BeforeValidator(seconds_of), Field(ge=0, allow_inf_nan=False)]


class Filters(BaseModel):
    """The filters of hooks, operators and sensors."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    statuses: Words | None = None
    created_after: Time = None
    created_before: Time = None
    max_predictions: MaxPredictions | None = None
    page_size: PageSize | None = None

    @model_validator(mode="before")
    @classmethod
    def _given(cls, values: Any) -> Any:
        """Drop filters without a value."""
        return {name: given(value) for name, value in values.items()}

    @model_validator(mode="after")
    def _window(self) -> Self:
        after, before = self.created_after, self.created_before
        # Python compares two times of one zone by the clock, which repeats an hour in autumn.
        if after and before and before.timestamp() < after.timestamp():
            raise ValueError(
                f"created_before: {before.isoformat()} lies before created_after {after.isoformat()}"
            )
        return self

    def choose(self, rows: Sequence[Prediction]) -> RecordBatch:
        """The records that match. A record without a creation time is in every time window."""
        batch, statuses = RecordBatch.of(rows), self.statuses
        after, before = self.created_after, self.created_before
        if statuses is not None:
            batch = batch.select([status in statuses for status in batch.statuses])
        if after:
            batch = batch.select([time is None or time >= after for time in batch.times])
        if before:
            batch = batch.select([time is None or time < before for time in batch.times])
        return batch

    def is_past(self, created: datetime, *, newest_first: bool) -> bool:
        """Whether no row after one of this creation time can match, in a list of this order."""
        if newest_first:
            return self.created_after is not None and created < self.created_after
        return self.created_before is not None and created >= self.created_before


def checked(model: type[_Model], values: dict[str, Any], prefix: str = "") -> _Model:
    """Validate values.

    :param prefix: before the name of a field in the error: ``extra `` for fields of a connection.
    :raises ConfigurationError: for the first value that is wrong.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise ConfigurationError(_explain(model, error, prefix)) from None


def _conn_id(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("must be the id of an Airflow connection")
    if "://" in value or value.startswith("{"):
        raise ValueError("must be the id of an Airflow connection, not the connection itself")
    return value


def checked_conn_id(name: str, value: object) -> None:
    """Check the id of a connection.

    :raises ConfigurationError: for any other value, such as the connection itself.
    """
    try:
        _conn_id(value)
    except ValueError as error:
        raise ConfigurationError(f"{name}: {error}; found {short_conn_id(value)}") from None


ConnId = Annotated[Any, AfterValidator(_conn_id)]


def _explain(model: type[BaseModel], error: ValidationError, prefix: str) -> str:
    first = error.errors()[0]
    what = first["msg"].removeprefix("Value error, ")
    if not first["loc"]:
        return what
    name = f"{prefix}{first['loc'][0]}"
    if first["type"] == "extra_forbidden":
        return f"{name}: unknown; known are {', '.join(sorted(model.model_fields))}"
    # Our own validators name what they found. No field of a connection is quoted: a secret may have been
    # pasted into the wrong one.
    found = "" if prefix or first["type"] == "value_error" else f"; found {short(first['input'])}"
    return f"{name}: {what}{found}"


def utc(time: datetime) -> str:
    """Format a time: ISO 8601, UTC, ``Z``."""
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")
