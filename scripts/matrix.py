"""Run the tests that depend on versions on each of them, some at a time, and write docs/versions.md.

A version is a release of Airflow, such as ``2.11``; ``prerelease``, the next one; ``lowest``, the lowest
versions that ``pyproject.toml`` lets in; or a Python, such as ``python3.13``, with the newest Airflow. The
row of the newest shows what ``make test-all`` has left.
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

from tables import markdown, write

ROOT = Path(__file__).parent.parent
VERSIONS = ("2.11", "3.0", "lowest", "prerelease", "python3.12", "python3.13")
COLUMNS = ("Airflow", "Python", "passed", "skipped", "failed")
LACKING = re.compile(r"(.*): from Airflow (\S+) on")
"""How a test says that it is skipped because Airflow lacks something; see ``tests/compat.py``."""
UNTRIED = {
    "SQL catalogs for Iceberg tables": "3.1",
    "watchers that miss nothing while the triggerer restarts": "3.3",
}
"""What an older Airflow lacks too, with the version that has it. No test of the matrix says so."""
KINDS = {"lowest": ", lowest versions of all", "prerelease": ", a pre-release"}
DIFFERS = [
    "tests/hooks", "tests/operators", "tests/sensors", "tests/triggers", "tests/tasks",
    "tests/test_provider_info.py", "tests/test_example_dags.py",
    "tests/integration/test_airflow.py::test_a_deferred_sensor_finishes_and_the_landing_task_runs[vlmrun]",
]  # fmt: skip
"""What differs by Airflow, with one test of a whole Airflow."""
SAME = ["operators/test_histories.py", "operators/test_service_clock.py", "triggers/test_poll_costs.py"]
"""Tests in these folders of what no release of Airflow changes: what is asked for, and which rows land."""
LOWER = ["formats", "report", "servers", "stores"]
"""Tests of the storage that show what its libraries can do, on the servers of all storages."""


def selection(version: str) -> list[str]:
    """Which tests run on a version."""
    if version.startswith("python"):
        return []
    if version == "lowest":
        beside = [f"tests/storage/test_{name}.py" for name in LOWER]
    else:
        beside = [f"--ignore=tests/{file}" for file in SAME]
    return ["-m", "not (kill or slow)", *DIFFERS, *beside]


def main(versions: list[str]) -> None:
    # Backwards: a Python and the lowest versions take longest, and none of them is to run alone at the end.
    versions = sorted(versions, reverse=True)
    # One more than there are cores: a whole Airflow waits for much of its time.
    with ThreadPoolExecutor((os.cpu_count() or 1) + 1) as pool:
        codes = list(pool.map(run, versions))
    write(ROOT / "docs" / "versions.md", "make test-matrix", report())
    failed = [version for version, code in zip(versions, codes, strict=True) if code]
    sys.exit(f"Tests fail on {', '.join(failed)}" if failed else 0)


def run(version: str) -> int:
    """Run the tests of a version; print what they say when one fails, else their last line."""
    environment, start = ROOT / f".venv-{version}", monotonic()
    if not environment.joinpath("ready").exists():
        # A machine may lack a Python; the environment of an Airflow can be made on each.
        is_optional = version.startswith("python")
        print(
            f"{version}: no {'interpreter' if is_optional else 'environment'} here, so no test ran on it",
            flush=True,
        )
        return 0 if is_optional else 1
    # The cache would be that of another version.
    command = [environment / "bin" / "python", "-m", "pytest", "-p", "no:cacheprovider", *selection(version)]
    done = subprocess.run(
        [*command, f"--junitxml={environment / 'results.xml'}"],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    said = done.stdout if done.returncode else done.stdout.splitlines()[-1]
    print(f"{version}, {(monotonic() - start) / 60:.1f} minutes: {said}", flush=True)
    return done.returncode


def report() -> str:
    """What the last run on each version came to, and a list of what each Airflow lacks."""
    newest = ROOT / ".venv"
    # The newest Airflow has run every test.
    found = [result(newest, [newest / "quick.xml", newest / "marked.xml"])]
    for version in VERSIONS:
        environment = ROOT / f".venv-{version}"
        found.append(result(environment, [environment / "results.xml"], version))
    lacking: dict[str, set[str]] = {}
    for (airflow, *_), lacks in found:
        if lacks:
            lacking.setdefault(".".join(str(airflow).split(".")[:2]), set()).update(lacks)
    # Below the table, whose last column a phone would show beside an empty screen.
    said = "What an older Airflow lacks, and the version that has it:\n"
    items = [f"- **{airflow}:** {joined(lacks)}.\n" for airflow, lacks in sorted(lacking.items())]
    return "\n".join([markdown(COLUMNS, [row for row, _ in found]), said, "".join(items)])


def joined(lacks: set[str]) -> str:
    """In the order of the letters."""
    return ", ".join(sorted(lacks, key=lambda what: what.strip("`").lower()))


def result(environment: Path, results: list[Path], version: str = "") -> tuple[tuple[object, ...], set[str]]:
    """A row of the table, and what this Airflow lacks."""
    if not all(file.exists() for file in results):
        return (version or "newest", *["not run"] * (len(COLUMNS) - 1)), set()
    python, airflow = subprocess.check_output(
        [environment / "bin" / "python", "-c", ASK], text=True
    ).split()  # fmt: skip
    tests = [test for file in results for test in ElementTree.parse(file).iter("testcase")]
    skipped = [found.get("message", "") for test in tests for found in test.findall("skipped")]
    failed = [test for test in tests if test.findall("failure") or test.findall("error")]
    lacks = {f"{found[1]} ({found[2]})" for found in map(LACKING.fullmatch, skipped) if found}
    lacks |= {f"{what} ({since})" for what, since in UNTRIED.items() if numbers(airflow) < numbers(since)}
    passed = len(tests) - len(skipped) - len(failed)
    return (airflow + KINDS.get(version, ""), python, passed, len(skipped), len(failed)), lacks


def numbers(version: str) -> tuple[int, ...]:
    """A version in an order."""
    return tuple(map(int, version.split(".")[:2]))


ASK = (
    "import sys; from importlib.metadata import version; "
    "print('{}.{}'.format(*sys.version_info), version('apache-airflow'))"
)


if __name__ == "__main__":
    main(sys.argv[1:] or list(VERSIONS))
