"""What mutmut would change in a module, one change at a time, without the changes that say nothing.

mutmut itself changes nothing outside functions, nor in one with a decorator such as ``property``, where every
sixth of these changes is. It also keeps the outcome of a change when the tests change.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import libcst
from libcst.metadata import MetadataWrapper, PositionProvider
from mutmut.mutation.mutators import mutation_operators, operator_string

ROOT = Path(__file__).parent.parent.parent
PACKAGES = ("api", "storage")
UNCHANGED = (libcst.Annotation, libcst.Decorator)
"""mypy reads them; what they do at run time, such as freezing a class, guards against nobody's input."""
CALLS_UNCHANGED = {"debug", "info", "warning", "getLogger", "TypeVar", "cast"}
"""What is logged is for people, and what is said to mypy does nothing."""


@dataclass(frozen=True, eq=False)
class Mutant:
    """One change of a module.

    :param lines: of the module, that hold what is changed.
    :param function: whether a call runs it; if not, importing the module does.
    """

    module: str
    lines: range
    function: bool
    tree: libcst.Module
    statement: libcst.CSTNode
    old: libcst.CSTNode
    new: libcst.CSTNode

    @property
    def source(self) -> str:
        """The module with the change."""
        return self._with_change(self.tree).code

    @cached_property
    def change(self) -> tuple[str, str]:
        """The lines that differ, before and after."""
        before = self.tree.code_for_node(self.statement).splitlines()
        after = self.tree.code_for_node(self._with_change(self.statement)).splitlines()
        changed = [line for line in difflib.ndiff(before, after) if line[0] in "+-"]
        removed, added = (" ".join(line[1:].strip() for line in changed if line[0] == sign) for sign in "-+")
        return removed, added

    @cached_property
    def name(self) -> str:
        """What tells it from all others while the module stays as it is."""
        return f"{self.module}:{self.lines[0]}\n  - {self.change[0]}\n  + {self.change[1]}"

    @property
    def unchanged(self) -> Mutant:
        """The code itself in the place of a mutant, which no test may tell from the code."""
        return replace(self, new=self.old)

    @property
    def is_unchanged(self) -> bool:
        return self.new is self.old

    def _with_change(self, node: libcst.CSTNode) -> libcst.CSTNode:
        return self.new if node is self.old else node.deep_replace(self.old, self.new)


def modules() -> list[str]:
    """The modules that are changed, such as ``api.http.retry``."""
    home = ROOT / "airflow_provider_predictions"
    files = [file.relative_to(home) for name in PACKAGES for file in sorted((home / name).rglob("*.py"))]
    return [".".join(file.with_suffix("").parts) for file in files if file.stem != "__init__"]


def path_of(module: str) -> Path:
    return ROOT.joinpath("airflow_provider_predictions", *module.split(".")).with_suffix(".py")


def mutants(module: str) -> list[Mutant]:
    """All of a module, in their order."""
    wrapper = MetadataWrapper(libcst.parse_module(path_of(module).read_text()))
    places = wrapper.resolve(PositionProvider)
    found = []
    for place, old, new in _changes(wrapper.module, _Place(wrapper.module, function=False)):
        lines = range(places[old].start.line, places[old].end.line + 1)
        found.append(Mutant(module, lines, place.function, wrapper.module, place.statement, old, new))
    return found


class _Place(NamedTuple):
    """What holds a change."""

    statement: libcst.CSTNode
    function: bool


def _changes(node: libcst.CSTNode, place: _Place) -> Iterator[tuple[_Place, libcst.CSTNode, libcst.CSTNode]]:
    if _says_nothing(node):
        return
    if isinstance(node, libcst.BaseCompoundStatement | libcst.SimpleStatementLine):
        place = place._replace(statement=node)
    for kind, operator in mutation_operators:
        if isinstance(node, kind):
            # A text in capitals is not told from a text with letters around it.
            for new in islice(operator(node), 1 if operator is operator_string else None):
                yield place, node, new
    for child in node.children:
        body = isinstance(node, libcst.FunctionDef) and child is node.body
        yield from _changes(child, place._replace(function=place.function or body))


def _says_nothing(node: libcst.CSTNode) -> bool:
    match node:
        case libcst.SimpleString(value=text):
            # Prose, so an error's message or a part of one.
            return " " in text
        case libcst.Call(func=libcst.Name(value=name) | libcst.Attribute(attr=libcst.Name(value=name))):
            return name in CALLS_UNCHANGED
        case libcst.Assign(value=value):
            return _says_nothing(value)
    return isinstance(node, UNCHANGED)
