"""The tables of bounds in docs/reliability.md say what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import bounds

from airflow_provider_predictions.api import limits
from airflow_provider_predictions.sensors.vlmrun import VlmRunPredictionsSensor

DAY = 24 * 3600
IS_BOUND = re.compile(r"(MAX|MIN)_\w+|\w+_(SECONDS|BYTES)")
OTHERS = {
    "pages in memory of a landing, one of them twice while it is read": "`prefetch` + 2",
    "polls in T seconds": "T / `poke_interval` + 1",
    "a wait in all": f"{VlmRunPredictionsSensor(task_id='wait').timeout / DAY:g} days",
}


def tables() -> tuple[list[str], list[str]]:
    """The rows of the two tables of the page."""
    section = bounds.PAGE.read_text().split("\n## Bounds\n")[1].split("\nA TLS handshake")[0]
    written, others = section.split("\nThese limits follow from others")
    return tuple(re.findall(r"^\| (?!---).*", part, re.MULTILINE)[1:] for part in (written, others))  # type: ignore[return-value]


def test_the_table_of_bounds_is_written_from_their_module() -> None:
    written = [f"| {' | '.join(row)} |" for row in bounds.bounds().values()]

    assert tables()[0] == written, "run scripts/bounds.py"


def test_the_table_of_the_other_bounds_says_what_the_code_does() -> None:
    found = [tuple(row.split(" | ")[:2]) for row in tables()[1]]

    assert found == [(f"| {what}", most) for what, most in OTHERS.items()]


def test_bounds_are_in_one_module() -> None:
    """But those of how a page of a report looks, and of the sandbox."""
    package = Path(limits.__file__).parents[1]
    paths = {*package.glob("**/*.py")} - {Path(limits.__file__)}
    paths -= {*package.glob("report/*.py"), *package.glob("sandbox/*.py")}
    constants = {
        (path.stem, name)
        for path in paths
        for name in re.findall(r"^_?([A-Z][A-Z0-9_]+)\b[^=\n]* = ", path.read_text(), re.MULTILINE)
    }

    assert len(paths) > 100
    assert not [constant for constant in constants if IS_BOUND.fullmatch(constant[1])]


def test_every_bound_has_a_name_that_says_so_and_a_reason() -> None:
    names = [name for name in vars(limits) if name.isupper()]

    assert names == list(bounds.bounds())
    assert all(map(IS_BOUND.fullmatch, names))
