"""One measurement, in a process of its own.

``python measure.py <job> <folder>`` leaves ``result.json`` in the folder.
"""

from __future__ import annotations

import gc
import importlib
import json
import resource
import sys
import time
from collections import Counter
from pathlib import Path

from job import Job

WARM_UP = 1000
"""Records of a list that is read first and not timed: so imports on first use count for nobody."""


def peak() -> float:
    """The most memory this process has held so far, in MB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def measure(job: Job, folder: Path) -> dict[str, float]:
    contender = importlib.import_module(f"contenders.{job.reader}")
    for name in ("warm-up", "read"):
        (folder / name).mkdir()
    contender.read(job, job.url(WARM_UP), WARM_UP, folder / "warm-up")
    gc.collect()
    before = peak()
    started = time.perf_counter()
    result = contender.read(job, job.url(job.count), job.count, folder / "read")
    seconds = time.perf_counter() - started
    after = peak()
    seen = Counter(contender.ids(result, folder / "read"))
    return {
        "seconds": seconds,
        "before_mb": before,
        "peak_mb": after,
        "rows": seen.total(),
        "distinct": len(seen),
    }


if __name__ == "__main__":
    place = Path(sys.argv[2])
    (place / "result.json").write_text(json.dumps(measure(Job.of(sys.argv[1]), place)))
