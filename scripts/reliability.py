"""Run the faults of tests/reliability, and write what became of each into docs/reliability.md.

A test gives a row as a property ``wire`` or ``storage``: the JSON list of its cells.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree

from tables import write_table

ROOT = Path(__file__).parent.parent
ENDS = ("fault", "how it ends", "retried")
TABLES = {
    "wire": (*ENDS, "requests", "waited", "at most"),
    "storage": (*ENDS, "seconds at most", "requests to the service / the storage", "what a retry does"),
}


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        results = Path(directory, "results.xml")
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-m",
            "",
            "tests/reliability",
            f"--junitxml={results}",
        ]
        # The rows that are compared with the page are written by this run.
        code = subprocess.run([*command, "-k", "not the_table_has"], cwd=ROOT).returncode
        if code:
            sys.exit(code)
        found = list(ElementTree.parse(results).iter("property"))
    for kind, columns in TABLES.items():
        rows = [json.loads(each.get("value", "")) for each in found if each.get("name") == kind]
        if rows:
            write_table(ROOT / "docs" / "reliability.md", f"make reliability, {kind}", columns, rows)


if __name__ == "__main__":
    main()
