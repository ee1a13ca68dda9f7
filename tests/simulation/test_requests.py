"""What a landing costs in requests to its storage."""

from __future__ import annotations

import re

import pytest

from tests.simulation.history import play
from tests.simulation.seams import silence
from tests.simulation.tape import Story


@pytest.mark.parametrize(
    ("scenario", "attempt", "parts", "others"),
    [
        pytest.param("incremental, store", "a.1", 2, 12, id="the first incremental landing"),
        pytest.param("incremental, store", "last.1", 1, 12, id="a later one"),
        pytest.param("incremental, store", "b.1", 0, 9, id="one that finds nothing"),
        pytest.param("anew, store", "a.1", 3, 10, id="the first landing that is not incremental"),
        pytest.param("anew, store", "b.1", 3, 11, id="one that replaces it"),
    ],
)
def test_a_landing_asks_its_storage_so_often(scenario: str, attempt: str, parts: int, others: int) -> None:
    """Beside parts, checkpoints, and the removal of both, which is one request for a thousand."""
    with silence():
        history = play(scenario, Story(("a.1 succeeded", "start")))

    calls = [line.split()[2:] for line in history.log if line.split()[1] == attempt]
    asked = [call for call in calls if call[0] in ("get", "put", "create", "rm", "ls")]
    own = [call for call in asked if re.search(r"(^|/)(part|_checkpoint)-", call[1])]
    assert sum(call[0] == "put" and "part-" in call[1] for call in own) == parts
    assert len(asked) - len(own) == others
