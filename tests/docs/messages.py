"""The messages of the package, as its code spells them."""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterator
from dataclasses import dataclass

from airflow_provider_predictions.api import errors
from tests.docs.blocks import ROOT

PACKAGE = ROOT / "airflow_provider_predictions"
HOLE = "…"
"""What stands for a value, in a message of the code as on the page."""
LOGGED = {"warning", "error", "exception"}
RAISED = re.compile(r"(Error|Exception|Timeout|^kind)$")
"""The name of an error, or of a variable that holds one."""
OF_AIRFLOW = {
    "AirflowFailException": False,
    "AirflowNotFoundException": True,
    "AirflowSensorTimeout": False,
    "AirflowSkipException": False,
}
"""Errors of Airflow, and whether it retries a task that raises them."""


@dataclass(frozen=True)
class Message:
    """A text of the code.

    :param told: by what: names of errors, and methods of a logger. Empty where code elsewhere tells it.
    """

    module: str
    line: int
    text: str
    told: frozenset[str]

    @property
    def retryable(self) -> set[bool]:
        """Whether Airflow's retries apply, for the errors of the package and of Airflow that tell it."""
        found = {getattr(errors, name).retryable for name in self.told if hasattr(errors, name)}
        return found | {OF_AIRFLOW[name] for name in self.told if name in OF_AIRFLOW}

    @property
    def is_reason(self) -> bool:
        """Whether it is that of an error of Python, which the package catches and quotes."""
        return bool(self.told) and all(hasattr(builtins, name) for name in self.told)

    def __str__(self) -> str:
        return f"{self.module}:{self.line}: {self.text}"


class Reader:
    """Reads texts of the code, with an ellipsis in the place of each value.

    :param constants: name -> text, for values that are always the same.
    """

    def __init__(self, constants: dict[str, str]) -> None:
        self.constants = constants

    def texts(self, node: ast.AST) -> Iterator[tuple[ast.expr, str]]:
        match node:
            case ast.Constant(value=str() as text):
                yield node, re.sub(r"%(\.\d)?[sdrf]", HOLE, text)
            case ast.JoinedStr(values=values):
                yield node, "".join(map(self._piece, values))
            case _:
                for child in ast.iter_child_nodes(node):
                    yield from self.texts(child)

    def _piece(self, node: ast.expr) -> str:
        match node:
            case ast.Constant(value=value):
                return str(value)
            case ast.FormattedValue(value=ast.Name(id=name)):
                return self.constants.get(name, HOLE)
        return HOLE

    def told(self, function: ast.AST) -> Iterator[tuple[ast.expr, str]]:
        """What a function raises or logs, also what it first gives a name, with what tells it."""
        for call in ast.walk(function):
            if isinstance(call, ast.Call) and (name := _tells(call)):
                names = {each.id for each in ast.walk(call) if isinstance(each, ast.Name)}
                values = [*call.args, *(value for value, to in _given(function) if to in names)]
                for node, _ in (found for value in values for found in self.texts(value)):
                    yield node, name


def _tells(call: ast.Call) -> str | None:
    name = getattr(call.func, "attr", None) or getattr(call.func, "id", "")
    return name if name in LOGGED or RAISED.search(name) else None


def _given(function: ast.AST) -> Iterator[tuple[ast.expr, str]]:
    """Which values a function gives to which names."""
    for node in ast.walk(function):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                yield value, name
            case ast.AugAssign(target=ast.Name(id=name), value=value):
                yield value, name


def messages() -> list[Message]:
    """Every text of the package but the sandbox."""
    files = [file for file in sorted(PACKAGE.rglob("*.py")) if "sandbox" not in file.parts]
    trees = {file.relative_to(PACKAGE).as_posix(): ast.parse(file.read_text()) for file in files}
    reader = Reader({
        name: value.value
        for tree in trees.values()
        for value, name in _given(tree)
        if name.isupper() and isinstance(value, ast.Constant) and isinstance(value.value, str)
    })  # fmt: skip
    found = []
    for module, tree in trees.items():
        told: dict[ast.expr, set[str]] = {}
        for function in ast.walk(tree):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                for node, name in reader.told(function):
                    told.setdefault(node, set()).add(name)
        found += [
            Message(module, node.lineno, text, frozenset(told.get(node, ())))
            for node, text in reader.texts(tree)
        ]
    return found
