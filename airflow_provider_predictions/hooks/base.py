"""A connection becomes a client: the same for every service."""

from __future__ import annotations

import asyncio
import logging
from abc import abstractmethod
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from itertools import islice
from typing import Any, ClassVar, Generic, TypeVar, cast

from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook, Connection
from pydantic import BaseModel, ValidationError

from airflow_provider_predictions.api.coercion import short_conn_id
from airflow_provider_predictions.api.errors import ConfigurationError, PredictionsError
from airflow_provider_predictions.api.filters import Filters, checked, checked_conn_id
from airflow_provider_predictions.api.http.auth import Auth, ClientCredentialsAuth
from airflow_provider_predictions.api.http.client import AsyncClient, Client
from airflow_provider_predictions.api.json_slices import members, value_or_text
from airflow_provider_predictions.api.limits import MAX_ATTEMPTS, MAX_COUNTED
from airflow_provider_predictions.api.models import Prediction
from airflow_provider_predictions.api.observed import expected_words, unmatched_filters
from airflow_provider_predictions.api.page import Observed, Page
from airflow_provider_predictions.api.pagination.base import Proof
from airflow_provider_predictions.api.service import Service
from airflow_provider_predictions.hooks import legacy_form
from airflow_provider_predictions.hooks.connection_settings import Settings, base_url, extras
from airflow_provider_predictions.hooks.token_mask import TokenMask

R = TypeVar("R", bound=BaseModel)
log = logging.getLogger(__name__)


