"""The files of the example DAGs, as Airflow reads them; ``test_example_dags`` runs them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from airflow.providers.common.compat.sdk import Asset

from tests.compat import AIRFLOW, DagBag

ROOT = Path(__file__).parent.parent
EXAMPLES = [*ROOT.glob("example_dags/*.py"), *ROOT.glob("scripts/dags/*.py")]


class Events(Mapping):
    """Events by their asset, as Airflow hands them to a task: no asset has a hash in Airflow 3.0."""

    def __init__(self, by_uri: dict[str, list[SimpleNamespace]]) -> None:
        self._by_uri = by_uri

    def __getitem__(self, asset: Asset) -> list[SimpleNamespace]:
        return self._by_uri[asset.uri]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_uri)

    def __len__(self) -> int:
        return len(self._by_uri)


@pytest.fixture(scope="module")
def landings_of_two_weeks() -> Callable[..., list[str]]:
    """The task that decides whether the weekly report is written, and of what."""
    bag = DagBag(str(ROOT / "example_dags" / "example_report.py"))
    decide: Callable[..., list[str]] = bag.dags["example_report_weekly"].get_task("landings").python_callable
    return decide


@pytest.mark.parametrize(
    ("days", "started_by", "is_whole"),
    [
        (range(1, 9), 1, False),
        (range(1, 10), 1, True),
        (range(1, 11), 1, False),
        (range(1, 11), 3, True),
        ((1, 2, 3, 12), 1, True),
        ((9,), 1, True),
        (range(1, 20), 0, True),
    ],
    ids=["Sunday", "Monday", "Tuesday", "three at once", "a gap", "the first one", "by hand"],
)
def test_one_landing_a_week_starts_its_report(
    landings_of_two_weeks: Callable[..., list[str]], days: Iterable[int], started_by: int, is_whole: bool
) -> None:
    """The 9th of November 2026 is a Monday."""
    events = [
        SimpleNamespace(timestamp=datetime(2026, 11, day, 5, tzinfo=UTC), extra={"path": str(day)})
        for day in days
    ]
    asset = landings_of_two_weeks.__globals__["LANDED"]["vlmrun"]
    triggering = Events({asset.uri: events[-started_by:]} if started_by else {})

    found = landings_of_two_weeks(
        triggering_asset_events=triggering, inlet_events=Events({asset.uri: events})
    )

    assert found == ([event.extra["path"] for event in events][-15:] if is_whole else [])


FROM = {"example_events": (3, 0), "example_partitions": (3, 3), "backfill": (3, 3)}
"""Examples of asset watchers, of asset partitions, and of ``make cluster-demo`` need a later Airflow."""
PARSE = """
import socket, sys
from tests.compat import DagBag

def refuse(*args): raise OSError("no network while parsing")

socket.socket.connect = refuse
for path in sys.argv[1:]:
    bag = DagBag(path)
    assert not bag.import_errors, bag.import_errors
    assert [dag for dag in bag.dags.values() if not dag.catchup], path
"""


def test_examples_parse_without_a_connection_or_a_network() -> None:
    """Sockets are refused in a process of its own; Airflow gives up on no file that a busy machine reads."""
    examples = [path for path in EXAMPLES if FROM.get(path.stem, (2, 11)) <= AIRFLOW]
    environment = {name: value for name, value in os.environ.items() if "CONN" not in name}
    environment["AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT"] = "0"

    subprocess.run([sys.executable, "-c", PARSE, *examples], env=environment, check=True, cwd=ROOT)
