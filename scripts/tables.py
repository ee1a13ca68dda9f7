"""Tables in pages, written by the runs that they show."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

END = "<!-- end of what it writes -->\n"


def write_table(
    page: Path,
    writer: str,
    columns: Sequence[object],
    rows: Iterable[Sequence[object]],
    *,
    figures: bool = False,
) -> None:
    """Put a table between the two marks of a page that name its writer, such as ``make soak``."""
    write(page, writer, markdown(columns, rows, figures=figures))


def markdown(columns: Sequence[object], rows: Iterable[Sequence[object]], *, figures: bool = False) -> str:
    """Return a table as Markdown.

    :param figures: align all columns but the first to the right.
    """
    under = ["---", *(["---:" if figures else "---"] * (len(columns) - 1))]
    return "".join(f"| {' | '.join(map(str, line))} |\n" for line in (columns, under, *rows))


def write(page: Path, writer: str, text: str) -> None:
    """Put a text between the two marks of a page that name its writer."""
    begin = f"<!-- written by {writer} -->\n"
    before, rest = page.read_text().split(begin)
    page.write_text(before + begin + text + END + rest.split(END, 1)[1])
