"""A report on a million landed predictions, beside a loop over the lines and DuckDB's bare count."""

from __future__ import annotations

import hashlib
import random
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from math import isclose
from pathlib import Path
from statistics import median

from results import Bar, Part, Row, at_least, at_most, ratios, run_all, spread
from tables import markdown

COUNT, QUICK = 1_000_000, 20_000
PARTS = 10
DIFFERENT = 50_000
"""Predictions that are made. The others repeat them with ids of their own."""
FIRST = datetime(2026, 11, 1, tzinfo=UTC)
"""When the first prediction is created."""
REPORTERS = {"PredictionsReportOperator": "ours", "loop over the lines": "loop", "bare count": "count"}
MOST_SECONDS, MOST_MB, MOST_PAGE_KB, MOST_COUNTS = 60, 1000, 500, 2.5


def reports(quick: bool, rounds: int) -> Part:
    """Both services. The loop, which takes longest, is measured in the first round."""
    count, lines, bars = QUICK if quick else COUNT, [], []
    for service in ("vlmrun", "cradl"):
        with tempfile.TemporaryDirectory() as home:
            size = land(service, Path(home), count)
            rows = [
                Row(f"{service}: {label}", ("report", name, home), once=name == "loop")
                for label, name in REPORTERS.items()
            ]
            run_all(rows, rounds)
        ours, loop, bare = rows
        for row in rows:
            kilobytes = f"{median(row.found('page_kb')):.0f}" if row is ours else ""
            seconds, cpu = spread(row.found("seconds")), f"{median(row.found('cpu')):.1f}"
            times = "" if row is ours else f"{spread(ratios('seconds', row, ours))} x"
            peak = f"{median(row.found('peak_mb')):.0f}"
            lines.append((row.label, f"{size / 1e6:,.0f}", seconds, cpu, times, peak, kilobytes))
        bars += [
            at_least(service, 1, "x the speed of the loop", ratios("seconds", loop, ours)),
            at_most(service, MOST_COUNTS, "x the time of the bare count", ratios("seconds", ours, bare)),
            at_most(service, MOST_SECONDS, "s", ours.found("seconds"), ".1f"),
            at_most(service, MOST_MB, "MB", ours.found("peak_mb"), ".0f"),
            at_most(service, MOST_PAGE_KB, "kB of report.html", ours.found("page_kb"), ".0f"),
            *differences(service, ours, loop, bare, count),
        ]
    columns = ("", "JSON, MB", "seconds", "CPU, s", "of ours", "peak RSS, MB", "report.html, kB")
    return Part(markdown(columns, lines, figures=True), bars)


def differences(service: str, ours: Row, loop: Row, bare: Row, count: int) -> Iterator[Bar]:
    if any(total != count for total in bare.found("totals")):
        yield Bar(f"{service}: {count:,} predictions counted", str(bare.found("totals")), False)
    for name, periods in loop.runs[0]["totals"].items():
        for period, number in periods.items():
            found = ours.runs[0]["totals"][name][period]
            if not isclose(found, number, rel_tol=1e-9):
                yield Bar(f"{service}: {name} of {period} as by the loop, {number}", str(found), False)


def land(service: str, directory: Path, count: int) -> int:
    """Write a landing as the operators do; answer how many bytes it has."""
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    from airflow_provider_predictions.storage.attempt import TaskRun
    from airflow_provider_predictions.storage.commit import LandingPath
    from airflow_provider_predictions.storage.manifest import Part as Object
    from airflow_provider_predictions.storage.manifest import Totals, manifest

    target = LandingPath(ObjectStoragePath(f"file://{directory}"), TaskRun("benchmark"))
    parts, records = [], made(service, count)
    for number in range(PARTS):
        file = Path(target.attempt.path(f"part-{number:05}", ".jsonl").path)
        with file.open("wb") as out:
            out.writelines(next(records) for _ in range(count // PARTS))
        with file.open("rb") as content:
            sha256 = hashlib.file_digest(content, "sha256").hexdigest()
        parts.append(Object(file.name, count // PARTS, file.stat().st_size, sha256))
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
    rng, different, pairs = random.Random(7), min(count, DIFFERENT), []
    for number in range(different):
        created = FIRST + timedelta(days=14) * (number / different)
        record = kind.make(rng, created, rng.uniform(1, 40))
        text = kind.show(record, record.outcome, "")
        if service == "cradl" and record.outcome == "succeeded":
            text = text.replace(b'"predictions":null', b'"predictions":' + data.values(record))
        before, after = text.split(record.id.encode(), 1)
        pairs.append((before + record.id.encode(), after + b"\n"))
    for number in range(count):
        before, after = pairs[number % different]
        yield before + b"-%d" % (number // different) + after
