"""A third service has its own words: for failures, for its groups and for itself."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from inspect import signature
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_predictions.api.filters import Filters, Words
from airflow_provider_predictions.api.http.auth import BearerAuth
from airflow_provider_predictions.api.limits import MAX_OBSERVED
from airflow_provider_predictions.api.models import ListEndpoint, Prediction
from airflow_provider_predictions.api.observed import expected_words
from airflow_provider_predictions.api.page import Observed, Page
from airflow_provider_predictions.api.pagination.cursor import CursorPaginator
from airflow_provider_predictions.api.pagination.offset import OffsetPaginator
from airflow_provider_predictions.api.record_batch import RecordBatch
from airflow_provider_predictions.api.vlmrun import VlmRun
from airflow_provider_predictions.api.waiting.decide import ObservedWords, Tally, Wait, decide
from airflow_provider_predictions.hooks.vlmrun import VlmRunHook
from airflow_provider_predictions.report import subjects
from airflow_provider_predictions.report.page import colours
from airflow_provider_predictions.report.subjects import Subject
from airflow_provider_predictions.report.window import make_window
from airflow_provider_predictions.sensors.vlmrun import VlmRunPredictionsSensor
from airflow_provider_predictions.triggers.vlmrun import VlmRunPredictionsTrigger
from tests.api.services import CRADL, SERVICES, VLMRUN
from tests.report.landed import land, report
from tests.report.records import changed, made

START, END = datetime(2026, 11, 2, tzinfo=UTC), datetime(2026, 11, 3, tzinfo=UTC)


@dataclass(frozen=True)
class Acme(VlmRun):
    """A service whose predictions fail in other words."""

    title = "Acme"
    terminal_statuses = frozenset({"completed", "error", "rejected", "stopped"})
    failed_statuses = frozenset({"rejected", "error"})
    cancelled_statuses = frozenset({"stopped"})


class AcmeHook(VlmRunHook):
    service_class = Acme


class AcmeTrigger(VlmRunPredictionsTrigger):
    hook_class = AcmeHook


class AcmeSensor(VlmRunPredictionsSensor):
    hook_class = AcmeHook
    trigger_class = AcmeTrigger


ACME = Acme("https://acme.test", BearerAuth("key"))
FAILING = ("error", "rejected", "stopped")


def tallied(wait: Wait, *statuses: str) -> Tally:
    rows = RecordBatch([ACME.row(json.dumps({"id": s, "status": s}).encode()) for s in statuses])
    tally = Tally(wait, ACME)
    tally.add(Page(rows, observed=Observed.of(rows)))
    return tally


class QueueFilters(Filters):
    """Acme also has queues."""

    queues: Words | None = None


@dataclass(frozen=True)
class Queues(Acme):
    """A service whose groups are not called domains."""

    filters = QueueFilters
    group_filter = "queues"


def test_a_word_of_a_group_is_expected_whatever_the_service_calls_its_groups() -> None:
    service, filters = Queues("https://acme.test", BearerAuth("key")), {"queues": ["rare"]}
    wait = Wait(filters=filters)
    tally, words = Tally(wait, service), ObservedWords(wait, Queues)
    rows = [Prediction(str(n), "completed", None, f"queue {n}", b"{}") for n in range(MAX_OBSERVED + 50)]
    rows.append(Prediction("last", "completed", None, "rare", b"{}"))

    for row in rows:
        tally.add(Page((row,), observed=Observed.of([row])))
    words.add(tally)

    assert expected_words(service, QueueFilters(**filters)) == {"rare"}
    assert (words.words, words.doubts()) == (["rare"], "")


@pytest.mark.parametrize("made", [OffsetPaginator, CursorPaginator])
def test_why_a_list_is_not_known_to_be_whole_names_the_service_that_was_read(made: Any) -> None:
    paginator = made(ListEndpoint("Acme", "list", 10, bytes), Filters())
    if made is OffsetPaginator:
        paginator.position.start.index = 1

    assert "Acme" in (paginator.proof.reason or "")


@SERVICES
def test_failed_and_cancelled_predictions_are_finished(service: Any) -> None:
    assert service.failed_statuses | service.cancelled_statuses < service.terminal_statuses
    assert not service.terminal_statuses & service.unfinished_statuses


def test_a_sensor_fails_by_default_for_what_its_service_says() -> None:
    found = {
        made: signature(made).parameters["fail_on"].default for made in (AcmeSensor, VlmRunPredictionsSensor)
    }

    assert found == {AcmeSensor: FAILING, VlmRunPredictionsSensor: ("failed", "cancelled")}
    assert VLMRUN.default_fail_on() == CRADL.default_fail_on() == ("failed", "cancelled")


def test_a_subclass_of_a_sensor_keeps_its_own_default() -> None:
    class Team(AcmeSensor):
        fail_on = ("rejected",)

    class Other(AcmeSensor):
        pass

    assert [signature(made).parameters["fail_on"].default for made in (Team, Other)] == [
        ("rejected",),
        FAILING,
    ]
    assert AcmeSensor(task_id="wait", statuses=["processing"])  # fail_on is not given


@pytest.mark.parametrize("status", FAILING)
def test_a_wait_that_names_no_statuses_fails_for_those_of_its_service(status: str) -> None:
    assert decide(tallied(Wait(), "completed", status), 0).state == "failed"
    assert decide(tallied(Wait(fail_on=()), "completed", status), 0).state == "done"


def test_a_word_that_a_service_fails_for_by_default_is_no_typo() -> None:
    words = ObservedWords(Wait(fail_on=(*FAILING, "eror")), Acme)
    words.add(tallied(words.wait, "completed"))

    assert words.doubts().startswith("fail_on: 'eror' ")


def test_a_report_counts_failures_as_the_service_names_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = subjects.SUBJECTS["vlmrun"]
    monkeypatch.setitem(subjects.SUBJECTS, "vlmrun", Subject(Acme, own.group, own.member, own.members))
    records = made("vlmrun", START, END, 12)
    statuses = ["completed"] * 6 + ["error", "rejected", "stopped", "failed", "pending", "running"]
    landed = [changed([record], status=s)[0] for record, s in zip(records, statuses, strict=True)]
    land("vlmrun", tmp_path / "landed", landed)

    summary = report(str(tmp_path / "landed"), make_window((START, END), "UTC", END), tmp_path / "files")

    found = {name: summary["measures"][name]["now"] for name in ("succeeded", "failed", "waiting")}
    assert found == {"succeeded": 6, "failed": 2, "waiting": 3}
    assert colours(["stopped", "rejected", "pending", "error", "completed"]) == {
        "completed": "ok", "error": "bad", "rejected": "bad", "stopped": "s6", "pending": "idle",
    }  # fmt: skip
