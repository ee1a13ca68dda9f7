"""Incremental landings: every prediction once, when it is finished, however the runs are started."""

from __future__ import annotations

import json
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_predictions.api.errors import ConfigurationError, ConflictError, PredictionsError
from airflow_provider_predictions.operators.vlmrun import VlmRunPredictionsToObjectStorageOperator
from airflow_provider_predictions.sandbox.data import Record
from airflow_provider_predictions.sandbox.server import Sandbox
from airflow_provider_predictions.sandbox.store import RecordStore
from tests.compat import let_threads_execute, logged
from tests.faults import Fault
from tests.given import DONE, LAND, STARTED, context_of
from tests.held import held

ENDLESS = 1e9
"""Seconds of work of a prediction that stays unfinished until a test says otherwise."""


class Runs:
    """Run after run of one incremental task."""

    def __init__(self, service: str, path: Path, **arguments: Any) -> None:
        self.service, self.path, self.arguments = service, path, arguments

    def __call__(self, context: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
        operator = LAND[self.service](
            task_id="land", path=f"file://{self.path}", incremental=True, **self.arguments | changes
        )
        return operator.execute(context or {})

    def landed(self) -> list[str]:
        """Ids in every part that a manifest names."""
        name = "id" if self.service == "vlmrun" else "predictionId"
        return [
            json.loads(line)[name]
            for manifest in sorted(self.path.glob("*/*/_manifest.json"))
            for part in json.loads(manifest.read_bytes())["parts"]
            for line in Path(part["uri"].removeprefix("file://")).read_bytes().splitlines()
        ]

    @property
    def state(self) -> dict[str, Any]:
        return json.loads(self.path.joinpath("_state.json").read_bytes())


@pytest.fixture
def runs(connections: Sandbox, service_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runs:
    let_threads_execute(monkeypatch)
    return Runs(service_name, tmp_path / "base", page_size=10)


def finish(record: Record) -> None:
    record.work = 0


def ids(rows: list[Record]) -> list[str]:
    return sorted(row.id for row in rows)


def test_only_what_is_finished_lands_and_only_once(runs: Runs, record_store: RecordStore) -> None:
    record_store.fill(30, days=3)
    late = record_store.add(work=ENDLESS)
    record_store.add()

    first, second = runs(), runs()

    assert (first["count"], second["count"]) == (31, 0)
    assert first["incremental"]["unfinished"] == 1
    assert late.id not in runs.landed()
    finish(late)
    assert runs()["count"] == 1
    assert sorted(runs.landed()) == ids(record_store.rows)


def test_a_prediction_that_finishes_after_weeks_still_lands(runs: Runs, record_store: RecordStore) -> None:
    late = record_store.add(created=datetime.now(UTC) - timedelta(days=20), work=ENDLESS)
    for days in range(19, 0, -1):
        record_store.add(created=datetime.now(UTC) - timedelta(days=days))
        runs()
    finish(late)

    runs()

    assert sorted(runs.landed()) == ids(record_store.rows)


def test_an_unfinished_prediction_that_one_run_does_not_see_still_lands(
    runs: Runs, record_store: RecordStore
) -> None:
    record_store.fill(30)
    late = record_store.add(created=datetime.now(UTC) - timedelta(hours=5), work=ENDLESS)
    record_store.rows.sort(key=lambda row: row.created, reverse=True)
    runs()
    rows = list(record_store.rows)
    record_store.rows.remove(late)
    record_store.add()
    added = record_store.rows[0]
    runs()
    finish(late)
    record_store.rows[:] = [added, *rows]

    assert runs()["count"] == 1
    assert sorted(runs.landed()) == ids(record_store.rows)


def test_an_unfinished_prediction_that_an_interrupted_run_saw_and_the_next_does_not_still_lands(
    runs: Runs, record_store: RecordStore, connections: Sandbox
) -> None:
    record_store.fill(30, days=30)
    late = record_store.add(created=datetime.now(UTC) - timedelta(hours=5), work=ENDLESS)
    connections.wire.order(Fault(runs.service, status=503, after=2, headers={"Retry-After": "7200"}))
    with pytest.raises(PredictionsError):
        runs(context_of("monday", 1))
    connections.wire.clear()
    runs(context_of("monday", 2))
    rows = list(record_store.rows)
    record_store.rows.remove(late)
    record_store.add()
    added = record_store.rows[0]
    runs(context_of("tuesday"))
    finish(late)
    record_store.rows[:] = [added, *rows]

    assert runs(context_of("wednesday"))["count"] == 1
    assert sorted(runs.landed()) == ids(record_store.rows)


@pytest.mark.parametrize(
    "seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 8))]
)
def test_every_prediction_lands_once_whatever_happens_between_the_runs(
    runs: Runs, record_store: RecordStore, seed: int
) -> None:
    rng = random.Random(seed)
    start = datetime.now(UTC) - timedelta(days=10)
    unfinished: list[Record] = []
    for hour in range(0, 240, 12):
        for _ in range(rng.randrange(6)):
            record = record_store.add(created=start + timedelta(hours=hour), work=rng.choice([0, ENDLESS]))
            if record.work:
                unfinished.append(record)
        rng.shuffle(unfinished)
        for _ in range(min(len(unfinished), rng.randrange(4))):
            finish(unfinished.pop())
        runs(records_per_part=rng.randrange(1, 9), prefetch=rng.randrange(3))
        assert sorted(runs.landed()) == ids([row for row in record_store.rows if not row.work])
    for record in unfinished:
        finish(record)

    runs()

    assert sorted(runs.landed()) == ids(record_store.rows)


def test_a_start_that_moves_with_the_runs_leaves_nothing_out(runs: Runs, record_store: RecordStore) -> None:
    """As ``created_after="{{ data_interval_start }}"`` moves it."""
    start = datetime.now(UTC) - timedelta(days=5)
    record_store.add(created=start - timedelta(days=1))
    assert runs(created_after=start)["count"] == 0
    late = record_store.add(created=start + timedelta(hours=1), work=ENDLESS)
    assert runs(created_after=start + timedelta(days=1))["incremental"]["unfinished"] == 1
    record_store.add(created=start + timedelta(days=2))
    runs(created_after=start + timedelta(days=2))
    finish(late)

    assert runs(created_after=start + timedelta(days=3))["count"] == 1
    assert sorted(runs.landed()) == ids(record_store.rows[:-1])


def test_rows_in_no_order_land_once(runs: Runs, record_store: RecordStore) -> None:
    record_store.fill(40, days=5)
    random.Random(3).shuffle(record_store.rows)
    runs()
    record_store.rows.insert(20, record_store.add())
    del record_store.rows[0]

    assert runs()["count"] == 1
    assert sorted(runs.landed()) == ids(record_store.rows)


def test_a_run_reads_only_what_is_newer_than_the_watermark(runs: Runs, record_store: RecordStore) -> None:
    record_store.fill(500, days=50)
    runs()
    record_store.add()

    assert runs()["requests"] == 1
    assert len(runs.state["landed"]) <= 2


def test_a_retry_of_a_run_that_has_committed_returns_its_manifest(
    runs: Runs, record_store: RecordStore
) -> None:
    record_store.fill(3)
    manifest = runs(context_of("monday", 1))
    record_store.add()

    assert runs(context_of("monday", 2)) == manifest
    assert runs(context_of("tuesday", 1))["count"] == 1


def test_a_run_that_was_deleted_and_made_anew_lands_what_is_new(
    runs: Runs, record_store: RecordStore
) -> None:
    record_store.fill(3)
    runs(context_of("monday", 1))
    record_store.add()
    anew = STARTED + timedelta(days=1)

    assert runs(context_of("monday", 2, started=anew))["count"] == 1
    record_store.add()
    assert runs(context_of("monday", 1, started=anew + timedelta(days=1)))["count"] == 1
    assert sorted(runs.landed()) == ids(record_store.rows)


def test_a_retry_of_a_run_that_was_made_anew_with_more_retries_lands_what_is_new(
    runs: Runs, record_store: RecordStore
) -> None:
    record_store.fill(3)
    runs(context_of("monday", 1, tries=0))
    record_store.add()

    assert runs(context_of("monday", 2, tries=2, started=STARTED + timedelta(days=1)))["count"] == 1


def test_a_manual_run_that_was_made_anew_and_cleared_lands_what_is_new(
    runs: Runs, record_store: RecordStore
) -> None:
    record_store.fill(3)
    runs(context_of("monday", 1, tries=0, due=STARTED))
    record_store.add()
    later = STARTED + timedelta(days=1)

    assert runs(context_of("monday", 2, tries=1, started=later, cleared=1, due=later))["count"] == 1


@pytest.mark.parametrize("tries", [1, 2, 3])
@pytest.mark.parametrize("started", [STARTED, STARTED + timedelta(days=1)], ids=["running", "finished"])
def test_a_task_that_is_cleared_returns_the_manifest_of_its_run(
    runs: Runs, record_store: RecordStore, started: datetime, tries: int
) -> None:
    record_store.fill(3)
    manifest = runs(context_of("monday", 1, tries=2))
    record_store.add()

    assert runs(context_of("monday", 2, tries=tries, started=started, cleared=1)) == manifest


CHANGES: dict[str, tuple[Any, Any]] = {
    "statuses": (["failed"], None),
    "max_age": (timedelta(hours=1), None),
    "compression": ("gzip", None),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_retry_with_other_arguments_does_not_resume(
    runs: Runs, record_store: RecordStore, connections: Sandbox, name: str
) -> None:
    record_store.fill(200, days=20)
    for row in record_store.rows[::2]:
        row.outcome = "failed"
    before, after = CHANGES[name]
    arguments = {"page_size": 20, "records_per_part": 30}
    connections.wire.order(Fault(runs.service, status=503, after=5, headers={"Retry-After": "7200"}))
    with pytest.raises(PredictionsError):
        runs(context_of("monday", 1), **arguments, **{name: before})
    connections.wire.clear()

    runs(context_of("monday", 2), **arguments, **{name: after})

    assert sorted(runs.landed()) == ids(record_store.rows)


def test_a_row_that_is_no_record_is_told_of_once_though_its_run_was_interrupted(
    runs: Runs, record_store: RecordStore, connections: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    record_store.fill(100)
    odd, show = record_store.rows[2].id, record_store.kind.show
    monkeypatch.setattr(
        record_store,
        "kind",
        replace(record_store.kind, show=lambda row, *how: b"5" if row.id == odd else show(row, *how)),
    )
    connections.wire.order(Fault(runs.service, status=503, after=3, headers={"Retry-After": "7200"}))
    with pytest.raises(PredictionsError):
        runs(context_of("monday", 1), page_size=20)
    connections.wire.clear()
    with pytest.raises(AirflowFailException, match="max_rejected: found 1 row "):
        runs(context_of("monday", 2), page_size=20)

    assert runs(context_of("tuesday"), page_size=20)["rejected"] == 0


@pytest.mark.parametrize("odd", [r"\ud800", r"a\u0000b"])
def test_a_manifest_goes_into_xcom_whatever_the_service_calls_things(
    runs: Runs, record_store: RecordStore, monkeypatch: pytest.MonkeyPatch, odd: str
) -> None:
    record_store.add(created=datetime.now(UTC) - timedelta(days=9), work=ENDLESS).id = "the-odd-id"
    record_store.add()
    show = record_store.kind.show
    monkeypatch.setattr(
        record_store,
        "kind",
        replace(record_store.kind, show=lambda *row: show(*row).replace(b"the-odd-id", odd.encode())),
    )

    manifest = runs(max_age=timedelta(days=7))

    assert manifest["incremental"]["given_up"] == 1
    assert odd not in json.dumps(manifest)
    assert runs(max_age=timedelta(days=7))["count"] == 0


def test_only_given_statuses_land_and_the_others_are_not_waited_for(
    runs: Runs, record_store: RecordStore
) -> None:
    record_store.fill(5)
    record_store.rows[1].outcome = "failed"
    wanted = DONE[runs.service]
    for row in record_store.rows[2:]:
        row.outcome = wanted
    record_store.rows[0].outcome = wanted

    manifest = runs(statuses=[wanted])

    assert manifest["statuses"] == {wanted: 4}
    assert manifest["incremental"]["unfinished"] == 0


@pytest.mark.parametrize("status", ["canceled", "Completed", "Succeeded"])
@pytest.mark.parametrize("asks", [False, True])
def test_a_status_that_is_not_documented_is_waited_for_and_named(
    runs: Runs, record_store: RecordStore, service_name: str, status: str, asks: bool, capsys, caplog
) -> None:
    """The case of letters counts, too."""
    record_store.fill(3, days=1)
    record_store.rows[1].outcome = status
    for row in (record_store.rows[0], record_store.rows[2]):
        row.outcome = DONE[service_name]

    manifest = runs(**{"statuses": [DONE[service_name], status]} if asks else {})

    assert (manifest["count"], manifest["incremental"]["unfinished"]) == (2, 1)
    said = logged(capsys, caplog)
    assert f"does not document '{status}'. Predictions with such a status count as unfinished" in said
    caplog.clear()
    record_store.rows[1].outcome = "failed"
    runs(**{"statuses": [DONE[service_name], status]} if asks else {})
    assert "does not document" not in logged(capsys, caplog)


def test_max_age_gives_up_and_says_so(runs: Runs, record_store: RecordStore) -> None:
    stuck = record_store.add(created=datetime.now(UTC) - timedelta(days=9), work=ENDLESS)
    record_store.add(created=datetime.now(UTC) - timedelta(days=1), work=ENDLESS)
    record_store.add()

    manifest = runs(max_age=timedelta(days=7))

    assert manifest["incremental"]["given_up_ids"] == [stuck.id]
    assert manifest["incremental"]["given_up"] == manifest["incremental"]["unfinished"] == 1
    assert runs(max_age=timedelta(days=7).total_seconds())["incremental"]["given_up"] == 0


def test_of_two_runs_at_once_the_later_one_fails_and_nothing_is_lost(
    runs: Runs, record_store: RecordStore, connections: Sandbox
) -> None:
    record_store.fill(25)
    with ThreadPoolExecutor() as pool, held(connections, 1) as request:
        first = pool.submit(runs)
        request.came()
        runs()
        record_store.add()
    error = first.exception()

    assert isinstance(error, ConflictError)
    assert "another run landed" in str(error)
    assert error.retryable
    assert len(list(runs.path.glob("0*/*"))) == 1
    assert runs()["count"] == 1
    assert sorted(runs.landed()) == ids(record_store.rows)


def test_many_runs_at_once_land_each_prediction_once(runs: Runs, record_store: RecordStore) -> None:
    record_store.fill(25)
    outcomes: list[str] = []

    def run() -> None:
        try:
            outcomes.append(f"landed {runs()['count']}")
        except PredictionsError as error:
            outcomes.append("may be retried" if error.retryable else str(error))

    threads = [threading.Thread(target=run) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(outcomes) == 6
    assert outcomes.count("landed 25") == 1
    assert {*outcomes} <= {"landed 25", "landed 0", "may be retried"}
    assert sorted(runs.landed()) == ids(record_store.rows)


def test_a_row_that_is_no_record_fails_one_run_and_no_other(
    runs: Runs, record_store: RecordStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stays in the list for good."""
    record_store.fill(5)
    odd, show = record_store.rows[2].id, record_store.kind.show
    monkeypatch.setattr(
        record_store,
        "kind",
        replace(record_store.kind, show=lambda row, *how: b"5" if row.id == odd else show(row, *how)),
    )

    with pytest.raises(
        AirflowFailException, match=r"max_rejected: found 1 row without a JSON object .*_rejected"
    ):
        runs(context_of("monday"))
    again = runs(context_of("tuesday"))
    record_store.add()
    later = runs(context_of("wednesday"))

    assert [(run["count"], run["rejected"]) for run in (again, later)] == [(0, 0), (1, 0)]
    assert sorted(runs.landed()) == ids([row for row in record_store.rows if row.id != odd])
    (kept,) = runs.path.glob("*/*/_rejected")
    assert kept.read_bytes() == b"5\n"


def test_an_id_forges_no_line_of_the_log(
    runs: Runs,
    record_store: RecordStore,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    stuck = record_store.add(created=datetime.now(UTC) - timedelta(days=9), work=ENDLESS)
    stuck.id = "a\nERROR all is lost"

    runs(max_age=timedelta(days=7))

    logged = caplog.text + "".join(capsys.readouterr())
    assert "all is lost" in logged
    assert "\nERROR all is lost" not in logged


def test_a_run_looks_back_as_far_as_it_is_told(runs: Runs, record_store: RecordStore) -> None:
    record_store.fill(3)
    runs(lookback=timedelta(hours=5))
    record_store.rows.append(record_store.add(created=datetime.now(UTC) - timedelta(hours=4)))
    del record_store.rows[0]

    assert runs(lookback=5 * 3600)["count"] == 1
    assert sorted(runs.landed()) == ids(record_store.rows)


def test_a_path_takes_one_kind_of_predictions(runs: Runs, record_store: RecordStore) -> None:
    record_store.fill(2)
    runs()

    with pytest.raises(AirflowFailException, match=r"path: .*statuses.*another path"):
        runs(statuses=["failed"])


def test_a_state_that_cannot_be_read_is_not_overwritten(runs: Runs, record_store: RecordStore) -> None:
    record_store.fill(2)
    runs.path.mkdir()
    runs.path.joinpath("_state.json").write_text("{}}")

    with pytest.raises(AirflowFailException, match=r"_state\.json"):
        runs()

    assert runs.path.joinpath("_state.json").read_text() == "{}}"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"created_before": "2026-01-01"}, "created_before: .*incremental"),
        ({"max_predictions": 5}, "max_predictions: .*incremental"),
        ({"max_age": 0}, "max_age: "),
        ({"max_age": timedelta(days=-1)}, "max_age: "),
        ({"max_age": 60, "incremental": False}, "max_age: .*incremental"),
        ({"lookback": -1}, "lookback: "),
        ({"lookback": timedelta(seconds=-1)}, "lookback: "),
        ({"lookback": "1h"}, "lookback: "),
        ({"lookback": None}, "lookback: "),
        ({"lookback": True}, "lookback: "),
        ({"lookback": float("inf")}, "lookback: "),
        ({"prefetch": 33}, "prefetch: "),
        ({"max_rejected": -1}, "max_rejected: "),
    ],
)
def test_arguments_that_do_not_go_together_are_refused_by_name(arguments, words) -> None:
    with pytest.raises(ConfigurationError, match=words):
        VlmRunPredictionsToObjectStorageOperator(
            task_id="land", path="file:///tmp/x", **{"incremental": True} | arguments
        )
