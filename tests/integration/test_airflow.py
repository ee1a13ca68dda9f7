"""A whole Airflow on loopback, a process for each component."""

from __future__ import annotations

import html
import json
import logging
import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from stack import Airflow, body_of

from airflow_provider_predictions.get_provider_info import get_provider_info
from tests.compat import AIRFLOW, needs
from tests.faults import Fault, FaultySandbox, rate_limit

log = logging.getLogger(__name__)
pytestmark = pytest.mark.airflow

ROOT = Path(__file__).parents[2]
WATCHED = 40
"""Seconds for which the requests of a crowd are counted."""


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airflow]:
    home = tmp_path_factory.mktemp("airflow")
    home.joinpath("dags").mkdir()
    for dag in [*ROOT.joinpath("example_dags").glob("*.py"), *Path(__file__).parent.glob("dags/*.py")]:
        # The runs that their schedule starts land under the temporary directory too.
        code = dag.read_text().replace("file:///tmp/predictions", f"file://{home}/scheduled")
        home.joinpath("dags", dag.name).write_text(code)
    shutil.copytree(Path(__file__).parent / "plugins", home / "plugins")
    with Airflow(home, {"AIRFLOW__LOGGING__LOGGING_LEVEL": "DEBUG"}) as running:
        yield running


@pytest.fixture(scope="module")
def server() -> Iterator[FaultySandbox]:
    with FaultySandbox(count=60) as sandbox:
        yield sandbox


@pytest.fixture(scope="module", autouse=True)
def stored(airflow: Airflow, server: FaultySandbox) -> None:
    """Both connections, stored as the form stores them."""
    airflow.connect(server)


@pytest.mark.parametrize("service", ["vlmrun", "cradl"])
def test_the_test_button_tells_right_credentials_from_wrong(airflow, server, service: str) -> None:
    right = airflow.post("/connections/test", body_of(server, service, port=None))
    wrong = airflow.post("/connections/test", body_of(server, service, password="wrong-one"))

    assert right["status"], right
    assert "accepts the credentials" in right["message"]
    assert not wrong["status"]
    assert "(password)" in wrong["message"]
    assert "wrong-one" not in wrong["message"]


@pytest.mark.parametrize("service", ["vlmrun", "cradl"])
def test_the_form_of_each_connection_type_is_served(airflow, service: str) -> None:
    needs(3, 2, "declared connection fields")
    answer = httpx.get(f"{airflow.url}/ui/connections/hook_meta", timeout=60)
    (meta,) = [meta for meta in answer.json() if meta["connection_type"] == service]

    assert meta["hook_name"] == {"vlmrun": "VLM Run", "cradl": "Cradl"}[service]
    assert meta["standard_fields"]["host"]["title"] == "Base URL"
    assert meta["extra_fields"]["timeout"]["description"].startswith("Seconds")
    assert "***" not in str(meta)


@pytest.mark.parametrize("service", ["vlmrun", "cradl"])
@pytest.mark.skipif(AIRFLOW >= (3, 0), reason="the web UI of Airflow 2")
def test_the_classic_form_has_each_field_with_its_label_and_help(airflow, service: str) -> None:
    (form,) = [form for form in get_provider_info()["connection-types"] if form["connection-type"] == service]

    page = html.unescape(httpx.get(f"{airflow.url}/connection/add", timeout=60).text)

    assert f'<option value="{service}">{form["hook-name"]}</option>' in page
    for name, field in form["conn-fields"].items():
        assert f'name="extra__{service}__{name}"' in page
        assert field["label"] in page
        assert field["description"] in page
    for label in form["ui-field-behaviour"]["relabeling"].values():
        assert f'"{label}"' in page
    for placeholder in form["ui-field-behaviour"]["placeholders"].values():
        assert f'"{placeholder}"' in page


