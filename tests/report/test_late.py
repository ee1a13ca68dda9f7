"""Late arrivals do not depend on which predictions landed together."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from airflow_provider_predictions.report.window import make_window
from tests.report.landed import land, report, table

END, DAY = datetime(2026, 11, 29, tzinfo=UTC), timedelta(days=1)
START = END - DAY
WINDOW = make_window("day", "UTC", END)


def prediction(service: str, created: datetime, finished: datetime) -> bytes:
    names = {
        "vlmrun": ("id", "created_at", "completed_at", "completed"),
        "cradl": ("predictionId", "createdTime", "updatedTime", "succeeded"),
    }
    id_, first, last, done = names[service]
    record = {id_: f"{created}", first: created.isoformat(), last: finished.isoformat(), "status": done}
    return json.dumps(record).encode()


@pytest.mark.parametrize("seed", range(3))
def test_late_arrivals_of_the_periods_before_are_counted_however_they_landed(
    seed: int, service_name: str, tmp_path: Path
) -> None:
    rng = random.Random(seed)
    world = [(START + DAY * (rng.random() - rng.randrange(12)), rng.random() < 0.7) for _ in range(40)]
    late = sum(is_late and START - 7 * DAY <= created < START for created, is_late in world)
    records = [
        prediction(service_name, created, START + DAY * rng.random() if is_late else created)
        for created, is_late in world
    ]
    cuts = [0, *sorted(rng.sample(range(40), 5)), 40]
    for first, last in pairwise(cuts):
        land(service_name, tmp_path / "landed", records[first:last], incremental=True, at=END)
    for place, record in enumerate(records):
        land(service_name, tmp_path / "alone", [record], incremental=True, at=END + timedelta(seconds=place))

    for path in ("landed", "alone"):
        summary = report(str(tmp_path / path), WINDOW, tmp_path / f"files of {path}")

        assert summary["late"] == late > 5
        assert sum(int(row[-1]) for row in table(tmp_path / f"files of {path}", "late")) == late
        assert summary["count"] + sum(summary["left_out"].values()) + sum(
            START - 7 * DAY <= created < START for created, _ in world
        ) == len(world)
