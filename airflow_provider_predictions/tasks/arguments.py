"""One declaration for each argument of a task: its name, type, default, check and documentation.

The checks while parsing and after rendering, the template fields, the signature, the docstring and the tables
of the reference all come from it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import BaseOperator
from pydantic import TypeAdapter, ValidationError

from airflow_provider_predictions.api.coercion import given, short
from airflow_provider_predictions.api.errors import ConfigurationError
from airflow_provider_predictions.tasks.references import as_given, is_reference, why_unresolvable

REQUIRED = inspect.Parameter.empty
"""The default of an argument that must be given."""
_OF_AIRFLOW = frozenset(inspect.signature(BaseOperator.__init__).parameters)


@dataclass(frozen=True)
class Argument:
    """An argument that Airflow does not template.

    :param name: of the argument.
    :param type: as a signature shows it.
    :param check: a type of pydantic; the value is read as it.
    :param doc: what the argument does, for the docstring and the reference.
    :param default: the value where none is given.
    :param example: a right value, as code.
    :param shown_default: the default as code, where its ``repr`` is none.
    :param private: whether no message may show the value, which may hold a secret.
    """

    name: str
    type: str
    check: Any
    doc: str
    _: KW_ONLY
    default: Any = None
    example: str = ""
    shown_default: str = ""
    private: bool = False
    templated: ClassVar[bool] = False
    strict: ClassVar[bool | None] = True
    """Whether nothing is made to fit, since "false" would be true."""

    @property
    def default_text(self) -> str:
        """The default as code."""
        return self.shown_default or repr(self.default).removeprefix("datetime.")

    def check_given(self, value: Any) -> None:
        """Refuse a wrong value while the DAG is parsed.

        :param value: as the DAG gives it.
        :raises ConfigurationError: naming the argument.
        """
        if is_reference(value) or why_unresolvable(value):
            raise self.wrong("is not templated; give the value itself", value)
        if value is not self.default:
            self.read(value)

    def rendered(self, value: Any, before: Any) -> Any:
        """The checked value when the task runs.

        :param value: after rendering.
        :param before: as the DAG gives it.
        :raises ConfigurationError: naming the argument.
        """
        return value if value is self.default else self.read(value)

    def read(self, value: Any) -> Any:
        """The value as its type.

        :param value: rendered, or given without a template.
        :raises ConfigurationError: naming the argument.
        """
        try:
            return self._adapter.validate_python(value, strict=self.strict)
        except ValidationError as error:
            first = error.errors()[0]
            cause = first.get("ctx", {}).get("error")
            if isinstance(cause, ConfigurationError):  # says what was found as far as it may be shown
                raise self.wrong(str(cause).removeprefix(f"{self.name}: ")) from None
            raise self.wrong(first["msg"].removeprefix("Value error, "), value) from None

    def wrong(self, what: str, *found: object) -> ConfigurationError:
        """The error of a wrong value, which the message shows if it is given.

        :param what: is wrong with it.
        """
        shown = "" if self.private else "".join(f"; found {short(value)}" for value in found)
        return ConfigurationError(f"{self.name}: {what}{shown}{self._for_example}")

    @property
    def _for_example(self) -> str:
        return f". Example: {self.name}={self.example}" if self.example else ""

    @cached_property
    def _adapter(self) -> TypeAdapter[Any]:
        return TypeAdapter(self.check)


@dataclass(frozen=True)
class Templated(Argument):
    """An argument that may hold templates and references.

    :param needed: what to do where a given value comes to nothing, which is an error; by default it counts as
        not given.
    :param when_empty: what an empty list means, which is a warning.
    """

    _: KW_ONLY
    needed: str = ""
    when_empty: str = ""
    templated: ClassVar[bool] = True
    strict: ClassVar[bool | None] = None

    def check_given(self, value: Any) -> None:
        """Refuse what is wrong already while the DAG is parsed, and what Airflow would not resolve.

        :param value: as the DAG gives it.
        :raises ConfigurationError: naming the argument.
        """
        try:
            if why := why_unresolvable(value):
                raise self.wrong(why, value)
            if not is_reference(value) and value is not self.default:
                self._read_given(value, value)
        except RecursionError:
            raise self.wrong("is nested too deeply") from None

    def rendered(self, value: Any, before: Any) -> Any:
        """The checked value when the task runs; the default where it stands for nothing.

        :param value: after rendering.
        :param before: as the DAG gives it.
        :raises ConfigurationError: naming the argument.
        """
        if value is self.default and before is self.default:
            return value
        return self._read_given(as_given(before, value), before)

    def _read_given(self, value: Any, before: Any) -> Any:
        if (found := given(value)) is not None:
            return self.read(found)
        if not is_reference(before):
            # None in the DAG itself is a value like others.
            is_value = self.needed or (value is None and self.default is not None)
            return self.read(value) if is_value else self.default
        if self.needed:
            raise self.wrong(f"{short(before)} came to nothing; {self.needed}")
        return self.default


def declare(*arguments: Argument) -> Sequence[Argument]:
    """The arguments that a class adds to those of its bases."""
    return arguments


class ArgumentsTask(BaseOperator):
    """A task whose arguments are declared.

    A subclass lists its own in ``arguments``; those of its bases are added. Its ``__init__``, signature,
    docstring and template fields are made from them.
    """

    arguments: ClassVar[Sequence[Argument]] = ()
    declared: ClassVar[Mapping[str, Argument]] = {}
    _given: Mapping[str, Any] = {}
    """The arguments as the DAG gives them; rendering changes the attributes."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        bases = [vars(base) for base in reversed(cls.__mro__)]
        named = {made.name: made for base in bases for made in base.get("arguments", ())}
        cls.declared = dict(sorted(named.items(), key=lambda item: item[1].default is not REQUIRED))
        templated = (name for name, made in cls.declared.items() if made.templated)
        own = (name for base in bases for name in base.get("template_fields", ()))
        cls.template_fields = tuple(dict.fromkeys((*templated, *own)))
        adds = all(cls.declared != getattr(base, "declared", {}) for base in cls.__bases__)
        if adds and "__init__" not in vars(cls):
            cls.__init__ = _initializer(cls)  # type: ignore[method-assign]
            cls.__doc__ = f"{inspect.cleandoc(cls.__doc__ or cls.__name__)}\n\n{parameters(cls.declared)}"

    @classmethod
    def partial(cls, **kwargs: Any) -> Any:
        """Begin a mapped task, whose arguments are checked as those of others.

        :param kwargs: the arguments that all of its instances share.
        :raises ConfigurationError: naming the argument that is wrong.
        """
        from airflow_provider_predictions.tasks.mapped import CheckedPartial

        made = super().partial(**kwargs)
        made._expand_called = True  # the one below warns if nothing is mapped
        checked = CheckedPartial(operator_class=made.operator_class, kwargs=made.kwargs, params=made.params)
        holders = (made.kwargs.get("dag"), made.kwargs.get("task_group"))
        defaults = [kwargs.get("default_args"), *(getattr(one, "default_args", None) for one in holders)]
        checked.defaults = {name for given in defaults for name in given or ()}
        return checked.checked()

    def check_together(self, values: SimpleNamespace) -> None:
        """Refuse arguments that do not go together, while the DAG is parsed and when the task runs.

        :param values: all arguments; while parsing, a reference stands for its value.
        :raises ConfigurationError: naming the argument that is wrong.
        """

    def check_given(self) -> None:
        """Refuse wrong arguments while the DAG is parsed.

        :raises ConfigurationError: naming the argument that is wrong.
        """
        with _naming(self):
            values = {name: getattr(self, name) for name in self.declared}
            for name, value in values.items():
                self.declared[name].check_given(value)
            self.check_together(SimpleNamespace(**values))

    def rendered(self) -> Any:
        """All arguments, rendered and checked; the attributes stay as Airflow rendered them.

        :raises ConfigurationError: naming the argument that is wrong.
        """
        with _naming(self):
            values = SimpleNamespace(**{name: self._rendered(name) for name in self.declared})
            self.check_together(values)
        for name, made in self.declared.items():
            if isinstance(made, Templated) and made.when_empty and getattr(values, name) == ():
                self.log.warning("%s: is an empty list, so %s", name, made.when_empty)
        return values

    def _rendered(self, name: str) -> Any:
        value = getattr(self, name)
        return self.declared[name].rendered(value, self._given.get(name, value))

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """The arguments are attributes."""


