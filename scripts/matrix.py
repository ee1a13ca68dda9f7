"""Run the tests on several versions of Airflow, one on each core, and write what came of it into the README.

Of a version that is not named, the table takes the results that its last run has left.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic
from xml.etree import ElementTree

from tables import write_table

ROOT = Path(__file__).parent.parent
ENVIRONMENTS = {"2.11": ROOT / ".venv-2.11", "3.0": ROOT / ".venv-3.0", "3.3": ROOT / ".venv"}
COLUMNS = ("Airflow", "Python", "passed", "skipped", "failed", "what is not there (from which version on)")
LACKING = re.compile(r"(.*): from Airflow (\S+) on")
"""How a test says that it is skipped since Airflow has not got something; see ``tests/compat.py``."""


def main(versions: list[str]) -> None:
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        codes = list(pool.map(run, versions))
    write_table(ROOT / "README.md", "make test-matrix", COLUMNS, map(row, ENVIRONMENTS))
    failed = [version for version, code in zip(versions, codes, strict=True) if code]
    sys.exit(f"Tests fail on Airflow {', '.join(failed)}" if failed else 0)


def run(version: str) -> int:
    """The whole suite on a version; prints what it says when it fails, else its last line."""
    environment, start = ENVIRONMENTS[version], monotonic()
    python, results = environment / "bin" / "python", environment / "results.xml"
    # Many tests wait, so there is time for two processes each; the cache would be that of another version.
    command = [python, "-m", "pytest", "-n", "2", "-p", "no:cacheprovider", f"--junitxml={results}"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    said = done.stdout if done.returncode else done.stdout.splitlines()[-1]
    print(f"Airflow {version}, {(monotonic() - start) / 60:.0f} minutes: {said}", flush=True)
    return done.returncode


def row(version: str) -> tuple[object, ...]:
    """What the last run on a version came to."""
    pins = (ROOT / "constraints" / f"airflow-{version}.txt").read_text()
    (airflow,) = re.findall(r"^apache-airflow==(\S+)$", pins, re.MULTILINE)
    results = ENVIRONMENTS[version] / "results.xml"
    if not results.exists():
        return airflow, *["not run"] * (len(COLUMNS) - 1)
    venv = (ENVIRONMENTS[version] / "pyvenv.cfg").read_text()
    (python,) = re.findall(r"^version\w* = (\d+\.\d+)", venv, re.MULTILINE)
    tests = list(ElementTree.parse(results).iter("testcase"))
    skipped = [found.get("message", "") for test in tests for found in test.findall("skipped")]
    failed = [test for test in tests if test.findall("failure") or test.findall("error")]
    lacking = {f"{found[1]} ({found[2]})" for found in map(LACKING.fullmatch, skipped) if found}
    passed = len(tests) - len(skipped) - len(failed)
    return airflow, python, passed, len(skipped), len(failed), "; ".join(sorted(lacking))


if __name__ == "__main__":
    main(sys.argv[1:] or list(ENVIRONMENTS))
