"""VLM Run: ``GET /v1/predictions?skip&limit`` returns a bare list.

Source: specification "VLM Run Unified Server", Get Predictions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from pydantic import BeforeValidator, ConfigDict
from typing_extensions import override

from airflow_provider_predictions.api.filters import Filters, Words
from airflow_provider_predictions.api.json_slices import as_text
from airflow_provider_predictions.api.models import (
    Column,
    JsonNumber,
    ListEndpoint,
    Prediction,
    Record,
    as_time,
)
from airflow_provider_predictions.api.pagination.offset import OffsetPaginator
from airflow_provider_predictions.api.record_batch import RecordBatch, read_usual
from airflow_provider_predictions.api.service import Service, reading

VlmRunStatus = Literal["pending", "enqueued", "running", "completed", "failed", "paused"]
"""The statuses of the specification. VLM Run may add others."""
PENDING = "pending"
"""The specification's default."""


def _status(value: object) -> str:
    return as_text(value) or PENDING


class VlmRunUsage(Record):
    """What a prediction cost (specification: CreditUsageResponse).

    :ivar elements_processed: the number of elements of ``element_type``.
    :ivar element_type: image, page, video, audio, or a new one.
    :ivar credits_used: credits of the plan, whose price the specification does not say.
    :ivar steps: a number whose unit the specification does not say.
    :ivar duration_seconds: VLM Run has sent 0 for predictions that took time.
    """

    model_config = ConfigDict(extra="allow")

    elements_processed: JsonNumber = None
    element_type: Literal["image", "page", "video", "audio"] | str | None = None
    credits_used: JsonNumber = None
    steps: JsonNumber = None
    message: str | None = None
    duration_seconds: JsonNumber = None


class VlmRunPrediction(Record):
    """A prediction of VLM Run (specification: PredictionResponse, which requires no field).

    :ivar status: pending, enqueued, running, completed, failed, paused, or a new one.
    :ivar created_at: UTC. VLM Run sends it without an offset.
    :ivar completed_at: UTC; None until completed.
    :ivar domain: such as ``document.invoice``.
    :ivar response: any JSON that the model extracted. It may be empty.
    """

    model_config = ConfigDict(extra="allow")

    id: Annotated[str | None, BeforeValidator(as_text)] = None
    status: Annotated[VlmRunStatus | str, BeforeValidator(_status)] = PENDING
    created_at: Annotated[datetime | None, BeforeValidator(as_time)] = None
    completed_at: Annotated[datetime | None, BeforeValidator(as_time)] = None
    domain: str | None = None
    response: Any = None
    usage: VlmRunUsage | None = None


class VlmRunFilters(Filters):
    """The filters of VLM Run. Its list takes none, so the client applies them all."""

    domains: Words | None = None

    @override
    def choose(self, rows: Sequence[Prediction]) -> RecordBatch:
        batch, domains = RecordBatch.of(rows), self.domains
        if domains is not None:
            batch = batch.select([group in domains for group in batch.groups])
        return super().choose(batch)


class _Row(msgspec.Struct, gc=False):
    id: str | None = None
    status: str | None = None
    created_at: str | None = None
    group: str | None = msgspec.field(name="domain", default=None)


class _Extracted(msgspec.Struct, gc=False):
    values: msgspec.Raw = msgspec.field(name="response", default=msgspec.Raw(b"null"))
    document: None = None  # the specification of a record names none


@dataclass(frozen=True)
class VlmRun(Service[VlmRunFilters]):
    """Pages by offset of a bare list, without filter, order, total or cursor."""

    name = "vlmrun"
    title = "VLM Run"
    credential_fields = "API key (password)"
    # The specification lacks "cancelled". VLM Run's dashboard shows it.
    terminal_statuses = frozenset({"completed", "failed", "cancelled"})
    failed_statuses = frozenset({"failed"})
    unfinished_statuses = frozenset({"pending", "enqueued", "running", "paused"})
    # The specification of a record has none of these. VLM Run's own clients read the first.
    messages = (("message",), ("error",), ("usage", "message"))
    filters = VlmRunFilters
    group_filter = "domains"
    record = VlmRunPrediction
    envelope = _Row
    columns = (
        Column("id", "text", "id"),
        Column("status", "text", "status"),
        Column("created_at", "time", "created_at"),
        Column("completed_at", "time"),
        Column("domain", "text", "group"),
        Column("response", "json"),
        Column("usage", "json"),
    )
    extracted = _Extracted
    group_name = "domain"
    default_page_size = 1000
    rate_limit_window = 60  # docs.vlm.run/rate-limits: requests per minute

    @override
    def paginator(self, filters: VlmRunFilters) -> OffsetPaginator:
        endpoint = ListEndpoint(self.title, self.list_path, self.default_page_size, self.split)
        return OffsetPaginator(endpoint, filters)

    def split(self, body: bytes) -> RecordBatch:
        """Read a bare list."""
        with reading(self.title, body):
            return read_usual(body, 0, len(body), _Row) or self.rows(body)
