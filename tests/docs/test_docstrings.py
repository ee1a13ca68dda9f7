"""Docstrings document the arguments of public classes, no argument that does not exist, and what is raised.

Ruff checks that each docstring is there and begins with one sentence.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tests.docs.blocks import ROOT

Method = ast.FunctionDef | ast.AsyncFunctionDef

PACKAGE = ROOT / "airflow_provider_predictions"
FOLDERS = ("hooks", "tasks", "operators", "sensors", "triggers")
ERRORS = PACKAGE / "api" / "errors.py"
PUBLIC = re.compile(r"(Hook|Operator|Sensor|Trigger|PredictionsError)$")
"""The classes that users construct or catch. Their arguments are all documented."""
OF_AIRFLOW = {"poke_interval", "timeout"}
"""Arguments of Airflow's sensors that mean something more here."""
CLASSES = {
    f"{path.relative_to(PACKAGE)}:{node.name}": node
    for path in [*(path for folder in FOLDERS for path in sorted((PACKAGE / folder).glob("*.py"))), ERRORS]
    for node in ast.parse(path.read_text()).body
    if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
}


def methods() -> Iterator[tuple[str, Method, str]]:
    """Each public method that is no override, and each ``__init__`` with the docstring of its class."""
    for name, of in CLASSES.items():
        for node in of.body:
            if not isinstance(node, Method) or "override" in map(ast.unparse, node.decorator_list):
                continue
            if node.name == "__init__":
                yield name, node, ast.get_docstring(of) or ""
            elif not node.name.startswith("_"):
                yield f"{name}.{node.name}", node, ast.get_docstring(node) or ""


METHODS = [*methods()]


def documented(docstring: str) -> dict[str, str]:
    """The text of each ``:param``."""
    return dict(re.findall(r"^:param (\w+): (.*?)(?=^:|^$|\Z)", docstring, re.MULTILINE | re.DOTALL))


def arguments(method: Method) -> set[str]:
    """Those of a class are its own: it hands the other ones to its base."""
    given = method.args
    names = {arg.arg for arg in (*given.posonlyargs, *given.args, *given.kwonlyargs)}
    if given.kwarg and method.name != "__init__":
        names.add(given.kwarg.arg)
    return names - {"self", "cls"}


def raised(method: Method) -> set[str]:
    """What a method raises itself, and what checking arguments does."""
    found = {
        node.exc.func.id
        for node in ast.walk(method)
        if isinstance(node, ast.Raise)
        and isinstance(node.exc, ast.Call)
        and isinstance(node.exc.func, ast.Name)
    }
    calls = [ast.unparse(node.func) for node in ast.walk(method) if isinstance(node, ast.Call)]
    checks = [call for call in calls if re.search(r"\bchecked$|\brequired$|\b_?check_\w+$", call)]
    return found | ({"ConfigurationError"} if checks else set())


def test_only_arguments_that_exist_are_documented() -> None:
    assert len(METHODS) > 50
    wrong = {}
    for name, method, docstring in METHODS:
        may = OF_AIRFLOW if method.name == "__init__" else set()
        if unknown := documented(docstring).keys() - arguments(method) - may:
            wrong[name] = unknown

    assert not wrong


def test_the_arguments_of_public_classes_are_documented() -> None:
    constructors = [made for made in METHODS if made[1].name == "__init__" and PUBLIC.search(made[0])]
    assert len(constructors) > 4
    missing = {}
    for name, method, docstring in constructors:
        if unsaid := arguments(method) - documented(docstring).keys():
            missing[name] = unsaid

    assert not missing


def test_what_is_raised_is_documented() -> None:
    missing = {}
    for name, method, docstring in METHODS:
        said = set(re.findall(r"^:raises (\w+):", docstring, re.MULTILINE))
        if unsaid := raised(method) - said:
            missing[name] = unsaid

    assert not missing