@pytest.mark.parametrize("service", ["vlmrun", "cradl"])
def test_a_deferred_sensor_finishes_and_the_landing_task_runs(
    airflow: Airflow, server: FaultySandbox, service: str, tmp_path: Path
) -> None:
    record_store = getattr(server, service)
    rows = [record_store.add(work=1e6) for _ in range(3)]

    run = airflow.start(f"example_{service}", path=f"file://{tmp_path}/landed")
    # Airflow 2.11 runs one task at a time on SQLite, each in a process that starts anew.
    airflow.reaches(run, "wait", "deferred", 240)
    for row in rows:
        row.work = 0
    if service == "cradl":
        airflow.kill("triggerer")  # another one takes the wait over
        airflow.begin("triggerer")
    ended = airflow.until("ended", lambda: airflow.finished(run), 600)

    assert ended == "success", airflow.logs()[-5000:]
    waited = airflow.xcom(run, "wait")
    manifest = airflow.xcom(run, "land")
    assert waited["count"] == len(record_store.rows)
    assert set(waited["statuses"]) <= {"completed", "succeeded", "failed"}
    assert manifest["count"] == len(record_store.rows)
    path = Path(manifest["path"].removeprefix("file://"))
    assert json.loads((path / "_manifest.json").read_bytes()) == manifest
    log = airflow.logs()
    title = {"vlmrun": "VLM Run", "cradl": "Cradl"}[service]
    assert f"{title}: 3 of 63 predictions are unfinished" in log
    assert f"{title}: 0 of 63 predictions are unfinished" in log


def test_a_rescheduled_sensor_gives_its_worker_back_and_finishes(airflow, server) -> None:
    row = server.vlmrun.add(work=1e6)
    row.outcome = "completed"

    run = airflow.start("rescheduled")
    airflow.reaches(run, "wait", "up_for_reschedule", 240)
    row.work = 0

    assert airflow.until("ended", lambda: airflow.finished(run), 300) == "success"
    assert airflow.xcom(run, "wait")["count"] == len(server.vlmrun.rows)


def test_the_service_says_when_a_task_is_tried_again_and_a_wrong_key_is_not(airflow, server) -> None:
    needs(3, 3, "retries that wait for `Retry-After`")
    airflow.post("/connections", body_of(server, "vlmrun", password="wrong") | {"connection_id": "wrong"})
    with FaultySandbox(count=3) as limited:  # which nothing else asks, so that the task meets the limit
        airflow.post("/connections", body_of(limited, "vlmrun") | {"connection_id": "limited"})
        limited.wire.order(rate_limit("vlmrun", retry_after="5"))

        run = airflow.start("retried")

        assert airflow.until("ended", lambda: airflow.finished(run), 150) == "failed"
    tasks = {ti["task_id"]: ti for ti in airflow.get(f"{run}/taskInstances")["task_instances"]}
    assert (tasks["with_a_hook"]["state"], tasks["with_a_hook"]["try_number"]) == ("success", 2)
    assert (tasks["refused"]["state"], tasks["refused"]["try_number"]) == ("failed", 1)


def test_a_landing_starts_what_is_scheduled_by_its_asset(airflow, server, tmp_path: Path) -> None:
    needs(3, 0, "`triggering_asset_events` in templates")
    run = airflow.start("example_assets", path=f"file://{tmp_path}")
    airflow.patch("/dags/example_assets_downstream", {"is_paused": False})
    assert airflow.until("landed", lambda: airflow.finished(run), 120) == "success"

    manifest = airflow.xcom(run, "land")

    # Its schedule has started a run, too; the events of both may start one, or one each.
    read = airflow.until("read", lambda: manifest["path"] in read_of(airflow) and read_of(airflow), 120)
    assert read[manifest["path"]] == manifest["count"]
    events = [event["extra"] for event in airflow.get("/assets/events")["asset_events"]]
    (facts,) = [facts for facts in events if facts.get("path") == manifest["path"]]
    assert facts["statuses"] == manifest["statuses"]


def test_each_day_that_lands_is_a_partition_with_a_run_of_its_own(airflow, server, tmp_path: Path) -> None:
    needs(3, 3, "asset partitions with `partition_keys`")
    days = sorted({f"{row.created:%Y-%m-%d}" for row in server.vlmrun.rows})[:2]
    airflow.patch("/dags/example_partitions_downstream", {"is_paused": False})

    run = airflow.start("example_partitions", path=f"file://{tmp_path}", days=days)
    assert airflow.until("landed", lambda: airflow.finished(run), 120) == "success"

    name = "example_partitions_downstream"
    airflow.until("a run each", lambda: len(runs_of(airflow, name)) == len(days), 90)
    assert sorted(run["partition_key"] for run in runs_of(airflow, name)) == days
    assert {path.parent.name for path in tmp_path.rglob("_manifest.json")} == set(days)


