"""A file in which a part grows, and what another process goes on with."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from airflow_provider_predictions.storage.spool import Spool


def test_a_spool_goes_on_without_what_was_not_noted_any_more(tmp_path: Path) -> None:
    spool = Spool.new(tmp_path / "spool")
    spool.write(b'{"id":"a"}', 1)
    noted = replace(spool)
    spool.write(b'{"id":"b"}', 1)
    spool.close()

    noted.resume(tmp_path / "renamed")
    noted.write(b'{"id":"c"}', 1)
    noted.close()

    assert noted.path.read_bytes() == b'{"id":"a"}\n{"id":"c"}\n'
    assert (noted.name, noted.count, noted.size) == ("renamed", 2, 22)


@pytest.mark.parametrize("content", [b'{"id":"x"}\n', b'{"id":"a"}', b""])
def test_a_spool_whose_file_is_another_is_refused(tmp_path: Path, content: bytes) -> None:
    spool = Spool.new(tmp_path / "spool")
    spool.write(b'{"id":"a"}', 1)
    spool.close()
    spool.path.write_bytes(content)

    with pytest.raises(ValueError, match="does not hold what was written to it"):
        spool.resume(spool.path)
