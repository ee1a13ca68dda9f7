"""What a record has that says nothing, and what a service is told that a person did not."""

from __future__ import annotations

import pytest

from airflow_provider_predictions.api.auth import BearerAuth
from airflow_provider_predictions.api.cradl import Cradl, CradlPrediction, CradlValue
from airflow_provider_predictions.api.models import Column
from airflow_provider_predictions.api.service import Service
from airflow_provider_predictions.api.vlmrun import VlmRun, VlmRunPrediction, VlmRunUsage

SERVICES = [
    VlmRun("https://vlmrun.test/v1", BearerAuth("key")),
    Cradl("https://cradl.test/v1", BearerAuth("key")),
]


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


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_a_service_has_bounds_that_nobody_has_given(service: Service) -> None:
    assert (service.timeout, service.requests_per_minute) == (60, None)
    assert (service.max_response_bytes, service.file_hosts) == (268435456, ())
    assert (service.filters().page_size, service.filters().max_predictions) == (None, None)


def test_the_columns_are_members_of_the_record_under_the_names_of_the_service() -> None:
    vlmrun, cradl = SERVICES
    names = [field.alias for field in CradlPrediction.model_fields.values()]

    assert [column.name for column in vlmrun.columns] == list(VlmRunPrediction.model_fields)
    assert {column.name for column in cradl.columns} <= set(names)
    for service, times in ((vlmrun, {"created_at", "completed_at"}), (cradl, {"createdTime", "updatedTime"})):
        assert {column.name for column in service.columns if column.kind == "time"} == times
        envelope = {column.envelope for column in service.columns} - {None}
        assert envelope == {"id", "status", "created_at", "group"}
    assert Column("x", "text").envelope is None


def test_the_services_differ_in_what_their_documentation_says() -> None:
    found = [
        (service.name, service.title, service.default_page_size, service.rate_limit_window)
        for service in SERVICES
    ]

    assert found == [("vlmrun", "VLM Run", 1000, 60), ("cradl", "Cradl", 100, 1)]
