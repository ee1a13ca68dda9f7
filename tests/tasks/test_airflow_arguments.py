"""The arguments of Airflow itself that it takes as they come, in every class."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.lineage.entities import File, Table
from airflow.providers.common.compat.sdk import DAG, Asset, AssetAlias

from airflow_provider_predictions.api.errors import ConfigurationError
from airflow_provider_predictions.tasks.retry import PredictionsRetryPolicy
from tests.compat import AIRFLOW, DagParam
from tests.given import LIST, WAIT
from tests.tasks.test_arguments import NEEDED

ONE, OTHER = Asset("one"), Asset("other")
SENSORS = tuple(WAIT.values())


def dag() -> DAG:
    return DAG("dag", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC))


def output() -> Any:
    with dag():
        return LIST["vlmrun"](task_id="up").output


WRONG: dict[str, list[Callable[[], Any]]] = {
    "outlets": [
        lambda: ONE & OTHER,
        lambda: [ONE | OTHER],
        lambda: [ONE, ONE & OTHER],
        lambda: "s3://bucket/x",
        lambda: ["s3://bucket/x"],
        lambda: ["{{ params.x }}"],
        lambda: [None],
        lambda: 7,
        lambda: [[ONE]],
        lambda: [(ONE, OTHER)],
        lambda: (one for one in [ONE]),
        lambda: Asset,
        lambda: [Asset],
        output,
        lambda: [output()],
        lambda: [DagParam(dag(), "x", 1)],
        object,
    ],
    "retry_policy": [
        lambda: "never",
        lambda: 3,
        lambda: PredictionsRetryPolicy,
        lambda: timedelta(1),
        lambda: "{{ x }}",
        object,
        lambda: lambda *_: None,
    ],
    "on_failure_callback": [lambda: "mail", lambda: [print, "mail"], lambda: 7, object],
    "on_skipped_callback": [lambda: "mail"],
    "soft_fail": [lambda: "false", lambda: 1, lambda: "{{ x }}", object],
    "never_fail": [lambda: "no"],
    "silent_fail": [lambda: "no"],
    "exponential_backoff": [lambda: "false"],
}
RIGHT: dict[str, list[Callable[[], Any]]] = {
    "outlets": [
        lambda: ONE,
        lambda: [ONE, OTHER],
        lambda: [AssetAlias("alias"), ONE],
        lambda: [File(url="s3://bucket/{{ ds }}")],
        lambda: [Table(database="d", cluster="c", name="n")],
        list,
        lambda: None,
        lambda: [Asset.ref(name="one")] if AIRFLOW >= (3, 0) else [ONE],
        lambda: (ONE, OTHER) if AIRFLOW >= (3, 3) else [ONE],
    ],
    "retry_policy": [PredictionsRetryPolicy, lambda: None],
    "on_failure_callback": [lambda: print, lambda: [print, repr], lambda: None, list],
    "soft_fail": [lambda: True, lambda: False],
    "exponential_backoff": [lambda: True],
    "poke_interval": [lambda: 30, lambda: 0.5, lambda: timedelta(minutes=1)],
    "timeout": [lambda: 30, lambda: timedelta(days=1)],
    "max_wait": [lambda: None, lambda: 5, lambda: timedelta(days=1)],
}


def rows(table: dict[str, list[Callable[[], Any]]]) -> list[tuple[Any, str, Callable[[], Any]]]:
    of_sensors = ("soft_fail", "never_fail", "silent_fail", "exponential_backoff", "poke_interval", "timeout",
                  "max_wait")  # fmt: skip
    return [
        (made, name, value)
        for made in NEEDED
        for name, values in table.items()
        if made in SENSORS or name not in of_sensors
        if not (name == "retry_policy" and AIRFLOW < (3, 3) and "retry_policy" not in made.declared)
        for value in values
    ]


def test_what_airflow_would_pass_over_in_silence_is_refused_by_name(subtests: pytest.Subtests) -> None:
    for number, (made, name, value) in enumerate(rows(WRONG)):
        with subtests.test(made=made.__name__, name=name, number=number):
            said = rf"(?s)^{name}: .*\(task t\)$"
            with pytest.raises(ConfigurationError, match=said):
                made(task_id="t", **NEEDED[made] | {name: value()})
            with pytest.raises(ConfigurationError, match=said), dag():
                made.partial(task_id="t", **NEEDED[made], **{name: value()})


def test_what_airflow_understands_is_taken(subtests: pytest.Subtests) -> None:
    for number, (made, name, value) in enumerate(rows(RIGHT)):
        with subtests.test(made=made.__name__, name=name, number=number), dag():
            made(task_id="t", **NEEDED[made] | {name: value()})
            made.partial(task_id="u", **NEEDED[made], **{name: value()})._expand_called = True
