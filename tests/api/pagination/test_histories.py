"""The model of a server, read by the client: what lasts comes once, or the list is not said to be whole."""

from __future__ import annotations

import json
import random
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_predictions.api.models import Prediction
from airflow_provider_predictions.api.pagination.base import Paginator
from airflow_provider_predictions.api.service import Service
from tests.api.lists import is_proven
from tests.api.services import CRADL, VLMRUN
from tests.server_model import NOW, Habits, ModelClient, Row, ServerModel

pytestmark = pytest.mark.usefixtures("quiet")

SIZES = (2, 3, 5, 7, 50)
FEW, MANY = range(60), range(60, 1000)
HISTORIES = pytest.mark.parametrize(
    "seeds", [pytest.param(FEW, id="few"), pytest.param(MANY, id="many", marks=pytest.mark.slow)]
)


class Reading:
    """One pass over a list of the model; after some pages it dies and resumes in another process."""

    def __init__(self, service: Service[Any], seed: int, habits: Habits) -> None:
        self.rng = random.Random(seed)
        self.service = service
        self.server = ServerModel(service.name, seed, habits)
        self.filters = {"page_size": self.rng.choice(SIZES)} | self._window()
        self.paginator = self._paginator()
        self.listed: list[str] = []
        self.read: list[str] = []
        with ModelClient(service, self.server) as client:
            while self._read(client):
                self._die()

    def _window(self) -> dict[str, Any]:
        first, last = sorted(NOW - timedelta(minutes=self.rng.randrange(240)) for _ in range(2))
        edges = {"created_after": first, "created_before": last}
        return {name: time for name, time in edges.items() if self.rng.random() < 0.2}

    def _paginator(self) -> Paginator:
        return self.service.paginator(self.service.filters(**self.filters))

    def _read(self, client: ModelClient) -> bool:
        """Whether it stopped before the end."""
        for page in client.pages(self.paginator):
            self.listed += [prediction.id for prediction in page.predictions]
            self.read += page.ids
            if self.rng.random() < 0.1:
                return True
        return False

    def _die(self) -> None:
        position = json.loads(json.dumps(self.paginator.state()))
        self.paginator = self._paginator()
        self.paginator.restore(position, lambda: iter(list(self.read)))

    @property
    def missing(self) -> set[str]:
        """What was there all the time, and did not come."""
        lasting = self.server.lasts() - set(self.listed)
        return {row.id for row in self.server.rows if row.id in lasting and self._is_wanted(row)}

    @property
    def twice(self) -> list[str]:
        return [id_ for id_, count in Counter(self.listed).items() if count > 1]

    def _is_wanted(self, row: Row) -> bool:
        prediction = Prediction(row.id, row.status, row.created, None, b"")
        return bool(self.paginator.filters.choose([prediction]))


@HISTORIES
@pytest.mark.parametrize(
    ("service", "habits"),
    [
        pytest.param(VLMRUN, Habits(), id="vlmrun in order"),
        pytest.param(VLMRUN, Habits(in_order=False), id="vlmrun in any order"),
        pytest.param(CRADL, Habits(), id="cradl in order"),
        pytest.param(CRADL, Habits(in_order=False), id="cradl in any order"),
        pytest.param(CRADL, Habits(offsets=True), id="cradl whose tokens are offsets"),
    ],
)
def test_what_lasts_comes_once_or_the_list_is_not_said_to_be_whole(
    service: Service[Any], habits: Habits, seeds: range
) -> None:
    for seed in seeds:
        reading = Reading(service, seed, habits)

        assert not reading.twice, f"seed {seed}"
        assert not (reading.missing and is_proven(reading.paginator)), f"seed {seed}"


@HISTORIES
@pytest.mark.parametrize("service", [VLMRUN, CRADL], ids=["vlmrun", "cradl"])
def test_of_a_list_in_order_hardly_anything_is_missed_also_where_that_is_not_proven(
    service: Service[Any], seeds: range
) -> None:
    """A server that gives a row at a time may hide one; else only tokens that are offsets lose rows."""
    readings = [Reading(service, seed, Habits()) for seed in seeds]

    assert sum(bool(reading.missing) for reading in readings) <= len(readings) / 50
    if service is VLMRUN:
        assert sum(is_proven(reading.paginator) for reading in readings) > len(readings) / 2


@HISTORIES
@pytest.mark.parametrize("in_order", [True, False], ids=["in order", "in any order"])
def test_a_list_whose_rows_move_is_not_said_to_be_whole_where_one_is_missing(
    in_order: bool, seeds: range
) -> None:
    habits = Habits(in_order=in_order, adds=False, inserts=False, removes=False, moves=("front", "trade"))
    readings = [Reading(VLMRUN, seed, habits) for seed in seeds]

    missing = [seed for seed, reading in zip(seeds, readings, strict=True) if reading.missing]
    assert not [seed for seed in missing if is_proven(readings[seed - seeds[0]].paginator)]
    assert len(missing) > len(readings) / 20
    assert sum(is_proven(reading.paginator) for reading in readings) > len(readings) / 10


@HISTORIES
@pytest.mark.parametrize("moves", [("front",), ("front", "trade")], ids=["to the front", "anywhere"])
def test_hardly_ever_is_a_row_that_moved_made_up_for_by_one_that_came_or_went(
    moves: tuple[str, ...], seeds: range
) -> None:
    """A row that moves while another one is removed leaves no trace."""
    readings = [Reading(VLMRUN, seed, Habits(moves=moves)) for seed in seeds]

    assert sum(bool(reading.missing) and is_proven(reading.paginator) for reading in readings) <= (
        len(readings) / 100
    )
