"""Landing in S3, on a real S3 API: moto's server on loopback."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, ObjectStoragePath

from airflow_provider_predictions.operators.cradl import CradlPredictionsToObjectStorageOperator
from airflow_provider_predictions.operators.vlmrun import VlmRunPredictionsToObjectStorageOperator
from airflow_provider_predictions.sandbox.faults import Fault
from airflow_provider_predictions.sandbox.server import Sandbox
from airflow_provider_predictions.sandbox.shelf import Shelf

LAND = {"vlmrun": VlmRunPredictionsToObjectStorageOperator, "cradl": CradlPredictionsToObjectStorageOperator}


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """The address of an S3 API."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(s3: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> ObjectStoragePath:
    """An empty bucket behind an Airflow connection."""
    connection = {
        "conn_type": "aws",
        "login": "test-access",
        "password": "test-secret",
        "extra": {"endpoint_url": s3, "region_name": "us-east-1"},
    }
    monkeypatch.setenv("AIRFLOW_CONN_S3_TEST", json.dumps(connection))
    name = f"bucket-{abs(hash(request.node.name))}"
    path = ObjectStoragePath(f"s3://s3_test@{name}")
    path.fs.mkdir(name)
    return path


def names(path: ObjectStoragePath) -> list[str]:
    path.fs.invalidate_cache()
    return sorted(key.rsplit("/", 1)[-1] for key in path.fs.find(path.path))


def test_five_thousand_land_byte_for_byte(connections: Sandbox, shelf: Shelf, service_name, bucket) -> None:
    shelf.fill(5000)
    path = bucket / "predictions" / "2026-11-22"

    land = LAND[service_name](task_id="land", path=str(path), records_per_part=2000)
    manifest = land.execute({})

    content = b""
    for part in manifest["parts"]:
        stored = ObjectStoragePath(part["uri"]).read_bytes()
        assert (len(stored), hashlib.sha256(stored).hexdigest()) == (part["bytes"], part["sha256"])
        content += stored
    assert content == b"".join(text + b"\n" for text in shelf.texts())
    assert json.loads((path / "_manifest.json").read_bytes()) == manifest
    assert names(path) == ["_manifest.json", "part-00000.jsonl", "part-00001.jsonl", "part-00002.jsonl"]
    assert "s3_test@" in manifest["path"]
    assert "test-secret" not in str(manifest)


def test_a_list_that_breaks_off_publishes_no_partial_object(
    connections: Sandbox, shelf: Shelf, service_name, bucket
) -> None:
    shelf.fill(40)
    connections.wire.order(Fault(service_name, status=400, body=b"{}", times=9, after=2))

    with pytest.raises(AirflowFailException):
        LAND[service_name](task_id="land", path=str(bucket / "x"), page_size=10).execute({})

    assert names(bucket / "x") == []


def test_a_retry_leaves_no_orphan(connections: Sandbox, shelf: Shelf, service_name, bucket) -> None:
    shelf.fill(40)
    path = str(bucket / "x")
    LAND[service_name](task_id="a", path=path, records_per_part=10).execute({})

    LAND[service_name](task_id="b", path=path, records_per_part=30, compression="gzip").execute({})

    assert names(bucket / "x") == ["_manifest.json", "part-00000.jsonl.gz", "part-00001.jsonl.gz"]


def test_a_missing_bucket_is_an_error_and_is_not_made(
    connections: Sandbox, shelf, service_name, bucket
) -> None:
    shelf.fill(3)

    with pytest.raises(FileNotFoundError):
        LAND[service_name](task_id="land", path="s3://s3_test@no-such-bucket/x").execute({})

    assert not ObjectStoragePath("s3://s3_test@no-such-bucket").exists()
