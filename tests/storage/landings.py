"""Landings that are interrupted, on machines that change, and what they leave."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_predictions.sandbox.server import Sandbox
from airflow_provider_predictions.sandbox.store import RecordStore
from tests.faults import Fault
from tests.given import untagged

DAYS_AGO = datetime.now(UTC) - timedelta(days=22), datetime.now(UTC) - timedelta(days=12)
WINDOW = dict(zip(("created_after", "created_before"), map(str, DAYS_AGO), strict=True))
KINDS: list[Any] = [
    pytest.param("vlmrun", {}, id="jsonl"),
    pytest.param("cradl", {"compression": "gzip"}, id="gzip"),
    pytest.param("vlmrun", {"compression": "zstd", "prefetch": 0}, id="zstd"),
    pytest.param("vlmrun", {"file_format": "parquet"}, id="parquet"),
    pytest.param("vlmrun", {"file_format": "parquet", "shape": "values"}, id="values"),
    pytest.param("vlmrun", {"partition_by": "created_date", "records_per_part": 7}, id="partitions"),
    pytest.param("cradl", {"file_format": "parquet", "records_per_part": 1000}, id="one large part"),
    pytest.param("vlmrun", WINDOW, id="window"),
    pytest.param("cradl", {"statuses": "failed", "records_per_part": 7}, id="statuses"),
]
"""What is landed, and how."""
ORDERS: list[Any] = [
    pytest.param(1000, {}, id="ordered"),
    pytest.param(400, {}, id="ordered at first"),
    pytest.param(0, {}, id="no order"),
    pytest.param(0, {"compression": "gzip"}, id="gzip"),
    pytest.param(0, {"compression": "zstd"}, id="zstd"),
    pytest.param(0, {"file_format": "parquet"}, id="parquet"),
]
"""How many of a thousand predictions are in order, and how they land."""


class Machine:
    """What a landing finds on the machine where it runs: only its directory of temporary files."""

    def __init__(self, tmp: Path) -> None:
        self.tmp = tmp
        tmp.mkdir()
        self.home = tmp / f"airflow-predictions-{os.getuid()}"

    def left(self) -> list[str]:
        """What landings keep here."""
        return sorted(path.name for path in (*self.tmp.glob("*"), *self.home.glob("*")) if path != self.home)

    def is_cleaned_up(self) -> bool:
        """Whether some of what a landing goes on with is gone."""
        return not {"journal", "part", "rejected"} <= {
            re.split(r"\W", path.name)[0] for path in self.home.glob("*/*")
        }


def down(service_name: str, after: int) -> Fault:
    """A service that is down for hours, after so many requests: an attempt ends, and a retry may follow."""
    return Fault(service_name, status=503, headers={"Retry-After": "7200"}, times=1000, after=after)


def asked(sandbox: Sandbox, service_name: str) -> list[str]:
    """The pages that were asked for."""
    # Copied in one step: the sandbox goes on noting requests in a thread of its own.
    return [seen.query for seen in list(sandbox.wire.seen) if seen.part == service_name]


def asked_again(sandbox: Sandbox, service_name: str) -> int:
    return sum(times - 1 for times in Counter(asked(sandbox, service_name)).values())


def names(path: ObjectStoragePath) -> list[str]:
    """What lies under a path beside the log, relative to it, without the tags of attempts."""
    path.fs.invalidate_cache()
    root = path.path.strip("/")
    found = (key.strip("/").removeprefix(root).strip("/") for key in path.fs.find(path.path))
    return sorted(untagged(name) for name in found if not name.startswith("_log/"))


def only(path: ObjectStoragePath, name: str) -> Path:
    """The one file right under a local path that has this name without its tag."""
    (found,) = (file for file in Path(path.path).iterdir() if untagged(file.name) == name)
    return found


def stored(manifest: dict[str, Any]) -> list[bytes]:
    return [ObjectStoragePath(part["uri"]).read_bytes() for part in manifest["parts"]]


def essence(manifest: dict[str, Any]) -> dict[str, Any]:
    """A manifest without where it lies, which commit it is and how often was asked."""
    parts = [{name: part[name] for name in ("count", "bytes", "sha256")} for part in manifest["parts"]]
    own = ("path", "requests", "generation", "started_at", "committed_at")
    return {name: manifest[name] for name in manifest if name not in own} | {"parts": parts}


def assert_landed(path: ObjectStoragePath, manifest: dict[str, Any], reference: dict[str, Any]) -> None:
    """Everything under a path is as if nothing had happened."""
    assert essence(manifest) == essence(reference)
    assert stored(manifest) == stored(reference)
    assert json.loads((path / "_manifest.json").read_bytes()) == manifest
    parts = [untagged(part["uri"].removeprefix(f"{manifest['path']}/")) for part in manifest["parts"]]
    assert names(path) == sorted(["_manifest.json", *parts])


def assert_all(manifest: dict[str, Any], record_store: RecordStore) -> None:
    """All records have landed in parts of 70, none twice, as the manifest says."""
    assert b"".join(stored(manifest)) == b"".join(text + b"\n" for text in record_store.texts())
    assert manifest["count"] == len(record_store.rows)
    for part, text in zip(manifest["parts"], stored(manifest), strict=True):
        assert (part["count"], part["bytes"]) == (text.count(b"\n"), len(text))
        assert part["sha256"] == hashlib.sha256(text).hexdigest()
    assert {part["count"] for part in manifest["parts"][:-1]} <= {70}


def ids(manifest: dict[str, Any], service_name: str) -> list[str]:
    """The ids of what has landed, in whatever format."""
    column = "id" if service_name == "vlmrun" else "predictionId"
    found: list[str] = []
    for part in manifest["parts"]:
        found += _records(Path(part["uri"].removeprefix("file://")), column)
    return found


def _records(file: Path, column: str) -> list[str]:
    import pyarrow.json as pj
    import pyarrow.parquet as pq
    from pyarrow import input_stream

    if file.suffix == ".parquet":
        table = pq.read_table(file, columns=[column])
    else:
        codec = {".gz": "gzip", ".zst": "zstd"}.get(file.suffix)
        table = pj.read_json(input_stream(str(file), compression=codec))
    found: list[str] = table[column].to_pylist()
    return found


def commit_state(path: Path, content: dict[str, Any]) -> None:
    """Replace the state of an incremental path, as if its commit had written it."""
    written = json.dumps(content).encode()
    path.joinpath("_state.json").write_bytes(written)
    log = path / "_log" / f"{content['generation']:08}.json"
    entry = json.loads(log.read_text())
    entry["state_sha256"] = hashlib.sha256(written).hexdigest()
    log.write_text(json.dumps(entry))
