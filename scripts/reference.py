"""A hook of mkdocs: the tables of the reference from the declared arguments, and a link from each picture."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

# mkdocs runs from its own folder; the pages are of the package beside them.
sys.path.insert(0, str(Path(__file__).parent.parent))

from airflow_provider_predictions.tasks.arguments import REQUIRED, Argument, ArgumentsTask

NAME = r"airflow_provider_predictions\.[\w.]+"
MARK = re.compile(rf"^<!-- arguments of ({NAME}(?: and {NAME})*) -->$", re.MULTILINE)
HEAD = "| argument | what it does |\n|---|---|\n"
"""Two columns, so that a phone shows both."""
PICTURE = re.compile(r"^!\[.*\]\((.*\.png)\)$", re.MULTILINE)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put a table in the place of each mark, and let each picture lead to its full size."""
    markdown = PICTURE.sub(r"[\g<0>](\1)", markdown)
    return MARK.sub(lambda mark: table([*map(named, mark[1].split(" and "))]), markdown)


def named(path: str) -> type[ArgumentsTask]:
    module, name = path.rsplit(".", 1)
    found: type[ArgumentsTask] = getattr(import_module(module), name)
    return found


def table(classes: Sequence[type[ArgumentsTask]]) -> str:
    """The arguments of all classes. Those that only one service has say so."""
    rows = dict.fromkeys((name, made) for cls in classes for name, made in cls.declared.items())
    return HEAD + "".join(
        row(made, [cls for cls in classes if cls.declared.get(name) == made], classes) for name, made in rows
    )


def row(
    argument: Argument, has: Sequence[type[ArgumentsTask]], classes: Sequence[type[ArgumentsTask]]
) -> str:
    name = f"`{argument.name}`"
    if len(has) < len(classes):
        name += f" ({has[0].hook_class.hook_name})"  # type: ignore[attr-defined]
    doc = argument.doc.replace("``", "`")
    example = f" Example: `{argument.example}`" if argument.example else ""
    default = "Required" if argument.default is REQUIRED else f"Default: `{argument.default_text}`"
    templated = " Templated." if argument.templated else ""
    return (
        f"| {name} | {doc[0].upper()}{doc[1:]}.{example}<br>{default}.{templated} Type: `{argument.type}` |\n"
    )
