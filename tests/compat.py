"""What differs between Airflow versions and only tests touch."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import import_module
from importlib.metadata import version
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

RELEASE = tuple(int(number) for number in re.findall(r"\d+", version("apache-airflow"))[:3])
AIRFLOW = RELEASE[:2]

if AIRFLOW >= (3, 3):
    from airflow.dag_processing.dagbag import DagBag
    from airflow.sdk._shared.observability.metrics.base_stats_logger import NoStatsLogger
    from airflow.sdk.exceptions import AirflowRescheduleException, TaskDeferralError
    from airflow.sdk.serde import deserialize, serialize
    from airflow.serialization.serialized_objects import DagSerialization
else:
    from airflow.exceptions import AirflowRescheduleException, TaskDeferralError
    from airflow.metrics.base_stats_logger import NoStatsLogger
    from airflow.models.dagbag import DagBag
    from airflow.serialization.serde import deserialize, serialize
    from airflow.serialization.serialized_objects import SerializedDAG as DagSerialization

if AIRFLOW >= (3, 0):
    from airflow.sdk import dag, task, task_group
    from airflow.sdk.definitions._internal.expandinput import MappedArgument
    from airflow.sdk.definitions.param import DagParam
    from airflow.sdk.definitions.template import literal
    from airflow.sdk.execution_time.context import OutletEventAccessors
    from airflow.sdk.io import attach
else:
    from airflow.decorators import dag, task, task_group
    from airflow.io.store import attach
    from airflow.models.expandinput import MappedArgument
    from airflow.models.param import DagParam
    from airflow.utils.context import OutletEventAccessors
    from airflow.utils.template import literal

if AIRFLOW >= (3, 3):
    MASKER = "airflow.sdk._shared.secrets_masker"
elif AIRFLOW >= (3, 0):
    MASKER = "airflow.sdk.execution_time.secrets_masker"
else:
    MASKER = "airflow.utils.log.secrets_masker"

__all__ = [
    "AIRFLOW",
    "MASKER",
    "AirflowRescheduleException",
    "DagBag",
    "DagParam",
    "DagSerialization",
    "MappedArgument",
    "NoStatsLogger",
    "OutletEventAccessors",
    "Rescheduled",
    "TaskDeferralError",
    "attach",
    "dag",
    "deserialize",
    "forget_secrets",
    "keep_the_api_of_dag_test",
    "kill",
    "let_threads_execute",
    "literal",
    "logged",
    "needs",
    "serialize",
    "stats_go_to",
    "task",
    "task_group",
]


def needs(major: int, minor: int, what: str, *, patch: int = 0) -> None:
    """Skip the test where Airflow has not got something yet; docs/versions.md says so."""
    if (major, minor, patch) > RELEASE:
        release = f"{major}.{minor}.{patch}" if patch else f"{major}.{minor}"
        pytest.skip(f"{what}: from Airflow {release} on")


def needs_reports_in_the_ui() -> None:
    needs(3, 1, "reports in the UI", patch=1)


def logged(capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> str:
    """What a task has logged since the last call. Some versions write it to both places."""
    return max(capsys.readouterr().out, caplog.text, key=len)


def forget_secrets() -> None:
    """Airflow's masker keeps all that it is told, and to be told one more costs it more each time."""
    masker = import_module(MASKER)._secrets_masker()
    masker.patterns, masker.replacer = set(), None


def let_threads_execute(monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow 2.11 keeps for each thread what only the one has that Airflow started a task in."""
    if AIRFLOW < (3, 0):
        from airflow.models.baseoperator import ExecutorSafeguard

        monkeypatch.setattr(ExecutorSafeguard, "_sentinel", SimpleNamespace(callers={}))


def keep_the_api_of_dag_test() -> None:
    """Let ``dag.test`` make its API once for a DAG.

    Airflow 3.0 makes it for each task, serializes the DAG for it, and checks all parameters for each task of
    that DAG: 44 tasks take more than ten minutes.
    """
    if (3, 0) <= AIRFLOW < (3, 1):
        from airflow.sdk.execution_time.supervisor import InProcessTestSupervisor

        InProcessTestSupervisor._api_client = staticmethod(cache(InProcessTestSupervisor._api_client))


async def kill(trigger: Any) -> None:
    """End a deferred task as a person does, which Airflow tells its trigger from 3.3 on."""
    if AIRFLOW >= (3, 3):
        await trigger.on_kill()


class Rescheduled:
    """What Airflow remembers of a task between the processes that a rescheduled one runs in."""

    def __init__(self) -> None:
        self._first: datetime | None = None
        self.context: dict[str, Any] = {"ti": self._task_instance()}
        if AIRFLOW >= (3, 3):
            state: dict[str, Any] = {}
            self.context["task_state_store"] = SimpleNamespace(get=state.get, set=state.__setitem__)

    def began(self, at: datetime) -> None:
        """A process that ends with a date for the next one has begun then."""
        if AIRFLOW < (3, 0) and not self._first:
            self._store(at)
        self._first = self._first or at

    def clear(self) -> None:
        """Begin again, as when a person clears the task; its state stays."""
        self._first = None

    def _task_instance(self) -> Any:
        if AIRFLOW >= (3, 0):
            return SimpleNamespace(get_first_reschedule_date=lambda _: self._first)
        from airflow.models.dagrun import DagRun
        from airflow.models.taskinstance import TaskInstance
        from airflow.operators.empty import EmptyOperator
        from airflow.providers.common.compat.sdk import DAG
        from airflow.utils.session import create_session

        now = datetime.now(UTC)
        with DAG("rescheduled", schedule=None, start_date=now):
            task = EmptyOperator(task_id="wait")
        ti = TaskInstance(task, run_id=uuid4().hex)
        run = DagRun("rescheduled", ti.run_id, execution_date=now, run_type="manual", state="running")
        with create_session() as session:
            session.add(run)
            session.flush()
            session.add(ti)
        return ti

    def _store(self, at: datetime) -> None:
        """As ``TaskInstance`` of 2.11 stores it in the metadata database."""
        from airflow.models.taskreschedule import TaskReschedule
        from airflow.utils.session import create_session

        ti = self.context["ti"]
        with create_session() as session:
            session.add(TaskReschedule("wait", "rescheduled", ti.run_id, 1, at, at, at + timedelta(1)))


@contextmanager
def stats_go_to(recorder: NoStatsLogger) -> Iterator[None]:
    """Let Airflow's metrics go to a backend of the tests."""
    from airflow.providers.common.compat.sdk import Stats

    if AIRFLOW >= (3, 3):
        Stats.initialize(factory=lambda: recorder, export_legacy_names=False)
        yield
        Stats.initialize(factory=NoStatsLogger, export_legacy_names=False)
    else:
        Stats.instance = recorder
        yield
        Stats.instance = None
