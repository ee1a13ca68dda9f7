"""A whole Airflow on loopback: API server, scheduler, DAG processor and triggerer, a process each."""

from __future__ import annotations

import base64
import json
import logging
import os
import secrets
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from airflow_provider_predictions.sandbox.server import Sandbox

log = logging.getLogger(__name__)
pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
WATCHED = 40
"""Seconds for which the requests of a crowd are counted."""
COMPONENTS = {
    "api-server": ["api-server"],
    # Their log servers listen on every interface, whatever is configured.
    "scheduler": ["scheduler", "--skip-serve-logs"],
    "triggerer": ["triggerer", "--skip-serve-logs"],
    "dag-processor": ["dag-processor"],
}


@dataclass
class Airflow:
    """A running Airflow, by its REST API."""

    url: str
    home: Path
    environment: dict[str, str]
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def begin(self, component: str) -> None:
        """Start a component in a session of its own."""
        with (self.home / f"{component}.log").open("ab") as log:
            self.processes[component] = subprocess.Popen(
                [sys.executable, "-m", "airflow", *COMPONENTS[component]],
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill(self, component: str) -> None:
        """End a component as a machine that fails does."""
        os.killpg(self.processes[component].pid, signal.SIGKILL)
        self.processes[component].wait()

    def get(self, path: str, **params: object) -> Any:
        answer = httpx.get(f"{self.url}/api/v2{path}", params=params, timeout=30)
        answer.raise_for_status()
        return answer.json()

    def post(self, path: str, body: dict[str, Any]) -> Any:
        answer = httpx.post(f"{self.url}/api/v2{path}", json=body, timeout=60)
        assert answer.is_success, answer.text
        return answer.json()

    def patch(self, path: str, body: dict[str, Any]) -> None:
        httpx.patch(f"{self.url}/api/v2{path}", json=body, timeout=30).raise_for_status()

    def logs(self) -> str:
        """Everything that any component or task has logged."""
        files = [*self.home.glob("*.log"), *self.home.joinpath("logs").rglob("*.log")]
        return "\n".join(file.read_text(errors="replace") for file in files)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def until(what: str, found: Callable[[], Any], seconds: float) -> Any:
    """Ask twice a second until there is an answer that is true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if answer := found():
                return answer
        except httpx.HTTPError:
            pass
        time.sleep(0.5)
    raise AssertionError(f"{what}: not within {seconds} s")


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airflow]:
    home, port = tmp_path_factory.mktemp("airflow"), free_port()
    home.joinpath("dags").mkdir()
    for dag in [*ROOT.joinpath("example_dags").glob("*.py"), *Path(__file__).parent.glob("dags/*.py")]:
        # The runs that their schedule starts land under the temporary directory too.
        code = dag.read_text().replace("file:///tmp/predictions", f"file://{home}/scheduled")
        home.joinpath("dags", dag.name).write_text(code)
    shutil.copytree(Path(__file__).parent / "plugins", home / "plugins")
    environment = {k: v for k, v in os.environ.items() if not k.startswith("AIRFLOW")} | {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_urlsafe(48),
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "True",
        "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "AIRFLOW__CORE__FERNET_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "DEBUG",
        "AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK": "False",
    }
    migrate = [sys.executable, "-m", "airflow", "db", "migrate"]
    subprocess.run(migrate, env=environment, check=True, capture_output=True)
    running = Airflow(f"http://127.0.0.1:{port}", home, environment)
    try:
        for name in COMPONENTS:
            running.begin(name)
        until("healthy", lambda: is_healthy(running), 120)
        yield running
    finally:
        stop(list(running.processes.values()))


def is_healthy(airflow: Airflow) -> bool:
    health = airflow.get("/monitor/health")
    names = ("metadatabase", "scheduler", "triggerer", "dag_processor")
    return all(health[name]["status"] == "healthy" for name in names)


def stop(processes: list[subprocess.Popen[bytes]]) -> None:
    """End each component's own process group, and wait for it."""
    for process in processes:
        os.killpg(process.pid, signal.SIGTERM)
    for process in processes:
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture(scope="module")
def server() -> Iterator[Sandbox]:
    with Sandbox(count=60) as sandbox:
        yield sandbox


@pytest.fixture(scope="module", autouse=True)
def stored(airflow: Airflow, server: Sandbox) -> None:
    """Both connections, stored as the form stores them."""
    for service in ("vlmrun", "cradl"):
        airflow.post("/connections", body_of(server, service))


def body_of(server: Sandbox, service: str, **changes: object) -> dict[str, object]:
    connection = server.connection(service, **changes)
    extra = json.dumps(connection.pop("extra", {}))
    return {"connection_id": f"{service}_default", "extra": extra, **connection}


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
    answer = httpx.get(f"{airflow.url}/ui/connections/hook_meta", timeout=60)
    (meta,) = [meta for meta in answer.json() if meta["connection_type"] == service]

    assert meta["hook_name"] == {"vlmrun": "VLM Run", "cradl": "Cradl"}[service]
    assert meta["standard_fields"]["host"]["title"] == "Base URL"
    assert meta["extra_fields"]["timeout"]["description"].startswith("Seconds")
    assert "***" not in str(meta)


@pytest.mark.parametrize("service", ["vlmrun", "cradl"])
def test_a_deferred_sensor_finishes_and_the_landing_task_runs(
    airflow: Airflow, server: Sandbox, service: str, tmp_path: Path
) -> None:
    shelf = getattr(server, service)
    for _ in range(3):
        shelf.add(work=30)

    run = start(airflow, f"example_{service}", path=f"file://{tmp_path}/landed")
    until("deferred", lambda: state_of(airflow, run, "wait") == "deferred", 60)
    if service == "cradl":
        airflow.kill("triggerer")  # another one takes the wait over
        airflow.begin("triggerer")
    ended = until("ended", lambda: finished(airflow, run), 180)

    assert ended == "success", airflow.logs()[-5000:]
    waited = xcom(airflow, run, "wait")
    manifest = xcom(airflow, run, "land")
    done = [row for row in shelf.rows if row.outcome != "failed"]
    assert waited["count"] == len(shelf.rows)
    assert set(waited["statuses"]) <= {"completed", "succeeded", "failed"}
    assert manifest["count"] == len(done)
    path = Path(manifest["path"].removeprefix("file://"))
    assert json.loads((path / "_manifest.json").read_bytes()) == manifest
    log = airflow.logs()
    title = {"vlmrun": "VLM Run", "cradl": "Cradl"}[service]
    assert f"{title}: 3 of 63 predictions are unfinished" in log
    assert f"{title}: 0 of 63 predictions are unfinished" in log


def test_a_rescheduled_sensor_gives_its_worker_back_and_finishes(airflow, server) -> None:
    server.vlmrun.add(work=20).outcome = "completed"

    run = start(airflow, "rescheduled")
    until("rescheduled", lambda: state_of(airflow, run, "wait") == "up_for_reschedule", 60)

    assert until("ended", lambda: finished(airflow, run), 120) == "success"
    assert xcom(airflow, run, "wait")["count"] == len(server.vlmrun.rows)


def test_a_crowd_of_deferred_sensors_asks_as_one(airflow, server, tmp_path: Path) -> None:
    """``WAITS=500 pytest -k crowd --log-cli-level WARNING`` takes half an hour, mostly of the workers."""
    waits = int(os.environ.get("WAITS", "16"))
    rows = [server.vlmrun.add(work=1e6) for _ in range(waits)]
    for row in rows:
        row.outcome = "completed"
    folder = tmp_path / "lag"
    folder.mkdir()

    run = start(airflow, "crowd", folder=str(folder), ids=",".join(row.id for row in rows))
    until("all deferred", lambda: counted(airflow, run, "deferred") == waits + 1, 60 + 3 * waits)
    time.sleep(15)
    folder.joinpath("measure").touch()
    server.wire.seen.clear()
    time.sleep(WATCHED)
    asked = len([seen for seen in server.wire.seen if seen.part == "vlmrun"])
    folder.joinpath("stop").touch()
    for row in rows:
        row.work = 0
    ended = until("ended", lambda: finished(airflow, run), 60 + 3 * waits)

    found = xcom(airflow, run, "lag")
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
    until("parsed", lambda: "example_events" in str(airflow.get("/dags")), 60)
    airflow.patch("/dags/example_events", {"is_paused": False})
    until("watching", lambda: '"told"' in state_of_asset(airflow), 90)

    first = [finishing(server, seconds) for seconds in (1, 20)]
    until("told", lambda: first[0] in told(airflow), 90)
    airflow.kill("triggerer")
    second = [finishing(server, seconds) for seconds in (1, 5)]
    airflow.begin("triggerer")

    until("told", lambda: {*first, *second} <= set(told(airflow)), 150)
    assert sorted(told(airflow)) == sorted([*first, *second])
    runs = airflow.get("/dags/example_events/dagRuns")["dag_runs"]
    assert {run["run_type"] for run in runs} == {"asset_triggered"}


def finishing(server: Sandbox, seconds: float) -> str:
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


def start(airflow: Airflow, dag_id: str, **conf: str) -> str:
    """Start a run by hand, with no logical date; the path of it in the API."""
    until("parsed", lambda: dag_id in str(airflow.get("/dags")), 60)
    body = {"logical_date": None, "dag_run_id": "by_hand", "conf": conf}
    airflow.post(f"/dags/{dag_id}/dagRuns", body)
    airflow.patch(f"/dags/{dag_id}", {"is_paused": False})
    return f"/dags/{dag_id}/dagRuns/by_hand"


def state_of(airflow: Airflow, run: str, task: str) -> str:
    state: str = airflow.get(f"{run}/taskInstances/{task}")["state"]
    return state


def finished(airflow: Airflow, run: str) -> str | None:
    state: str = airflow.get(run)["state"]
    return state if state in ("success", "failed") else None


def xcom(airflow: Airflow, run: str, task: str) -> Any:
    entry = airflow.get(f"{run}/taskInstances/{task}/xcomEntries/return_value", deserialize=True)["value"]
    return json.loads(entry) if isinstance(entry, str) else entry


def test_no_log_of_any_component_holds_a_secret(airflow: Airflow, server: Sandbox) -> None:
    """The last of this file: the components log at DEBUG, and have worked with both connections by now."""
    log = airflow.logs()

    assert "sandbox-vlmrun-key" not in log
    assert "sandbox-client-secret" not in log
    assert "sandbox-token-" not in log
