"""The sample that mypy reads is whole, and Airflow reads it, too."""

from __future__ import annotations

import re
from pathlib import Path

from tests.compat import DagBag, needs

SAMPLE = Path(__file__).with_name("every_class.py")
REFERENCE = Path(__file__).parents[2].joinpath("docs/reference/index.md").read_text()


def test_the_sample_uses_every_public_class() -> None:
    table = REFERENCE.split("\n## Classes\n")[1].split("\n## ")[0]
    heads = re.findall(r"^\| (.*?) \|", table, re.MULTILINE)
    classes = {name for head in heads for name in re.findall(r"`([A-Z]\w+)`", head)}

    code = SAMPLE.read_text()

    assert len(classes) > 12
    assert not [name for name in classes if code.count(name) < 2]


def test_airflow_reads_the_sample() -> None:
    needs(3, 3, "retries that wait for `Retry-After`")

    bag = DagBag(str(SAMPLE))

    assert not bag.import_errors
    assert len(bag.dags["every_class"].tasks) == 9
