"""A hook of mkdocs: the tables of the reference, from the declared arguments."""

from __future__ import annotations

import re
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

# mkdocs runs from its own folder; the pages are of the package beside them.
sys.path.insert(0, str(Path(__file__).parent.parent))

from airflow_provider_predictions.tasks.arguments import REQUIRED, Argument

MARK = re.compile(r"^<!-- arguments of ([\w.]+)\.(\w+) -->$", re.MULTILINE)
HEAD = "| argument | type | default | templated | |\n|---|---|---|---|---|\n"


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put a table in the place of each mark."""
    return MARK.sub(lambda mark: table(getattr(import_module(mark[1]), mark[2]).declared), markdown)


def table(declared: dict[str, Argument]) -> str:
    return HEAD + "".join(map(row, declared.values()))


def row(argument: Argument) -> str:
    default = "required" if argument.default is REQUIRED else f"`{argument.default_text}`"
    doc = argument.doc.replace("``", "`")
    example = f" Example: `{argument.example}`" if argument.example else ""
    return (
        f"| `{argument.name}` | `{argument.type}` | {default} | {'yes' if argument.templated else 'no'} "
        f"| {doc[0].upper()}{doc[1:]}.{example} |\n"
    )
