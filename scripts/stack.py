"""A whole Airflow on loopback, a process for each component; for the tests, ``make airflow`` and the cluster.

Airflow 2.11 differs in the names of its components and of some fields of its API.

Nothing outlives the ``with`` block, and nothing but the API server listens.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

import httpx
import psutil

from airflow_provider_predictions.sandbox.server import Sandbox

IS_2 = version("apache-airflow").startswith("2.")
API = "/api/v1" if IS_2 else "/api/v2"
SHARE = 0.5
"""Of one processor: what Airflow gets at least, while it works, from a machine that does nothing else."""
LOCK = 60
"""Seconds for which SQLite waits for another component's lock; its own 5 are too few for a busy machine."""


@dataclass(frozen=True)
class Component:
    """A process of Airflow.

    :param arguments: of the command ``airflow``.
    :param environment: its own, on top of that of all.
    """

    arguments: Sequence[str]
    environment: dict[str, str] = field(default_factory=dict)


WEB = {"webserver": ["webserver", "--debug"]} if IS_2 else {"api-server": ["api-server"]}
COMPONENTS = {
    name: Component(arguments)
    for name, arguments in {
        **WEB,
        # Their log servers listen on every interface, whatever is configured.
        "scheduler": ["scheduler", "--skip-serve-logs"],
        "triggerer": ["triggerer", "--skip-serve-logs"],
        **({} if IS_2 else {"dag-processor": ["dag-processor"]}),
    }.items()
}


class Airflow:
    """Airflow with a home of its own, where everybody is an admin; in a ``with`` block it runs.

    :param home: a directory, for all that Airflow writes; its ``dags`` and ``plugins`` are read.
    :param settings: environment variables of Airflow, in place of the ones here.
    :param port: of the API server and the web UI; by default a free one.
    :param components: what runs, by name.

    ``headers`` go with each request to the REST API, for an Airflow where not everybody is an admin.
    """

    def __init__(
        self,
        home: Path,
        settings: dict[str, str] | None = None,
        port: int | None = None,
        components: dict[str, Component] = COMPONENTS,
    ) -> None:
        self.home = home
        self.components = components
        self.url = f"http://127.0.0.1:{port or (port := free_port())}"
        self.headers: dict[str, str] = {}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        kept = {k: v for k, v in os.environ.items() if not k.startswith("AIRFLOW")}
        self.environment = kept | {
            "AIRFLOW_HOME": str(home),
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "AIRFLOW__API__AUTH_BACKENDS": "airflow.api.auth.backend.default",
            "AIRFLOW__API__ENABLE_XCOM_DESERIALIZE_SUPPORT": "True",
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(port),
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_urlsafe(48),
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "True",
            "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__CORE__FERNET_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__PARALLELISM": "4",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db?timeout={LOCK}",
            "AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK": "False",
            "AIRFLOW__WEBSERVER__WEB_SERVER_HOST": "127.0.0.1",
            "AIRFLOW__WEBSERVER__WEB_SERVER_PORT": str(port),
            "AIRFLOW__WEBSERVER__WORKERS": "1",
            # After 5 s, five times, Airflow fails a task that has not begun: too soon for a busy machine.
            "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",
            # oauthlib refuses plain http for tokens; the sandbox never leaves this machine.
            "OAUTHLIB_INSECURE_TRANSPORT": "1",
            **(settings or {}),
        }

    def __enter__(self) -> Self:
        """Make the database, start every component and wait until all are healthy."""
        if IS_2:
            self.home.joinpath("webserver_config.py").write_text('AUTH_ROLE_PUBLIC = "Admin"\n')
        migrate = [sys.executable, "-m", "airflow", "db", "migrate"]
        subprocess.run(migrate, env=self.environment, check=True, capture_output=True)
        try:
            for name in self.components:
                self.begin(name)
            self.until("healthy", self.is_healthy, 180)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Stop everything."""
        self.stop()

    def begin(self, component: str) -> None:
        """Start a component in a session of its own; what it says goes to a file in the home."""
        of = self.components[component]
        command = [sys.executable, "-m", "airflow", *of.arguments]
        environment = self.environment | of.environment
        with (self.home / f"{component}.log").open("ab") as log:
            self.processes[component] = subprocess.Popen(
                command, env=environment, stdout=log, stderr=log, start_new_session=True
            )

    def kill(self, component: str) -> None:
        """End a component and its tasks as a machine that fails does."""
        process = self.processes.pop(component)
        kill_session(process.pid)
        process.wait()

    def stop(self) -> None:
        """End each component's own process group, and wait for it; nothing of it is left."""
        for process in self.processes.values():
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
        for process in self.processes.values():
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=30)
            kill_session(process.pid)
            process.wait()

    def get(self, path: str, **params: object) -> Any:
        """Ask the REST API."""
        return self._again("GET", path, params=params).json()

    def post(self, path: str, body: dict[str, Any]) -> Any:
        answer = self._ask("POST", path, json=body)
        assert answer.is_success, answer.text
        return answer.json()

    def patch(self, path: str, body: dict[str, Any]) -> None:
        self._again("PATCH", path, json=body)

    def _again(self, method: str, path: str, **content: Any) -> httpx.Response:
        """Ask what may be asked twice. Its SQLite has one writer at a time, so a busy server fails."""
        for left in reversed(range(5)):
            answer = self._ask(method, path, **content)
            if not (left and answer.is_server_error):
                break
            time.sleep(1)
        answer.raise_for_status()
        return answer

    def _ask(self, method: str, path: str, **content: Any) -> httpx.Response:
        url = f"{self.url}{API}{path}"
        return httpx.request(method, url, headers=self.headers, timeout=1.5 * LOCK, **content)

    def logs(self) -> str:
        """Everything that any component or task has logged."""
        files = [*self.home.glob("*.log"), *self.home.joinpath("logs").rglob("*.log")]
        return "\n".join(file.read_text(errors="replace") for file in files)

    def until(self, what: str, found: Callable[[], Any], seconds: float) -> Any:
        """Wait for what Airflow does; see the function ``until``. A component that has ended is an error."""

        def found_alive() -> Any:
            for name, process in self.processes.items():
                assert process.poll() is None, self.home.joinpath(f"{name}.log").read_text()[-3000:]
            return found()

        return until(what, found_alive, seconds, [process.pid for process in self.processes.values()])

    def is_healthy(self) -> bool:
        """Whether every component says so."""
        health = self.get("/health" if IS_2 else "/monitor/health")
        names = ("metadatabase", "scheduler", "triggerer", *(() if IS_2 else ("dag_processor",)))
        return all(health[name]["status"] == "healthy" for name in names)

    def connect(self, sandbox: Sandbox) -> None:
        """Store both connections to the sandbox, as the form stores them."""
        for service in ("vlmrun", "cradl"):
            # Airflow 3.3.2 tests no connection without a port (apache/airflow #73298).
            self.post("/connections", body_of(sandbox, service, port=sandbox.port))

    def start(self, dag_id: str, run_id: str = "by_hand", **conf: object) -> str:
        """Start a run by hand, with no logical date; the path of it in the API."""
        self.until("parsed", lambda: dag_id in str(self.get("/dags")), 120)
        body = {"dag_run_id": run_id, "conf": conf} | ({} if IS_2 else {"logical_date": None})
        self.post(f"/dags/{dag_id}/dagRuns", body)
        self.patch(f"/dags/{dag_id}", {"is_paused": False})
        return f"/dags/{dag_id}/dagRuns/{run_id}"

    def state_of(self, run: str, task: str) -> str:
        """The state of a task of a run."""
        state: str = self.get(f"{run}/taskInstances/{task}")["state"]
        return state

    def reaches(self, run: str, task: str, state: str, seconds: float) -> None:
        """Wait until a task is in a state; see ``until``. One that has failed is an error."""

        def found() -> bool:
            now = self.state_of(run, task)
            assert now not in ("failed", "upstream_failed"), f"{task} {now}: {self.logs()[-5000:]}"
            return now == state

        self.until(f"{task} {state}", found, seconds)

    def finished(self, run: str) -> str | None:
        """How a run ended, if it has."""
        state: str = self.get(run)["state"]
        return state if state in ("success", "failed") else None

    def xcom(self, run: str, task: str) -> Any:
        """What a task has returned."""
        path = f"{run}/taskInstances/{task}/xcomEntries/return_value"
        entry = self.get(path, **{"stringify": False} if IS_2 else {"deserialize": True})["value"]
        return json.loads(entry) if isinstance(entry, str) else entry


