"""A record without an id is known by its bytes as they came."""

from __future__ import annotations

from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_predictions.api.models import id_by_content
from airflow_provider_predictions.api.page import Page
from tests.storage.test_landing import NOON, SERVICE, landing

ODD = b'{ "status": "completed", "created_at": "2026-11-01T12:00:00" }'


def test_a_record_without_an_id_is_known_by_its_bytes(file_store: ObjectStoragePath) -> None:
    with landing(file_store) as attempt:
        attempt.take(Page((SERVICE.row(ODD), SERVICE.row(b'{"id":"\\ud800"}'))), {}, 1)

        assert list(attempt.identities()) == [(id_by_content(ODD), NOON), ("\ud800", None)]
