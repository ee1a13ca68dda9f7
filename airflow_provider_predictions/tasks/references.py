"""Which values Airflow resolves when a task runs, and which it leaves as they are."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from inspect import signature
from pathlib import PurePath
from typing import Any

from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_predictions._compat import RESOLVES_PATHS
from airflow_provider_predictions.api.coercion import is_template

_TEXT_OF_REFERENCE = re.compile(r"<airflow\.|<Task\(|XComArg\(<|MappedArgument\(|LiteralValue\(")
"""The text of a reference in an f-string."""

_WHOLE_TEMPLATE = re.compile(r"\{\{[^{}]*\}\}|\{%[^{}%]*%\}")


class MappedValue:
    """Looks like a reference, in place of an argument that differs between instances of a mapped task."""

    iter_references = resolve = None

    def __repr__(self) -> str:
        return "the value of this mapped instance"


def is_resolvable(value: object) -> bool:
    """Whether it is a reference object of Airflow. Each version keeps that class elsewhere."""
    return hasattr(value, "iter_references") and hasattr(value, "resolve")


def is_reference(value: object, *, whole: bool = True) -> bool:
    """Whether Airflow resolves an argument, or a part of it, when the task runs.

    :param whole: whether it is the whole argument. Airflow calls a function only then.
    """
    if isinstance(value, str | ObjectStoragePath):
        return is_template(str(value))
    if is_resolvable(value) or (whole and _is_function(value)):
        return True
    parts: Iterable[object] = ()
    if isinstance(value, dict):
        parts = value.values()
    elif isinstance(value, list | tuple | set):
        parts = value
    return any(is_reference(part, whole=False) for part in parts)


def why_unresolvable(value: object, *, whole: bool = True) -> str | None:
    """Why Airflow would not resolve an argument, or a part of it, that looks like a reference."""
    if isinstance(value, str):
        if _TEXT_OF_REFERENCE.search(value):
            return "holds the text of a reference in an f-string; give a template, such as '{{ params.x }}'"
        if is_template(value[:]) and not is_template(str(value)):
            return (
                f"is a {type(value).__name__} with a template, which Airflow does not render; give its value"
            )
        return None
    if is_resolvable(value) or isinstance(value, ObjectStoragePath):
        return None
    kind = type(value).__name__
    if kind == "Param" and type(value).__module__.startswith("airflow."):
        return "is a Param; give '{{ params.name }}' or dag.param('name')"
    if isinstance(value, PurePath):
        if is_reference(str(value)):
            return f"is a {kind} with a template, which Airflow does not render; give text"
        return f"is a {kind}, which Airflow 3.0 and 3.1 cannot render; give text" if RESOLVES_PATHS else None
    if isinstance(value, type):
        return f"is the class {value.__name__}; give a value, or a list of values"
    if isinstance(value, Iterator):
        return f"is a {kind}, which can be read only once; give a list"
    if _is_function(value):
        return (
            _why_not_called(value)
            if whole
            else "holds a function; Airflow calls one only as the whole argument"
        )
    if isinstance(value, Mapping):
        if any(map(is_reference, value)):
            return "holds a template in a key; Airflow renders values only"
        return _why_parts(value.values(), kind, looked_into=isinstance(value, dict))
    if isinstance(value, Collection) and not isinstance(value, bytes | bytearray):
        return _why_parts(value, kind, looked_into=isinstance(value, list | tuple | set))
    return None


def _why_parts(parts: Iterable[object], kind: str, *, looked_into: bool) -> str | None:
    for part in parts:
        if why := why_unresolvable(part, whole=False):
            return why
        if not looked_into and is_reference(part, whole=False):
            return f"holds a template in a {kind}; Airflow looks into list, tuple, set and dict only"
    return None


def _why_not_called(function: Any) -> str | None:
    try:
        signature(function).bind(context=None, jinja_env=None)
    except TypeError:
        return "is a function without the parameters context and jinja_env, which Airflow passes to it"
    except ValueError:
        pass  # a function in C has no signature
    return None


def _is_function(value: object) -> bool:
    return callable(value) and not isinstance(value, type)


def left_template(value: object) -> str:
    """The first template in a rendered text, or in a list of texts; empty if there is none."""
    texts = value if isinstance(value, list | tuple) else (value,)
    found = (_WHOLE_TEMPLATE.search(text) for text in texts if isinstance(text, str))
    return next((match[0] for match in found if match), "")


def as_given(before: object, after: object) -> object:
    """A rendered value, without the changes that native rendering makes to text.

    Native rendering reads every text of a template field as Python: ``"1e5"`` becomes a number. A value
    without a template is used as given. A whole number or a time that a template made becomes its text.

    :param before: the value in the DAG.
    :param after: the value after rendering, or the one that the task has set since.
    """
    if isinstance(before, list | tuple) and isinstance(after, list | tuple) and len(before) == len(after):
        return [as_given(*pair) for pair in zip(before, after, strict=True)]
    if isinstance(before, dict) and isinstance(after, dict) and before.keys() == after.keys():
        return {key: as_given(part, after[key]) for key, part in before.items()}
    if isinstance(before, set) and not is_reference(before):
        forms = [form for part in before for form in _forms(part)]
        is_same = isinstance(after, set) and all(part in forms for part in after)
        return before if is_same else after
    if not isinstance(before, str):
        return after
    if not is_reference(before):
        return before if after in _forms(before) else after
    return str(after) if isinstance(after, int) or hasattr(after, "isoformat") else after


def _forms(given: object) -> tuple[object, ...]:
    """What a value without a template may render to.

    Jinja turns a member of an Enum into ``"Status.FAILED"``; native rendering reads text as Python.
    """
    return given, str(given), _as_python(given)


def _as_python(text: object) -> object:
    """What native rendering turns text without a template into."""
    if not isinstance(text, str):
        return text
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return text.removesuffix("\n")  # as Jinja does with all text