def body_of(sandbox: Sandbox, service: str, **changes: object) -> dict[str, Any]:
    """A connection to the sandbox, as the REST API takes it.

    :param changes: fields that are to have other values.
    """
    connection = sandbox.connection(service, **changes)
    extra = connection.pop("extra", None)
    text = json.dumps(extra) if extra else None
    return {"connection_id": f"{service}_default", "extra": text, **connection}


def add_examples(home: Path) -> int:
    """Copy the example DAGs, so that what they land is under the home too; how many there are."""
    examples = list(Path(__file__).parent.parent.joinpath("example_dags").glob("*.py"))
    dags = home / "dags"
    dags.mkdir(parents=True)
    for example in examples:
        code = example.read_text().replace("file:///tmp/predictions", f"file://{home}/landed")
        dags.joinpath(example.name).write_text(code)
    return len(examples)


def kill_session(leader: int) -> None:
    """Kill a process and all that it has started; tasks of a worker are in process groups of their own."""
    while members := list(_members(leader)):
        for member in members:
            with suppress(psutil.NoSuchProcess):
                member.kill()
        psutil.wait_procs(members, timeout=1)


def _members(leader: int) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        with suppress(ProcessLookupError, psutil.NoSuchProcess):
            if os.getsid(process.pid) == leader and process.status() != psutil.STATUS_ZOMBIE:
                yield process


def free_port() -> int:
    """A port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def until(what: str, found: Callable[[], Any], seconds: float, workers: Sequence[int] = ()) -> Any:
    """Ask twice a second until there is an answer that is true.

    :param seconds: how long to wait on an idle machine.
    :param workers: the ids of the processes that bring it about. On a busy machine the wait goes on until
        they have had the processor time that an idle one gives them.
    """
    end = time.monotonic() + seconds
    enough = worked(workers) + SHARE * seconds if workers else 0
    while time.monotonic() < end or worked(workers) < enough:
        try:
            if answer := found():
                return answer
        except httpx.HTTPError:
            pass
        time.sleep(0.5)
    raise AssertionError(f"{what}: not within {seconds} s")


def worked(processes: Sequence[int]) -> float:
    """Processor seconds of processes, and of all that they have started."""
    total = 0.0
    for number in processes:
        with suppress(psutil.NoSuchProcess):
            first = psutil.Process(number)
            for process in (first, *first.children(recursive=True)):
                with suppress(psutil.NoSuchProcess):
                    total += sum(process.cpu_times()[:4])  # of itself and of its children that have ended
    return total
