"""One measurement, in a process of its own.

``python measure.py land '[{"reader": "limit", …}]'`` calls the function with these arguments and leaves
``result.json`` in the working directory.
"""

from __future__ import annotations

import gc
import json
import re
import resource
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from itertools import chain
from pathlib import Path
from typing import Any

from job import Job

ONE_PAGE = 1000
"""Records of the list that is read before the timed one."""
IDS = {"vlmrun": re.compile(rb'"id": ?"([^"]+)"'), "cradl": re.compile(rb'"predictionId": ?"([^"]+)"')}


def peak() -> float:
    """The most memory this process has held so far, in MB."""
    if sys.platform == "linux":
        # What getrusage says begins with the memory of the process that started this one.
        status = Path("/proc/self/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def land(job_facts: dict[str, Any]) -> dict[str, float]:
    """Read a page untimed for imports and other first uses, a page for the fixed cost, and then the list."""
    job = Job(**job_facts)
    contender = import_module(f"contenders.{job.reader}")

    def read(count: int, name: str, record_bytes: int = 0) -> tuple[Any, float, float]:
        Path(name).mkdir()
        url = replace(job, count=count, record_bytes=record_bytes).url
        started, cpu = time.perf_counter(), time.process_time()
        result = contender.read(job, url, count, Path(name).resolve())
        return result, time.perf_counter() - started, time.process_time() - cpu

    read(ONE_PAGE, "warm-up")
    _, one_page, _ = read(ONE_PAGE, "page")
    gc.collect()
    before = peak()
    result, seconds, cpu = read(job.count, "read", job.record_bytes)
    after, pages = peak(), job.count / job.page_size
    files = sorted(Path("read").glob(contender.WRITES)) if contender.WRITES else []
    texts = chain.from_iterable(file.open("rb") for file in files) if files else map(str.encode, result)
    seen = Counter(chain.from_iterable(map(IDS[job.service].findall, texts)))
    return {
        "rate": job.count / seconds,
        "cpu_ms": 1000 * cpu / pages,
        "fixed": max(0.0, one_page - seconds / pages) / seconds,
        "before_mb": before,
        "peak_mb": after,
        "rows": seen.total(),
        "distinct": len(seen),
    }


def import_operators() -> dict[str, float]:
    """Import our operators where Airflow's BaseOperator is known: what they add to the parsing of a DAG."""
    getattr(import_module("airflow.sdk"), "BaseOperator")  # noqa: B009  It is imported when it is first used.
    started = time.perf_counter()
    import_module("airflow_provider_predictions.operators.vlmrun")
    return {"ms": 1000 * (time.perf_counter() - started)}


def report(reporter: str, directory: str) -> dict[str, Any]:
    module = import_module(f"reporters.{reporter}")
    started, cpu = time.perf_counter(), time.process_time()
    totals = module.report(Path(directory))
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    page = Path("report", "report.html")
    size = page.stat().st_size if page.exists() else 0
    return {"seconds": seconds, "cpu": cpu, "peak_mb": peak(), "page_kb": size / 1000, "totals": totals}


def wait(waiter: str, url: str, key: str, ids: Sequence[str], interval: float) -> list[tuple[float, float]]:
    """Samples of the machine's clock and of this process's time, until the server ends the waiting."""
    module = import_module(f"waiters.{waiter}")
    samples, over = [(time.monotonic(), time.process_time())], threading.Event()

    def sample() -> None:
        while not over.wait(interval / 6):
            samples.append((time.monotonic(), time.process_time()))

    beside = threading.Thread(target=sample)
    beside.start()
    module.wait(url, key, ids, interval)
    over.set()
    beside.join()
    return [*samples, (time.monotonic(), time.process_time())]


def convert(service: str, parts: Sequence[int], shape: str, paths: list[str] | None) -> dict[str, float]:
    """Convert part after part to Parquet. Seconds are of the processor, and only of the conversion.

    :param parts: how many records each part holds.
    """
    import pyarrow.parquet as pq
    import records

    from airflow_provider_predictions.api.cradl import Cradl
    from airflow_provider_predictions.api.http.auth import BearerAuth
    from airflow_provider_predictions.api.vlmrun import VlmRun
    from airflow_provider_predictions.storage.formats.factory import make_format

    kind, make = {"vlmrun": (VlmRun, records.vlmrun_rows), "cradl": (Cradl, records.cradl_rows)}[service]
    form = make_format(
        "parquet", "zstd", kind("https://a.test", BearerAuth("key")), shape, paths and tuple(paths)
    )
    seconds, rows, start = 0.0, 0, 0
    with tempfile.TemporaryDirectory() as directory:
        lines, part = Path(directory, "lines"), Path(directory, "part")
        for count in parts:
            with lines.open("wb") as out:
                out.writelines(make(range(n, n + 1)) + b"\n" for n in range(start, start + count))
            began = time.process_time()
            form.convert(lines, part)
            seconds += time.process_time() - began
            rows += pq.read_metadata(part).num_rows
            start += count
    return {"seconds": seconds, "peak_mb": peak(), "rows": rows}


if __name__ == "__main__":
    found = globals()[sys.argv[1]](*json.loads(sys.argv[2]))
    Path("result.json").write_text(json.dumps(found))
