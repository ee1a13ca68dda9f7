"""What the tests of storage stand on: four storages behave alike where the package needs it."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath
from fsspec import AbstractFileSystem

from tests.storage.servers import s3_server


def put(path: ObjectStoragePath, content: bytes, spool: Path) -> None:
    """Write as the package does: from a finished local file."""
    spool.write_bytes(content)
    path.fs.put_file(str(spool), path.path)


def another_client(path: ObjectStoragePath) -> AbstractFileSystem:
    """A file system of the same storage that shares no memory with the path's own."""
    fs = path.fs
    return type(fs)(*fs.storage_args, **fs.storage_options, skip_instance_cache=True)


def missing_bucket(store: ObjectStoragePath) -> ObjectStoragePath:
    """A base of the same storage that nobody made."""
    return ObjectStoragePath(f"{str(store).rstrip('/')}-missing")


@pytest.mark.parametrize("size", [0, 96, 20_000_000], ids=["nothing", "little", "much"])
def test_what_was_put_is_read_back(store: ObjectStoragePath, tmp_path: Path, size: int) -> None:
    content = bytes(range(256)) * (size // 256) + bytes(size % 256)

    put(store / "key", content, tmp_path / "spool")

    assert (store / "key").read_bytes() == content
    assert (store / "key").stat().st_size == size


def test_a_second_put_overwrites_the_first(store: ObjectStoragePath, tmp_path: Path) -> None:
    put(store / "key", b"the first", tmp_path / "spool")

    put(store / "key", b"the second, which is longer", tmp_path / "spool")

    assert (store / "key").read_bytes() == b"the second, which is longer"


def test_an_existing_key_is_not_created_again(store: ObjectStoragePath) -> None:
    key = store / "key"
    key.fs.pipe_file(key.path, b"the first", mode="create")

    with pytest.raises(FileExistsError):
        key.fs.pipe_file(key.path, b"the second", mode="create")

    assert key.read_bytes() == b"the first"


def test_a_put_into_a_missing_bucket_is_an_error(store: ObjectStoragePath, tmp_path: Path) -> None:
    missing = missing_bucket(store)

    with pytest.raises(FileNotFoundError):
        put(missing / "key", b"text", tmp_path / "spool")

    assert not missing.exists()


def test_a_missing_bucket_has_no_list(store: ObjectStoragePath) -> None:
    missing = missing_bucket(store)

    with pytest.raises(FileNotFoundError):
        missing.fs.ls(missing.path)


def test_a_key_of_another_client_shows_once_the_cache_is_dropped(store: ObjectStoragePath) -> None:
    (store / "mine").write_bytes(b"text")
    store.fs.ls(store.path)
    another_client(store).pipe_file((store / "theirs").path, b"text")

    store.fs.invalidate_cache()

    listed = [name.rsplit("/", 1)[-1] for name in store.fs.ls(store.path, detail=False)]
    assert sorted(listed) == ["mine", "theirs"]


def test_each_base_is_new(store: ObjectStoragePath) -> None:
    assert store.fs.ls(store.path) == []


@pytest.mark.kill
def test_a_server_is_gone_after_its_block() -> None:
    with s3_server() as url:
        port = int(url.rsplit(":", 1)[1])
        socket.create_connection(("127.0.0.1", port), timeout=5).close()

    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)
