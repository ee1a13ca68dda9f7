"""What a landing or a list does when nothing matches, and what it says of words that match nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException, Asset

from airflow_provider_predictions.api.errors import ConfigurationError
from airflow_provider_predictions.sandbox.server import Sandbox
from airflow_provider_predictions.sandbox.store import RecordStore
from tests.compat import OutletEventAccessors, logged
from tests.given import DONE, LAND, LIST, context_of

ENDLESS = 1e9


class Task:
    """A landing or a list, with what it has pushed and logged."""

    def __init__(self, kind: dict[str, Any], service: str, path: Path, capture: Any) -> None:
        self.kind, self.service, self.path, self.capture = kind, service, path, capture
        self.pushed: dict[str, Any] = {}

    def __call__(self, attempt: int = 1, **arguments: Any) -> Any:
        needed = {"path": f"file://{self.path}"} if self.kind is LAND else {}
        task = self.kind[self.service](task_id="task", **needed | arguments)
        context = context_of(attempt=attempt, tries=3)
        context["ti"].xcom_push = lambda key, value, **_: self.pushed.__setitem__(key, value)
        context["outlet_events"] = self.events = OutletEventAccessors()
        return task.execute(context)

    def log(self) -> str:
        return logged(*self.capture)


@pytest.fixture(params=["land", "list"])
def task(request, connections: Sandbox, service_name, tmp_path, capsys, caplog) -> Task:
    kind = LAND if request.param == "land" else LIST
    return Task(kind, service_name, tmp_path / "base", (capsys, caplog))


@pytest.fixture
def land(connections: Sandbox, service_name, tmp_path, capsys, caplog) -> Task:
    return Task(LAND, service_name, tmp_path / "base", (capsys, caplog))


def test_a_task_that_matches_nothing_warns_of_what_it_has_looked_at(
    task: Task, record_store: RecordStore
) -> None:
    for _ in range(3):
        record_store.add().outcome = "failed"

    task(statuses=["cancelled"])

    assert "0 of 3 records match; statuses found: failed" in task.log()


def test_an_empty_list_is_told_from_one_that_was_filtered(task: Task, record_store: RecordStore) -> None:
    task()

    assert "0 records match" in (log := task.log())
    assert "statuses found" not in log


def test_an_empty_list_of_a_filter_is_named(task: Task, service_name: str) -> None:
    for name in {"vlmrun": ("statuses", "domains"), "cradl": ("statuses",)}[service_name]:
        task(**{name: []})

        assert f"{name}: is an empty list, so nothing matches" in task.log()


def test_a_task_that_matches_something_says_nothing_of_it(task: Task, record_store: RecordStore) -> None:
    record_store.fill(3)

    task(on_empty="fail")

    assert "records match" not in task.log()


def test_it_can_be_skipped_and_pushes_its_result_first(task: Task, record_store: RecordStore) -> None:
    record_store.add().outcome = "failed"

    with pytest.raises(AirflowSkipException, match="0 of 1 records match"):
        task(statuses=["cancelled"], on_empty="skip")

    result = task.pushed["return_value"]
    assert (result["count"] if task.kind is LAND else len(result)) == 0


def test_a_task_that_pushes_nothing_pushes_nothing_on_a_skip(task: Task, record_store: RecordStore) -> None:
    with pytest.raises(AirflowSkipException):
        task(on_empty="skip", do_xcom_push=False)

    assert not task.pushed


def test_it_can_fail_without_a_retry(task: Task, record_store: RecordStore) -> None:
    with pytest.raises(AirflowFailException, match="on_empty"):
        task(on_empty="fail")


def test_it_can_pass_over_it(task: Task, record_store: RecordStore) -> None:
    task(on_empty="ignore")

    lines = [line for line in task.log().splitlines() if "records match" in line]
    assert lines
    assert not [line for line in lines if "warning" in line.lower()]


@pytest.mark.parametrize("value", ["", "warning", None, True, "{{ params.x }}"])
def test_another_word_for_it_is_refused_while_the_file_is_parsed(task: Task, value: object) -> None:
    with pytest.raises(ConfigurationError, match="on_empty: "):
        task(on_empty=value)


def test_the_manifest_counts_what_was_looked_at_before_filters(
    land: Task, record_store: RecordStore, service_name
) -> None:
    for outcome in (DONE[service_name], "failed", "failed"):
        record_store.add().outcome = outcome

    manifest = land(statuses=[DONE[service_name]])

    assert (manifest["count"], manifest["looked_at"]) == (1, 3)
    assert json.loads((land.path / "_manifest.json").read_bytes())["looked_at"] == 3


def test_a_retry_of_an_empty_landing_that_has_committed_comes_to_the_same(
    land: Task, record_store: RecordStore
) -> None:
    record_store.add().outcome = "failed"
    texts = []
    for attempt in (1, 2):
        with pytest.raises(AirflowFailException) as caught:
            land(attempt, statuses=["cancelled"], on_empty="fail")
        texts.append(str(caught.value))

    assert "0 of 1 records match" in texts[0]
    assert "0 of 1 records match" in texts[1]


def test_an_incremental_landing_commits_before_it_is_skipped(land: Task, record_store: RecordStore) -> None:
    record_store.fill(5, days=3)
    record_store.add(work=ENDLESS)
    # Nothing of these lands, and the watermark moves.
    for attempt in (1, 2):
        with pytest.raises(AirflowSkipException):
            land(attempt, incremental=True, statuses=["cancelled"], on_empty="skip")
        assert land.pushed["return_value"]["generation"] == 1
        assert json.loads((land.path / "_state.json").read_bytes())["generation"] == 1


def test_a_landing_that_is_skipped_tells_no_asset(land: Task, record_store: RecordStore) -> None:
    asset = Asset(uri="predictions://landed")

    with pytest.raises(AirflowSkipException):
        land(on_empty="skip", outlets=[asset])

    assert not len(land.events)


def test_a_landing_that_warns_tells_its_asset_of_no_records(land: Task, record_store: RecordStore) -> None:
    asset = Asset(uri="predictions://landed")

    land(outlets=[asset])

    assert land.events[asset].extra["count"] == 0


# --- words -------------------------------------------------------------------------------------------


def test_a_status_that_is_neither_known_nor_met_is_named_with_those_met(
    task: Task, record_store: RecordStore, service_name
) -> None:
    record_store.add().outcome = DONE[service_name]

    task(statuses=["complete", "failed"])

    log = task.log()
    assert log.count("statuses: ") == 1
    assert "'complete'" in log
    assert "'failed'" not in log
    assert f"found: {DONE[service_name]}" in log
    assert "known: " in log


def test_a_new_word_of_the_service_is_taken_without_a_warning(task: Task, record_store: RecordStore) -> None:
    record_store.add().outcome = "archived"

    task(statuses=["archived"])

    assert "statuses: " not in task.log()


def test_a_status_that_is_not_known_is_named_though_the_list_is_empty(
    task: Task, record_store: RecordStore
) -> None:
    task(statuses=["complete"])

    assert "'complete'" in task.log()


def test_the_statuses_of_an_incremental_landing_are_looked_at_too(
    land: Task, record_store: RecordStore, service_name
) -> None:
    record_store.add().outcome = DONE[service_name]

    land(incremental=True, statuses=["complete"])

    assert "'complete'" in land.log()


def test_a_domain_that_no_record_has_is_named_with_those_met(connections, tmp_path, capsys, caplog) -> None:
    connections.vlmrun.fill(30)
    task = Task(LAND, "vlmrun", tmp_path, (capsys, caplog))

    task(domains=["document.invoce"])

    log = task.log()
    assert "domains: 'document.invoce'" in log
    assert "document.invoice" in log


def test_of_a_model_only_that_nothing_matched_can_be_said(connections, tmp_path, capsys, caplog) -> None:
    connections.cradl.fill(3)
    for kind in (LAND, LIST):
        Task(kind, "cradl", tmp_path, (capsys, caplog))(model_id="nobody")

    assert logged(capsys, caplog).count("model_id: 'nobody' matched nothing") == 2


def test_a_field_that_no_record_has_is_named_with_those_met(
    connections, record_store: RecordStore, service_name, capsys, caplog, tmp_path
) -> None:
    record_store.fill(3)

    Task(LIST, service_name, tmp_path, (capsys, caplog))(fields=["idd", "status"])

    log = logged(capsys, caplog)
    assert "fields: 'idd'" in log
    assert "'status'" not in log
    assert "found: " in log