def read_of(airflow: Airflow) -> dict[str, int]:
    """What the runs that assets have started say that they have read."""
    dag_id = "example_assets_downstream"
    runs = [f"/dags/{dag_id}/dagRuns/{run['dag_run_id']}" for run in runs_of(airflow, dag_id)]
    done = [airflow.xcom(run, "read") for run in runs if airflow.finished(run) == "success"]
    return {read["path"]: read["count"] for found in done for read in found}


def runs_of(airflow: Airflow, dag_id: str) -> list[dict[str, Any]]:
    runs: list[dict[str, Any]] = airflow.get(f"/dags/{dag_id}/dagRuns")["dag_runs"]
    return runs


def test_a_crowd_of_deferred_sensors_asks_as_one(airflow, server, tmp_path: Path) -> None:
    """``WAITS=500 pytest -m airflow -k crowd --log-cli-level WARNING`` takes half an hour."""
    needs(3, 0, "an executor of many tasks on SQLite, for a crowd of sensors")
    waits = int(os.environ.get("WAITS", "16"))
    rows = [server.vlmrun.add(work=1e6) for _ in range(waits)]
    for row in rows:
        row.outcome = "completed"
    folder = tmp_path / "lag"
    folder.mkdir()

    run = airflow.start("crowd", folder=str(folder), ids=",".join(row.id for row in rows))
    airflow.until("all deferred", lambda: counted(airflow, run, "deferred") == waits + 1, 60 + 3 * waits)
    time.sleep(15)
    folder.joinpath("measure").touch()
    server.wire.seen.clear()
    time.sleep(WATCHED)
    asked = server.wire.requests("vlmrun")
    folder.joinpath("stop").touch()
    for row in rows:
        row.work = 0
    ended = airflow.until("ended", lambda: airflow.finished(run), 60 + 3 * waits)

    found = airflow.xcom(run, "lag")
    log.warning("%d deferred sensors, %d s: %d requests; %s", waits, WATCHED, asked, found)
    assert ended == "success"
    # The interval is 10 s; of a watcher that another test has left there is a poll more in each.
    assert asked <= 1.2 * (WATCHED / 10 + 1) + WATCHED / 10
    assert found["p99"] < 0.1


def counted(airflow: Airflow, run: str, state: str) -> int:
    """How many task instances of a run are in a state."""
    total: int = airflow.get(f"{run}/taskInstances", state=state, limit=1)["total_entries"]
    return total


def test_a_watcher_starts_runs_and_a_killed_triggerer_loses_and_doubles_nothing(airflow, server) -> None:
    """The last one that the kill may disturb."""
    needs(3, 3, "asset state, for watchers that survive their triggerer")
    airflow.until("parsed", lambda: "example_events" in str(airflow.get("/dags")), 60)
    airflow.patch("/dags/example_events", {"is_paused": False})
    airflow.until("watching", lambda: '"told"' in state_of_asset(airflow), 90)

    first = [finishing(server, seconds) for seconds in (1, 20)]
    airflow.until("told", lambda: first[0] in told(airflow), 90)
    airflow.kill("triggerer")
    second = [finishing(server, seconds) for seconds in (1, 5)]
    airflow.begin("triggerer")

    airflow.until("told", lambda: {*first, *second} <= set(told(airflow)), 150)
    assert sorted(told(airflow)) == sorted([*first, *second])
    runs = airflow.get("/dags/example_events/dagRuns")["dag_runs"]
    assert {run["run_type"] for run in runs} == {"asset_triggered"}


def test_a_watcher_tells_of_what_finishes_while_it_watches(airflow: Airflow, server: FaultySandbox) -> None:
    needs(3, 0, "asset watchers")
    airflow.until("parsed", lambda: "example_events" in str(airflow.get("/dags")), 60)
    airflow.patch("/dags/example_events", {"is_paused": False})
    before = set(told(airflow))
    later: set[str] = set()

    def found() -> set[str]:
        later.add(finishing(server, 3))
        return later & (set(told(airflow)) - before)

    assert airflow.until("told", found, 120)


