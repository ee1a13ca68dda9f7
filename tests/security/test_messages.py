"""What people paste into a wrong argument: no message shows it."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_predictions.api.coercion import short
from airflow_provider_predictions.api.errors import ConfigurationError
from tests.compat import AIRFLOW, needs
from tests.given import HOOK, WATCH
from tests.tasks.test_arguments import BESIDE, NEEDED

SECRET = "hunter2"
PASTED = [
    "postgres://user:hunter2@host/db",
    "https://user:hun/ter2@hunter2@host:443/v1",
    "https://:hunter2@host",
    "https://hunter2@github.example/x",
    "s3://AKIA:hunter2@bucket/x",
    "//user:hunter2@host",
    "user:hunter2@host:5432/db",
    "https://host/x?sig=hunter2",
    "https://host/x?a=b&token=hunter2#c",
    "https://host/#access_token=hunter2",
    "password=hunter2",
    "host=db password = 'hunter2' port=5432",
    "DefaultEndpointsProtocol=https;AccountKey=hunter2;EndpointSuffix=x",
    "VLMRUN_API_KEY=hunter2",
    "api-key: hunter2",
    "client_secret: hunter2, audience: x",
    "Authorization: Bearer hunter2",
    "Bearer hunter2",
    "Basic hunter2",
    '{"conn_type": "cradl", "password": "hunter2"}',
    "{'client_secret': 'hunter2', 'a': 1}",
    {"token": "hunter2"},
    [{"Secret": "hunter2"}],
    ["https://user:hunter2@host", 5],
    [["X-Api-Key: hunter2"]],
]
"""Each with the secret in it."""


@pytest.mark.parametrize("pasted", PASTED, ids=str)
def test_a_secret_is_not_shown(pasted: Any) -> None:
    assert SECRET not in short(pasted)
    assert "ter2" not in short(pasted)


@pytest.mark.parametrize(
    "plain",
    [
        "s3://aws_default@bucket/x",
        "cradl:model:1",
        "{{ params.token_url }}",
        "2026-11-01T06:00+01:00",
        ["s3://aws_default@bucket/x", "s3://aws_default@bucket/y"],
        {"statuses": ["failed"]},
        "region=eu",
        "basically",
    ],
    ids=str,
)
def test_what_is_no_secret_is_shown(plain: object) -> None:
    assert short(plain) == repr(plain)


@pytest.mark.parametrize(
    "given", [pytest.param(PASTED[::6], id="few"), pytest.param(PASTED, id="all", marks=pytest.mark.slow)]
)
def test_no_argument_of_a_task_shows_a_secret(subtests: pytest.Subtests, given: list[Any]) -> None:
    for made, needed in NEEDED.items():
        for name in made.checked:
            if name in ("partition_keys", "retry_policy") and AIRFLOW < (3, 3):
                continue
            for number, pasted in enumerate(given):
                with subtests.test(made=made.__name__, name=name, number=number):
                    arguments = needed | BESIDE.get(name, {}) | {name: pasted}
                    assert SECRET not in error_of(made, arguments)
                    if name in made.declared and made.declared[name].templated:
                        assert SECRET not in error_of(made, arguments | {name: "{{ params.x }}"}, x=pasted)


def error_of(made: Any, arguments: dict[str, Any], **params: Any) -> str:
    """All that a log would show of it."""
    with DAG(
        "dag", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC), render_template_as_native_obj=True
    ):
        try:
            task = made(task_id="t", **arguments).prepare_for_execution()
            task.render_template_fields({"params": params, "ti": SimpleNamespace(task=task)})
            task.rendered()
        except Exception as error:
            return "".join(traceback.format_exception_only(error))
    return ""


def test_a_connection_is_not_taken_for_its_id(subtests: pytest.Subtests) -> None:
    for made, needed in NEEDED.items():
        for name in ("vlmrun_conn_id", "cradl_conn_id"):
            if name not in made.declared:
                continue
            for pasted in ("postgres://user:hunter2@host/db", "https://host", '{"conn_type": "cradl"}'):
                with (
                    subtests.test(made=made.__name__, pasted=pasted),
                    pytest.raises(
                        ConfigurationError, match=f"^{name}: must be the id of an Airflow connection, not"
                    ),
                ):
                    made(task_id="t", **needed, **{name: pasted})


@pytest.mark.parametrize("service", HOOK)
def test_a_hook_whose_connection_is_missing_shows_no_secret_in_any_error(service: str) -> None:
    for conn_id in ("https://user:hunter2@host", "password=hunter2", "token:hunter2"):
        hook = HOOK[service](conn_id)
        ok, message = hook.test_connection()
        assert not ok
        assert SECRET not in message
        with pytest.raises(Exception, match="_conn_id: ") as raised:
            hook.get_conn()
        assert SECRET not in "".join(traceback.format_exception(raised.value, chain=True)).replace(
            traceback.format_tb(raised.value.__traceback__)[0], ""
        )


@pytest.mark.parametrize("service", WATCH)
def test_a_watcher_shows_no_secret(service: str, subtests: pytest.Subtests) -> None:
    needs(3, 0, "asset watchers")
    for name in (HOOK[service].conn_name_attr, "statuses", "poke_interval", "max_age", "page_size"):
        for number, pasted in enumerate(PASTED):
            with subtests.test(name=name, number=number):
                assert SECRET not in said_by(WATCH[service], **{name: pasted})


@pytest.mark.parametrize("service", HOOK)
def test_no_extra_shows_a_secret(service: str) -> None:
    for name in HOOK[service].settings_class.model_fields:
        for pasted in PASTED:
            conn = SimpleNamespace(extra=json.dumps({name: pasted}))
            assert SECRET not in said_by(HOOK[service].settings, conn)


def said_by(call: Callable[..., object], *args: Any, **kwargs: Any) -> str:
    """The message of the error, if there is one."""
    try:
        call(*args, **kwargs)
    except ConfigurationError as error:
        return str(error)
    return ""
