"""The table of engines in the guide on reading landings, each of whose cells is run."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.docs.blocks import ROOT
from tests.report.landed import land
from tests.report.records import made

pytestmark = pytest.mark.docs

GUIDE = ROOT.joinpath("docs/guides/read.md").read_text()
FORMS = {
    "Parquet": ("parquet", None),
    "JSON Lines": ("jsonl", None),
    "gzip": ("jsonl", "gzip"),
    "zstd": ("jsonl", "zstd"),
    "directory": ("parquet", None),
}
END = datetime(2026, 11, 5, tzinfo=UTC)
COUNT = 60


def cells() -> Iterator[tuple[str, str, str, str]]:
    """Engine, what is read, the expression, and what the guide says becomes of it."""
    header, *rows = re.findall(r"^\| (.*) \|$", GUIDE.split("A test runs every cell.")[1], re.MULTILINE)
    columns = header.split(" | ")
    for row in rows:
        engine, *found = row.split(" | ")
        for column, cell in zip(columns[1:], found, strict=True):
            expression, said = re.fullmatch(r"`(.*)` (.*)", cell).groups()
            yield engine, column, expression, said


CELLS = [*cells()]


def names() -> dict[str, Any]:
    """What the expressions use."""
    import duckdb
    import pandas
    import polars
    from pyarrow.dataset import dataset

    of_pandas = {name: getattr(pandas, name) for name in ("concat", "read_parquet", "read_json")}
    return {"duckdb": duckdb, "polars": polars, "dataset": dataset, **of_pandas}


def rows(found: Any) -> int:
    """How many rows an engine finds."""
    if hasattr(found, "count_rows"):
        return int(found.count_rows())
    return len(found)


def test_the_table_is_of_four_engines_and_five_ways() -> None:
    assert len(CELLS) == 20


@pytest.mark.parametrize(("engine", "column", "expression", "said"), CELLS)
def test_a_cell_is_as_the_guide_says(
    tmp_path: Path, engine: str, column: str, expression: str, said: str
) -> None:
    form, codec = FORMS[column]
    records = made("vlmrun", END - timedelta(days=2), END, COUNT)
    manifest = land("vlmrun", tmp_path / "landed", records, form, codec, records_per_part=25)
    first, directory = Path(manifest["parts"][0]["url"]), tmp_path / "landed"
    shutil.copy(first, directory / f"part-00000.00000002-{'a' * 8}-{'b' * 8}.{form}")
    given = names() | {"urls": [part["url"] for part in manifest["parts"]], "D": str(directory)}

    try:
        count = rows(eval(expression, given))
    except Exception:
        found = "fails"
    else:
        found = {COUNT: "yes", COUNT + 25: "too many rows"}.get(count, f"{count} rows")

    assert found == said
