"""Each storage in turn, on a real server; landings that are interrupted, and their machines."""

from __future__ import annotations

import json
import logging
import os
import tempfile
import uuid
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_predictions.api.errors import PredictionsError
from airflow_provider_predictions.sandbox.server import Sandbox
from airflow_provider_predictions.sandbox.store import RecordStore
from tests.compat import attach
from tests.given import ARGUMENTS, LAND, context_of, on_machine
from tests.storage.landings import Machine, down
from tests.storage.servers import azure_server, gs_server, s3_server

# Read when gcsfs is imported, which nothing does before the first test: without the first, each write
# asks the server for the kind of bucket over TLS, and waits a minute for an answer.
os.environ |= {"GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false", "NO_GCE_CHECK": "true"}

STORES = ("file", "s3", *(pytest.param(name, marks=pytest.mark.stores) for name in ("gs", "abfs")))


@pytest.fixture(autouse=True)
def own_tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test goes on from another's workspace."""
    tmp_path.joinpath("tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr(tempfile, "tempdir", None)


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest) -> ObjectStoragePath:
    """An empty base of each storage in turn."""
    base: ObjectStoragePath = request.getfixturevalue(f"{request.param}_store")
    return base


@pytest.fixture
def file_store(tmp_path: Path) -> ObjectStoragePath:
    """An empty directory."""
    base = tmp_path / "store"
    base.mkdir()
    return ObjectStoragePath(base.as_uri())


@pytest.fixture
def s3_store(s3_url: str, monkeypatch: pytest.MonkeyPatch) -> ObjectStoragePath:
    """An empty S3 bucket behind an Airflow connection."""
    connection = {
        "conn_type": "aws",
        "login": "test-access",
        "password": "test-secret",
        "extra": {"endpoint_url": s3_url, "region_name": "us-east-1"},
    }
    monkeypatch.setenv("AIRFLOW_CONN_S3_STORE", json.dumps(connection))
    return _new_bucket("s3://s3_store")


@pytest.fixture
def gs_store(gs_attached: None) -> ObjectStoragePath:
    """An empty GCS bucket behind an attached file system."""
    return _new_bucket("gs://gs_store")


@pytest.fixture
def abfs_store(azure_connection_string: str, monkeypatch: pytest.MonkeyPatch) -> ObjectStoragePath:
    """An empty Azure container behind an Airflow connection."""
    connection = {"conn_type": "wasb", "extra": {"connection_string": azure_connection_string}}
    monkeypatch.setenv("AIRFLOW_CONN_ABFS_STORE", json.dumps(connection))
    return _new_bucket("abfs://abfs_store")


@pytest.fixture
def new_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Machine]:
    """Go on on a machine that no landing ran on before."""
    numbers = count()

    def new_machine() -> Machine:
        machine = Machine(tmp_path / f"machine-{next(numbers)}")
        on_machine(monkeypatch, machine.tmp)
        return machine

    return new_machine


@pytest.fixture
def machine(new_machine: Callable[[], Machine]) -> Machine:
    """The machine that a test begins on."""
    return new_machine()


@pytest.fixture
def land(connections: Sandbox, service_name: str, file_store) -> Callable[..., dict[str, Any]]:
    """Land from the sandbox, in this process; by default as the next attempt of one run."""
    attempts = count(1)

    def land(context: dict[str, Any] | None = None, **arguments: Any) -> dict[str, Any]:
        given = {"path": str(file_store)} | ARGUMENTS | arguments
        context = context or context_of("monday", next(attempts))
        return LAND[service_name](task_id="land", **given).execute(context)

    return land


@pytest.fixture
def interrupted(land, connections: Sandbox, service_name: str) -> Callable[..., None]:
    """Land until the service is down for longer than an attempt waits."""

    def interrupted(after: int, **arguments: Any) -> None:
        connections.wire.order(down(service_name, after))
        with pytest.raises(PredictionsError):
            land(**arguments)
        connections.wire.clear()

    return interrupted


@pytest.fixture
def begun(interrupted, record_store: RecordStore, machine: Machine) -> Machine:
    """A landing of 300 that was interrupted behind its third part; the machine where it was."""
    record_store.fill(300)
    interrupted(after=12)
    return machine


@pytest.fixture(scope="session")
def s3_url() -> Iterator[str]:
    """The address of an S3 API."""
    with s3_server() as url:
        yield url


@pytest.fixture(scope="session")
def gs_url() -> Iterator[str]:
    """The address of a GCS API."""
    with gs_server() as url:
        yield url


@pytest.fixture(scope="session")
def gs_attached(gs_url: str) -> None:
    """The GCS API as what `gs://gs_store@…` means in this process."""
    # The Google provider, which would make a file system of a connection, weighs more than a gigabyte.
    from gcsfs import GCSFileSystem

    attach("gs", "gs_store", fs=GCSFileSystem(project="test", token="anon", endpoint_url=gs_url))


@pytest.fixture(scope="session")
def azure_connection_string() -> Iterator[str]:
    """The connection string of an account at an Azure blob API."""
    # It would log every request.
    logging.getLogger("azure").setLevel(logging.WARNING)
    with azure_server() as connection_string:
        yield connection_string


def _new_bucket(store: str) -> ObjectStoragePath:
    """A new bucket: no test sees another's objects, nor what a file system remembers of them."""
    name = f"bucket-{uuid.uuid4().hex}"
    base = ObjectStoragePath(f"{store}@{name}")
    base.fs.mkdir(name)
    return base
