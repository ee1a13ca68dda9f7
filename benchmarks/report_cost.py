"""What a report costs: ``python benchmarks/report_cost.py`` writes a table into ``docs/benchmarks.md``.

Each row is a process that reports on landed predictions of a fortnight; a loop over the lines computes the
same numbers. Ends with 1 when the numbers differ or a bar is missed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib import import_module
from math import isclose
from pathlib import Path
from typing import Any

from environments import HERE, variables
from measure import peak
from page import PAGE, write_table

COUNT, QUICK = 1_000_000, 20_000
PARTS = 10
MOST_SECONDS, MOST_MB, MOST_PAGE = 60, 1000, 500_000
LONGEST = 900
FIRST = datetime(2026, 11, 1, tzinfo=UTC)
"""When the first prediction is created."""
REPORTERS = {"PredictionsReportOperator": "ours", "a loop over the lines": "loop"}
COLUMNS = ("", "predictions", "JSON, MB", "seconds", "peak RSS, MB", "report.html, kB")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few records, nothing is written")
    count = QUICK if parser.parse_args().quick else COUNT
    rows, missed = [], []
    for service in ("vlmrun", "cradl"):
        with tempfile.TemporaryDirectory(prefix="benchmark-") as home:
            landed = Path(home, "landed")
            size = land(service, landed, count)
            results = {label: measured(name, landed, Path(home)) for label, name in REPORTERS.items()}
            page = Path(home, "report", "report.html").stat().st_size
        ours, loop = results.values()
        missed += differences(service, ours["totals"], loop["totals"])
        if not (ours["seconds"] < MOST_SECONDS and ours["peak_mb"] < MOST_MB and page < MOST_PAGE):
            missed.append(f"{service}: {ours['seconds']:.0f} s, {ours['peak_mb']:.0f} MB, {page} bytes")
        for label, result in results.items():
            kilobytes = f"{page / 1000:.0f}" if result is ours else ""
            seconds, peak_mb = f"{result['seconds']:.1f}", f"{result['peak_mb']:.0f}"
            rows.append(
                (f"{service}: {label}", f"{count:,}", f"{size / 1e6:,.0f}", seconds, peak_mb, kilobytes)
            )
            print(*rows[-1], sep="  ", flush=True)
    if count == COUNT:
        write_table(PAGE, "benchmarks/report_cost.py", COLUMNS, rows, figures=True)
    print("\n".join(["Missed:", *missed]) if missed else "Every bar holds, and the numbers are equal.")
    return 1 if missed else 0


def land(service: str, directory: Path, count: int) -> int:
    """Write a landing as the operators do; answer how many bytes it has."""
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    from airflow_provider_predictions.storage.attempt import TaskRun
    from airflow_provider_predictions.storage.commit import LandingPath
    from airflow_provider_predictions.storage.manifest import Part, Totals, manifest

    directory.mkdir()
    target = LandingPath(ObjectStoragePath(f"file://{directory}"), TaskRun("benchmark"))
    parts, records = [], made(service, count)
    for number in range(PARTS):
        file = Path(target.attempt.path(f"part-{number:05}", ".jsonl").path)
        with file.open("wb") as out:
            out.writelines(next(records) for _ in range(count // PARTS))
        with file.open("rb") as content:
            sha256 = hashlib.file_digest(content, "sha256").hexdigest()
        parts.append(Part(file.name, count // PARTS, file.stat().st_size, sha256))
    facts = {
        "service": service, "format": "jsonl", "compression": None, "requests": 1, "ordered": True,
        "consistent": True, "inconsistency": None, "filters": {"statuses": None},
        "generation": target.attempt.generation,
    }  # fmt: skip
    target.commit(manifest(target.root, parts, Totals(count=count, created_min=FIRST), **facts))
    return sum(part.bytes for part in parts)


def made(service: str, count: int) -> Iterator[bytes]:
    """Predictions of a fortnight, Cradl's with the values that a landing fetches."""
    from airflow_provider_predictions.sandbox import data

    kind = {"vlmrun": data.VLMRUN, "cradl": data.CRADL}[service]
    rng, start = random.Random(7), FIRST
    for number in range(count):
        created = start + timedelta(days=14) * (number / count)
        record = kind.make(rng, created, rng.uniform(1, 40))
        text = kind.show(record, record.outcome, "")
        if service == "cradl" and record.outcome == "succeeded":
            text = text.replace(b'"predictions":null', b'"predictions":' + data.values(record))
        yield text + b"\n"


def measured(reporter: str, directory: Path, home: Path) -> dict[str, Any]:
    command = [sys.executable, str(HERE / "report_cost.py"), "one", reporter, str(directory)]
    ended = subprocess.run(
        command, env=variables(home), capture_output=True, text=True, timeout=LONGEST, check=False
    )
    if ended.returncode:
        sys.exit(f"{ended.stdout[-2000:]}{ended.stderr[-4000:]}")
    result: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return result


def one(reporter: str, directory: Path) -> None:
    """One row, in a process of its own."""
    module = import_module(f"reporters.{reporter}")
    started = time.perf_counter()
    totals = module.report(directory)
    print(json.dumps({"seconds": time.perf_counter() - started, "peak_mb": peak(), "totals": totals}))


def differences(service: str, ours: dict[str, Any], loop: dict[str, Any]) -> Iterator[str]:
    for name, periods in loop.items():
        for period, number in periods.items():
            if not isclose(ours[name][period], number, rel_tol=1e-9):
                yield f"{service}: {name} of {period} is {ours[name][period]}, by the loop {number}"


if __name__ == "__main__":
    if sys.argv[1:2] == ["one"]:
        one(sys.argv[2], Path(sys.argv[3]))
    else:
        sys.exit(main())
