"""The fenced blocks of the README and the documentation."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent.parent
FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>\S*)(?P<info>[^\n]*)\n(?P<code>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
LANDED = "/tmp/predictions"


@dataclass(frozen=True)
class Block:
    """A fenced block.

    :param output: what is shown below as its output, where something is.
    """

    place: str
    language: str
    title: str
    code: str
    output: str | None = None


def blocks_of(page: Path) -> Iterator[Block]:
    text = page.read_text()
    found = list(FENCE.finditer(text))
    for match, following in pairwise([*found, None]):
        line = text.count("\n", 0, match.start()) + 1
        title = re.search(r'title="([^"]*)"', match["info"])
        has_output = match["language"] != "text" and following and following["language"] == "text"
        yield Block(
            f"{page.relative_to(ROOT)}:{line}",
            match["language"],
            title[1] if title else "",
            match["code"],
            following["code"] if has_output and following else None,
        )


PAGES = [ROOT / "README.md", *sorted(ROOT.joinpath("docs").rglob("*.md"))]
BLOCKS = [block for page in PAGES for block in blocks_of(page)]
PYTHON = [block for block in BLOCKS if block.language == "python"]
DAGS = [block for block in PYTHON if "@dag" in block.code]
MODULES = [block for block in PYTHON if block.title.endswith("acme.py")]
SNIPPETS = [block for block in PYTHON if block not in DAGS and block not in MODULES]


def of(blocks: list[Block]) -> Any:
    return pytest.mark.parametrize("block", blocks, ids=lambda block: block.place)


def looks_like(shown: str) -> re.Pattern[str]:
    """What is shown, with anything where it has an ellipsis."""
    return re.compile(".*".join(map(re.escape, shown.strip().split("…"))), re.DOTALL)