def test_a_batch_that_comes_again_starts_nothing_twice(airflow: Airflow) -> None:
    """As the guide to events shows it."""
    needs(3, 0, "asset events by REST")
    for name in ("batches", "of_a_batch"):
        airflow.until("parsed", lambda name=name: f"'{name}'" in str(airflow.get("/dags")), 60)
        airflow.patch(f"/dags/{name}", {"is_paused": False})
    (asset,) = airflow.get("/assets", name_pattern="batches_finished")["assets"]

    for number, batch in enumerate(["first", "first", "second"], start=1):
        payload = {"batch": batch, "ids": [f"of {batch}"]}
        airflow.post("/assets/events", {"asset_id": asset["id"], "extra": {"payload": payload}})
        airflow.until(
            "a run each", lambda number=number: states_of(airflow, "batches") == ["success"] * number, 120
        )

    airflow.until("both", lambda: states_of(airflow, "of_a_batch") == ["success"] * 2, 120)
    assert {run["dag_run_id"] for run in runs_of(airflow, "of_a_batch")} == {"first", "second"}


def states_of(airflow: Airflow, dag_id: str) -> list[str]:
    return [run["state"] for run in runs_of(airflow, dag_id)]


def finishing(server: FaultySandbox, seconds: float) -> str:
    row = server.vlmrun.add(work=seconds)
    row.outcome = "completed"
    return row.id


def state_of_asset(airflow: Airflow) -> str:
    """What the metadata database keeps for the assets, as text."""
    with sqlite3.connect(airflow.home / "airflow.db") as database:
        (table,) = [
            name
            for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            if name.startswith("asset_state")
        ]
        return str(database.execute(f"SELECT * FROM {table}").fetchall())


def told(airflow: Airflow) -> list[str]:
    """The ids of all events that the watcher has fired; one that came again says so by its batch."""
    events = airflow.get("/assets/events", limit=100)["asset_events"]
    payloads = [event["extra"]["payload"] for event in events if "payload" in event["extra"]]
    batches = {payload["batch"]: payload["ids"] for payload in payloads}
    return [id_ for ids in batches.values() for id_ in ids]


SECRETS = ("sandbox-vlmrun-key", "sandbox-client-secret", "sandbox-token-")


def test_nothing_that_airflow_keeps_holds_a_secret(airflow: Airflow, server: FaultySandbox) -> None:
    """XComs, rendered templates, serialized DAGs and triggers, events and states of assets; and files."""
    found = set()
    with sqlite3.connect(airflow.home / "airflow.db") as database:
        tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        for (table,) in tables:
            text = str(database.execute(f'SELECT * FROM "{table}"').fetchall())
            found |= {(secret, table) for secret in SECRETS if secret in text}
    for file in airflow.home.rglob("*"):
        if file.is_file() and not file.name.startswith("airflow.db"):
            content = file.read_bytes()
            found |= {(secret, str(file)) for secret in SECRETS if secret.encode() in content}

    assert len(tables) > 20
    assert found == set()


def test_no_log_of_any_component_holds_a_secret(airflow: Airflow, server: FaultySandbox) -> None:
    """The components log at DEBUG, and have worked with both connections by now."""
    log = airflow.logs()

    assert not [secret for secret in SECRETS if secret in log]


def test_a_token_is_masked_where_a_task_or_a_trigger_logs_it(airflow: Airflow, server: FaultySandbox) -> None:
    """The last of this file: in what the scheduler prints beside the log of a task, Airflow masks nothing."""
    needs(3, 3, "a masker that may be told from any thread of a task and of the triggerer")
    # Airflow itself cuts whatever looks like a JWT out of its logs.
    opaque = json.dumps({"access_token": "an-opaque-token", "expires_in": 3600, "token_type": "bearer"})
    server.wire.order(Fault("token", status=200, body=opaque.encode(), times=1_000))
    run = airflow.start("telling")

    assert airflow.until("ended", lambda: airflow.finished(run), 240) == "success", airflow.logs()[-5000:]
    log = airflow.logs()
    for who in ("The task", "The task prints", "The trigger"):
        assert f"{who}: ***" in log
