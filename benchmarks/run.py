"""Measure ours beside what people would use instead, hold the figures against the bars, and write the pages.

``python benchmarks/run.py`` measures everything in ten minutes of two idle cores, and ends with 1 when a bar
is missed. ``python benchmarks/run.py landing waits`` measures these parts alone. With ``--quick`` it tries
everything with few records and writes nothing.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from datetime import UTC, datetime

from environments import HERE, ROOT, install_peers, throwaway_home
from landing import imports, latency, memory, no_latency
from reports import reports
from tables import write
from values import values
from waits import waits

PARTS = {
    "landing": no_latency,
    "latency": latency,
    "memory": memory,
    "import": imports,
    "waits": waits,
    "reports": reports,
    "values": values,
}
WITH_PEERS = ("landing", "latency", "waits")
PAGE = ROOT / "docs" / "benchmarks.md"
PAGES = {"values": ROOT / "docs" / "guides" / "values.md"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="part", help=f"{', '.join(PARTS)}; else all")
    parser.add_argument("--quick", action="store_true", help="few records, one round, nothing is written")
    parser.add_argument("--rounds", type=int, default=3, help="more of them wobble less")
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"no part: {', '.join(sorted(unknown))}")
    missed, load, began = [], os.getloadavg()[0], time.monotonic()
    install_peers()
    with throwaway_home():
        for name in options.parts or PARTS:
            started = time.monotonic()
            part = PARTS[name](options.quick, 1 if options.quick else options.rounds)
            measured = f"{machine(name)}, in {time.monotonic() - started:.0f} s. {load_now(load)}"
            print(f"\n{measured}\n\n{part.text}", flush=True)
            if not options.quick:
                write(PAGES.get(name, PAGE), f"benchmarks/run.py {name}", f"{measured}\n\n{part.text}")
            missed += [f"{bar.wanted}; found {bar.found}" for bar in part.bars if not bar.holds]
    print(f"All took {time.monotonic() - began:.0f} s. {load_now(load)}")
    if options.quick:
        print("Tried out with few records: nothing is written down, and the bars do not count.")
        return 0
    print("\n".join(["Missed:", *missed]) if missed else "Every bar holds.")
    return 1 if missed else 0


def machine(name: str) -> str:
    pins = (HERE / "requirements.in").read_text().split()
    versions = "".join(f", {pin.replace('==', ' ')}" for pin in pins)
    return (
        f"Measured on {datetime.now(UTC):%Y-%m-%d} with {os.cpu_count()} cores ({platform.machine()}, "
        f"{platform.system()}), CPython {platform.python_version()}{versions if name in WITH_PEERS else ''}"
    )


def load_now(before: float) -> str:
    """The load averages of a minute: the benchmarks' own share of the second one is about 1.5."""
    return f"Load average: {before:.1f} before the run, {os.getloadavg()[0]:.1f} after it."


if __name__ == "__main__":
    sys.exit(main())
