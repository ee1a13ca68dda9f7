"""A record without an id is known by its bytes, and by the same wherever it is read."""

from __future__ import annotations

from pathlib import Path

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_predictions.api.models import Page, id_by_content
from airflow_provider_predictions.storage.formats import make_format
from airflow_provider_predictions.storage.landing import Landing
from tests.storage.test_landing import NOON, SERVICE

ODD = b'{ "status": "completed", "created_at": "2026-11-01T12:00:00" }'


@pytest.mark.parametrize("compression", [None, "gzip", "zstd"])
@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_an_object_gives_back_the_ids_that_the_service_was_told_of(
    tmp_path: Path, form: str, compression: str | None
) -> None:
    lines, target = tmp_path / "lines", tmp_path / "target"
    lines.write_bytes(ODD + b"\n" + b'{"id":"b"}\n')
    made = make_format(form, compression, SERVICE)

    found = list(made.identities(made.convert(lines, target)))

    assert found == [(id_by_content(ODD), NOON), ("b", None)]


def test_lines_in_no_part_yet_give_back_theirs(file_store: ObjectStoragePath) -> None:
    form = make_format("jsonl", None, SERVICE)
    with Landing(file_store, form, records_per_part=5, arguments="all") as attempt:
        attempt.take(Page((SERVICE.row(ODD),)), {}, 1)

        assert list(attempt.identities()) == [(id_by_content(ODD), NOON)]
