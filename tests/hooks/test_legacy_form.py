"""The form that hooks give to Airflow before 3.2, against the one that later versions read."""

from __future__ import annotations

import json
from importlib.resources import files

import jsonschema
import pytest

from airflow_provider_predictions.get_provider_info import get_provider_info
from tests.given import HOOK

FORMS = {form["connection-type"]: form for form in get_provider_info()["connection-types"]}


@pytest.fixture
def hook(service_name: str) -> type:
    return HOOK[service_name]


def test_labels_placeholders_and_hidden_fields_are_those_of_the_provider_info(hook, service_name) -> None:
    given = hook.get_ui_field_behaviour()

    assert {name.replace("_", "-"): value for name, value in given.items()} == FORMS[service_name][
        "ui-field-behaviour"
    ]
    schema = json.loads(files("airflow").joinpath("customized_form_field_behaviours.schema.json").read_text())
    jsonschema.validate(given, schema)


def test_each_hook_gives_its_form_itself_since_airflow_does_not_look_into_the_bases(hook) -> None:
    assert {"get_connection_form_widgets", "get_ui_field_behaviour"} <= vars(hook).keys()


def test_labels_and_help_of_the_extra_fields_are_those_of_the_provider_info(hook, service_name) -> None:
    pytest.importorskip("flask_appbuilder", reason="only Airflow before 3.0 installs what draws this form")

    given = hook.get_connection_form_widgets()

    fields = FORMS[service_name]["conn-fields"]
    assert list(given) == list(fields)
    for name, field in fields.items():
        assert given[name].args == (field["label"],)
        assert given[name].kwargs["description"] == field["description"]
        whole = "integer" in field["schema"]["type"]
        assert given[name].field_class.__name__ == ("IntegerField" if whole else "StringField")
