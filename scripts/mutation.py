"""``make mutation``: mutmut changes the code of api/ and storage/, mypy and the tests notice it or not.

``MINUTES=10`` tests changes for so long, the next run goes on. ``MODULES="api.retry api.frontier"`` tests the
changes of these anew, and writes nothing. pytest loads this module too, as a plugin.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from itertools import accumulate
from pathlib import Path
from threading import Timer

import pytest
from tables import write

ROOT = Path(__file__).parent.parent
PACKAGE = "airflow_provider_predictions"
MOST_SECONDS = 25
"""Of the tests that one change meets."""
TIMEOUT = 36
"""The exit code by which mutmut knows it."""
COLUMNS = ("module", "changes", "tested", "mypy noticed", "tests noticed", "nothing noticed", "score")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modules", nargs="*", metavar="module", help="such as api.retry; by default all")
    parser.add_argument(
        "--minutes", type=float, default=30, help="after them, no change is tested; by default 30"
    )
    given = parser.parse_args()
    os.chdir(ROOT)
    mutate(given.modules, given.minutes)
    tables = survey(given.modules or ["*"])
    print(tables)
    if not given.modules:
        when = f"Measured on {datetime.now(UTC):%Y-%m-%d}."
        write(ROOT / "docs" / "reliability.md", "make mutation", f"{when}\n\n{tables}")


def mutate(modules: list[str], minutes: float) -> None:
    """Run mutmut, and interrupt it when it has tested changes for so long."""
    programs = Path(sys.executable).parent
    paths = {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT / "scripts")}
    names = [f"{PACKAGE}.{module}.*" for module in modules]
    with subprocess.Popen(
        [programs / "mutmut", "run", *names], env=os.environ | paths, stdout=subprocess.PIPE, text=True
    ) as process:
        timer = Timer(60 * minutes, process.send_signal, [signal.SIGINT])
        for line in process.stdout or ():
            if line.startswith("Running mutation testing"):
                timer.start()
            if line[0] != "\n" and not "\u2800" <= line[0] <= "\u28ff":  # a spinner of Braille patterns
                print(line, end="", flush=True)
        timer.cancel()
    if process.returncode:
        sys.exit(process.returncode)


def survey(modules: list[str]) -> str:
    """Print what nothing noticed. Returns a table of what was noticed, by module."""
    # Not where pytest loads this module: mutmut is to come before it.
    from mutmut.mutation.data import SourceFileMutationData
    from mutmut.mutation.diff_apply import get_diff_for_mutant
    from mutmut.stats import status_by_exit_code
    from mutmut.utils.file_utils import walk_mutatable_files

    rows, total = [], Counter[str]()
    for path in sorted(walk_mutatable_files()):
        module = ".".join(path.with_suffix("").parts[1:])
        data = SourceFileMutationData(path=path)
        data.load()
        if not data.exit_code_by_key or not any(fnmatch.fnmatch(module, name) for name in modules):
            continue
        statuses = {name: status_by_exit_code[code] for name, code in data.exit_code_by_key.items()}
        for name, status in statuses.items():
            if status not in ("killed", "timeout", "caught by type check", "not checked"):
                print(f"{status}:\n{get_diff_for_mutant(name, path=path)}")
        counts = Counter(statuses.values())
        rows.append(row(module, counts))
        total += counts
    lines = [COLUMNS, ["---"] * len(COLUMNS), *rows, row("all", total)]
    return "".join(f"| {' | '.join(map(str, line))} |\n" for line in lines)


def row(module: str, counts: Counter[str]) -> list[object]:
    tested = counts.total() - counts["not checked"]
    typed, noticed = counts["caught by type check"], counts["killed"] + counts["timeout"]
    score = f"{(typed + noticed) / tested:.0%}" if tested else ""
    return [module, f"{counts.total():,}", f"{tested:,}", typed, noticed, tested - typed - noticed, score]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the quickest tests, and run no more than ``MOST_SECONDS`` of them."""
    if os.environ["MUTANT_UNDER_TEST"] in ("stats", "list_all_tests"):
        return
    seconds = json.loads(Path("mutmut-stats.json").read_text())["duration_by_test"]
    items.sort(key=lambda item: seconds[item.nodeid])
    ends = accumulate(seconds[item.nodeid] for item in items)
    del items[max(1, sum(end <= MOST_SECONDS for end in ends)) :]
    # What the tests have started is to be stopped too when mutmut ends those that hang.
    signal.signal(signal.SIGXCPU, lambda *_: pytest.exit("too slow", returncode=TIMEOUT))


if __name__ == "__main__":
    main()
