"""The fenced blocks of the README and the documentation, as Sybil finds them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from sybil import Document
from sybil.parsers.markdown.lexers import RawFencedCodeBlockLexer

ROOT = Path(__file__).parent.parent.parent
FENCES = RawFencedCodeBlockLexer(re.compile(r'(?P<language>\S*)( title="(?P<title>[^"]*)")?[^\n]*\n'))
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
    examples = [(example.line, example.region.lexemes) for example in Document.parse(str(page), FENCES)]
    for (line, found), (_, below) in pairwise([*examples, (0, {"language": ""})]):
        has_output = found["language"] != "text" and below["language"] == "text"
        yield Block(
            f"{page.relative_to(ROOT)}:{line}",
            found["language"],
            found["title"] or "",
            found["source"],
            below["source"] if has_output else None,
        )


PAGES = [ROOT / "README.md", *sorted(ROOT.joinpath("docs").rglob("*.md"))]
BLOCKS = [block for page in PAGES for block in blocks_of(page)]
PYTHON = [block for block in BLOCKS if block.language == "python" and block.title != "before"]
BEFORE = [block for block in BLOCKS if block.title == "before"]
"""What a page tells the reader to replace. It needs packages that Airflow's pins do not go together with."""
DAGS = [block for block in PYTHON if "@dag" in block.code]
QUERIES = [block for block in BLOCKS if block.title.endswith("acme.sql")]
MODULES = [block for block in PYTHON if block.title.endswith("acme.py")]
SNIPPETS = [block for block in PYTHON if block not in DAGS and block not in MODULES]
JSON = [block for block in BLOCKS if block.language == "json"]
COMMANDS = [
    (block.place, line)
    for block in BLOCKS
    if block.language == "bash"
    for line in block.code.splitlines()
    if line.strip()
]


def looks_like(shown: str) -> re.Pattern[str]:
    """What is shown, with anything where it has an ellipsis."""
    return re.compile(".*".join(map(re.escape, shown.strip().split("…"))), re.DOTALL)
