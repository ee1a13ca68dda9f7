"""Write into docs/contributing.md how many tests each marker has, and how long they took.

``make test-all`` leaves the results. Seconds are those of all processes together.
"""

from __future__ import annotations

import tomllib
from collections import defaultdict
from pathlib import Path
from xml.etree import ElementTree

from tables import write_table

ROOT = Path(__file__).parent.parent
RESULTS = [ROOT / ".venv" / "quick.xml", ROOT / ".venv" / "marked.xml"]
PAGE = ROOT / "docs" / "contributing.md"
UNMARKED = "no marker"


def main() -> None:
    settings = tomllib.loads(ROOT.joinpath("pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]
    meanings = {UNMARKED: "needs a socket and a temporary directory"}
    meanings |= dict(marker.split(": ", 1) for marker in settings["markers"])
    seconds: dict[str, list[float]] = defaultdict(list)
    for results in RESULTS:
        for test in ElementTree.parse(results).iter("testcase"):
            found = {found.get("value", "") for found in test.iter("property")} & meanings.keys()
            for marker in found or {UNMARKED}:
                seconds[marker].append(float(test.get("time", 0)))
    rows = [
        (name if name == UNMARKED else f"`{name}`", meaning, len(seconds[name]), f"{sum(seconds[name]):.0f}")
        for name, meaning in meanings.items()
    ]
    write_table(PAGE, "scripts/durations.py", ("marker", "the test", "tests", "seconds"), rows)


if __name__ == "__main__":
    main()
