"""A storage that fails, and landings in it."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_predictions.operators.vlmrun import VlmRunPredictionsToObjectStorageOperator
from airflow_provider_predictions.sandbox.server import Sandbox
from tests.clock import stopwatch
from tests.given import ARGUMENTS, connect, context_of
from tests.reliability.storage import ACCESS_KEY, COUNT, SECRET_KEY
from tests.reliability.store_proxy import Proxy
from tests.storage.conftest import own_tmp, s3_url  # noqa: F401  (fixtures)

RETRYING = ("s3fs.core", "aiobotocore.endpoint", "aiobotocore.retries.standard")
BOUNDS = {"read_timeout": 0.3, "connect_timeout": 0.3, "retries": {"max_attempts": 1}}


@pytest.fixture
def _no_pause_between_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """What S3's libraries do between two tries of a request takes seconds otherwise."""
    hurried = ModuleType("asyncio")
    hurried.__dict__.update(vars(asyncio), sleep=lambda _: asyncio.sleep(0))
    for name in RETRYING:
        monkeypatch.setattr(f"{name}.asyncio", hurried, raising=False)


@pytest.fixture
def proxy(s3_url: str, monkeypatch: pytest.MonkeyPatch, _no_pause_between_retries: None) -> Iterator[Proxy]:  # noqa: F811
    """The faulty way to S3, behind two connections: ``patient`` has the timeouts that come with the library.

    ``direct`` goes past it; a client of S3 takes a while to be made, so that there is one for all tests.
    """
    with Proxy(urlsplit(s3_url).port or 0) as proxy:
        faulty = f"http://127.0.0.1:{proxy.port}"
        for name, url, bounds in (
            (f"faulty_{proxy.port}", faulty, BOUNDS),
            (f"patient_{proxy.port}", faulty, {}),
            ("direct", s3_url, {}),
        ):
            connection = {
                "conn_type": "aws",
                "login": ACCESS_KEY,
                "password": SECRET_KEY,
                "extra": {"endpoint_url": url, "region_name": "us-east-1", "config_kwargs": bounds},
            }
            connect(monkeypatch, connection, name)
        yield proxy


class Store:
    """A bucket, seen by a landing through the proxy and by a reader past it."""

    def __init__(self, proxy: Proxy) -> None:
        bucket = f"bucket-{uuid.uuid4().hex}"
        self.path = ObjectStoragePath(f"s3://faulty_{proxy.port}@{bucket}/predictions")
        self._base = ObjectStoragePath(f"s3://direct@{bucket}")
        self._base.fs.mkdir(bucket)

    def objects(self) -> dict[str, bytes]:
        """What a reader sees, by its name under the path."""
        fs, root = self._base.fs, self._base.path.strip("/")
        fs.invalidate_cache()
        return {key.split("/", 2)[2]: fs.cat_file(key) for key in fs.find(root)}


@pytest.fixture
def store(proxy: Proxy) -> Store:
    return Store(proxy)


@pytest.fixture
def land(connections: Sandbox) -> Callable[..., dict[str, Any]]:
    """An attempt of one task of one run."""
    connections.vlmrun.fill(COUNT)

    def land(path: object, attempt: int, **arguments: Any) -> dict[str, Any]:
        operator = VlmRunPredictionsToObjectStorageOperator(
            task_id="land", path=str(path), **ARGUMENTS | arguments
        )
        return dict(operator.execute(context_of(attempt=attempt)))

    return land


@pytest.fixture
def seconds() -> Iterator[Callable[[], float]]:
    """Since the test began, without those in which the machine stood still."""
    with stopwatch() as seconds:
        yield seconds
