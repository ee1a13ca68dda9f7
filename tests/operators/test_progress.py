"""How far long work is."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from airflow_provider_predictions.api.filters import Filters
from airflow_provider_predictions.api.models import Prediction
from airflow_provider_predictions.api.page import Page
from airflow_provider_predictions.operators.progress import ProgressLog
from airflow_provider_predictions.operators.vlmrun import VlmRunPredictionsToObjectStorageOperator
from tests.compat import NoStatsLogger, logged, stats_go_to


class Recorder(NoStatsLogger):
    """A backend of Airflow's metrics."""

    def __init__(self) -> None:
        self.gauges: dict[str, float] = {}

    def gauge(self, stat: str, value: float, *_: object, **__: object) -> None:
        self.gauges[stat] = value


@pytest.fixture
def metrics() -> Iterator[Recorder]:
    recorder = Recorder()
    with stats_go_to(recorder):
        yield recorder


def page(*hours: float) -> Page:
    now = datetime.now(UTC)
    return Page(
        tuple(Prediction(str(hour), "completed", now - timedelta(hours=hour), None, b"{}") for hour in hours)
    )


def test_a_line_is_written_at_most_every_ten_seconds(metrics: Recorder, simulated_time) -> None:
    lines: list[str] = []
    progress = ProgressLog(lines.append, "vlmrun", Filters())

    for _ in range(36):
        progress.page(page(1, 2))
        time.sleep(1)

    assert len(lines) == 3
    assert lines[0].startswith("22 records in 11 pages, 2 records/s")


def test_a_line_on_the_way_says_how_much_of_the_window_is_read(metrics: Recorder, simulated_time) -> None:
    lines: list[str] = []
    window = Filters(created_after=datetime.now(UTC) - timedelta(hours=40))
    progress = ProgressLog(lines.append, "vlmrun", window)
    time.sleep(11)

    progress.page(page(0, 10))

    assert re.search(r"oldest record seen is 10 h old, of a window of 1 d 16 h: about 25% read", lines[0])


def test_the_last_line_names_no_share_of_a_window_that_is_read_to_its_end(
    connections, tmp_path, capsys, caplog
) -> None:
    """The records of a window need not reach from its one end to the other."""
    caplog.set_level("INFO")
    connections.vlmrun.fill(30, days=1)
    after = datetime.now(UTC) - timedelta(days=10)

    VlmRunPredictionsToObjectStorageOperator(task_id="land", path=str(tmp_path), created_after=after).execute(
        {}
    )

    (line,) = re.findall(r"30 records in .*", logged(capsys, caplog))
    assert "the oldest record seen is" in line
    assert "%" not in line


def test_the_last_line_comes_once(metrics: Recorder, simulated_time) -> None:
    lines: list[str] = []
    progress = ProgressLog(lines.append, "vlmrun", Filters())
    progress.page(page(1))
    time.sleep(11)
    progress.page(page(2))

    progress.finish()

    assert len(lines) == 1
    assert lines[0].startswith("2 records in 2 pages")


def test_an_empty_list_has_a_line_too(metrics: Recorder) -> None:
    lines: list[str] = []

    ProgressLog(lines.append, "vlmrun", Filters()).finish()

    assert lines == ["0 records in 0 pages, 0 records/s"]


def test_one_is_no_plural_and_nothing_is_left_out(metrics: Recorder, subtests) -> None:
    for hours, words in ((720, "30 d old"), (726, "30 d 6 h old"), (2.5, "2 h 30 min old"),
                         (0.5, "30 min old"), (0, "0 min old")):  # fmt: skip
        with subtests.test(hours=hours):
            lines: list[str] = []
            progress = ProgressLog(lines.append, "vlmrun", Filters())
            progress.page(page(hours))
            progress.finish()

            assert lines[0].startswith("1 record in 1 page, ")
            assert lines[0].endswith(f"the oldest record seen is {words}")


def test_the_same_numbers_are_metrics_under_one_prefix(metrics: Recorder, connections, tmp_path) -> None:
    connections.vlmrun.fill(30, days=1)

    VlmRunPredictionsToObjectStorageOperator(task_id="land", path=str(tmp_path), page_size=10).execute({})

    assert metrics.gauges["predictions.landing.records"] == 30
    assert metrics.gauges["predictions.landing.pages"] == 5  # the end is asked for twice
    assert metrics.gauges["predictions.landing.records_per_second"] > 0
    assert 23 * 3600 < metrics.gauges["predictions.landing.oldest_age_seconds"] < 25 * 3600
    own = [name for name in metrics.gauges if "prediction" in name]
    assert all(name.startswith("predictions.landing.") for name in own)
