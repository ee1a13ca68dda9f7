"""Measure ours and what people would use instead, side by side, and hold the figures against the bars.

``python benchmarks/run.py`` takes about a quarter of an hour, writes the tables into ``docs/benchmarks.md``
and ends with 1 when a bar is missed. With ``--quick`` it only tries everything out.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import results
from environments import HERE, peers_python, variables
from job import Job
from page import PAGE, write
from results import LIMIT, Bar, Measured
from server import serving

LONGEST = 900
"""Seconds of one measurement."""
PAGES_MS = 100
OF_THIS_PYTHON = ("limit", "ours")
BEST_FAST, BEST_SLOW, CRADL = "ours, prefetch=2", "ours, prefetch=8", "ours"
PEERS = {
    "vlmrun SDK in a loop": Job("vlmrun_sdk", "", 0),
    "HttpOperator, into XCom": Job("http_operator", "", 0),
    "Singer SDK to stdout": Job("singer_stdout", "", 0),
    "dlt to files": Job("dlt_filesystem", "", 0),
    "dlt to files, one table": Job("dlt_filesystem", "", 0, nesting=0),
}
FAST_BARS = {
    LIMIT: 0.5,
    "vlmrun SDK in a loop": 6,
    "HttpOperator, into XCom": 2,
    "dlt to files": 25,
}
SLOW_BAR = 4


@dataclass(frozen=True)
class Sizes:
    """How much is measured.

    :param count: records of the lists whose reading is timed.
    :param small: records of the short list for the memory.
    :param large: records of the long one.
    """

    count: int = 50_000
    small: int = 10_000
    large: int = 1_000_000
    rounds: int = 3
    imports: int = 9


QUICK = Sizes(count=5_000, small=1_000, large=20_000, rounds=1, imports=3)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few records, one round, nothing is written")
    parser.add_argument("--rounds", type=int, default=Sizes.rounds, help="more of them wobble less")
    options = parser.parse_args()
    sizes = QUICK if options.quick else Sizes(rounds=options.rounds)
    peers = peers_python()
    with tempfile.TemporaryDirectory(prefix="benchmark-") as home:
        environment = variables(Path(home))
        with serving(sizes.count, environment) as url:
            groups = plan(sizes, url)
            run_all(groups, sizes, peers, environment)
        seconds = [import_seconds(environment) for _ in range(sizes.imports + 1)][1:]
    bars = list(all_bars(groups, seconds))
    text = "\n\n".join(map(str.strip, sections(groups, bars)))
    print(f"\n{text}\n")
    if sizes is QUICK:
        print("Tried out with few records: nothing is written down, and the bars do not count.")
        return 0
    write(PAGE, "make benchmark", f"\n{text}\n")
    missed = [f"{bar.wanted}; found {bar.found}" for bar in bars if not bar.holds]
    print("\n".join(["Missed:", *missed]) if missed else "Every bar holds.")
    return 1 if missed else 0


def plan(sizes: Sizes, url: str) -> dict[str, list[Measured]]:
    """What is measured, by table."""

    def timed(jobs: dict[str, Job], latency: int = 0) -> list[Measured]:
        return [
            Measured(label, replace(job, server=url, count=sizes.count, latency=latency))
            for label, job in jobs.items()
        ]

    ours = Job("ours", url, 0)
    landings = {f"ours, prefetch={n}": replace(ours, prefetch=n) for n in (1, 2, 8)}
    fast = {LIMIT: Job("limit", url, 0)} | {n: job for n, job in landings.items() if n != BEST_SLOW} | PEERS
    slow = {LIMIT: Job("limit", url, 0)} | landings | PEERS
    cradl = {
        LIMIT: Job("limit", url, 0, "cradl"),
        CRADL: replace(ours, service="cradl"),
        "cradl SDK in a loop": Job("cradl_sdk", url, 0, "cradl"),
    }
    return {
        "fast": timed(fast),
        "slow": timed(slow, PAGES_MS),
        "cradl fast": timed(cradl),
        "cradl slow": timed(cradl, PAGES_MS),
        "memory": [
            Measured(f"ours, {n:,} records", replace(ours, count=n)) for n in (sizes.small, sizes.large)
        ],
    }


def run_all(groups: dict[str, list[Measured]], sizes: Sizes, peers: str, environment: dict[str, str]) -> None:
    """Round by round, so that a slow minute of the machine does not fall on one contender only."""
    rows = [row for group in groups.values() for row in group]
    # The server makes its pages while they are asked for the first time.
    for row in rows:
        if row.job.reader in OF_THIS_PYTHON and row.job.count == sizes.count:
            tell("warm-up", row, measure(row, peers, environment))
    for number in range(1, sizes.rounds + 1):
        for row in rows:
            row.runs.append(measure(row, peers, environment))
            tell(f"round {number}/{sizes.rounds}", row, row.runs[-1])


def measure(row: Measured, peers: str, environment: dict[str, str]) -> dict[str, float]:
    """One run in a process of its own, which leaves nothing behind."""
    python = sys.executable if row.job.reader in OF_THIS_PYTHON else peers
    with tempfile.TemporaryDirectory(dir=environment["HOME"]) as folder:
        command = [python, str(HERE / "measure.py"), row.job.text(), folder]
        ended = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=LONGEST, check=False
        )
        if ended.returncode:
            said = f"{ended.stdout[-2000:]}{ended.stderr[-4000:]}"
            sys.exit(f"{said}\n{row.label}: ended with {ended.returncode}")
        run: dict[str, float] = json.loads((Path(folder) / "result.json").read_text())
        return run


def tell(when: str, row: Measured, run: dict[str, float]) -> None:
    job = row.job
    print(
        f"{when}  {job.service} {job.latency} ms  {row.label}: {job.count / run['seconds']:,.0f} records/s, "
        f"{run['peak_mb']:.0f} MB, {run['distinct']:,.0f} of {job.count:,} records",
        flush=True,
    )


def import_seconds(environment: dict[str, str]) -> float:
    command = [sys.executable, str(HERE / "import_cost.py")]
    ended = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=LONGEST, check=True
    )
    return float(ended.stdout.splitlines()[-1])


def all_bars(groups: dict[str, list[Measured]], seconds: list[float]) -> Iterator[Bar]:
    yield from results.speed_bars(groups["fast"], BEST_FAST, FAST_BARS.get)
    yield from results.speed_bars(groups["slow"], BEST_SLOW, dict.fromkeys(PEERS, SLOW_BAR).get)
    yield from results.memory_bars(*groups["memory"])
    yield results.import_bar(seconds)
    yield from results.lost_bars(row for group in groups.values() for row in group)


def sections(groups: dict[str, list[Measured]], bars: list[Bar]) -> Iterator[str]:
    """The page, part by part."""
    yield f"Measured on {machine()}."
    yield "### VLM Run, no latency"
    yield results.speed_table(groups["fast"], BEST_FAST)
    yield f"### VLM Run, {PAGES_MS} ms a page"
    yield results.speed_table(groups["slow"], BEST_SLOW)
    yield "### Cradl, no latency"
    yield results.speed_table(groups["cradl fast"], CRADL)
    yield f"### Cradl, {PAGES_MS} ms a page"
    yield results.speed_table(groups["cradl slow"], CRADL)
    yield "### Memory and time by the length of the list"
    yield results.memory_table(groups["memory"])
    yield "### Bars"
    yield results.bars_table(bars)


def machine() -> str:
    pins = (HERE / "requirements.in").read_text().split()
    versions = ", ".join(pin.replace("==", " ") for pin in pins)
    return (
        f"{datetime.now(UTC):%Y-%m-%d}: {os.cpu_count()} cores ({platform.machine()}, {platform.system()}), "
        f"CPython {platform.python_version()}, {versions}"
    )


if __name__ == "__main__":
    sys.exit(main())
