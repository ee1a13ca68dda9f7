"""Mapped tasks, whose arguments Airflow itself looks at only when a worker makes the first of them."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from airflow_provider_predictions._compat import OperatorPartial
from airflow_provider_predictions.api.errors import ConfigurationError
from airflow_provider_predictions.tasks.arguments import REQUIRED, Argument


class CheckedPartial(OperatorPartial):
    """What ``partial()`` gives, which checks each argument by itself."""

    operator_class: Any
    defaults: Collection[str] = ()
    """The arguments in the ``default_args`` of the task, its group and its DAG."""

    def expand(self, **mapped: Any) -> Any:
        """Map over these arguments; those that are given as a list are checked.

        :param mapped: the arguments that differ.
        :raises ConfigurationError: naming the argument that is wrong.
        """
        self._expand_called = True  # an error is no reason to warn that nothing was mapped
        for name, values in mapped.items():
            if isinstance(values, list | tuple):
                for value in values:
                    self._check({name: value})
        self._require(mapped)
        return super().expand(**mapped)

    def expand_kwargs(self, kwargs: Any, *, strict: bool = True) -> Any:
        """Map over sets of arguments; those that are given as a dict are checked.

        :param kwargs: a list of dicts, or the output of a task.
        :param strict: see Airflow.
        :raises ConfigurationError: naming the argument that is wrong.
        """
        self._expand_called = True
        for given in kwargs if isinstance(kwargs, list | tuple) else ():
            if isinstance(given, Mapping):
                self._check(given)
                self._require(given)
        return super().expand_kwargs(kwargs, strict=strict)

    def checked(self) -> CheckedPartial:
        """Check the arguments that all instances share.

        :raises ConfigurationError: naming the argument that is wrong.
        """
        expanded, self._expand_called = self._expand_called, True
        self._check(self.kwargs)
        self._expand_called = expanded
        return self

    def _check(self, given: Mapping[str, Any]) -> None:
        declared: Mapping[str, Argument] = self.operator_class.declared
        for name in given.keys() & declared.keys():
            try:
                declared[name].check_given(given[name])
            except ConfigurationError as error:
                raise self._naming(str(error)) from None

    def _require(self, mapped: Iterable[str]) -> None:
        # A subclass may give them itself.
        asked = inspect.signature(self.operator_class.__init__).parameters
        given = {*mapped, *self.kwargs, *self.defaults}
        for name in self.operator_class.declared:
            if name in asked and asked[name].default is REQUIRED and name not in given:
                raise self._naming(f"{name}: must be given to partial() or expand()")

    def _naming(self, text: str) -> ConfigurationError:
        return ConfigurationError(f"{text} (task {self.kwargs['task_id']})")
