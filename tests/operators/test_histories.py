"""Landings of what the model of a server lists: what lasts lands once, or the manifest does not say so."""

from __future__ import annotations

import json
import random
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_predictions.api.errors import ServerError
from tests.api.pagination.test_histories import SIZES
from tests.given import LAND, context_of
from tests.modelled import modelled
from tests.server_model import Habits, ServerModel

pytestmark = pytest.mark.usefixtures("quiet")

HISTORIES = pytest.mark.parametrize(
    "seeds",
    [pytest.param(range(10), id="few"), pytest.param(range(10, 70), id="many", marks=pytest.mark.slow)],
)
NAMES = {"vlmrun": "id", "cradl": "predictionId"}
RUNS = 5


@pytest.fixture
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("CRITICAL")


def landed(manifest: dict[str, Any], service: str) -> list[str]:
    return [
        json.loads(line)[NAMES[service]]
        for part in manifest["parts"]
        for line in Path(part["uri"].removeprefix("file://")).read_bytes().splitlines()
    ]


def twice(ids: list[str]) -> list[str]:
    return [id_ for id_, count in Counter(ids).items() if count > 1]


@HISTORIES
@pytest.mark.parametrize("in_order", [True, False], ids=["in order", "in any order"])
def test_what_lasts_lands_once_or_the_manifest_does_not_say_so(
    service_name: str, in_order: bool, seeds: range, tmp_path: Path
) -> None:
    """The service fails in the middle, and a second attempt resumes."""
    for seed in seeds:
        rng = random.Random(seed)
        server = ServerModel(service_name, seed, Habits(in_order=in_order, offsets=seed % 4 == 0))
        first = rng.randrange(1, 12)
        server.failures = [*range(first, first + 5)]
        operator = modelled(LAND[service_name], server)(
            task_id="land",
            path=f"file://{tmp_path}/{in_order}-{seed}",
            page_size=rng.choice(SIZES),
            records_per_part=4,
            prefetch=0,
        )
        try:
            manifest = operator.execute(context_of(attempt=1))
        except ServerError:
            manifest = operator.execute(context_of(attempt=2))

        ids = landed(manifest, service_name)
        assert not twice(ids), f"seed {seed}"
        assert manifest["consistent"] is not True or server.lasts() <= set(ids), f"seed {seed}"
        assert (manifest["consistent"] is True) == (manifest["inconsistency"] is None)


@HISTORIES
@pytest.mark.parametrize("incremental", [False, True])
def test_a_record_that_does_not_land_is_counted_once_although_a_retry_reads_it_again(
    service_name: str, incremental: bool, seeds: range, tmp_path: Path
) -> None:
    """The list moves before the retry, or its page token expires."""
    for seed in seeds:
        server = ServerModel(service_name, seed, Habits(inserts=False, cuts=False, lags=False), changes=6)
        server.failures = [*range(3, 8)]
        arguments = {"incremental": True} if incremental else {"statuses": ["failed"]}
        operator = modelled(LAND[service_name], server)(
            task_id="land", path=f"file://{tmp_path}/{seed}", page_size=5, prefetch=0, **arguments
        )
        try:
            manifest = operator.execute(context_of(attempt=1))
        except ServerError:
            manifest = operator.execute(context_of(attempt=2))

        assert manifest["looked_at"] <= server.made, f"seed {seed}"
        if incremental:
            counted = manifest["count"] + manifest["incremental"]["unfinished"]
            assert counted == manifest["looked_at"], f"seed {seed}"


@HISTORIES
def test_run_after_run_lands_all_that_finishes_once(service_name: str, seeds: range, tmp_path: Path) -> None:
    """Of a list in order, which grows in front, and shrinks anywhere."""
    habits = Habits(inserts=False, least=2)
    for seed in seeds:
        server = ServerModel(service_name, seed, habits, changes=40, now=lambda: datetime.now(UTC))
        runs: list[dict[str, Any]] = []
        for number in range(RUNS):
            if number == RUNS - 1:
                server.changes = 0
                server.finish()
            server.began()
            operator = modelled(LAND[service_name], server)(
                task_id="land", path=f"file://{tmp_path}/{seed}", page_size=5, incremental=True, prefetch=0
            )
            runs.append(operator.execute(context_of(run=f"run {number}")))

        ids = [id_ for manifest in runs for id_ in landed(manifest, service_name)]
        assert not twice(ids), f"seed {seed}"
        assert {row.id for row in server.rows} <= set(ids), f"seed {seed}"
