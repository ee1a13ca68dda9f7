"""The file in which a part grows may be an object already: of a landing that was killed after its commit."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from airflow_provider_predictions.storage.spool import Spool


@pytest.fixture
def landed(tmp_path: Path) -> tuple[Spool, Path]:
    """A spool whose file was made an object without a copy."""
    spool = Spool(tmp_path / "spool")
    spool.write([b'{"id":"a"}', b'{"id":"b"}'])
    spool.close()
    part = tmp_path / "part"
    os.link(spool.path, part)
    return spool, part


def test_a_spool_that_begins_anew_leaves_a_landed_part_alone(landed: tuple[Spool, Path]) -> None:
    spool, part = landed
    new = Spool(spool.path)
    new.write([b'{"id":"c"}'])
    new.close()

    assert part.read_bytes() == b'{"id":"a"}\n{"id":"b"}\n'
    assert spool.path.read_bytes() == b'{"id":"c"}\n'


def test_a_spool_that_goes_on_leaves_a_landed_part_alone(landed: tuple[Spool, Path]) -> None:
    spool, part = landed
    again = Spool.again(spool.path, spool.state())
    again.write([b'{"id":"c"}'])
    again.close()

    assert part.read_bytes() == b'{"id":"a"}\n{"id":"b"}\n'
    assert spool.path.read_bytes() == b'{"id":"a"}\n{"id":"b"}\n{"id":"c"}\n'
    assert (again.count, again.size) == (3, len(spool.path.read_bytes()))


def test_a_spool_goes_on_without_what_was_not_noted_any_more(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    spool.write([b'{"id":"a"}'])
    facts = spool.state()
    spool.write([b'{"id":"b"}'])
    spool.close()

    again = Spool.again(spool.path, facts)
    again.close()

    assert again.path.read_bytes() == b'{"id":"a"}\n'
    assert again.state() == facts


def test_a_spool_that_was_tampered_with_is_refused(landed: tuple[Spool, Path]) -> None:
    spool, _ = landed
    spool.path.write_bytes(spool.path.read_bytes().replace(b"a", b"x"))

    with pytest.raises(ValueError, match="does not hold what was written to it"):
        Spool.again(spool.path, spool.state())
