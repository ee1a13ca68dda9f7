"""What the libraries of storages raise, and what a person is told of it."""

from __future__ import annotations

import errno
import io
import os
import sys
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath
from fsspec import AbstractFileSystem
from fsspec.implementations.memory import MemoryFileSystem
from s3fs import S3FileSystem

from airflow_provider_predictions.api.errors import (
    ConfigurationError,
    ConflictError,
    PredictionsError,
    StorageError,
)
from airflow_provider_predictions.api.limits import MAX_MESSAGE_LENGTH, MAX_PUT_ATTEMPTS
from airflow_provider_predictions.storage.console import bucket_of, console_url, plain_url
from airflow_provider_predictions.storage.errors import status_of, storage_errors, worker_disk
from airflow_provider_predictions.storage.objects import (
    _in_pieces,
    create,
    get_file,
    names,
    put_file,
    remove,
    try_to_write,
)


class LibraryError(Exception):
    """An error with whatever attributes a library gives it."""

    def __init__(self, text: str = "refused", **attributes: object) -> None:
        super().__init__(text)
        vars(self).update(attributes)


def botocore(status: int) -> LibraryError:
    return LibraryError(response={"ResponseMetadata": {"HTTPStatusCode": status}})


def caused_by(error: Exception) -> OSError:
    found = OSError("wrapped")
    found.__cause__ = error
    return found


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (botocore(503), 503),
        (LibraryError(status_code=404), 404),
        (LibraryError(code=403), 403),
        (LibraryError(status_code=0, code=403), 403),
        (LibraryError(code="NoSuchKey"), None),
        (LibraryError(response={}), None),
        (LibraryError(response=SimpleNamespace(), status_code=409), 409),
        (caused_by(botocore(412)), 412),
        (caused_by(caused_by(LibraryError(code=404))), 404),
        (ValueError(), None),
        (None, None),
    ],
)
def test_a_status_is_found_in_the_errors_of_each_library(error: Exception | None, status: int | None) -> None:
    assert status_of(error) == status


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (FileNotFoundError(), ConfigurationError, "Create its bucket"),
        (botocore(404), ConfigurationError, "Create its bucket"),
        (PermissionError(), ConfigurationError, "Let the connection in path"),
        (botocore(401), ConfigurationError, "Let the connection in path"),
        (botocore(403), ConfigurationError, "Let the connection in path"),
        (botocore(500), StorageError, "A retry may succeed"),
        (OSError(errno.ENOSPC, "No space left"), StorageError, "No space left. A retry may succeed"),
        (NotADirectoryError(errno.ENOTDIR, "Not a directory"), ConfigurationError, "Correct path"),
        (OSError(errno.EROFS, "Read-only file system"), ConfigurationError, "Correct path"),
        (LibraryError("MAX"), StorageError, "MAX. A retry may succeed"),
        (TimeoutError(), StorageError, "no answer in time. A retry may succeed"),
        (LibraryError("GET /key?signature=x failed.\n<Body/>"), StorageError, "GET /key failed. A retry"),
    ],
)
def test_what_fails_says_what_to_do(file_store: ObjectStoragePath, error, kind, words: str) -> None:
    with pytest.raises(kind) as raised, storage_errors("read", file_store):
        raise error

    assert str(raised.value).startswith(f"path: {file_store} cannot be read: ")
    assert words in str(raised.value)


def test_what_is_ours_or_excepted_stays_as_it_is(file_store: ObjectStoragePath) -> None:
    for error, but in ((ConflictError("mine"), PredictionsError), (KeyError("theirs"), KeyError)):
        with pytest.raises(type(error)) as raised, storage_errors("read", file_store, but):
            raise error
        assert raised.value is error


def test_a_long_text_of_a_library_is_cut(file_store: ObjectStoragePath) -> None:
    with (
        pytest.raises(StorageError, match=f"read: x{{{MAX_MESSAGE_LENGTH}}}. A retry"),
        storage_errors("read", file_store),
    ):
        raise LibraryError("x" * (MAX_MESSAGE_LENGTH + 1))


