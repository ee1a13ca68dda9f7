"""One declaration for each argument of a task: its name, type, default, check and documentation.

The checks while parsing and after rendering, the template fields, the signature, the docstring and the tables
of the reference all come from it.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from typing import Any, ClassVar

from pydantic import TypeAdapter, ValidationError
from typing_extensions import override

from airflow_provider_predictions.api.coercion import given, is_object, short
from airflow_provider_predictions.api.errors import ConfigurationError
from airflow_provider_predictions.tasks.references import as_given, is_reference, why_unresolvable

REQUIRED = inspect.Parameter.empty
"""The default of an argument that must be given."""


@dataclass(frozen=True)
class Argument:
    """An argument that Airflow does not template.

    :param type: as a signature shows it.
    :param check: a type that pydantic reads the value as.
    :param doc: what the argument does, for the docstring and the reference.
    :param example: a valid value, as code.
    :param shown_default: the default as code, if its ``repr`` is not code.
    :param private: whether the value may hold a secret. No message shows it.
    :param is_opaque: whether Airflow neither renders nor calls the value, whatever it holds.
    :param goes_with: the argument without which this one has no meaning.
    :param not_with: arguments that contradict this one, for the reason ``why_not_with``.
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
    is_opaque: bool = False
    goes_with: str = ""
    not_with: tuple[str, ...] = ()
    why_not_with: str = ""
    templated: ClassVar[bool] = False
    strict: ClassVar[bool | None] = True
    """Whether no value is converted: "false" would become true."""

    @property
    def default_text(self) -> str:
        """The default as code."""
        return self.shown_default or repr(self.default).removeprefix("datetime.")

    def check_given(self, value: Any) -> None:
        """Refuse a wrong value while the DAG is parsed.

        :raises ConfigurationError: naming the argument.
        """
        try:
            self._check_given(value)
        except RecursionError:
            raise self.wrong("is nested too deeply") from None

    def _check_given(self, value: Any) -> None:
        if not self.is_opaque and (is_reference(value) or why_unresolvable(value)):
            raise self.wrong("is not templated; give the value itself", value)
        if value is not self.default:
            self.read(value)

    def stands(self, value: Any) -> bool:
        """Whether a value counts as given, before or after rendering."""
        is_off = self._is_default(value) or value is False
        return not is_off and (is_reference(value) or given(value) is not None)

    def known(self, value: Any) -> Any:
        """The value as its type; None if it is a reference, or not given."""
        is_given = self._is_default(value) or self.stands(value)
        if not is_given or value is None or is_reference(value):
            return None
        return self.read(given(value) if self.templated else value)

    def _is_default(self, value: Any) -> bool:
        # Text from a file or the environment is another object than the same text here.
        return value is self.default or (isinstance(value, str) and value == self.default)

    def rendered(self, value: Any, before: Any) -> Any:
        """The checked value when the task runs.

        :param before: the value in the DAG, before rendering.
        :raises ConfigurationError: naming the argument.
        """
        return value if value is self.default else self.read(value)

    def read(self, value: Any) -> Any:
        """The value as its type.

        :raises ConfigurationError: naming the argument.
        """
        try:
            return self._adapter.validate_python(value, strict=self.strict)
        except ValidationError as error:
            first = error.errors()[0]
            cause = first.get("ctx", {}).get("error")
            if isinstance(cause, ConfigurationError):  # already says what was found, without secrets
                raise self.wrong(str(cause).removeprefix(f"{self.name}: ")) from None
            raise self.wrong(first["msg"].removeprefix("Value error, "), value) from None

    def wrong(self, what: str, *found: object) -> ConfigurationError:
        """The error that says what is wrong, and what was found."""
        shown = "" if self.private else "".join(f"; found {short(value)}" for value in found)
        what = what.removesuffix(shown) if shown else what
        example = f". Example: {self.name}={self.example}" if self.example else ""
        return ConfigurationError(f"{self.name}: {what}{shown}{example}")

    @cached_property
    def _adapter(self) -> TypeAdapter[Any]:
        return TypeAdapter(self.check)


@dataclass(frozen=True)
class Templated(Argument):
    """An argument that may hold templates and references.

    :param needed: what to do if a value renders to nothing, which is then an error. By default, it counts as
        not given.
    :param when_empty: what an empty list means, for a warning.
    """

    _: KW_ONLY
    needed: str = ""
    when_empty: str = ""
    templated: ClassVar[bool] = True
    strict: ClassVar[bool | None] = None

    @override
    def _check_given(self, value: Any) -> None:
        if why := why_unresolvable(value):
            raise self.wrong(why, value)
        if not is_reference(value) and value is not self.default:
            self._read_given(value, value)

    @override
    def rendered(self, value: Any, before: Any) -> Any:
        # Rendering a tuple creates another one.
        if before is self.default and type(value) is type(before) and value == before:
            return before
        return self._read_given(as_given(before, value), before)

    def _read_given(self, value: Any, before: Any) -> Any:
        if is_reference(before) and is_object(value):
            raise self.wrong("rendered to a Python object, not a value; end the template with | list", value)
        if (found := given(value)) is not None:
            return self.read(found)
        if not is_reference(before):
            # None in the DAG itself is a value like any other.
            is_value = self.needed or (value is None and self.default is not None)
            return self.read(value) if is_value else self.default
        if self.needed:
            raise self.wrong(f"{short(before)} rendered to an empty value; {self.needed}")
        return self.default


def declare(*arguments: Argument) -> Sequence[Argument]:
    """The arguments that a class adds to those of its bases."""
    return arguments


def parameters(declared: Mapping[str, Argument]) -> str:
    """The arguments as a docstring lists them."""
    lines = (
        f":param {name}: {made.doc}{' (templated)' if made.templated else ''}."
        for name, made in declared.items()
    )
    return "\n".join(lines)


@contextmanager
def naming_task(task_id: str) -> Iterator[None]:
    """Let errors say which task has the wrong argument."""
    try:
        yield
    except ConfigurationError as error:
        raise ConfigurationError(f"{error} (task {task_id})") from None
