"""What values as rows cost: ``python benchmarks/values_cost.py`` writes a table into the guide.

Each row is a process that converts the parts of a landing to Parquet, as the landing does. Ends with 1 when
values have less than a fifth of the speed of records, or when memory grows with the landing.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import records
from environments import HERE, ROOT, variables
from measure import peak
from page import write_table

PAGE = ROOT / "docs" / "guides" / "values.md"
COUNT, QUICK = 1_000_000, 20_000
RECORDS_PER_PART = 100_000
SLOWEST, MOST_GROWTH = 1 / 5, 1.3
LONGEST = 1800
CHOSEN = {"vlmrun": ["total", "items.*"], "cradl": ["total_amount", "due_date"]}
RUNS = {"records": ("records", False), "values": ("values", False), "values with `paths`": ("values", True)}
COLUMNS = ("", "predictions", "rows", "predictions per second", "of records", "peak RSS, MB")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few records, nothing is written")
    count = QUICK if parser.parse_args().quick else COUNT
    rows, missed = [], []
    for service in ("vlmrun", "cradl"):
        results = {label: measured(service, count, *how) for label, how in RUNS.items()}
        few = measured(service, min(count, RECORDS_PER_PART), "values", False)
        for label, result in results.items():
            speed = results["records"]["seconds"] / result["seconds"]
            if speed < SLOWEST:
                missed.append(f"{service}: {label} have {speed:.2f} of the speed of records")
            figures = f"{result['rows']:,}", f"{count / result['seconds']:,.0f}", f"{speed:.2f}"
            rows.append((f"{service}: {label}", f"{count:,}", *figures, f"{result['peak_mb']:.0f}"))
            print(*rows[-1], sep="  ", flush=True)
        if results["values"]["peak_mb"] > MOST_GROWTH * few["peak_mb"]:
            missed.append(
                f"{service}: {results['values']['peak_mb']:.0f} MB, and {few['peak_mb']:.0f} for a part"
            )
    if count == COUNT:
        write_table(PAGE, "benchmarks/values_cost.py", COLUMNS, rows, figures=True)
    print("\n".join(["Missed:", *missed]) if missed else "Every bar holds.")
    return 1 if missed else 0


def measured(service: str, count: int, shape: str, is_chosen: bool) -> dict[str, Any]:
    """One row, by a process of its own."""
    paths = CHOSEN[service] if is_chosen else None
    with tempfile.TemporaryDirectory(prefix="benchmark-") as home:
        command = [
            sys.executable,
            str(HERE / "values_cost.py"),
            "one",
            json.dumps([service, count, shape, paths]),
        ]
        ended = subprocess.run(
            command,
            env=variables(Path(home)) | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=LONGEST,
            check=False,
        )
    if ended.returncode:
        sys.exit(f"{ended.stdout[-2000:]}{ended.stderr[-4000:]}")
    result: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return result


def one(service: str, count: int, shape: str, paths: list[str] | None) -> None:
    """Convert part after part. Seconds are of the processor, and only of the conversion."""
    import pyarrow.parquet as pq

    from airflow_provider_predictions.api.cradl import Cradl
    from airflow_provider_predictions.api.http.auth import BearerAuth
    from airflow_provider_predictions.api.vlmrun import VlmRun
    from airflow_provider_predictions.storage.formats import make_format

    kind, make = {"vlmrun": (VlmRun, records.vlmrun_rows), "cradl": (Cradl, records.cradl_rows)}[service]
    form = make_format(
        "parquet", "zstd", kind("https://a.test", BearerAuth("key")), shape, paths and tuple(paths)
    )
    seconds, rows = 0.0, 0
    with tempfile.TemporaryDirectory() as directory:
        lines, part = Path(directory, "lines"), Path(directory, "part")
        for start in range(0, count, RECORDS_PER_PART):
            with lines.open("wb") as out:
                out.writelines(
                    make(range(n, n + 1)) + b"\n" for n in range(start, min(count, start + RECORDS_PER_PART))
                )
            began = time.process_time()
            form.convert(lines, part)
            seconds += time.process_time() - began
            rows += pq.read_metadata(part).num_rows
    print(json.dumps({"seconds": seconds, "peak_mb": peak(), "rows": rows}))


if __name__ == "__main__":
    if sys.argv[1:2] == ["one"]:
        one(*json.loads(sys.argv[2]))
    else:
        sys.exit(main())
