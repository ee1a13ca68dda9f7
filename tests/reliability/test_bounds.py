"""The tables of bounds in docs/reliability.md say what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import bounds

from airflow_provider_predictions.api import limits
from airflow_provider_predictions.operators import landing_arguments, listing
from airflow_provider_predictions.sensors.vlmrun import VlmRunPredictionsSensor
from airflow_provider_predictions.storage import objects, scratch_dir
from airflow_provider_predictions.triggers.poller import Poller

DAY = 24 * 3600
IS_BOUND = re.compile(r"(MAX|MIN)_\w+|\w+_(SECONDS|BYTES)")
OTHERS = {
    "requests in flight of a landing": f"{landing_arguments.MAX_PREFETCH}",
    "pages in memory of a landing": "`prefetch` + 1",
    "a piece of a part on its way to an object store, whose smaller parts go whole": f"{objects.PIECE} bytes",
    "JSON that a list pushes": f"{listing.MEBIBYTE} bytes",
    "polls in T seconds": "T / `poke_interval` + 1",
    "first poll of a trigger, at the earliest": f"{Poller.shortest_interval:g} s",
    "a wait in all": f"{VlmRunPredictionsSensor(task_id='wait').timeout / DAY:g} days",
    "age of what a killed landing left on a worker, until another one removes it": (
        f"{2 * scratch_dir.LIFETIME / DAY:g} days"
    ),
}


def tables() -> tuple[list[str], list[str]]:
    """The rows of the two tables of the page."""
    section = bounds.PAGE.read_text().split("\n## Bounds\n")[1].split("\nA TLS handshake")[0]
    of_client, others = section.split("\nThese are the limits of landings")
    return tuple(re.findall(r"^\| (?!---).*", part, re.MULTILINE)[1:] for part in (of_client, others))  # type: ignore[return-value]


def test_the_table_of_the_clients_bounds_is_written_from_their_module() -> None:
    written = [f"| {' | '.join(row)} |" for row in bounds.bounds().values()]

    assert tables()[0] == written, "run scripts/bounds.py"


def test_the_table_of_the_other_bounds_says_what_the_code_does() -> None:
    found = [tuple(row.split(" | ")[:2]) for row in tables()[1]]

    assert found == [(f"| {what}", most) for what, most in OTHERS.items()]


def test_bounds_of_the_client_are_in_one_module() -> None:
    package = Path(limits.__file__).parents[1]
    paths = {*package.glob("api/**/*.py"), *package.glob("hooks/*.py")} - {Path(limits.__file__)}
    constants = {
        (path.stem, name)
        for path in paths
        for name in re.findall(r"^_?([A-Z][A-Z0-9_]+)\b[^=\n]* = ", path.read_text(), re.MULTILINE)
    }

    assert len(paths) > 30
    assert not [constant for constant in constants if IS_BOUND.fullmatch(constant[1])]


def test_every_bound_has_a_name_that_says_so_and_a_reason() -> None:
    names = [name for name in vars(limits) if name.isupper()]

    assert names == list(bounds.bounds())
    assert all(map(IS_BOUND.fullmatch, names))
