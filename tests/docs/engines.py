"""The table of engines in the guide on reading landings, and the landings that its cells are tried on."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from tests.docs.blocks import ROOT
from tests.report.landed import land
from tests.report.records import made

GUIDE = ROOT.joinpath("docs/guides/read.md").read_text()
FORMS = {
    "Parquet": ("parquet", None),
    "JSON Lines": ("jsonl", None),
    "gzip": ("jsonl", "gzip"),
    "zstd": ("jsonl", "zstd"),
    "directory": ("parquet", None),
}
END = datetime(2026, 11, 5, tzinfo=UTC)
COUNT, PER_PART = 60, 25
RECORDS = made("vlmrun", END - timedelta(days=2), END, COUNT)


class Cell(NamedTuple):
    """An expression of the table for one form of parts, and what the guide says becomes of it."""

    engine: str
    column: str
    expression: str
    said: str


def cells() -> Iterator[Cell]:
    table, row = GUIDE.split("A test runs every row.")[1], r"^\| (.*) \| (.*) \| `(.*)` \| (.*) \|$"
    for engine, forms, expression, said in re.findall(row, table, re.MULTILINE):
        for form in forms.split(", "):
            yield Cell(engine, form, expression, said)


CELLS = [*cells()]


def landed(directory: Path, column: str) -> dict[str, Any]:
    """Land records, and leave a part of a killed attempt beside them.

    :return: what an expression uses.
    """
    form, codec = FORMS[column]
    manifest = land("vlmrun", directory, RECORDS, form, codec, records_per_part=PER_PART)
    urls = [part["url"] for part in manifest["parts"]]
    kind = Path(urls[0]).name.partition(".")[2].partition(".")[2]
    shutil.copy(urls[0], directory / f"part-00000.00000002-{'a' * 8}-{'b' * 8}.{kind}")
    return {"urls": urls, "D": str(directory)}


def verdict(count: int | None) -> str:
    """A result in the words of the guide.

    :param count: the rows that were found. None if the expression failed.
    """
    if count is None:
        return "fails"
    return {COUNT: "yes", COUNT + PER_PART: "too many rows"}.get(count, f"{count} rows")