def test_a_disk_that_is_full_is_the_workers() -> None:
    with (
        pytest.raises(StorageError, match=r"The disk of this worker fails: No space left\. Free"),
        worker_disk(),
    ):
        raise OSError(errno.ENOSPC, "No space left")
    with pytest.raises(KeyError), worker_disk():
        raise KeyError


class Failing(SimpleNamespace):
    """A path in a store that answers everything with an error."""

    protocol, path = "s3", "bucket/key"

    def __init__(self, error: Exception) -> None:
        def fail(*_: object, **__: object) -> None:
            raise error

        fails = dict.fromkeys(("ls", "find", "get_file", "pipe_file", "put_file", "rm_file"), fail)
        self.removed: list[str] = []
        fs = {"async_impl": False, "invalidate_cache": lambda: None, "rm": self.removed.append}
        super().__init__(fs=SimpleNamespace(**fs, **fails))

    def __str__(self) -> str:
        return "s3://bucket/key"


class Writing(SimpleNamespace):
    """A path in a store that answers each conditional put with an error.

    :param arrives: whether they arrive all the same.
    :param times: how many it answers so.
    """

    protocol, path = "s3", "bucket/key"

    def __init__(
        self, error: Exception, *, arrives: bool = False, found: bytes | None = None, times: int = sys.maxsize
    ) -> None:
        self.puts, self.content, self.overwritten = 0, found, False

        def pipe_file(path: str, content: bytes, mode: str = "overwrite") -> None:
            self.puts += mode == "create"
            self.overwritten |= mode == "overwrite"
            is_refused = mode == "create" and self.puts <= times
            if not is_refused or (arrives and self.content is None):
                self.content = content
            if is_refused:
                raise error

        def cat_file(path: str) -> bytes:
            if self.content is None:
                raise FileNotFoundError(path)
            return self.content

        fs = {"async_impl": False, "invalidate_cache": lambda: None, "pipe_file": pipe_file}
        super().__init__(fs=SimpleNamespace(**fs, cat_file=cat_file))

    def __str__(self) -> str:
        return "s3://bucket/key"


UNCONDITIONAL = (
    TypeError("mode"), ValueError("mode"), NotImplementedError("mode"),
    botocore(400), botocore(405), botocore(501), LibraryError(status_code=501), LibraryError(code=405),
)  # fmt: skip


@pytest.mark.parametrize("error", UNCONDITIONAL)
def test_a_store_that_does_not_know_conditions_is_asked_what_lies_there(error: Exception) -> None:
    target = Writing(error)

    assert create(target, b"first") == target.content == b"first"
    assert create(target, b"second") == target.content == b"first"


@pytest.mark.parametrize("error", UNCONDITIONAL)
@pytest.mark.parametrize("times", range(1, MAX_PUT_ATTEMPTS))
def test_one_odd_answer_does_not_let_an_object_be_written_without_a_condition(
    error: Exception, times: int
) -> None:
    target = Writing(error, times=times)

    assert create(target, b"mine") == target.content == b"mine"
    assert target.puts == times + 1
    assert not target.overwritten


@pytest.mark.parametrize("error", [FileExistsError(), botocore(409), botocore(412), LibraryError(code=412)])
def test_what_lies_there_decides_who_has_created_it(error: Exception) -> None:
    assert create(Writing(error, found=b"another"), b"mine") == b"another"


@pytest.mark.parametrize(
    "error", [FileExistsError(), botocore(409), botocore(500), TimeoutError(), ConnectionResetError()]
)
def test_an_object_whose_response_was_lost_is_found(error: Exception) -> None:
    """A library sends the put again, which meets its own object."""
    assert create(Writing(error, arrives=True), b"mine") == b"mine"


@pytest.mark.parametrize("error", [botocore(409), botocore(412)])
def test_an_object_that_was_in_the_way_and_is_gone_is_created(error: Exception) -> None:
    """S3 answers 409 while it removes another."""
    target = Writing(error, times=1)

    assert create(target, b"mine") == target.content == b"mine"
    assert target.puts == 2


