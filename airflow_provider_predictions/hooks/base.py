"""A connection becomes a client: the same for every service."""

from __future__ import annotations

import asyncio
import json
from abc import abstractmethod
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import fields
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar, cast
from urllib.parse import urlsplit

from airflow.providers.common.compat.sdk import AirflowFailException, AirflowNotFoundException, BaseHook
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from airflow_provider_predictions.api.arguments import Filters, Url, checked, checked_url
from airflow_provider_predictions.api.auth import Auth
from airflow_provider_predictions.api.client import AsyncClient, Client
from airflow_provider_predictions.api.errors import (
    ConfigurationError,
    MalformedAnswerError,
    PredictionsError,
)
from airflow_provider_predictions.api.models import Page, Prediction
from airflow_provider_predictions.api.retry import ATTEMPTS
from airflow_provider_predictions.api.service import Service

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Connection

R = TypeVar("R", bound=BaseModel)


class Settings(BaseModel):
    """The extras of a connection that both services know.

    :param timeout: seconds for each of connecting, sending and each read.
    :param requests_per_minute: the budget that all clients of one credential in a process share.
    :param dashboard_url: where the link of a task leads.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    timeout: float = Field(default=60, gt=0, le=3600, allow_inf_nan=False)
    requests_per_minute: int | None = Field(default=None, ge=1)
    dashboard_url: Url | None = None


@contextmanager
def airflow_errors() -> Iterator[None]:
    """Fail a task at once for what a retry cannot cure; leave the rest to the task's ``retries``."""
    try:
        yield
    except PredictionsError as error:
        if error.retryable:
            raise
        raise AirflowFailException(str(error)) from error


