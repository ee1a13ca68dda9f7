"""What Airflow is told of this package, against the package itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from contextlib import nullcontext
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points, metadata, version
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest

import airflow_provider_predictions
from airflow_provider_predictions.get_provider_info import get_provider_info
from airflow_provider_predictions.hooks.vlmrun import VlmRunHook
from airflow_provider_predictions.operators.report import PredictionsReportOperator
from tests.given import LAND, LIST, WAIT

INFO = get_provider_info()
CONNECTIONS = {connection["connection-type"]: connection for connection in INFO["connection-types"]}
FIELDS = [field for connection in CONNECTIONS.values() for field in connection["conn-fields"].items()]


def test_it_has_the_form_that_airflow_asks_for() -> None:
    schema = json.loads(files("airflow").joinpath("provider_info.schema.json").read_text())

    jsonschema.validate(INFO, schema)


def test_it_is_the_entry_point_under_the_canonical_name() -> None:
    (entry,) = [
        entry
        for entry in entry_points(group="apache_airflow_provider")
        if entry.value.startswith("airflow_provider_predictions")
    ]

    assert entry.load()() == INFO
    assert INFO["package-name"] == metadata("airflow_provider_predictions")["Name"]
    assert airflow_provider_predictions.__version__ == version(INFO["package-name"])


def test_the_plugin_is_an_entry_point() -> None:
    """As ``pyproject.toml`` says it; ``test_wheel`` looks at what is built."""
    pyproject = tomllib.loads(Path(__file__).parent.parent.joinpath("pyproject.toml").read_text())
    ((name, value),) = pyproject["project"]["entry-points"]["airflow.plugins"].items()

    plugin = EntryPoint(name, value, "airflow.plugins").load()

    assert plugin.name == name


PLUGIN = """
import sys
from importlib.metadata import version
import airflow.plugins_manager
from airflow.providers.common.compat.sdk import AirflowPlugin, conf
from airflow.providers.common.compat.version_compat import get_base_airflow_version_tuple
conf.get("core", "dags_folder"), get_base_airflow_version_tuple(), version("apache-airflow")
before = set(sys.modules)
from airflow_provider_predictions.ui.plugin import PredictionsPlugin
print(*{name for name in set(sys.modules) - before if not name.startswith("airflow_provider_predictions")})
print(PredictionsPlugin.react_apps + PredictionsPlugin.external_views + PredictionsPlugin().fastapi_apps)
"""


def test_a_process_that_loads_the_plugin_loads_little_and_nothing_shows_when_it_is_off() -> None:
    off = os.environ | {"AIRFLOW__PREDICTIONS__REPORTS_UI": "False"}
    printed = subprocess.run(
        [sys.executable, "-c", PLUGIN], check=True, capture_output=True, text=True, env=off
    )

    assert printed.stdout.splitlines()[-2:] == ["", "[]"]


def test_reading_it_imports_nothing() -> None:
    script = (
        "import sys; before = set(sys.modules); import airflow_provider_predictions.get_provider_info;"
        "loaded = {name.partition('.')[0] for name in set(sys.modules) - before};"
        "print(*loaded - set(sys.stdlib_module_names))"
    )
    printed = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)

    assert printed.stdout.split() == ["airflow_provider_predictions"]


def test_every_module_that_it_names_can_be_imported() -> None:
    for kind in ("hooks", "operators", "sensors", "triggers"):
        for entry in INFO[kind]:
            for module in entry["python-modules"]:
                import_module(module)


@pytest.mark.parametrize("connection", CONNECTIONS.values(), ids=list(CONNECTIONS))
def test_connection_types_are_those_of_the_hooks(connection: dict) -> None:
    module, name = connection["hook-class-name"].rsplit(".", 1)
    hook = getattr(import_module(module), name)

    assert hook.conn_type == connection["connection-type"]
    assert hook.hook_name == connection["hook-name"]
    assert hook().conn_id == hook.default_conn_name == f"{hook.conn_type}_default"
    assert set(connection["conn-fields"]) == set(hook.settings_class.model_fields)


def test_every_field_of_a_form_has_a_label_a_help_text_and_may_stay_empty() -> None:
    for name, field in FIELDS:
        assert field["label"], name
        assert field["description"], name
        assert "null" in field["schema"]["type"], name


@pytest.mark.parametrize("connection", CONNECTIONS.values(), ids=list(CONNECTIONS))
def test_a_form_takes_the_numbers_that_the_hook_takes(connection: dict) -> None:
    module, name = connection["hook-class-name"].rsplit(".", 1)
    settings = getattr(import_module(module), name).settings_class

    for name, field in connection["conn-fields"].items():
        if "string" in field["schema"]["type"]:
            continue
        for number in (-1, 0, 0.001, 1, 3600, 3601):
            if isinstance(number, float) and "integer" in field["schema"]["type"]:
                continue
            is_shown = jsonschema.Draft202012Validator(field["schema"]).is_valid(number)
            with nullcontext() if is_shown else pytest.raises(ValueError, match=name):
                settings.model_validate({name: number})


def test_no_field_has_a_name_that_airflow_masks() -> None:
    words = ("token", "secret", "password", "api_key", "authorization", "bearer", "proxy")

    assert not [name for name, _ in FIELDS if any(word in name for word in words)]


def test_links_are_classes() -> None:
    for path in INFO["extra-links"]:
        module, name = path.rsplit(".", 1)
        assert getattr(import_module(module), name)().name


def test_airflow_builds_the_hook_of_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.providers.common.compat.sdk import BaseHook

    monkeypatch.setenv("AIRFLOW_CONN_SOMETHING", '{"conn_type": "vlmrun", "password": "the-key"}')

    hook = BaseHook.get_hook("something")

    assert isinstance(hook, VlmRunHook)
    assert hook.vlmrun_conn_id == "something"


def test_every_link_of_an_operator_is_known_to_the_web_server() -> None:
    services = [kind[service] for kind in (LIST, LAND, WAIT) for service in ("vlmrun", "cradl")]
    classes = [*services, PredictionsReportOperator]
    links = {type(link) for operator in classes for link in operator.operator_extra_links}

    assert {f"{link.__module__}.{link.__name__}" for link in links} == set(INFO["extra-links"])
