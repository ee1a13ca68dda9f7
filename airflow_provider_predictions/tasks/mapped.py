"""Mapped tasks. Airflow itself checks their arguments only when a worker creates the first of them."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from types import SimpleNamespace
from typing import Any

from typing_extensions import override

from airflow_provider_predictions._compat import OperatorPartial
from airflow_provider_predictions.api.errors import ConfigurationError
from airflow_provider_predictions.tasks.declaration import REQUIRED, Argument, naming_task
from airflow_provider_predictions.tasks.references import MappedValue


class CheckedPartial(OperatorPartial):
    """What ``partial()`` returns. It checks the arguments as far as they are known.

    ``expand`` checks the values in lists, and ``expand_kwargs`` the dicts in a list.
    """

    operator_class: Any
    defaults: Mapping[str, Any] = {}
    """The arguments in the ``default_args`` of the task, its group and its DAG."""

    @override
    def expand(self, **mapped: Any) -> Any:
        self._expand_called = True  # an error is no reason to warn that nothing was mapped
        self._require(mapped)
        others = dict.fromkeys(mapped, MappedValue())
        self._check_together(others)
        for name, values in mapped.items():
            if isinstance(values, Mapping):
                values = [*values.items()]  # as Airflow maps over a dict
            for value in values if isinstance(values, list | tuple) else ():
                self._check({name: value})
                self._check_together({**others, name: value})
        return super().expand(**mapped)

    @override
    def expand_kwargs(self, kwargs: Any, *, strict: bool = True) -> Any:
        self._expand_called = True
        for given in kwargs if isinstance(kwargs, list | tuple) else ():
            if isinstance(given, Mapping):
                self._check(given)
                self._require(given)
                self._check_together(given)
        return super().expand_kwargs(kwargs, strict=strict)

    def checked(self) -> CheckedPartial:
        """Check the arguments that all instances share.

        :raises ConfigurationError: naming the argument that is wrong.
        """
        self._expand_called = True
        self._check(self.kwargs)
        self._expand_called = False
        return self

    def _check(self, given: Mapping[str, Any]) -> None:
        checked: Mapping[str, Argument] = self.operator_class.checked
        with naming_task(self.kwargs["task_id"]):
            for name in given.keys() & checked.keys():
                checked[name].check_given(given[name])
                if given[name] is None:
                    checked[name].rendered(None, MappedValue())

    def _check_together(self, given: Mapping[str, Any]) -> None:
        made = self.operator_class
        if not hasattr(made.__init__, "is_declared"):
            return  # how an author's own __init__ uses them is not known
        values = {name: made.default(argument) for name, argument in made.checked.items()}
        values |= {**self.defaults, **self.kwargs, **given}
        with naming_task(self.kwargs["task_id"]):
            made.check_together(SimpleNamespace(**values))

    def _require(self, mapped: Iterable[str]) -> None:
        # A subclass may give them itself.
        asked = inspect.signature(self.operator_class.__init__).parameters
        given = {*mapped, *self.kwargs, *self.defaults}
        for name in self.operator_class.declared:
            if name in asked and asked[name].default is REQUIRED and name not in given:
                with naming_task(self.kwargs["task_id"]):
                    raise ConfigurationError(f"{name}: must be given to partial() or expand()")
