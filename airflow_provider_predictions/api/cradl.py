"""Cradl: ``GET /predictions?nextToken&maxResults``, an envelope with a token.

Source: specification "Cradl API", List Predictions.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from airflow_provider_predictions.api.arguments import Filters
from airflow_provider_predictions.api.errors import (
    MalformedAnswerError,
    PredictionsError,
    QuotaExceededError,
)
from airflow_provider_predictions.api.models import Page, PageRequest, Prediction, as_text, as_time, id_of
from airflow_provider_predictions.api.service import Service, Walk, decoded, split_rows

CradlStatus = Literal["pending", "succeeded", "failed"]
"""The statuses of the specification; others may come."""
_Time = Annotated[datetime | None, BeforeValidator(as_time)]
_CAMEL_CASE = ConfigDict(
    alias_generator=to_camel, populate_by_name=True, extra="allow", protected_namespaces=()
)


class CradlValue(BaseModel):
    """One extracted field; of line items, ``value`` holds rows of further ones.

    :param confidence: 0 to 1.
    :param location: left, top, right, bottom on the page, each 0 to 1.
    :param page: from 0.
    """

    model_config = _CAMEL_CASE

    label: str | None = None
    value: str | list[list[CradlValue]] | None = None
    raw_value: str | None = None
    confidence: float | None = None
    page: int | None = None
    location: list[float] | None = None
    rotation: int | None = None
    source: str | None = None
    attention_map: list[list[float]] | None = None
    validators: list[Any] | None = None
    formatters: list[Any] | None = None
    warnings: list[str] | None = None
    errors: list[str] | None = None


class CradlPrediction(BaseModel):
    """A prediction of Cradl (specification: the items of Predictions); attributes in snake_case.

    :param prediction_id: such as ``cradl:prediction:…``.
    :param status: pending, succeeded, failed, or what Cradl adds to these; None where the record has none.
    :param created_time: aware.
    :param predictions: the extracted fields; the list endpoint may leave them out and name ``file_url``.
    :param inference_time: seconds.
    """

    model_config = _CAMEL_CASE

    prediction_id: Annotated[str | None, BeforeValidator(as_text)] = None
    status: Annotated[CradlStatus | str | None, BeforeValidator(as_text)] = None
    name: str | None = None
    description: str | None = None
    document_id: str | None = None
    model_id: str | None = None
    training_id: str | None = None
    agent_run_id: str | None = None
    created_by: str | None = None
    created_time: _Time = None
    updated_by: str | None = None
    updated_time: _Time = None
    inference_time: float | None = None
    predictions: list[CradlValue] | dict[str, Any] | None = None
    file_url: str | None = None
    next_page: int | None = None
    preprocess_config: dict[str, Any] | None = None
    postprocess_config: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None
    warnings: list[str] | None = None
    errors: list[str] | None = None
    error: str | None = None


class CradlFilters(Filters):
    """The filters of Cradl; ``model_id`` and ``order`` are applied by the service."""

    model_id: str | None = Field(default=None, min_length=1)
    order: Literal["ascending", "descending"] = "descending"


_ABSENT = msgspec.Raw(b"null")


class _Row(msgspec.Struct, rename="camel"):
    prediction_id: Any = None
    status: Any = None
    created_time: Any = None
    model_id: Any = None
    file_url: Any = None
    predictions: msgspec.Raw = _ABSENT
    inference_time: msgspec.Raw = _ABSENT
    postprocess_config: Any = None


class _Envelope(msgspec.Struct, rename="camel"):
    predictions: list[msgspec.Raw]
    next_token: str | None = None


def _given(value: msgspec.Raw) -> bool:
    return bytes(value) != b"null"


def _status(row: _Row) -> str:
    """``status`` came to the API in 2024 and is not required: a record with results is finished."""
    finished = row.file_url or _given(row.predictions) or _given(row.inference_time)
    return as_text(row.status) or ("succeeded" if finished else "pending")


def _prediction(row: _Row, raw: bytes) -> Prediction:
    return Prediction(
        id=id_of(row.prediction_id, raw),
        status=_status(row),
        created_at=as_time(row.created_time),
        group=as_text(row.model_id),
        raw=raw,
    )


def _records(rows: list[msgspec.Raw]) -> list[Prediction]:
    return [_prediction(row, raw) for row, raw in split_rows(Cradl.title, rows, _Row)]


@dataclass(frozen=True)
class Cradl(Service[CradlFilters]):
    """Token pages of an envelope; order and model are filtered by the service."""

    name = "cradl"
    title = "Cradl"
    credential_fields = "client id (login) and client secret (password)"
    terminal_statuses = frozenset({"succeeded", "failed", "cancelled"})
    filters = CradlFilters
    record = CradlPrediction
    # The specification names no largest maxResults; the vendor's own clients ask for at most 100.
    default_page_size = 100

    def walk(self, filters: CradlFilters) -> TokenWalk:
        """One pass over the list."""
        return TokenWalk(self, filters)

    def split(self, body: bytes) -> list[Prediction]:
        """The records of an envelope."""
        return _records(decoded(self.title, body, _Envelope).predictions)

    def read_one(self, body: bytes) -> Prediction:
        """One record, unwrapped."""
        return _prediction(decoded(self.title, body, _Row), body)

    def refusal(self, status: int, message: str) -> type[PredictionsError] | None:
        """A monthly quota and a rate limit are both 429; only the text tells (as in cradl-sdk-python)."""
        return QuotaExceededError if status == 429 and "Limit Exceeded" in message else None

    def values_request(self, prediction: Prediction) -> PageRequest | None:
        """``fileUrl``, in the format that the prediction was made in (as cradl-sdk-python asks for it)."""
        row = decoded(self.title, prediction.raw, _Row)
        if _given(row.predictions) or not isinstance(row.file_url, str):
            return None
        config = row.postprocess_config
        output_format = config.get("outputFormat") if isinstance(config, dict) else None
        # A foreign URL may be signed, query and all.
        if isinstance(output_format, str) and self.trusts(row.file_url):
            return PageRequest(row.file_url, {"predictionsFormat": output_format})
        return PageRequest(row.file_url)

    def with_values(self, prediction: Prediction, body: bytes) -> Prediction:
        """The record with the file's JSON as its ``predictions``; every other value keeps its bytes."""
        fields = msgspec.json.decode(prediction.raw, type=dict[str, msgspec.Raw])
        fields["predictions"] = decoded(self.title, body, msgspec.Raw)
        return replace(prediction, raw=msgspec.json.encode(fields))


class TokenWalk(Walk):
    """Pages by ``nextToken``.

    An empty page with a token is not the end; a token that comes again is a loop.
    """

    def __init__(self, service: Cradl, filters: CradlFilters) -> None:
        super().__init__(service, filters)
        self._params: dict[str, str | int] = {
            "maxResults": self.page_size,
            "sortBy": "createdTime",
            "order": filters.order,
        }
        if filters.model_id:
            self._params["modelId"] = filters.model_id
        self._token: str | None = None
        self._tokens: set[int] = set()

    def ask(self) -> PageRequest | None:
        """The next page, with the same filters as the first."""
        if self.ended:
            return None
        token = {"nextToken": self._token} if self._token else {}
        return PageRequest("predictions", self._params | token)

    def take(self, body: bytes) -> Page:
        """The rows of a page."""
        envelope = decoded(self.service.title, body, _Envelope)
        rows = _records(envelope.predictions)
        token = envelope.next_token or None
        if token and hash(token) in self._tokens:
            raise MalformedAnswerError(f"{self.service.title} sent a nextToken again: its pages are a loop")
        self._token = token
        self._tokens.add(hash(token))
        self.ended = token is None
        return self.hand_out(rows)
