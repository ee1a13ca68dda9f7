"""Where the links of a task lead."""

from __future__ import annotations

import json

import pytest
from airflow.providers.common.compat.sdk import DAG, ObjectStoragePath

from airflow_provider_predictions.operators.cradl import CradlPredictionsToObjectStorageOperator
from airflow_provider_predictions.operators.lineage import ManifestLink, ReportLink, store_console_link
from airflow_provider_predictions.sandbox.server import Sandbox
from airflow_provider_predictions.sensors.vlmrun import VlmRunPredictionsSensor
from airflow_provider_predictions.tasks.base import DashboardLink
from tests.compat import AIRFLOW
from tests.given import connect


def tasks() -> DAG:
    with DAG("linked", schedule=None) as dag:
        VlmRunPredictionsSensor(task_id="wait", vlmrun_conn_id="mine")
        CradlPredictionsToObjectStorageOperator(task_id="land", path="file:///tmp/x")
    return dag


def skip_where_a_link_is_an_xcom() -> None:
    if AIRFLOW < (3, 0):
        pytest.skip("Airflow 2.11 reads the link from XCom")


def test_each_task_leads_to_the_dashboard_of_its_connection(
    connections: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    extra = {"dashboard_url": "https://eu.example/board"}
    connect(monkeypatch, connections.connection("vlmrun", extra=extra))
    dag = tasks()
    if AIRFLOW < (3, 0):
        # There the web server asks, with what it has read from its database.
        from airflow.serialization.serialized_objects import SerializedDAG

        dag = SerializedDAG.from_dict(SerializedDAG.to_dict(dag))

    links = [DashboardLink().get_link(dag.get_task(name), ti_key=None) for name in ("wait", "land")]

    assert links == ["https://eu.example/board", "https://rc.app.cradl.ai"]


def test_a_landing_has_a_link_to_its_manifest_too() -> None:
    names = {task.task_id: [link.name for link in task.operator_extra_links] for task in tasks().tasks}

    assert names == {"wait": ["Dashboard"], "land": ["Dashboard", "Manifest"]}


class Unreadable:
    """A key of a run for which there is no XCom: looking for one logs an error."""

    def __getattr__(self, name: str) -> str:
        raise AssertionError(f"{name} was looked up")


def mapped(**expanded: object) -> object:
    with DAG("mapped", schedule=None):
        land = CradlPredictionsToObjectStorageOperator.partial(task_id="land", cradl_conn_id="mine")
        return land.expand(**expanded)


def test_a_mapped_task_that_was_never_made_leads_to_its_dashboard(
    connections: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    extra = {"dashboard_url": "https://eu.example/board"}
    connect(monkeypatch, connections.connection("cradl", extra=extra))

    assert DashboardLink().get_link(mapped(path=["/a", "/b"]), ti_key=None) == "https://eu.example/board"


def test_a_mapped_task_without_a_connection_of_its_own_has_that_of_the_service(connections: Sandbox) -> None:
    with DAG("mapped", schedule=None):
        task = VlmRunPredictionsSensor.partial(task_id="wait").expand(domains=[["a"], ["b"]])

    assert DashboardLink().get_link(task, ti_key=None) == "https://app.vlm.run/dashboard"


def test_a_link_that_is_not_known_is_empty_and_no_error(
    connections: Sandbox, monkeypatch: pytest.MonkeyPatch, subtests
) -> None:
    broken = connections.connection("vlmrun", extra={"dashboard_url": "nowhere"})
    connect(monkeypatch, broken, "broken")
    with DAG("unknown", schedule=None):
        tasks = {
            "no connection": VlmRunPredictionsSensor(task_id="a", vlmrun_conn_id="absent"),
            "a wrong extra": VlmRunPredictionsSensor(task_id="b", vlmrun_conn_id="broken"),
            "a template": VlmRunPredictionsSensor(task_id="c", vlmrun_conn_id="{{ params.x }}"),
            "a mapped connection": VlmRunPredictionsSensor.partial(task_id="d").expand(
                vlmrun_conn_id=["a", "b"]
            ),
            "something else": object(),
        }
    for what, task in tasks.items():
        with subtests.test(what=what):
            assert DashboardLink().get_link(task, ti_key=None) == ""


@pytest.mark.parametrize("link", [ManifestLink(), ReportLink()])
def test_a_task_without_a_console_is_not_asked_for_what_it_has_pushed(link: ManifestLink) -> None:
    skip_where_a_link_is_an_xcom()

    assert link.get_link(tasks().get_task("land"), ti_key=Unreadable()) == ""


def test_a_manifest_in_a_console_is_linked_to(monkeypatch: pytest.MonkeyPatch) -> None:
    skip_where_a_link_is_an_xcom()
    pytest.importorskip("s3fs")
    monkeypatch.setenv("AIRFLOW_CONN_AMAZON", "aws://")
    task = tasks().get_task("land")

    store_console_link(task, {}, ObjectStoragePath("s3://amazon@bucket/x/_manifest.json"))

    assert "/s3/object/bucket" in ManifestLink().get_link(task, ti_key=Unreadable())


@pytest.mark.parametrize("scheme", ["s3", "abfs"])
def test_a_connection_may_say_where_its_console_is(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    skip_where_a_link_is_an_xcom()
    pytest.importorskip({"s3": "s3fs", "abfs": "adlfs"}[scheme])
    extra = {"endpoint_url": "http://127.0.0.1:9", "console_url": "https://console.test/{bucket}/{key}"}
    account = {"conn_type": "wasb", "login": "account", "password": "c2VjcmV0"}
    connection = ({"conn_type": "aws"} if scheme == "s3" else account) | {"extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_MINE", json.dumps(connection))
    task = tasks().get_task("land")

    store_console_link(task, {}, ObjectStoragePath(f"{scheme}://mine@bucket/x/_manifest.json"))

    link = ManifestLink().get_link(task, ti_key=Unreadable())
    assert link == "https://console.test/bucket/x%2F_manifest.json"
