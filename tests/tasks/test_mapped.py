"""The arguments of mapped tasks, which Airflow itself does not look at while a DAG is parsed."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_predictions.api.errors import ConfigurationError
from tests.compat import DagParam, DagSerialization
from tests.given import LAND, LIST, WAIT

LANDING = LAND["cradl"]


@pytest.fixture(autouse=True)
def strict_warnings() -> Any:
    """A partial that is never mapped warns when it is collected."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        yield


def dag() -> DAG:
    return DAG("dag", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC))


WRONG: dict[str, tuple[Callable[[], Any], str]] = {
    "no path": (lambda: partial().expand(statuses=[["a"]]), r"path: must be given to partial\(\) or expand"),
    "type": (lambda: partial(path="/x").expand(incremental=["yes"]), "incremental: .*found 'yes'"),
    "template": (lambda: partial(path="/x").expand(incremental=["{{ a }}"]), "incremental: is not templated"),
    "shared template": (lambda: partial(path="/x", prefetch="{{ a }}"), "prefetch: is not templated"),
    "shared path": (lambda: partial(path="x/y"), "path: is relative"),
    "item": (lambda: partial(path="/x").expand(created_after=["2026-11-01", 5]), "created_after: .*found 5"),
    "dict": (lambda: partial().expand(path={"a": "/x"}), "path: must be a URL or a path; found .'a', '/x'"),
    "kwargs": (lambda: partial(path="/x").expand_kwargs([{"statuses": 5}]), "statuses: .*found 5"),
    "kwargs without path": (lambda: partial().expand_kwargs([{"path": "/x"}, {}]), "path: must be given"),
}


def partial(**arguments: Any) -> Any:
    return LANDING.partial(task_id="task", **arguments)


def test_a_wrong_argument_of_a_mapped_task_is_named(
    subtests: pytest.Subtests,
) -> None:
    for name, (make, said) in WRONG.items():
        with (
            subtests.test(name=name),
            dag(),
            pytest.raises(ConfigurationError, match=rf"^{said}.*\(task task\)$"),
        ):
            make()


def test_right_arguments_of_mapped_tasks_are_taken_and_serialized() -> None:
    with dag() as made:
        up = LIST["cradl"](task_id="up").output
        LANDING.partial(task_id="a", path="/x").expand(statuses=[["a"], "b, c", "{{ params.x }}", up])
        LANDING.partial(task_id="b", statuses=up).expand(path=up.map(lambda x: x))
        LANDING.partial(task_id="c", path="/x").expand(incremental=up)
        LANDING.partial(task_id="d").expand_kwargs([{"path": "/x"}, {"path": "/y", "statuses": "a"}])
        LANDING.partial(task_id="e").expand_kwargs(up)
        WAIT["cradl"].partial(task_id="f", poke_interval=5, model_id=DagParam(made, "x", "a")).expand(
            prediction_ids=[["a"], "b"]
        )

    assert len(DagSerialization.to_dict(made)["dag"]["tasks"]) == 7


@pytest.mark.parametrize("nothing", [None, "None", "", " "])
def test_ids_of_one_instance_that_came_to_nothing_are_an_error(nothing: str | None) -> None:
    with dag():
        up = LIST["vlmrun"](task_id="up").output
        mapped = WAIT["vlmrun"].partial(task_id="task").expand(prediction_ids=up)
    with pytest.raises(ConfigurationError, match=r"^prediction_ids: .*give ids, or leave .*\(task task\)$"):
        running(mapped, prediction_ids=nothing)


def test_a_filter_of_one_instance_that_came_to_nothing_is_no_filter() -> None:
    with dag():
        up = LIST["vlmrun"](task_id="up").output
        mapped = WAIT["vlmrun"].partial(task_id="task").expand(statuses=up)

    assert running(mapped, statuses=None).statuses is None
    assert running(mapped, statuses=None).prediction_ids is None


def test_ids_that_are_none_in_a_list_are_refused_while_the_dag_is_parsed() -> None:
    made = WAIT["vlmrun"]
    for make in (
        lambda: made.partial(task_id="task").expand(prediction_ids=[["a"], None]),
        lambda: made.partial(task_id="task").expand_kwargs([{"prediction_ids": None}]),
        lambda: made.partial(task_id="task", prediction_ids=None),
    ):
        with dag(), pytest.raises(ConfigurationError, match=r"^prediction_ids: .*rendered to an empty value"):
            make()


def running(mapped: Any, **given: Any) -> Any:
    """The rendered arguments of an instance, as a worker makes it."""
    return mapped.unmap(given).rendered()
