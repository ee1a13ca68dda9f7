"""Tables in pages, written by the runs that they show."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

END = "<!-- end of what it writes -->\n"


def write_table(page: Path, writer: str, columns: Sequence[object], rows: Iterable[Sequence[object]]) -> None:
    """Put a table between the two marks of a page that name its writer, such as ``make soak``."""
    lines = [columns, ["---"] * len(columns), *rows]
    write(page, writer, "".join(f"| {' | '.join(map(str, line))} |\n" for line in lines))


def write(page: Path, writer: str, text: str) -> None:
    """Put a text between the two marks of a page that name its writer."""
    begin = f"<!-- written by {writer} -->\n"
    before, rest = page.read_text().split(begin)
    page.write_text(before + begin + text + END + rest.split(END, 1)[1])
