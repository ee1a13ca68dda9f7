"""Cradl: ``GET /predictions?nextToken&maxResults`` returns an envelope with a token.

Source: specification "Cradl API", List Predictions.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Any, Literal
from urllib.parse import quote

import msgspec
from pydantic import BeforeValidator, ConfigDict, StrictFloat, StrictInt
from pydantic.alias_generators import to_camel
from typing_extensions import override

from airflow_provider_predictions.api import json_slices
from airflow_provider_predictions.api.errors import (
    NotFoundError,
    PredictionsError,
    QuotaExceededError,
    UnusableFileError,
)
from airflow_provider_predictions.api.filters import Filters, Text
from airflow_provider_predictions.api.http.files import file_request
from airflow_provider_predictions.api.limits import MAX_URL_LENGTH
from airflow_provider_predictions.api.models import (
    Column,
    GetRequest,
    ListEndpoint,
    Prediction,
    Record,
    as_time,
)
from airflow_provider_predictions.api.pagination.cursor import CursorPage, CursorPaginator
from airflow_provider_predictions.api.record_batch import RecordBatch, read_usual
from airflow_provider_predictions.api.service import Service, reading
from airflow_provider_predictions.api.values import Values, fields

CradlStatus = Literal["pending", "succeeded", "failed"]
"""The statuses of the specification. Cradl may add others."""
_Time = Annotated[datetime | None, BeforeValidator(as_time)]
_CAMEL_CASE = ConfigDict(
    alias_generator=to_camel, populate_by_name=True, extra="allow", protected_namespaces=()
)


class CradlValue(Record):
    """One extracted field. The ``value`` of line items holds rows of further fields.

    :ivar confidence: 0 to 1.
    :ivar location: left, top, right, bottom on the page, each 0 to 1.
    :ivar page: counted from 0.
    """

    model_config = _CAMEL_CASE

    label: str | None = None
    value: str | list[list[CradlValue]] | None = None
    raw_value: str | None = None
    confidence: StrictFloat | None = None
    page: StrictInt | None = None
    location: list[StrictFloat] | None = None
    rotation: StrictInt | None = None
    source: str | None = None
    attention_map: list[list[StrictFloat]] | None = None
    validators: list[Any] | None = None
    formatters: list[Any] | None = None
    warnings: list[str] | None = None
    errors: list[str] | None = None


class CradlPrediction(Record):
    """A prediction of Cradl (specification: the items of Predictions), with attributes in snake_case.

    :ivar prediction_id: such as ``cradl:prediction:…``.
    :ivar status: pending, succeeded, failed, or a new one; None if the record has none.
    :ivar created_time: aware.
    :ivar predictions: the extracted fields. The list endpoint may omit them and name ``file_url``.
    :ivar inference_time: seconds.
    """

    model_config = _CAMEL_CASE

    prediction_id: Annotated[str | None, BeforeValidator(json_slices.as_text)] = None
    status: Annotated[CradlStatus | str | None, BeforeValidator(json_slices.as_text)] = None
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
    inference_time: StrictFloat | None = None
    predictions: list[CradlValue] | dict[str, Any] | None = None
    file_url: str | None = None
    next_page: StrictInt | None = None
    preprocess_config: dict[str, Any] | None = None
    postprocess_config: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None
    warnings: list[str] | None = None
    errors: list[str] | None = None
    error: str | None = None


class CradlFilters(Filters):
    """The filters of Cradl. The service applies ``model_id`` and ``order``.

    Without ``order``, the list is read from the end nearer to the time window, by default from the newest.
    """

    model_id: Text | None = None
    order: Literal["ascending", "descending"] | None = None


_NULL = msgspec.Raw(b"null")


class _Row(msgspec.Struct, rename="camel", gc=False):
    id: str | None = msgspec.field(name="predictionId", default=None)
    status: str | None = None
    created_at: str | None = msgspec.field(name="createdTime", default=None)
    group: str | None = msgspec.field(name="modelId", default=None)
    file_url: str | None = None
    predictions: msgspec.Raw = _NULL
    inference_time: msgspec.Raw = _NULL
    postprocess_config: msgspec.Raw = _NULL


class _UsualPage(msgspec.Struct, rename="camel"):
    predictions: Literal["cut out"]
    next_token: str | None = None


class _Extracted(msgspec.Struct, rename="camel", gc=False):
    values: msgspec.Raw = msgspec.field(name="predictions", default=_NULL)
    document: str | None = msgspec.field(name="documentId", default=None)


def _fits_in_url(token: str) -> bool:
    """Whether a token can be sent back. The specification allows 4,096 characters."""
    try:
        return len(token) <= MAX_URL_LENGTH and len(quote(token, safe="")) <= 3 * MAX_URL_LENGTH
    except UnicodeEncodeError:
        return False


def _usual_page(body: bytes) -> CursorPage | None:
    """Read the records between the first ``[{`` and the last ``}]``; None if these are not the list."""
    start, end = body.find(b"[{"), body.rfind(b"}]") + 2
    around = (body[:start], body[end:])
    try:
        page = msgspec.json.decode(b'"cut out"'.join(around), type=_UsualPage)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    rows = None if b"cut out" in b"".join(around) else read_usual(body, start, end, _Row)
    return (rows, page.next_token) if rows else None


def _is_given(value: msgspec.Raw) -> bool:
    return bytes(value) != b"null"


@dataclass(frozen=True)
class Cradl(Service[CradlFilters]):
    """Pages with a token for the next one. The service applies order and model."""

    name = "cradl"
    title = "Cradl"
    credential_fields = "client id (login) and client secret (password)"
    terminal_statuses = frozenset({"succeeded", "failed", "cancelled"})
    failed_statuses = frozenset({"failed"})
    unfinished_statuses = frozenset({"pending"})
    messages = (("error",), ("errors",))
    filters = CradlFilters
    server_filters = ("model_id",)
    record = CradlPrediction
    envelope = _Row
    columns = (
        Column("predictionId", "text", "id"),
        Column("status", "text", "status"),
        Column("createdTime", "time", "created_at"),
        Column("updatedTime", "time"),
        Column("modelId", "text", "group"),
        Column("documentId", "text"),
        Column("agentRunId", "text"),
        Column("name", "text"),
        Column("description", "text"),
        Column("createdBy", "text"),
        Column("updatedBy", "text"),
        Column("inferenceTime", "number"),
        Column("fileUrl", "text"),
        Column("predictions", "json"),
        Column("metadata", "json"),
        Column("warnings", "json"),
        Column("errors", "json"),
        Column("error", "text"),
    )
    extracted = _Extracted
    group_name = "model_id"
    # The specification sets no limit to maxResults. The vendor's own clients request at most 100.
    default_page_size = 100
    rate_limit_window = 1  # by cradl-sdk-python, "Too Many Requests" is a limit per second

    @override
    def paginator(self, filters: CradlFilters) -> CursorPaginator:
        params = {"sortBy": "createdTime"} | ({"modelId": filters.model_id} if filters.model_id else {})
        endpoint = ListEndpoint(self.title, self.list_path, self.default_page_size, self.page, params)
        return CursorPaginator(endpoint, filters, filters.order)

    @override
    def status(self, envelope: _Row) -> str:
        # Cradl added ``status`` in 2024 and does not require it. A record with results has succeeded.
        values = (envelope.predictions, envelope.inference_time)
        finished = envelope.file_url or any(map(_is_given, values))
        return envelope.status or ("succeeded" if finished else "pending")

    @override
    def add_values(self, values: Values, extracted: Any) -> None:
        fields(values, extracted)

    def page(self, body: bytes) -> CursorPage:
        """Read a page and the token of the next one, None on the last page."""
        with reading(self.title, body):
            rows, token = _usual_page(body) or self._page(body)
            if not (token is None or isinstance(token, str)):
                raise ValueError("nextToken is not a string")
            if token and not _fits_in_url(token):
                raise ValueError("it holds a nextToken that no URL can hold")
            return rows, token or None

    def _page(self, body: bytes) -> tuple[RecordBatch, Any]:
        given = json_slices.views(body)  # a copy of the list would be as large as the page
        return self.rows(given["predictions"]), json_slices.value(bytes(given.get("nextToken", b"null")))

    @override
    def refusal(self, status: int, message: str) -> type[PredictionsError] | None:
        # A monthly quota and a rate limit are both 429 (as in cradl-sdk-python). API Gateway returns 403 for
        # an unknown path, whatever the credentials (AWS: "Missing Authentication Token").
        if status == 403 and message == "Missing Authentication Token":
            return NotFoundError
        return QuotaExceededError if status == 429 and "Limit Exceeded" in message else None

    @override
    def values_request(self, prediction: Prediction) -> GetRequest | None:
        row = json_slices.fields(prediction.raw, _Row)
        if row is None or _is_given(row.predictions):
            return None
        if not row.file_url:
            if prediction.status != "succeeded":
                return None
            raise UnusableFileError(f"{self.title} names no fileUrl, though the prediction has succeeded")
        request = file_request(self.title, row.file_url)
        # cradl-sdk-python also requests the format in which the prediction was made.
        config = json_slices.value_or_text(bytes(row.postprocess_config))
        output_format = config.get("outputFormat") if isinstance(config, dict) else None
        # The signature of a foreign URL may cover its query.
        if isinstance(output_format, str) and self.trusts(row.file_url):
            return replace(request, params={"predictionsFormat": output_format})
        return request

    @override
    def with_values(self, prediction: Prediction, body: bytes) -> Prediction:
        # The file's JSON becomes ``predictions``. Every other value keeps its bytes.
        with reading(self.title, body, is_file=True):
            values = json_slices.one_line(json_slices.whole(body, strict=True))
            if values[:1] not in (b"[", b"{"):
                raise ValueError(f"{json_slices.kind(values)} instead of values")
            given = json_slices.members(prediction.raw) | {"predictions": values}
        return msgspec.structs.replace(prediction, raw=json_slices.joined(given))