@pytest.mark.parametrize("error", UNCONDITIONAL)
def test_a_store_that_is_known_to_know_conditions_is_never_written_to_without(error: Exception) -> None:
    target = Writing(error)

    with pytest.raises(StorageError, match="unknown whether"):
        create(target, b"mine", is_conditional=True)

    assert target.content is None


def test_an_object_that_cannot_be_created_may_be_there_later() -> None:
    target = Writing(botocore(503))

    with pytest.raises(StorageError, match=r"unknown whether s3://bucket/key was written: .* A retry checks"):
        create(target, b"mine")

    assert target.puts == MAX_PUT_ATTEMPTS


def test_a_file_system_that_looks_before_it_writes_has_no_conditions() -> None:
    """fsspec's own ``mode="create"``, which two can pass at once."""

    class Looking(AbstractFileSystem):
        def exists(self, path: str, **_: object) -> bool:
            return True

        def _open(self, path: str, *_: object, **__: object) -> Any:
            return io.BytesIO()

        def rm_file(self, path: str) -> None:
            pass

    class Root(SimpleNamespace):
        def __truediv__(self, name: str) -> Any:
            return self

    root = Root(fs=Looking(skip_instance_cache=True), protocol="sftp", path="key")

    assert not try_to_write(root, "trial")


@pytest.mark.parametrize(
    ("error", "kind"), [(errno.EIO, StorageError), (errno.EACCES, ConfigurationError), (errno.ENOENT, None)]
)
@pytest.mark.parametrize("folder", ["deep", "deep/down"])
def test_a_directory_that_cannot_be_listed_is_not_an_empty_one(
    file_store: ObjectStoragePath, monkeypatch: pytest.MonkeyPatch, folder: str, error: int, kind: Any
) -> None:
    """It is one only if it was removed meanwhile."""
    Path(file_store.path, "deep/down").mkdir(parents=True)
    for name in ("beside", "deep/down/file"):
        Path(file_store.path, name).touch()
    assert names(file_store, deep=True) == ["beside", "deep/down/file"]
    scan = os.scandir

    def refuse(path: Any) -> Any:
        if str(path).rstrip("/").endswith(folder):
            raise OSError(error, os.strerror(error), str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)

    with pytest.raises(kind, match=r"cannot be listed") if kind else nullcontext():
        assert names(file_store, deep=True) == ["beside"]


@pytest.mark.parametrize("status", [409, 412])
def test_a_store_that_refuses_what_exists_has_conditions(status: int) -> None:
    class Store(AbstractFileSystem):
        def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **_: object) -> None:
            if mode == "create":
                raise botocore(status)

        def rm_file(self, path: str) -> None:
            pass

    class Root(SimpleNamespace):
        def __truediv__(self, name: str) -> Any:
            return self

    assert try_to_write(Root(fs=Store(skip_instance_cache=True), protocol="s3", path="key"), "trial")


@pytest.mark.parametrize("error", ["EPERM", "ENOTSUP", "ENOSYS"])
def test_a_local_file_system_without_hard_links_has_no_conditions(
    file_store: ObjectStoragePath, monkeypatch: pytest.MonkeyPatch, error: str
) -> None:
    """Such as vfat, and those of FUSE."""

    def link(*_: object) -> None:
        raise OSError(getattr(errno, error), error)

    monkeypatch.setattr(os, "link", link)
    target = file_store / "_log/00000001.json"

    assert not try_to_write(file_store, "trial")
    assert create(target, b"first") == b"first"
    assert create(target, b"second") == b"first"
    assert names(file_store, deep=True) == ["_log/00000001.json"]


