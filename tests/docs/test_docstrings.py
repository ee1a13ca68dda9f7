"""What people meet says what it does, what each argument is, which ones are templated, and what is raised."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.docs.blocks import ROOT

PACKAGE = ROOT / "airflow_provider_predictions"
FOLDERS = ("hooks", "tasks", "operators", "sensors", "triggers")
OF_AIRFLOW = {"poke_interval", "timeout"}
"""Arguments of Airflow's sensors that mean something more here."""
CLASSES = {
    f"{path.relative_to(PACKAGE)}:{node.name}": node
    for folder in FOLDERS
    for path in sorted(PACKAGE.joinpath(folder).glob("*.py"))
    for node in ast.parse(path.read_text()).body
    if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
}


def methods(of: ast.ClassDef) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    yield from (node for node in of.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


METHODS = {
    f"{name}.{method.name}": method
    for name, node in CLASSES.items()
    for method in methods(node)
    if not method.name.startswith("_")
}


def each(found: dict[str, Any]) -> Any:
    return pytest.mark.parametrize("node", found.values(), ids=list(found))


def documented(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> dict[str, str]:
    """The text of each ``:param``."""
    text = ast.get_docstring(node) or ""
    return dict(re.findall(r"^:param (\w+): (.*?)(?=^:|^$|\Z)", text, re.MULTILINE | re.DOTALL))


def arguments(method: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    given = method.args
    names = [arg.arg for arg in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    return set(names) - {"self", "cls"}


def init_of(node: ast.ClassDef) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
    return next((method for method in methods(node) if method.name == "__init__"), None)


def raised(method: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
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


def said_to_be_raised(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    return set(re.findall(r"^:raises (\w+):", ast.get_docstring(node) or "", re.MULTILINE))


@each(CLASSES | METHODS)
def test_it_says_in_one_line_what_it_does(node: ast.ClassDef | ast.FunctionDef) -> None:
    first, *rest = (ast.get_docstring(node) or "").splitlines()

    assert first.endswith(".")
    assert not rest or not rest[0]


@each({name: node for name, node in CLASSES.items() if init_of(node)})
def test_a_class_documents_the_arguments_that_it_adds(node: ast.ClassDef) -> None:
    taken = arguments(init_of(node))  # type: ignore[arg-type]

    assert taken <= documented(node).keys() <= taken | OF_AIRFLOW


@each({name: node for name, node in CLASSES.items() if init_of(node)})
def test_a_class_says_what_a_wrong_argument_raises(node: ast.ClassDef) -> None:
    assert raised(init_of(node)) <= said_to_be_raised(node)  # type: ignore[arg-type]


@each({name: node for name, node in CLASSES.items() if name.partition("/")[0] != "hooks"})
def test_exactly_the_templated_arguments_are_said_to_be(node: ast.ClassDef) -> None:
    fields = [
        statement.value
        for statement in node.body
        if isinstance(statement, ast.AnnAssign) and ast.unparse(statement.target) == "template_fields"
    ]
    templated = set(ast.literal_eval(fields[0])) if fields and fields[0] else set()

    said = {name for name, text in documented(node).items() if "(templated)" in " ".join(text.split())}

    assert said == templated


@each(METHODS)
def test_a_method_documents_its_arguments_and_what_it_raises(node: ast.FunctionDef) -> None:
    keywords = {node.args.kwarg.arg} if node.args.kwarg else set()

    assert documented(node).keys() == arguments(node) | keywords
    assert raised(node) <= said_to_be_raised(node)