class PredictionsHook(BaseHook, Generic[R]):
    """List the predictions of a service.

    The filters of the methods are those of the operators: ``statuses``, ``created_after`` (inclusive),
    ``created_before`` (exclusive), ``max_predictions``, ``page_size`` and what the service adds to them. The
    twins with the prefix ``a`` do the same on an event loop.

    :param conn_id: the Airflow connection.
    :param attempts: how often one request is sent at most.
    """

    conn_name_attr: ClassVar[str]
    default_conn_name: ClassVar[str]
    conn_type: ClassVar[str]
    hook_name: ClassVar[str]
    service_class: ClassVar[type[Service[Any]]]
    settings_class: ClassVar[type[Settings]] = Settings
    default_base_url: ClassVar[str]
    default_dashboard_url: ClassVar[str]

    def __init__(self, conn_id: str, *, attempts: int = ATTEMPTS) -> None:
        super().__init__()
        self.conn_id = conn_id
        self.attempts = attempts

    @classmethod
    @abstractmethod
    def auth(cls, conn: Connection, settings: Any) -> Auth:
        """The credentials of a connection."""

    @classmethod
    def service(cls, conn: Connection) -> Service[Any]:
        """What a connection says, checked; a pure function.

        :raises ConfigurationError: naming the field that is wrong.
        """
        try:
            settings = cls.settings(conn)
            return cls.service_class(
                base_url=_base_url(conn, cls.default_base_url),
                auth=cls.auth(conn, settings),
                **settings.model_dump(include={field.name for field in fields(cls.service_class)}),
            )
        except ConfigurationError as error:
            raise ConfigurationError(f"{error} (connection {conn.conn_id})") from None

    @classmethod
    def settings(cls, conn: Connection) -> Settings:
        """The extras, checked. The UI writes null for a field that was left empty."""
        try:
            extra = json.loads(conn.extra or "{}")
        except ValueError:
            raise ConfigurationError("extra: is not JSON") from None
        if not isinstance(extra, dict):
            raise ConfigurationError("extra: must be a JSON object")
        given = {name: value for name, value in extra.items() if value not in (None, "")}
        return checked(cls.settings_class, given, prefix="extra ")

    @classmethod
    def filters(cls, **filters: Any) -> Filters:
        """The filters, checked.

        :raises ConfigurationError: naming the argument that is wrong.
        """
        return checked(cls.service_class.filters, filters)

    def get_conn(self) -> Client:
        """A client, to be used in a ``with`` block.

        :raises AirflowNotFoundException: where there is no such connection.
        :raises ConfigurationError: where a field of it is wrong.
        """
        with self._naming_connection():
            conn = self.get_connection(self.conn_id)
        return Client(self.service(conn), attempts=self.attempts)

    async def aget_conn(self) -> AsyncClient:
        """A client, to be used in an ``async with`` block."""
        from airflow.providers.common.compat.connection import get_async_connection

        with self._naming_connection():
            try:
                conn = await get_async_connection(self.conn_id, hook=self)
            except AirflowNotFoundException:
                # `airflow dags test` cannot look into the metadata database asynchronously.
                conn = await asyncio.to_thread(self.get_connection, self.conn_id)
        return AsyncClient(self.service(conn), attempts=self.attempts)

    @contextmanager
    def _naming_connection(self) -> Iterator[None]:
        try:
            yield
        except AirflowNotFoundException as error:
            raise AirflowNotFoundException(
                f"{self.conn_name_attr}: there is no connection {self.conn_id!r}; "
                f"create one of the type {self.conn_type}"
            ) from error

    def iter_pages(self, **filters: Any) -> Iterator[Page]:
        """Page through the list; each page holds the records that match, as bytes.

        :param filters: see the class.
        :raises PredictionsError: see ``api.errors``.
        """
        wanted = self.filters(**filters)

        def pages() -> Iterator[Page]:
            with self.get_conn() as client:
                yield from client.pages(client.service.walk(wanted))

        return pages()

    def aiter_pages(self, **filters: Any) -> AsyncIterator[Page]:
        """Page through the list; each page holds the records that match, as bytes."""
        wanted = self.filters(**filters)

        async def pages() -> AsyncIterator[Page]:
            async with await self.aget_conn() as client:
                async for page in client.pages(client.service.walk(wanted)):
                    yield page

        return pages()

    def iter_predictions(self, **filters: Any) -> Iterator[R]:
        """Iterate over the predictions that match, page by page, without holding more than one.

        :param filters: see the class.
        :raises PredictionsError: see ``api.errors``.
        """
        return (self.record(row) for page in self.iter_pages(**filters) for row in page.predictions)

    def aiter_predictions(self, **filters: Any) -> AsyncIterator[R]:
        """Iterate over the predictions that match, page by page, without holding more than one."""
        pages = self.aiter_pages(**filters)
        return (self.record(row) async for page in pages for row in page.predictions)

    def get_prediction(self, prediction_id: str) -> R:
        """One prediction.

        :param prediction_id: the service's id.
        :raises NotFoundError: where there is none.
        """
        with self.get_conn() as client:
            return self.record(client.prediction(prediction_id))

    async def aget_prediction(self, prediction_id: str) -> R:
        """One prediction."""
        async with await self.aget_conn() as client:
            return self.record(await client.prediction(prediction_id))

    @classmethod
    def record(cls, prediction: Prediction) -> R:
        """The pydantic model of a record."""
        try:
            return cast("R", cls.service_class.record.model_validate_json(prediction.raw))
        except ValidationError as error:
            field = ".".join(map(str, error.errors()[0]["loc"]))
            raise MalformedAnswerError(
                f"{cls.service_class.title}: prediction {prediction.id} does not fit the specification "
                f"in {field}: {error.errors()[0]['msg']}"
            ) from None

    def test_connection(self) -> tuple[bool, str]:
        """Ask the list endpoint for one prediction."""
        hook = type(self)(self.conn_id, attempts=1)  # a person is waiting
        try:
            with hook.get_conn() as client:
                walk = client.service.walk(self.filters(page_size=1, max_predictions=1))
                page = next(client.pages(walk))
        except (PredictionsError, AirflowNotFoundException) as error:
            return False, str(error)
        newest = page.predictions[0].created_at if page.predictions else None
        seen = f"the newest prediction is of {newest:%Y-%m-%d %H:%M} UTC" if newest else "the list is empty"
        return True, f"{self.service_class.title} accepts the credentials; {seen}"

    async def atest_connection(self) -> tuple[bool, str]:
        """Ask the list endpoint for one prediction."""
        return await asyncio.to_thread(self.test_connection)

    def dashboard_url(self) -> str:
        """Where a person looks at predictions: the connection's ``dashboard_url`` or the service's own."""
        settings = self.settings(self.get_connection(self.conn_id))
        return settings.dashboard_url or self.default_dashboard_url


def _base_url(conn: Connection, default: str) -> str:
    if not conn.host:
        return default
    try:
        url = checked_url(conn.host)
    except ValueError as error:
        raise ConfigurationError(f"Base URL (host): {error}") from None
    parts = urlsplit(url)
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
