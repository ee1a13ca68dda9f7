"""``make durations``: write how long each part of the tests took in its last run into docs/test-durations.md.

``scripts/durations.py results.xml`` prints the same of any file that ``pytest --junitxml`` has written.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from tables import write_table

ROOT = Path(__file__).parent.parent
COLUMNS = ("run", "part", "tests", "seconds of tests", "seconds in all")


def main(files: list[str]) -> None:
    if files:
        for row in [COLUMNS, *(row for file in files for row in rows(file, Path(file)))]:
            print(*row, sep="\t")
        return
    runs = {"`make test`": ROOT / ".venv/quick.xml", "`make test-marked`": ROOT / ".venv/marked.xml"}
    for file in sorted(ROOT.glob(".venv-*/results.xml")):
        runs[f"`make test-matrix`, {file.parent.name.removeprefix('.venv-')}"] = file
    made = [row for run, file in runs.items() if file.exists() for row in rows(run, file)]
    write_table(ROOT / "docs" / "test-durations.md", "make durations", COLUMNS, made)


def rows(run: str, file: Path) -> Iterator[tuple[object, ...]]:
    """The run as a whole, then what has a marker and each folder of the rest, the longest first."""
    root, parts = ElementTree.parse(file).getroot(), defaultdict[str, list[float]](list)
    for test in root.iter("testcase"):
        markers = [found.attrib["value"] for found in test.iter("property") if found.get("name") == "marker"]
        folder = "/".join(test.attrib["classname"].split(".")[:2])
        for part in markers or [folder if ROOT.joinpath(folder).is_dir() else "tests"]:
            parts[part].append(float(test.attrib["time"]))
    every = [float(test.attrib["time"]) for test in root.iter("testcase")]
    clock = sum(float(suite.attrib["time"]) for suite in root.iter("testsuite"))
    yield run, "all", f"{len(every):,}", f"{sum(every):,.0f}", f"{clock:,.0f}"
    if not file.parent.name.startswith(".venv-"):  # of a version, the parts are as long as on any other
        for part, seconds in sorted(parts.items(), key=lambda found: -sum(found[1])):
            yield run, part, f"{len(seconds):,}", f"{sum(seconds):,.0f}", ""


if __name__ == "__main__":
    main(sys.argv[1:])
