"""Where a landing spends its time: ``python benchmarks/profiling.py`` writes ``docs/landing-profile.txt``.

The landing runs with ``prefetch=0``, so that all of it happens in the main thread, the only one that cProfile
sees. Functions in Python look slower there, beside those written in C, than they are.
"""

from __future__ import annotations

import cProfile
import os
import pstats
import re
import tempfile
from pathlib import Path
from typing import Any

from environments import ROOT, variables
from job import Job
from server import serving

PAGE = ROOT / "docs" / "landing-profile.txt"
COUNT = 50_000
SHOWN = 25
# What stands in front of a package's name, or of a module's of the standard library.
_PLACE = re.compile(r".*(?:site-packages|/lib/python[\d.]+)/")


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="benchmark-") as home:
        # Airflow reads its settings when it is imported.
        os.environ |= variables(Path(home))
        from contenders import ours

        with serving(COUNT, dict(os.environ)) as url:
            job = Job("ours", url, COUNT, prefetch=0)
            for name in ("warm-up", "read"):
                (Path(home) / name).mkdir()
            ours.read(job, job.url(COUNT), COUNT, Path(home) / "warm-up")
            profile = cProfile.Profile()
            profile.runcall(ours.read, job, job.url(COUNT), COUNT, Path(home) / "read")
    text = table(pstats.Stats(profile))
    PAGE.write_text(text)
    print(text)


def table(stats: Any) -> str:
    """The functions with the most time of their own."""
    total = stats.total_tt
    lines = [
        f"Landing {COUNT:,} predictions of VLM Run, 1,076 bytes each, under cProfile: {total:.2f} s.",
        f"The {SHOWN} functions with the most time of their own, as found by python benchmarks/profiling.py.",
        "",
        "own s  share  with calls s    calls  function",
    ]
    ranked = sorted(stats.stats.items(), key=lambda item: item[1][2], reverse=True)
    for place, (_, calls, own, cumulative, _) in ranked[:SHOWN]:
        lines.append(f"{own:5.3f}  {own / total:5.1%}  {cumulative:12.3f}  {calls:7,}  {where(*place)}")
    return "\n".join(lines) + "\n"


def where(file: str, number: int, name: str) -> str:
    if not number:
        return name
    return f"{_PLACE.sub('', file).removeprefix(f'{ROOT}/')}:{number} {name}"


if __name__ == "__main__":
    main()
