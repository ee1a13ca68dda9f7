"""The models hold everything that the specifications name; the names here are copied from them."""

from __future__ import annotations

from typing import get_args

import pytest
from pydantic import BaseModel

from airflow_provider_predictions.api.cradl import CradlPrediction, CradlStatus, CradlValue
from airflow_provider_predictions.api.models import as_time
from airflow_provider_predictions.api.vlmrun import VlmRunPrediction, VlmRunStatus, VlmRunUsage

FIELDS = {
    VlmRunPrediction: "usage id created_at completed_at response status domain",
    VlmRunUsage: "elements_processed element_type credits_used steps message duration_seconds",
    CradlPrediction: (
        "updatedTime metadata updatedBy trainingId modelId nextPage postprocessConfig warnings description "
        "inferenceTime error agentRunId predictions preprocessConfig createdBy name createdTime documentId "
        "fileUrl predictionId errors status"
    ),
    CradlValue: (
        "validators confidence warnings rotation label source formatters rawValue attentionMap location page "
        "value errors"
    ),
}


@pytest.mark.parametrize("model", FIELDS, ids=lambda model: model.__name__)
def test_every_field_of_the_specification_is_in_the_model(model: type[BaseModel]) -> None:
    assert {field.alias or name for name, field in model.model_fields.items()} == set(FIELDS[model].split())


@pytest.mark.parametrize("status", [*get_args(VlmRunStatus), "cancelled", "archived"])
def test_known_and_unknown_statuses_of_vlmrun_are_kept(status: str) -> None:
    assert VlmRunPrediction(status=status).status == status


@pytest.mark.parametrize("status", [*get_args(CradlStatus), "archived"])
def test_known_and_unknown_statuses_of_cradl_are_kept(status: str) -> None:
    assert CradlPrediction(status=status).status == status


def test_the_statuses_are_those_of_the_specification() -> None:
    assert set(get_args(VlmRunStatus)) == {"pending", "enqueued", "running", "completed", "failed", "paused"}
    assert set(get_args(CradlStatus)) == {"pending", "succeeded", "failed"}


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+10:00", "9999-12-31T23:59:59-10:00"])
def test_a_time_that_has_no_year_in_utc_is_unreadable(text: str) -> None:
    assert as_time(text) is None