class PredictionsHook(BaseHook, Generic[R]):
    """List the predictions of a service.

    The methods have the filters of the operators: ``statuses``, ``created_after`` (inclusive),
    ``created_before`` (exclusive), ``max_predictions``, ``page_size`` and those of the service. Each method
    has a twin with the prefix ``a`` for event loops. All requests raise the errors of ``api.errors``.

    :param conn_id: the Airflow connection.
    :param attempts: how many times a request is sent at most, by default 5.
    """

    conn_name_attr: ClassVar[str]
    default_conn_name: ClassVar[str]
    conn_type: ClassVar[str]
    hook_name: ClassVar[str]
    service_class: ClassVar[type[Service[Any]]]
    settings_class: ClassVar[type[Settings]] = Settings
    default_base_url: ClassVar[str]
    default_dashboard_url: ClassVar[str]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Give each hook the form itself: Airflow before 3.2 does not look for it in base classes."""
        super().__init_subclass__(**kwargs)
        for name in ("get_connection_form_widgets", "get_ui_field_behaviour"):
            setattr(cls, name, PredictionsHook.__dict__[name])

    def __init__(self, conn_id: str, *, attempts: int = MAX_ATTEMPTS) -> None:
        super().__init__()
        self.conn_id = conn_id
        self.attempts = attempts

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """The extra fields of the form, for Airflow before 3.2."""
        return legacy_form.widgets(cls.conn_type)

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Labels and placeholders of the form, for Airflow before 3.2."""
        return legacy_form.behaviour(cls.conn_type)

    @classmethod
    @abstractmethod
    def auth(cls, conn: Connection, settings: Any) -> Auth:
        """The credentials of a connection.

        :raises ConfigurationError: naming the field that is empty or that no header can hold.
        """

    @classmethod
    def service(cls, conn: Connection) -> Service[Any]:
        """The service that a connection describes. A pure function.

        :raises ConfigurationError: naming the field that is wrong.
        """
        try:
            settings = cls.settings(conn)
            auth = cls.auth(conn, settings)
            if isinstance(auth, ClientCredentialsAuth) and auth.on_token is None:
                auth = replace(auth, on_token=TokenMask())
            return cls.service_class(
                base_url=base_url(conn, cls.default_base_url),
                auth=auth,
                **settings.model_dump(include={field.name for field in fields(cls.service_class)}),
            )
        except ConfigurationError as error:
            raise ConfigurationError(f"{error} (connection {conn.conn_id})") from None

    @classmethod
    def settings(cls, conn: Connection) -> Settings:
        """The extras, checked.

        :raises ConfigurationError: naming the extra that is wrong.
        """
        given = extras(conn, f"extra__{cls.conn_type}__")
        return checked(cls.settings_class, given, prefix="extra ")

    @classmethod
    def filters(cls, **filters: Any) -> Filters:
        """The filters, checked.

        :raises ConfigurationError: naming the argument that is wrong.
        """
        return checked(cls.service_class.filters, filters)

    def get_conn(self) -> Client:
        """A client, for a ``with`` block.

        :raises AirflowNotFoundException: if there is no such connection.
        :raises ConfigurationError: if a field of it is wrong.
        """
        with self._naming_connection():
            conn = self.get_connection(self.conn_id)
        self._require_type(conn)
        return Client(self.service(conn), attempts=self.attempts)

    async def aget_conn(self) -> AsyncClient:
        """``get_conn`` on an event loop, for an ``async with`` block.

        :raises AirflowNotFoundException: if there is no such connection.
        :raises ConfigurationError: if a field of it is wrong.
        """
        from airflow.providers.common.compat.connection import get_async_connection

        with self._naming_connection():
            try:
                conn = await get_async_connection(self.conn_id, hook=self)
            except AirflowNotFoundException:
                # `airflow dags test` cannot read the metadata database asynchronously.
                conn = await asyncio.to_thread(self.get_connection, self.conn_id)
        self._require_type(conn)
        return AsyncClient(self.service(conn), attempts=self.attempts)

    def _require_type(self, conn: Connection) -> None:
        """Refuse a connection of another type. Without a host, its credentials would go to this service."""
        if conn.conn_type and conn.conn_type != self.conn_type:
            name, found = self.conn_name_attr, short_conn_id(self.conn_id)
            raise ConfigurationError(
                f"{name}: {found} is a connection of the type {conn.conn_type}; "
                f"give one of the type {self.conn_type}"
            )

    @contextmanager
    def _naming_connection(self) -> Iterator[None]:
        checked_conn_id(self.conn_name_attr, self.conn_id)
        try:
            yield
        except AirflowNotFoundException:
            raise AirflowNotFoundException(
                f"{self.conn_name_attr}: there is no connection {short_conn_id(self.conn_id)}; "
                f"create one of the type {self.conn_type}"
            ) from None  # Airflow's own message shows the whole text

    def iter_pages(self, **filters: Any) -> Iterator[Page]:
        """Iterate over the pages of the list. Each holds the records that match, as bytes.

        At the end, it warns if a value of a filter is unknown and matched nothing, and if the list moved so
        that predictions may be missing. Rows that are not JSON objects are in ``Page.rejected``. A warning
        counts them.
        """
        wanted = self.filters(**filters)

        def pages() -> Iterator[Page]:
            with self.get_conn() as client:
                paginator, observed = client.service.paginator(wanted), Observed()
                for page in client.pages(paginator):
                    observed.add(page.observed, expected_words(client.service, wanted))
                    yield page
                _warn(client.service, wanted, observed, paginator.proof)

        return pages()

    def aiter_pages(self, **filters: Any) -> AsyncIterator[Page]:
        """``iter_pages`` on an event loop."""
        wanted = self.filters(**filters)

        async def pages() -> AsyncIterator[Page]:
            async with await self.aget_conn() as client:
                paginator, observed = client.service.paginator(wanted), Observed()
                async for page in client.pages(paginator):
                    observed.add(page.observed, expected_words(client.service, wanted))
                    yield page
                _warn(client.service, wanted, observed, paginator.proof)

        return pages()

    def iter_predictions(self, **filters: Any) -> Iterator[R]:
        """Iterate over the predictions that match. Memory holds one page at a time.

        Rows that are not JSON objects are left out. The warnings are those of ``iter_pages``.
        """
        return (self.record(row) for page in self.iter_pages(**filters) for row in page.predictions)

    def aiter_predictions(self, **filters: Any) -> AsyncIterator[R]:
        """``iter_predictions`` on an event loop."""
        pages = self.aiter_pages(**filters)
        return (self.record(row) async for page in pages for row in page.predictions)

    def get_prediction(self, prediction_id: str) -> R:
        """One prediction.

        :raises NotFoundError: if the service has none with this id.
        """
        with self.get_conn() as client:
            return self.record(client.prediction(prediction_id))

    async def aget_prediction(self, prediction_id: str) -> R:
        """``get_prediction`` on an event loop."""
        async with await self.aget_conn() as client:
            return self.record(await client.prediction(prediction_id))

    @classmethod
    def record(cls, prediction: Prediction) -> R:
        """The pydantic model of a record. A field that does not fit the specification keeps its value."""
        record = cast("type[R]", cls.service_class.record)
        try:
            return record.model_validate_json(prediction.raw)
        except ValidationError:
            # A lone surrogate, a number that pydantic does not read, or too many levels.
            given = members(prediction.raw)
            return record.model_validate({name: value_or_text(text) for name, text in given.items()})

    def test_connection(self) -> tuple[bool, str]:
        """Read the start of the list, and count its predictions, up to 100.

        :return: whether the connection works, and the count or the field that is wrong.
        """
        hook = type(self)(self.conn_id, attempts=1)  # a person is waiting
        try:
            with hook.get_conn() as client:
                filters = self.filters(page_size=MAX_COUNTED, max_predictions=MAX_COUNTED)
                paginator = client.service.paginator(filters)
                # After a short page, only a second one shows whether that was all.
                rows = [row for page in islice(client.pages(paginator), 2) for row in page.predictions]
        except (PredictionsError, AirflowNotFoundException) as error:
            return False, str(error)
        is_whole = paginator.position.ended and len(rows) < MAX_COUNTED
        count = str(len(rows) or "none") if is_whole else f"{len(rows)} or more"
        text = f"{self.service_class.title} accepts the credentials; predictions in its list: {count}"
        newest = max((row.created_at for row in rows if row.created_at), default=None)
        return True, f"{text}, the newest of {newest:%Y-%m-%d %H:%M} UTC" if newest else text

    async def atest_connection(self) -> tuple[bool, str]:
        """``test_connection`` on an event loop."""
        return await asyncio.to_thread(self.test_connection)

    def dashboard_url(self) -> str:
        """The URL of the dashboard: the connection's ``dashboard_url``, or the service's own.

        :raises ConfigurationError: naming the extra that is wrong.
        """
        settings = self.settings(self.get_connection(self.conn_id))
        return settings.dashboard_url or self.default_dashboard_url


def _warn(service: Service[Any], filters: Filters, observed: Observed, proof: Proof) -> None:
    """Tell what a whole pass has shown, as the list operator does."""
    if proof.consistent is False:
        log.warning("Predictions may be missing: %s", proof.reason)
    if text := unmatched_filters(service, filters, observed):
        log.warning("%s", text)
