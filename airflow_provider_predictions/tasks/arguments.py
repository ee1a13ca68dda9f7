"""Tasks whose arguments are declared once. Signature, docstring and template fields come from that."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import BaseOperator, BaseSensorOperator

from airflow_provider_predictions.api.errors import ConfigurationError
from airflow_provider_predictions.tasks.airflow_arguments import OF_OPERATORS, OF_SENSORS
from airflow_provider_predictions.tasks.declaration import (
    REQUIRED,
    Argument,
    Templated,
    declare,
    naming_task,
    parameters,
)
from airflow_provider_predictions.tasks.references import MappedValue, is_reference, left_template

__all__ = ["REQUIRED", "Argument", "ArgumentsTask", "Templated", "declare"]
_OF_AIRFLOW, _OF_SENSORS = (
    frozenset(inspect.signature(base.__init__).parameters) for base in (BaseOperator, BaseSensorOperator)
)


class ArgumentsTask(BaseOperator):
    """A task whose arguments are declared.

    A subclass lists its own in ``arguments``; those of its bases are added. Its ``__init__``, signature,
    docstring and template fields are generated, unless it or one of its bases defines an ``__init__``. A
    class attribute with the name of an argument replaces its default.
    """

    arguments: ClassVar[Sequence[Argument]] = ()
    declared: ClassVar[Mapping[str, Argument]] = {}
    checked: ClassVar[Mapping[str, Argument]] = {}
    """The declared arguments, and those of Airflow that Airflow does not check."""
    of_class: ClassVar[Mapping[str, Any]] = {}
    """The values of class attributes with names of arguments."""
    _given: Mapping[str, Any] = {}
    """The arguments as the DAG gives them; rendering changes the attributes."""
    ui_color = "#e4ecf7"

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        bases = [vars(base) for base in reversed(cls.__mro__)]
        named = {made.name: made for base in bases for made in base.get("arguments", ())}
        authors = [base for base in bases if not str(base.get("__module__")).startswith("airflow.")]
        cls.of_class = {
            name: value
            for base in authors
            for name, value in base.items()
            if name in named and not hasattr(value, "__get__")
        }
        cls.declared = dict(sorted(named.items(), key=lambda item: cls.default(item[1]) is not REQUIRED))
        of_airflow = (*OF_OPERATORS, *(OF_SENSORS if issubclass(cls, BaseSensorOperator) else ()))
        cls.checked = {made.name: made for made in of_airflow} | cls.declared
        templated = (name for name, made in cls.declared.items() if made.templated)
        own = (name for base in bases for name in base.get("template_fields", ()))
        cls.template_fields = tuple(dict.fromkeys((*templated, *own)))
        # An author's own __init__ stays, and calls ours.
        if cls.__init__.__module__.startswith("airflow.") or hasattr(cls.__init__, "is_declared"):
            cls.__init__ = _initializer(cls)  # type: ignore[method-assign]
            cls.__doc__ = f"{inspect.cleandoc(cls.__doc__ or cls.__name__)}\n\n{parameters(cls.declared)}"

    @classmethod
    def default(cls, argument: Argument) -> Any:
        """The value of a declared argument that is not given."""
        return cls.of_class.get(argument.name, argument.default)

    @classmethod
    def partial(cls, **kwargs: Any) -> Any:
        """Begin a mapped task. Its arguments are checked like those of any other task.

        :param kwargs: the arguments that all of its instances share.
        :raises ConfigurationError: naming the argument that is wrong.
        """
        from airflow_provider_predictions.tasks.mapped import CheckedPartial

        made = super().partial(**kwargs)
        made._expand_called = True  # the one below warns if nothing is mapped
        checked = CheckedPartial(operator_class=made.operator_class, kwargs=made.kwargs, params=made.params)
        holders = (made.kwargs.get("dag"), made.kwargs.get("task_group"))
        defaults = [kwargs.get("default_args"), *(getattr(one, "default_args", None) for one in holders)]
        checked.defaults = {
            name: value for given in reversed(defaults) for name, value in (given or {}).items()
        }
        return checked.checked()

    @classmethod
    def check_names(cls, given: Mapping[str, Any]) -> None:
        """Refuse names that no argument has. Airflow's own error would show their values.

        :raises TypeError: with the name that was probably meant.
        """
        of_airflow = _OF_SENSORS if issubclass(cls, BaseSensorOperator) else frozenset()
        known = {*_OF_AIRFLOW, *of_airflow, *cls.declared}
        for name in given:
            if name not in known and not name.startswith("_"):  # Airflow's own, for mapped tasks
                similar = get_close_matches(name, sorted(known), 1)
                hint = f"; did you mean {similar[0]}?" if similar else ""
                task = given.get("task_id")
                raise TypeError(f"{name}: is not an argument of {cls.__name__}{hint} (task {task})")

    @classmethod
    def check_together(cls, values: Any) -> None:
        """Refuse arguments that contradict each other, while the DAG is parsed and when the task runs.

        :param values: all of ``checked``. While the DAG is parsed, some are references.
        :raises ConfigurationError: naming the arguments.
        """
        for name, made in cls.declared.items():
            value = getattr(values, name)
            if not made.stands(value):
                continue
            if made.goes_with and not cls._stands(values, made.goes_with):
                is_switch = cls.declared[made.goes_with].check is bool
                raise made.wrong(f"goes with {made.goes_with}{'=True' if is_switch else ''} only")
            if is_reference(value) and not made.templated:
                continue  # the instances of a mapped task may differ
            for other in made.not_with:
                if cls._stands(values, other):
                    raise ConfigurationError(f"{other}: does not go with {name}, {made.why_not_with}")

    @classmethod
    def _stands(cls, values: Any, name: str) -> bool:
        return name in cls.declared and cls.declared[name].stands(getattr(values, name))

    @classmethod
    def known(cls, values: Any) -> SimpleNamespace:
        """The arguments as their types; None for a reference, and for what is not given."""
        return SimpleNamespace(
            **{name: made.known(getattr(values, name)) for name, made in cls.checked.items()}
        )

    def check_given(self) -> None:
        """Refuse wrong arguments while the DAG is parsed.

        :raises ConfigurationError: naming the argument that is wrong.
        """
        with naming_task(self.task_id):
            values = {name: getattr(self, name, None) for name in self.checked}
            for name, value in values.items():
                self.checked[name].check_given(value)
            self.check_together(SimpleNamespace(**values))

    def rendered(self) -> Any:
        """All arguments, rendered and checked. The attributes of templated ones stay as rendered.

        :raises ConfigurationError: naming the argument that is wrong.
        """
        with naming_task(self.task_id):
            values = SimpleNamespace(**{name: self._rendered(name) for name in self.checked})
            self.check_together(values)
        for name, made in self.declared.items():
            if not made.templated:
                setattr(self, name, getattr(values, name))
            if isinstance(made, Templated) and made.when_empty and getattr(values, name) == ():
                self.log.warning("%s: is an empty list, so %s", name, made.when_empty)
            if made.templated and (template := left_template(getattr(values, name))):
                self.log.warning(
                    "%s: holds %s. Airflow renders no template in a value that a parameter or another task "
                    "gives; write the template into the DAG", name, template,
                )  # fmt: skip
        return values

    def _rendered(self, name: str) -> Any:
        value = getattr(self, name, None)
        return self.checked[name].rendered(value, self._given.get(name, value))

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """The arguments are attributes."""


def _initializer(cls: type[ArgumentsTask]) -> Callable[..., None]:
    """The ``__init__`` of a class. It stores its own arguments unchanged, and checks them.

    A converted value would be another object than the one from XCom, and Airflow would render it.
    """

    def __init__(self: ArgumentsTask, **kwargs: Any) -> None:  # noqa: N807
        self.check_names(kwargs)
        passed = kwargs.keys() if self._BaseOperator__from_mapped else ()
        # Airflow resolves mapped values before it creates an instance: None is what one came to.
        nothing = {name: MappedValue() for name in passed if name in self.declared and kwargs[name] is None}
        # What an author's __init__ has set before it calls this one also counts.
        own = {
            name: kwargs.pop(name, vars(self).get(name, self.default(made)))
            for name, made in self.declared.items()
        }
        of_airflow = {name: value for name, value in own.items() if name in _OF_AIRFLOW}
        self._given = own | nothing
        super(ArgumentsTask, self).__init__(**kwargs, **of_airflow)
        for name in own.keys() - of_airflow.keys():
            setattr(self, name, own[name])
        self.check_given()

    kind = inspect.Parameter
    __init__.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            kind("self", kind.POSITIONAL_OR_KEYWORD),
            *(
                kind(made.name, kind.KEYWORD_ONLY, default=cls.default(made), annotation=made.type)
                for made in cls.declared.values()
            ),
            kind("kwargs", kind.VAR_KEYWORD, annotation=Any),
        ]
    )
    __init__.is_declared = True  # type: ignore[attr-defined]
    __init__.__qualname__, __init__.__module__ = f"{cls.__qualname__}.__init__", cls.__module__
    return __init__
