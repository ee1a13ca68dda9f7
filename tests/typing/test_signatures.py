"""People, editors and type checkers see every argument of every class."""

from __future__ import annotations

import inspect
import pydoc
from importlib import import_module
from typing import Any

import pytest
import signatures
from airflow.providers.common.compat.sdk import BaseOperator, BaseSensorOperator

from airflow_provider_predictions.get_provider_info import get_provider_info
from airflow_provider_predictions.tasks.airflow_arguments import OperatorArgs, OtherArgs, SensorArgs
from airflow_provider_predictions.tasks.arguments import REQUIRED, ArgumentsTask


def test_every_public_class_has_a_written_signature() -> None:
    info: Any = get_provider_info()
    modules = {
        m for kind in ("operators", "sensors") for entry in info[kind] for m in entry["python-modules"]
    }
    public = {
        value
        for module in modules
        for value in vars(import_module(module)).values()
        if isinstance(value, type) and issubclass(value, ArgumentsTask) and value.__module__ == module
    }

    assert public == {*signatures.CLASSES}
    assert signatures.main(check=True) == 0, "run scripts/signatures.py"


@pytest.mark.parametrize("made", signatures.CLASSES)
def test_the_signature_and_the_help_show_all_arguments(made: type[ArgumentsTask]) -> None:
    parameters = inspect.signature(made).parameters
    helped = pydoc.render_doc(made, renderer=pydoc.plaintext).replace("\n |  ", "\n")

    assert {*made.template_fields} == {name for name, argument in made.declared.items() if argument.templated}
    assert parameters.keys() == made.declared.keys() | {"kwargs"}
    for name, argument in made.declared.items():
        assert parameters[name].default is argument.default
        assert parameters[name].annotation == argument.type
        end = " (templated)." if argument.templated else "."
        assert f":param {name}: {argument.doc}{end}" in helped
        assert argument.doc[-1] not in ".,;"
        assert argument.default is not REQUIRED or argument.templated


def test_type_checkers_know_every_argument_of_airflow() -> None:
    operator = inspect.signature(BaseOperator.__init__).parameters.keys() - {"self", "kwargs"}
    sensor = inspect.signature(BaseSensorOperator.__init__).parameters.keys() - {"self", "kwargs"}

    assert operator - {"retry_policy"} <= OperatorArgs.__annotations__.keys()
    assert operator <= OtherArgs.__annotations__.keys()
    assert operator - {"retry_policy"} | sensor <= SensorArgs.__annotations__.keys()


def test_a_subclass_of_a_user_keeps_its_own_init_and_adds_template_fields() -> None:
    class Mine(signatures.CLASSES[0]):  # type: ignore[misc, name-defined]
        """Of a user."""

        template_fields = ("where",)

        def __init__(self, *, where: str, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.where = where

    task = Mine(task_id="task", where="here", statuses="a")

    assert (task.where, task.statuses, Mine.__doc__) == ("here", "a", "Of a user.")
    assert {"where", "statuses"} <= {*Mine.template_fields}
    assert [*inspect.signature(Mine).parameters] == ["where", "kwargs"]
