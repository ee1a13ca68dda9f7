"""VLM Run: ``GET /v1/predictions?skip&limit``, a bare list.

Source: specification "VLM Run Unified Server", Get Predictions.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from pydantic import BaseModel, BeforeValidator, ConfigDict

from airflow_provider_predictions.api.arguments import Filters, Words
from airflow_provider_predictions.api.errors import MalformedAnswerError
from airflow_provider_predictions.api.models import Page, PageRequest, Prediction, as_text, as_time, id_of
from airflow_provider_predictions.api.service import Service, Walk, decoded, split_rows

VlmRunStatus = Literal["pending", "enqueued", "running", "completed", "failed", "paused"]
"""The statuses of the specification; others may come."""
PENDING = "pending"
"""What the specification gives a record without a status."""
STANDSTILL = 20
"""So many equal pages in a row are a server that ignores ``skip``. A few are not: a list that grows by one
page between two requests shows the same rows again."""


def _status(value: object) -> str:
    return as_text(value) or PENDING


class VlmRunUsage(BaseModel):
    """What a prediction cost (specification: CreditUsageResponse)."""

    model_config = ConfigDict(extra="allow")

    elements_processed: int | float | None = None
    element_type: Literal["image", "page", "video", "audio"] | str | None = None
    credits_used: int | float | None = None
    steps: int | float | None = None
    message: str | None = None
    duration_seconds: int | float | None = None


class VlmRunPrediction(BaseModel):
    """A prediction of VLM Run (specification: PredictionResponse, none of whose fields is required).

    :param id: unique identifier.
    :param status: pending, enqueued, running, completed, failed, paused, or what VLM Run adds to these.
    :param created_at: UTC; VLM Run sends it without an offset.
    :param completed_at: UTC; None until completed.
    :param domain: such as ``document.invoice``.
    :param response: what the model extracted, any JSON; empty is valid.
    :param usage: what it cost.
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

    def admits(self, prediction: Prediction) -> bool:
        """Whether a record is wanted."""
        return (self.domains is None or prediction.group in self.domains) and super().admits(prediction)


class _Row(msgspec.Struct):
    id: Any = None
    status: Any = None
    created_at: Any = None
    domain: Any = None


def _prediction(row: _Row, raw: bytes) -> Prediction:
    return Prediction(
        id=id_of(row.id, raw),
        status=_status(row.status),
        created_at=as_time(row.created_at),
        group=as_text(row.domain),
        raw=raw,
    )


@dataclass(frozen=True)
class VlmRun(Service[VlmRunFilters]):
    """Offset pages of a bare list, with no filter, order, total or cursor."""

    name = "vlmrun"
    title = "VLM Run"
    credential_fields = "API key (password)"
    # "cancelled" is not in the specification, but VLM Run's dashboard shows it.
    terminal_statuses = frozenset({"completed", "failed", "cancelled"})
    filters = VlmRunFilters
    record = VlmRunPrediction
    default_page_size = 1000

    def walk(self, filters: VlmRunFilters) -> OffsetWalk:
        """One pass over the list."""
        return OffsetWalk(self, filters)

    def split(self, body: bytes) -> list[Prediction]:
        """The records of a bare list."""
        rows = decoded(self.title, body, list[msgspec.Raw])
        return [_prediction(row, raw) for row, raw in split_rows(self.title, rows, _Row)]

    def read_one(self, body: bytes) -> Prediction:
        """One record, unwrapped."""
        return _prediction(decoded(self.title, body, _Row), body)


class OffsetWalk(Walk):
    """Pages by ``skip`` and ``limit``, over rows that shift while the list grows and shrinks.

    Rows added in front push known rows into the next page: they are dropped by id. Rows removed in front
    would pull unknown rows out of it: so each page starts with the last row of the one before, and where it
    does not, the walk steps back until it meets a row that it knows.

    The list ends with a page shorter than asked, once the server has been seen to fill such a page. Until
    then a short page may be all that the server gives at once: the walk goes on with pages of that size, and
    ends with one that is short again and brings nothing new.
    """

    def __init__(self, service: Service[Any], filters: Filters) -> None:
        super().__init__(service, filters)
        self._skip = 0
        self._step_back = self.page_size
        self._asked_size = self.page_size
        self._fills_pages = False
        self._previous: list[str] = []
        self._repeats = 0

    def ask(self) -> PageRequest | None:
        """The next page, one row of it known."""
        if self.ended:
            return None
        return PageRequest("predictions", {"skip": self._skip, "limit": self.page_size})

    def take(self, body: bytes) -> Page:
        """The new rows of a page."""
        rows = self.service.split(body)
        if not self._joins(rows):
            self._skip = max(0, self._skip - self._step_back)
            self._step_back *= 2
            return Page(())
        self._refuse_standstill(rows)
        behind = rows[self._overlap :] if self._skip else rows
        page = self.hand_out(behind)
        self._move_on(len(rows), brought_new=page.duplicates < len(behind))
        return page

    @property
    def _overlap(self) -> int:
        return 1 if self.page_size > 1 else 0

    def _joins(self, rows: list[Prediction]) -> bool:
        if self._skip == 0 or not self._overlap:
            return True
        return bool(rows) and self.knows(rows[0])

    def _move_on(self, size: int, *, brought_new: bool) -> None:
        """Decide what follows a page of this size."""
        end = self._skip + size
        if size >= self.page_size:
            self._fills_pages = self._fills_pages or self.page_size == self._asked_size
        elif self._fills_pages or not brought_new:
            self.ended = True
        else:
            self.page_size = size
        self._skip = end - self._overlap
        self._step_back = self.page_size

    def _refuse_standstill(self, rows: list[Prediction]) -> None:
        ids = [row.id for row in rows]
        repeats = self._repeats + 1 if ids and ids == self._previous else 0
        if repeats == STANDSTILL:
            raise MalformedAnswerError(f"{self.service.title} sends the same page whatever skip says")
        self._previous, self._repeats = ids, repeats
