"""``make soak``: run many landings and waits of both services for two hours, and write the results.

``PARTS=waits`` runs one part alone. With another size than the default, nothing is written.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Callable
from datetime import UTC, datetime

from tables import markdown, write

from soak import histories, landing, rate_limiter, waits
from soak.common import ROOT, Report, say

PAGE = ROOT / "docs" / "evidence.md"
PARTS: dict[str, Callable[..., Report]] = {
    "landing": landing.run, "histories": histories.run, "waits": waits.run, "rate_limit": rate_limiter.run,
}  # fmt: skip
SIZES = {
    "landing": ("predictions",), "histories": ("histories",),
    "waits": ("waits", "minutes"), "rate_limit": ("tasks", "rows"),
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m soak", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="part", help="by default all, one after the other")
    parser.add_argument("--predictions", type=int, help="of landing, in each list; by default 1000000")
    parser.add_argument("--histories", type=int, help="of histories, of each scenario; by default 2500")
    parser.add_argument("--waits", type=int, help="of waits, at once; by default 1000")
    parser.add_argument("--minutes", type=float, help="of waits; by default 30")
    parser.add_argument("--tasks", type=int, help="of rate_limit, at once; by default 50")
    parser.add_argument("--rows", type=int, help="of rate_limit, in each list; by default 3000")
    given = vars(parser.parse_args())
    broken = []
    for part in given["parts"] or PARTS:
        sizes = {name: given[name] for name in SIZES[part] if given[name] is not None}
        say(f"{part}: begins at {datetime.now(UTC):%H:%M}")
        report = PARTS[part](**sizes)
        table = markdown(report.columns, report.rows)
        say(f"{table}{part}: {'; '.join(report.broken) or 'all promises hold'}")
        broken += report.broken
        if not sizes:
            summary = f"Does not hold: {'; '.join(report.broken)}" if report.broken else "All of it holds"
            write(PAGE, f"make soak, {part}", f"{measured()} {summary}.\n\n{table}")
    sys.exit(bool(broken))


def measured() -> str:
    """When and on which machine the parts ran."""
    load = os.getloadavg()[2]
    return (
        f"Measured on {datetime.now(UTC):%Y-%m-%d} with {os.cpu_count()} cores ({platform.machine()}, "
        f"{platform.system()}) and CPython {platform.python_version()}; the load of the machine, other work "
        f"included, was {load:.1f} over the last quarter of an hour."
    )


if __name__ == "__main__":
    main()
