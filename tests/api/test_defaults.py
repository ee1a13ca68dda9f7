"""What a record has that says nothing, and what a service is told that a person did not."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from pydantic import ValidationError

from airflow_provider_predictions.api.cradl import Cradl, CradlFilters, CradlPrediction, CradlValue
from airflow_provider_predictions.api.errors import InvalidRequestError, MalformedAnswerError
from airflow_provider_predictions.api.http.auth import BearerAuth, ClientCredentialsAuth
from airflow_provider_predictions.api.models import Column, GetRequest
from airflow_provider_predictions.api.page import Page
from airflow_provider_predictions.api.service import Service
from airflow_provider_predictions.api.vlmrun import VlmRun, VlmRunPrediction, VlmRunUsage
from airflow_provider_predictions.api.waiting.decide import Wait
from tests.api.services import CRADL, SERVICES, VLMRUN


@pytest.mark.parametrize(
    ("model", "given"),
    [
        (VlmRunUsage, {}),
        (VlmRunPrediction, {"status": "pending"}),
        (CradlValue, {}),
        (CradlPrediction, {}),
    ],
)
def test_what_a_record_does_not_say_is_none(model, given) -> None:
    found = dict(model.model_validate({}))

    assert {name: value for name, value in found.items() if value is not None} == given


@pytest.mark.parametrize("model", [VlmRunUsage, VlmRunPrediction, CradlValue, CradlPrediction])
def test_what_a_service_adds_to_its_records_is_kept(model) -> None:
    assert model.model_validate({"added": [1]}).added == [1]


@SERVICES
def test_a_service_has_bounds_that_nobody_has_given(service: Service) -> None:
    assert (service.timeout, service.requests_per_minute) == (60, None)
    assert (service.max_response_bytes, service.file_hosts) == (268435456, ())
    assert (service.filters().page_size, service.filters().max_predictions) == (None, None)


def test_the_columns_are_members_of_the_record_under_the_names_of_the_service() -> None:
    vlmrun, cradl = VLMRUN, CRADL
    names = [field.alias for field in CradlPrediction.model_fields.values()]

    assert [column.name for column in vlmrun.columns] == list(VlmRunPrediction.model_fields)
    assert {column.name for column in cradl.columns} <= set(names)
    for service, times in ((vlmrun, {"created_at", "completed_at"}), (cradl, {"createdTime", "updatedTime"})):
        assert {column.name for column in service.columns if column.kind == "time"} == times
        envelope = {column.envelope for column in service.columns} - {None}
        assert envelope == {"id", "status", "created_at", "group"}
    assert Column("x", "text").envelope is None
    kinds = {
        (service.name, column.name): column.kind for service in (VLMRUN, CRADL) for column in service.columns
    }
    assert {key[1] for key, kind in kinds.items() if kind == "json"} == {
        "response", "usage", "predictions", "metadata", "warnings", "errors",
    }  # fmt: skip
    assert {key[1] for key, kind in kinds.items() if kind == "number"} == {"inferenceTime"}
    assert set(kinds.values()) == {"text", "time", "json", "number"}


def test_the_services_differ_in_what_their_documentation_says() -> None:
    found = [
        (service.name, service.title, service.default_page_size, service.rate_limit_window)
        for service in (VLMRUN, CRADL)
    ]

    assert found == [("vlmrun", "VLM Run", 1000, 60), ("cradl", "Cradl", 100, 1)]
    vlmrun, cradl = VLMRUN, CRADL
    assert vlmrun.unfinished_statuses == {"pending", "enqueued", "running", "paused"}
    assert cradl.unfinished_statuses == {"pending"}


def test_what_a_secret_is_needed_for_is_not_made_without_and_does_not_show_it() -> None:
    credentials = {"auth_url": "https://auth.test", "client_id": "me", "audience": "api"}
    with pytest.raises(TypeError):
        VlmRun("https://vlmrun.test/v1")
    with pytest.raises(TypeError):
        BearerAuth()
    with pytest.raises(TypeError):
        ClientCredentialsAuth(**credentials)

    found = ClientCredentialsAuth(**credentials, client_secret="hush")
    for shown in (found, BearerAuth("hush"), Cradl("https://cradl.test/v1", found)):
        assert "hush" not in repr(shown)
    assert found == replace(found, timeout=1, on_token=print)
    assert found != replace(found, client_secret="other")


def test_a_filter_or_a_wait_that_means_nothing_is_refused() -> None:
    assert CradlFilters(model_id="m").model_id == "m"
    assert CradlFilters(model_id="").model_id is None
    assert CradlPrediction(prediction_id="a").prediction_id == "a"
    assert (Wait().min_predictions, Wait().missing_timeout) == (0, 600)
    assert Page(()).duplicates == 0
    for model, odd in [
        (CradlFilters, {"model_id": ["m"]}),
        (Wait, {"min_predictions": -1}),
        (Wait, {"missing_timeout": -1}),
        (Wait, {"missing_timeout": math.inf}),
        (Wait, {"prediction_id": "a"}),
    ]:
        with pytest.raises(ValidationError):
            model(**odd)
    with pytest.raises(ValidationError):
        Wait().min_predictions = 1


def test_a_file_elsewhere_is_opened_by_https_only() -> None:
    foreign = "files.test/x"

    assert CRADL.url(GetRequest(f"https://{foreign}")) == f"https://{foreign}"
    with pytest.raises(InvalidRequestError, match="not https"):
        CRADL.url(GetRequest(f"http://{foreign}"))


@SERVICES
def test_an_answer_that_cannot_be_read_is_named_by_its_service(service: Service) -> None:
    with pytest.raises(MalformedAnswerError, match=f"^{service.title} "):
        service.paginator(service.filters()).parse(b"<html>")
    with pytest.raises(MalformedAnswerError, match=f"^{service.title} "):
        service.read_one(b"<html>")
    assert service.row(b"[7]").fault == "array instead of an object"
