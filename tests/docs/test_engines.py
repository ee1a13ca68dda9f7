"""The table of engines in the guide on reading landings. Each cell is run; ``test_spark.py`` runs Spark's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.docs.engines import CELLS, FORMS, Cell, landed, verdict

pytestmark = pytest.mark.docs

ENGINES = ("DuckDB", "Polars", "pyarrow", "pandas", "Spark")


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


def test_the_table_is_of_five_engines_and_five_ways() -> None:
    assert sorted((cell.engine, cell.column) for cell in CELLS) == sorted(
        (engine, form) for engine in ENGINES for form in FORMS
    )


@pytest.mark.parametrize(
    "cell",
    [cell for cell in CELLS if cell.engine != "Spark"],
    ids=lambda cell: f"{cell.engine} {cell.column}",
)
def test_a_cell_is_as_the_guide_says(tmp_path: Path, cell: Cell) -> None:
    given = names() | landed(tmp_path / "landed", cell.column)

    try:
        count = rows(eval(cell.expression, given))
    except Exception:
        count = None

    assert verdict(count) == cell.said
