"""The simulated list of predictions, and the operator that lands it through the real hook and client."""

from __future__ import annotations

import copy
import json
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from operator import itemgetter
from types import SimpleNamespace
from typing import Any

import httpx
from airflow.providers.common.compat.sdk import Connection

from airflow_provider_predictions.api.http.base_client import options
from airflow_provider_predictions.api.http.client import Client
from airflow_provider_predictions.api.service import Service
from airflow_provider_predictions.hooks.vlmrun import VlmRunHook
from airflow_provider_predictions.operators.vlmrun import VlmRunPredictionsToObjectStorageOperator
from tests.simulation.attempt import Attempt
from tests.simulation.world import World

FINISHED = ("completed", "failed")
DOMAINS = ("invoice", "receipt")
EVERY_ACCOUNT = "all"
"""The key of an account whose list holds every domain."""
RECORDS = 9
PAGE_SIZE = 5
RECORDS_PER_PART = 4
UNFINISHED = 6
"""Which one of the first records is unfinished at the start."""
BETWEEN = timedelta(minutes=20)
"""From one record to the next: what is an hour older than the newest is settled."""
BEGAN = datetime(2020, 1, 1, tzinfo=UTC)
"""In the past: no file of the real disk is old by the simulated clock."""
AHEAD = timedelta(days=2)
"""By so much a creation time may be ahead of the clock."""


@dataclass(frozen=True)
class Arguments:
    """Those of a landing that may change from one attempt to the next.

    :param domains: of which predictions land; None for all.
    :param statuses: with which they do; None for all that are finished.
    :param max_age: seconds; what is unfinished and older is not waited for.
    :param account: whose key the connection has: its list holds this domain; None for all of them.
    """

    domains: tuple[str, ...] | None = None
    statuses: tuple[str, ...] | None = None
    max_age: float | None = None
    compression: str | None = None
    partition_by: str | None = None
    records_per_part: int = RECORDS_PER_PART
    account: str | None = None

    def wants(self, row: Mapping[str, Any]) -> bool:
        """Whether a prediction lands."""
        return (
            self.account in (None, row["domain"])
            and (self.domains is None or row["domain"] in self.domains)
            and (self.statuses is None or row["status"] in self.statuses)
        )


class Listing:
    """Predictions, oldest first; the service lists them the other way round."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        for number in range(RECORDS):
            self.grow(BEGAN - (RECORDS - number) * BETWEEN)
        self.rows[UNFINISHED]["status"] = "running"

    def grow(self, created: datetime) -> None:
        """Add a finished prediction."""
        number = len(self.rows)
        self.rows.append(
            {
                "id": f"r{number:03}",
                "status": "failed" if number % 4 == 0 else "completed",
                "created_at": f"{created:%Y-%m-%dT%H:%M:%S}",
                "domain": DOMAINS[number % len(DOMAINS)],
            }
        )

    @property
    def is_finished(self) -> bool:
        """Whether none is unfinished."""
        return all(row["status"] in FINISHED for row in self.rows)

    def finish(self) -> None:
        """Finish the one that is not."""
        self.rows[UNFINISHED]["status"] = "completed"

    def response(self, request: httpx.Request) -> httpx.Response:
        """A page of the account whose key it is, newest first."""
        key = request.headers["authorization"].rpartition(" ")[2]
        skip, limit = int(request.url.params.get("skip", 0)), int(request.url.params["limit"])
        listed = [row for row in self.rows if key == EVERY_ACCOUNT or row["domain"] == key]
        rows = sorted(listed, key=itemgetter("created_at"))[::-1]
        page = json.dumps(rows[skip : skip + limit]).encode()
        return httpx.Response(200, stream=httpx.ByteStream(page))


class _Client(Client):
    """Sends its requests to a simulated list, once each.

    :param world: whose time passes while it sleeps.
    """

    def __init__(self, service: Service[Any], world: World, listing: Listing) -> None:
        super().__init__(service, attempts=1)
        self._world = world
        self._listing = listing
        self._http = httpx.Client(transport=httpx.MockTransport(self._respond), **options(service))
        self.sleep = world.scene.pass_time

    def _threads(self, count: int) -> ThreadPoolExecutor:
        """None is started, since nothing is fetched ahead; so none is needed to close the client either."""
        return ThreadPoolExecutor(1)

    def _respond(self, request: httpx.Request) -> httpx.Response:
        try:
            self._world.step("list", request.url.params.get("skip", "0"))
        except OSError as error:
            raise httpx.ConnectError(str(error), request=request) from error
        return self._listing.response(request)


class _Hook(VlmRunHook):
    """Knows its connections; its clients are simulated ones.

    :param conn_id: the key in the connection.
    :param connect: makes a client of a service.
    """

    def __init__(self, conn_id: str, connect: Callable[[Service[Any]], Client]) -> None:
        super().__init__(conn_id)
        self._connect = connect

    @classmethod
    def get_connection(cls, conn_id: str) -> Connection:
        """That of an account."""
        return Connection(conn_id=conn_id, conn_type="vlmrun", host="https://list.test/v1", password=conn_id)

    def get_conn(self) -> Client:
        """A client, to be used in a ``with`` block."""
        return self._connect(self.service(self.get_connection(self.conn_id)))


class _Operator(VlmRunPredictionsToObjectStorageOperator):
    """Lands through such a hook."""

    # Airflow's own would write lines whatever the level is.
    log = logging.getLogger(__name__)
    connect: Callable[[Service[Any]], Client]

    @property
    def hook(self) -> _Hook:
        """A new hook for each client."""
        return _Hook(self.vlmrun_conn_id, self.connect)


@cache
def _operator(incremental: bool, arguments: Arguments) -> _Operator:
    given = asdict(arguments)
    return _Operator(
        task_id="land",
        path="{{ path }}",
        incremental=incremental,
        vlmrun_conn_id=given.pop("account") or EVERY_ACCOUNT,
        **given,
        page_size=PAGE_SIZE,
        prefetch=0,
    )


@dataclass(frozen=True)
class Task:
    """A task that lands the list.

    :param url: where.
    :param has_ids: Airflow gives ids to task instances, as it does from 3.0.
    """

    world: World
    listing: Listing
    url: str
    incremental: bool
    has_ids: bool = True

    def run(self, attempt: Attempt, arguments: Arguments) -> Any:
        """Do the work of an attempt, and return the manifest."""
        operator = copy.copy(_operator(self.incremental, arguments))
        operator.path = self.url
        operator.connect = lambda service: _Client(service, self.world, self.listing)
        which = attempt.which
        dag_run = SimpleNamespace(
            run_id=attempt.run,
            start_date=BEGAN + timedelta(microseconds=which.started),
            clear_number=which.clears,
        )
        ti = SimpleNamespace(
            id=f"{attempt.run}-{which.life}-{attempt.number}" if self.has_ids else None,
            dag_id="dag",
            task_id="land",
            map_index=-1,
            run_id=attempt.run,
            try_number=attempt.number,
            max_tries=which.most - 1,
            xcom_push=lambda *_, **__: None,
        )
        return operator.execute({"ti": ti, "dag_run": dag_run})
