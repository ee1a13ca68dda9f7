"""VLM Run: ``GET /v1/predictions?skip&limit``, a bare list.

Source: specification "VLM Run Unified Server", Get Predictions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from pydantic import BeforeValidator, ConfigDict

from airflow_provider_predictions.api.filters import Filters, Words
from airflow_provider_predictions.api.json_slices import as_text
from airflow_provider_predictions.api.models import Column, Prediction, Record, as_time, id_by_content
from airflow_provider_predictions.api.pagination.offset import OffsetPaginator
from airflow_provider_predictions.api.service import Service, reading

VlmRunStatus = Literal["pending", "enqueued", "running", "completed", "failed", "paused"]
"""The statuses of the specification; others may come."""
PENDING = "pending"
"""What the specification gives a record without a status."""


def _status(value: object) -> str:
    return as_text(value) or PENDING


class VlmRunUsage(Record):
    """What a prediction cost (specification: CreditUsageResponse).

    :ivar elements_processed: pages, images or whatever ``element_type`` says.
    :ivar element_type: image, page, video or audio, or what VLM Run adds to these.
    :ivar credits_used: of the account.
    :ivar steps: as VLM Run counts them.
    :ivar message: in words.
    :ivar duration_seconds: seconds; 0 has been seen of predictions that took time.
    """

    model_config = ConfigDict(extra="allow")

    elements_processed: int | float | None = None
    element_type: Literal["image", "page", "video", "audio"] | str | None = None
    credits_used: int | float | None = None
    steps: int | float | None = None
    message: str | None = None
    duration_seconds: int | float | None = None


class VlmRunPrediction(Record):
    """A prediction of VLM Run (specification: PredictionResponse, none of whose fields is required).

    :ivar id: unique identifier.
    :ivar status: pending, enqueued, running, completed, failed, paused, or what VLM Run adds to these.
    :ivar created_at: UTC; VLM Run sends it without an offset.
    :ivar completed_at: UTC; None until completed.
    :ivar domain: such as ``document.invoice``.
    :ivar response: what the model extracted, any JSON; empty is valid.
    :ivar usage: what it cost.
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
    """The filters of VLM Run; all are applied here, since its list takes none."""

    domains: Words | None = None

    def choose(self, rows: Sequence[Prediction]) -> Sequence[Prediction]:
        """The records that are wanted."""
        if self.domains is not None:
            rows = [row for row in rows if row.group in self.domains]
        return super().choose(rows)


class _Row(msgspec.Struct, gc=False):
    id: str | None = None
    status: str | None = None
    created_at: str | None = None
    domain: str | None = None


@dataclass(frozen=True)
class VlmRun(Service[VlmRunFilters]):
    """Offset pages of a bare list, with no filter, order, total or cursor."""

    name = "vlmrun"
    title = "VLM Run"
    credential_fields = "API key (password)"
    # "cancelled" is not in the specification, but VLM Run's dashboard shows it.
    terminal_statuses = frozenset({"completed", "failed", "cancelled"})
    waiting_statuses = frozenset({"pending", "enqueued", "running", "paused"})
    # None is in the specification of a record; VLM Run's own clients read the first.
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
    default_page_size = 1000
    rate_limit_window = 60  # docs.vlm.run/rate-limits: so many requests a minute

    def paginator(self, filters: VlmRunFilters) -> OffsetPaginator:
        """One pass over the list."""
        return OffsetPaginator(self, filters)

    def prediction(self, envelope: _Row, raw: bytes) -> Prediction:
        """A record whose envelope is decoded."""
        return Prediction(
            envelope.id or id_by_content(raw),
            envelope.status or PENDING,
            as_time(envelope.created_at),
            envelope.domain,
            raw,
        )

    def split(self, body: bytes) -> list[Prediction]:
        """The rows of a bare list."""
        with reading(self.title, body):
            return self.rows(body)