@pytest.mark.parametrize(
    ("done", "ask"),
    [
        ("written", lambda path, file: put_file(file, path)),
        ("read", lambda path, file: get_file(path, file, 1)),
        ("listed", lambda path, file: names(path)),
        ("listed", lambda path, file: names(path, deep=True)),
    ],
)
@pytest.mark.parametrize("status", [403, 500])
def test_an_error_names_the_object_and_what_was_not_done(tmp_path: Path, done, ask, status: int) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"1")

    with pytest.raises(PredictionsError, match=f"path: s3://bucket/key cannot be {done}: "):
        ask(Failing(botocore(status)), file)


def test_where_a_library_removes_no_single_file_the_path_is_removed() -> None:
    """As adlfs did before 2026.2."""
    path = Failing(NotImplementedError())

    remove(path)
    remove(Failing(FileNotFoundError()))

    assert path.removed == ["bucket/key"]
    with pytest.raises(StorageError, match="path: s3://bucket/key cannot be removed: "):
        remove(Failing(botocore(500)))


def test_what_is_not_there_has_nothing_in_it() -> None:
    assert names(Failing(FileNotFoundError())) == names(Failing(FileNotFoundError()), deep=True) == []


def test_large_files_go_piece_by_piece_where_the_file_system_can_do_that() -> None:
    """An older s3fs reads piece by piece by itself."""
    assert _in_pieces(S3FileSystem(anon=True), "put_file") == {"chunksize": 5 << 20, "max_concurrency": 1}
    assert _in_pieces(MemoryFileSystem(), "put_file") == _in_pieces(MemoryFileSystem(), "get_file") == {}


def stored(protocol: str, **attributes: object) -> SimpleNamespace:
    fs = SimpleNamespace(**{"client_kwargs": {}} | attributes)
    return SimpleNamespace(protocol=protocol, bucket="conn@bucket", key="a dir/part ü", fs=fs)


def test_an_object_has_a_page_in_the_console_of_its_vendor(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    for protocol in ("s3", "s3a", "s3n"):
        assert console_url(stored(protocol)) == (
            "https://console.aws.amazon.com/s3/object/bucket?prefix=a%20dir%2Fpart%20%C3%BC"
        )
    for protocol in ("gs", "gcs"):
        assert console_url(stored(protocol)) == (
            "https://console.cloud.google.com/storage/browser/_details/bucket/a%20dir/part%20%C3%BC"
        )
    assert bucket_of(stored("s3")) == "bucket"


@pytest.mark.parametrize(
    ("protocol", "url"),
    [
        ("s3", "s3://bucket/a dir/part ü"),
        ("s3a", "s3://bucket/a dir/part ü"),
        ("gcs", "gs://bucket/a dir/part ü"),
        ("abfs", "abfss://bucket@account.dfs.core.windows.net/a dir/part ü"),
    ],
)
def test_engines_find_an_object_without_the_connection(protocol: str, url: str) -> None:
    assert plain_url(stored(protocol, account_name="account")) == url


def test_engines_find_a_file_by_its_path(file_store: ObjectStoragePath) -> None:
    assert plain_url(file_store / "a b") == f"{file_store.path}/a b"


def test_the_console_of_any_storage_can_be_given() -> None:
    template = "https://minio.test:9001/browser/{bucket}/{key}?at={key}{other}"

    for protocol in ("s3", "abfs", "gs"):
        assert console_url(stored(protocol, endpoint_url="https://minio.test"), template) == (
            "https://minio.test:9001/browser/bucket/a%20dir%2Fpart%20%C3%BC?at=a%20dir%2Fpart%20%C3%BC{other}"
        )
    assert console_url(stored("abfs"), "javascript:alert(1)") is None


def test_an_object_of_another_vendor_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert console_url(stored("abfs")) is None
    assert console_url(stored("file")) is None
    assert console_url(stored("s3", endpoint_url="https://minio.test")) is None
    assert console_url(stored("s3", client_kwargs={"endpoint_url": "https://minio.test"})) is None
    assert console_url(stored("gs", _endpoint="https://gcs.test")) is None
    for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"):
        with monkeypatch.context() as patch:
            patch.setenv(name, "https://minio.test")
            assert console_url(stored("s3")) is None
