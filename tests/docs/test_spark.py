"""What Spark reads, in an environment of its own: it needs Java, and pyspark is large."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.docs.blocks import ROOT
from tests.docs.engines import CELLS, COUNT, END, FORMS, GUIDE, landed, verdict
from tests.iceberg.catalogs import Catalog
from tests.report.landed import land
from tests.report.records import made, odd

pytestmark = pytest.mark.engines

PYTHON = ROOT / ".venv-engines/bin/python"
SCRIPT = Path(__file__).parent / "scripts/spark.py"
OF_RECORDS = ("id", "created_at", "domain", "response", "other")
OF_VALUES = ("prediction_id", "created_at", "path", "value", "number", "page")
Rows = list[list[Any]] | None


def ask(asked: dict[str, tuple[str, dict[str, Any]]], home: Path) -> dict[str, Rows]:
    """The rows that Spark finds for each expression.

    :param home: where Spark may write.
    """
    assert PYTHON.exists(), "`make engines` installs Spark"
    environment = os.environ | {"PYSPARK_PYTHON": str(PYTHON), "HOME": str(home), "TMPDIR": str(home)}
    done = subprocess.run(
        [PYTHON, SCRIPT], cwd=home, env=environment, input=json.dumps(asked), capture_output=True, text=True,
        timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout.splitlines()[-1])
    assert f"Spark {answer['version'].rpartition('.')[0]}" in GUIDE
    found: dict[str, Rows] = answer["found"]
    return found


def counted(rows: Rows) -> Counter[str]:
    """Rows in any order."""
    assert rows is not None
    return Counter(map(repr, rows))


def held(urls: list[str], columns: tuple[str, ...]) -> Counter[str]:
    """The rows that the files hold."""
    rows = [row for url in urls for row in pq.ParquetFile(url).read([*columns]).to_pylist()]
    return counted([[_plain(row[name]) for name in columns] for row in rows])


def _plain(value: Any) -> Any:
    """A value as the script writes it."""
    return value.isoformat() if isinstance(value, datetime) else value


def test_each_cell_of_spark_is_as_the_guide_says(tmp_path: Path, subtests: Any) -> None:
    cells = {cell.column: cell for cell in CELLS if cell.engine == "Spark"}
    assert cells.keys() == FORMS.keys()
    asked = {
        name: (f'{cell.expression}.select("id")', landed(tmp_path / name, name))
        for name, cell in cells.items()
    }

    found = ask(asked, tmp_path)

    for name, cell in cells.items():
        with subtests.test(row=name):
            rows = found[name]
            assert verdict(None if rows is None else len(rows)) == cell.said
            assert len({id_ for (id_,) in rows or ()}) == COUNT


def test_spark_reads_the_rows_that_were_landed(tmp_path: Path, subtests: Any) -> None:
    """Of each layout and shape, and of an Iceberg table whose files its catalog names."""
    records = made("vlmrun", END - timedelta(days=4), END, 50) + odd("vlmrun", END - timedelta(days=2), END)
    warehouse = {"uri": f"sqlite:///{tmp_path}/catalog.db", "warehouse": f"file://{tmp_path}/warehouse"}
    catalog = Catalog({"type": "sql", **warehouse})

    def parts(name: str, *runs: list[bytes], **how: Any) -> list[str]:
        given = {"form": "parquet", "records_per_part": 12} | how
        return [p["url"] for run in runs for p in land("vlmrun", tmp_path / name, run, **given)["parts"]]

    urls = {
        "records": parts("records", records),
        "zstd": parts("zstd", records, codec="zstd"),
        "values": parts("values", records, shape="values"),
        "runs": parts("runs", records[:30], records[30:], incremental=True),
        "days": parts("days", records, partition_by="created_date"),
    }
    catalog.add(f"file://{tmp_path}/records/_manifest.json")
    urls["table"] = [task.file.file_path for task in catalog.load().scan().plan_files()]
    columns = {name: OF_VALUES if name == "values" else OF_RECORDS for name in urls}
    asked: dict[str, tuple[str, dict[str, Any]]] = {
        name: (f"spark.read.parquet(*urls).select(*{columns[name]})", {"urls": each})
        for name, each in urls.items()
    }
    by_day = re.search(r"`(spark\.read\.option\(.*)`", GUIDE)
    assert by_day
    asked["one day"] = f"{by_day[1]}.select('id')", {"urls": urls["days"], "D": str(tmp_path / "days")}

    found = ask(asked, tmp_path)

    for name, each in urls.items():
        with subtests.test(row=name):
            assert len(each) > 1
            assert counted(found[name]) == held(each, columns[name])
    with subtests.test(row="one day"):
        of_day = [url for url in urls["days"] if "/created_date=2026-11-03/" in url]
        assert counted(found["one day"]) == held(of_day, ("id",)) != Counter()