@contextmanager
def _naming(task: BaseOperator) -> Iterator[None]:
    """Let errors say which task has the wrong argument."""
    try:
        yield
    except ConfigurationError as error:
        raise ConfigurationError(f"{error} (task {task.task_id})") from None


def _initializer(cls: type[ArgumentsTask]) -> Callable[..., None]:
    """The ``__init__`` of a class: it stores its own arguments as they are and checks them.

    A converted value would be another object than the one that came from XCom, and Airflow would render it.
    """
    declared = cls.declared

    def __init__(self: ArgumentsTask, **kwargs: Any) -> None:  # noqa: N807
        own = {name: kwargs.pop(name, made.default) for name, made in declared.items()}
        of_airflow = {name: value for name, value in own.items() if name in _OF_AIRFLOW}
        self._given = own
        super(ArgumentsTask, self).__init__(**kwargs, **of_airflow)
        for name in own.keys() - of_airflow.keys():
            setattr(self, name, own[name])
        self.check_given()

    kind = inspect.Parameter
    __init__.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            kind("self", kind.POSITIONAL_OR_KEYWORD),
            *(
                kind(made.name, kind.KEYWORD_ONLY, default=made.default, annotation=made.type)
                for made in declared.values()
            ),
            kind("kwargs", kind.VAR_KEYWORD, annotation=Any),
        ]
    )
    __init__.__qualname__, __init__.__module__ = f"{cls.__qualname__}.__init__", cls.__module__
    return __init__


def parameters(declared: Mapping[str, Argument]) -> str:
    """The arguments as a docstring lists them."""
    lines = (
        f":param {name}: {made.doc}{' (templated)' if made.templated else ''}."
        for name, made in declared.items()
    )
    return "\n".join(lines)
