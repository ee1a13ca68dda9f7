"""The arguments of watchers' triggers, which an author writes into the definition of an asset."""

from __future__ import annotations

import inspect
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_predictions.api.errors import ConfigurationError
from tests.compat import DagParam, needs
from tests.given import HOOK, LIST, WATCH

NOTHING = (None, "None", "", " ", "null")
GROUP = {"vlmrun": "domains", "cradl": "model_id"}


@pytest.fixture(autouse=True)
def watchers() -> None:
    needs(3, 0, "asset watchers")


def references() -> list[Any]:
    with DAG("dag", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)) as dag:
        up = LIST["vlmrun"](task_id="up").output
        return [up, up.map(lambda x: x), DagParam(dag, "x", "a"), [up], "{{ x }}", ["{{ x }}"], "{# x #}"]


def test_a_filter_that_stands_for_nothing_is_not_given(service_name: str) -> None:
    plain = WATCH[service_name]().serialize()
    for name in ("statuses", GROUP[service_name], "page_size"):
        for nothing in NOTHING:
            assert WATCH[service_name](**{name: nothing}).serialize() == plain


def test_an_empty_list_never_fires_and_is_refused(service_name: str) -> None:
    for name in {"statuses", GROUP[service_name]} - {"model_id"}:
        for empty in ([], (), set(), "[]", ","):
            with pytest.raises(
                ConfigurationError, match=f"^{name}: is an empty list, so the watcher would never fire"
            ):
                WATCH[service_name](**{name: empty})


def test_nothing_is_templated_in_a_watcher(service_name: str, subtests: pytest.Subtests) -> None:
    conn_id = HOOK[service_name].conn_name_attr
    for name in ("statuses", GROUP[service_name], conn_id, "poke_interval", "max_age", "lookback"):
        for number, reference in enumerate(references()):
            with (
                subtests.test(name=name, number=number),
                pytest.raises(ConfigurationError, match=f"^{name}: "),
            ):
                WATCH[service_name](**{name: reference})


@pytest.mark.parametrize("name", ["created_after", "created_before", "max_predictions"])
def test_a_filter_of_one_pass_over_a_list_is_refused(service_name: str, name: str) -> None:
    value = 5 if name == "max_predictions" else "2026-11-01"

    with pytest.raises(ConfigurationError, match=f"^{name}: does not go with a watcher"):
        WATCH[service_name](**{name: value})
    WATCH[service_name](**{name: None})


def test_spans_are_timedeltas_or_seconds(service_name: str) -> None:
    for name in ("poke_interval", "max_age", "lookback"):
        one, other = (WATCH[service_name](**{name: span}) for span in (timedelta(minutes=1), 60))

        assert one.serialize() == other.serialize()
        assert WATCH[service_name](**{name: Decimal(60)}).serialize() == one.serialize()
        for wrong in ("60", -1, float("nan"), float("inf"), True, None):
            with pytest.raises(ConfigurationError, match=f"^{name}: "):
                WATCH[service_name](**{name: wrong})


def test_a_connection_is_named_by_its_id(service_name: str) -> None:
    name = HOOK[service_name].conn_name_attr
    for wrong in (None, "", 5, "https://user:pass@host"):
        with pytest.raises(ConfigurationError, match=f"^{name}: must be the id of an Airflow connection"):
            WATCH[service_name](**{name: wrong})


def test_the_signature_and_the_help_show_all_arguments(service_name: str) -> None:
    made = WATCH[service_name]
    shared = {"statuses", "page_size", "poke_interval", "max_age", "lookback"}
    expected = {*shared, HOOK[service_name].conn_name_attr, GROUP[service_name]}

    parameters = inspect.signature(made).parameters

    assert {*parameters} - {"order"} == expected
    assert parameters["poke_interval"].default == 60
    assert all(f":param {name}: " in str(inspect.getdoc(made)) for name in parameters)


def test_an_unknown_argument_is_refused_with_the_known_ones(service_name: str) -> None:
    known = sorted(inspect.signature(WATCH[service_name]).parameters)

    with pytest.raises(ConfigurationError, match=f"^statusses: unknown; known are {', '.join(known)}$"):
        WATCH[service_name](statusses="failed")


def test_statuses_that_never_finish_are_refused(service_name: str) -> None:
    for statuses in ("pending", ["pending"], "['pending']"):
        with pytest.raises(ConfigurationError, match=r"^statuses: a watcher reports finished .*: pending$"):
            WATCH[service_name](statuses=statuses)
    WATCH[service_name](statuses=["pending", "failed"])
