"""XCom as it is stored: by Airflow's API in PostgreSQL, and by the backend for object storage."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import reduce
from pathlib import Path

import httpx
import msgspec
import pytest
from servers import PostgreSQL, found

from airflow_provider_predictions.operators.vlmrun import VlmRunListPredictionsOperator
from airflow_provider_predictions.sandbox.server import Sandbox
from tests.compat import deserialize, serialize
from tests.faults import Fault

HOSTILE = (
    rb'[{"id": "a", "response": {"text": "one\u0000two", "half": "\ud83d", "pair": "\ud83d\ude00",'
    rb' "n\u0000me": ["\udc00\ud83d"], "bytes": "' + b"\xff" + rb'", "backslash": "\\u0000",'
    rb' "nan": NaN, "infinite": [Infinity, -Infinity, 1e400],'
    rb' "reserved": [{"__classname__": "a"}, {"__id__": 1}, {"__type": "set", "__var": [1]}, {"__type": 2}],'
    rb' "same": {"\u0000": 1, "\ufffd": 2, "\ud800": 3},'
    rb' "deep": ' + b"[" * 500 + b"]" * 500 + b","
    rb' "big": 18446744073709551615, "bigger": 18446744073709551616, "true": true, "amount": 1.10}}]'
)
KEPT, REST = 98, "[" * 402 + "]" * 402
"""Of the 500 levels, those that are left under the record and its response, and the text of the others."""
BACKEND = "airflow.providers.common.io.xcom.backend.XComObjectStorageBackend"
TAMED: dict[str, object] = {
    "text": "one\ufffdtwo",
    "half": "\ufffd",
    "pair": "\U0001f600",
    "n\ufffdme": ["\ufffd\ufffd"],
    "bytes": "\ufffd",
    "backslash": "\\u0000",
    "nan": None,
    "infinite": [None, None, None],
    "reserved": [
        {"\ufffd_classname__": "a"},
        {"\ufffd_id__": 1},
        {"\ufffd_type": "set", "\ufffd_var": [1]},
        {"\ufffd_type": 2},
    ],
    "same": {"\ufffd0": 1, "\ufffd": 2, "\ufffd2": 3},
    "deep": reduce(lambda inner, _: [inner], range(KEPT), REST),
    "big": 18446744073709551615,
    "bigger": "18446744073709551616",
    "true": True,
    "amount": 1.1,
}
DAG = """
import json
from pathlib import Path
from airflow.providers.common.compat.sdk import DAG, task
from airflow_provider_predictions.operators.vlmrun import (
    VlmRunListPredictionsOperator, VlmRunPredictionsToObjectStorageOperator
)

with DAG("stored", schedule=None):
    listed = VlmRunListPredictionsOperator(task_id="listed", max_predictions=1)
    landed = VlmRunPredictionsToObjectStorageOperator(task_id="landed", path="file://HERE/landed")

    @task
    def read(records, manifest):
        Path("HERE/read.json").write_text(json.dumps([records, manifest]))

    listed >> landed
    read(listed.output, landed.output)
"""


@pytest.fixture
def hostile(connections: Sandbox) -> Sandbox:
    """The first prediction that is listed is one that XCom cannot hold."""
    connections.wire.order(Fault("vlmrun", status=200, body=HOSTILE))
    connections.vlmrun.fill(20)
    return connections


@pytest.fixture(scope="module")
def postgresql() -> Iterator[PostgreSQL]:
    if not (found("initdb") or os.environ.get("POSTGRESQL_NEEDED")):
        pytest.skip("PostgreSQL is not installed; set POSTGRESQL_NEEDED=1 as root to have it installed")
    pytest.importorskip("psycopg2", reason="psycopg2 is installed for the newest Airflow only")
    with PostgreSQL() as server:
        settings = os.environ | database(server)
        subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], env=settings, check=True)
        yield server


def database(server: PostgreSQL) -> dict[str, str]:
    return {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": server.url}


def test_what_xcom_cannot_hold_is_changed_and_counted(hostile: Sandbox, capsys) -> None:
    operator = VlmRunListPredictionsOperator(task_id="task", max_predictions=1)

    records = operator.execute({})

    assert records == [{"id": "a", "response": TAMED}]
    assert deserialize(serialize(records)) == records
    said = capsys.readouterr().out
    assert "replaced by U+FFFD: 13, " in said
    assert "replaced by null: 4, " in said
    assert "made text: 1. VlmRunPredictionsToObjectStorageOperator keeps it" in said
    # From the task to its supervisor, and from there to the API.
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(records)) == records
    assert json.loads(httpx.Request("POST", "http://localhost", json=records).content) == records


@pytest.mark.dags
@pytest.mark.parametrize("backend", ["database", "object storage"])
def test_what_operators_push_is_stored_and_read_downstream(
    postgresql: PostgreSQL, hostile: Sandbox, tmp_path: Path, backend: str
) -> None:
    folder, stored = tmp_path / "dags", tmp_path / "xcom"
    folder.mkdir()
    folder.joinpath("stored.py").write_text(DAG.replace("HERE", str(tmp_path)))
    settings = {"AIRFLOW__CORE__DAGS_FOLDER": str(folder)} | database(postgresql)
    if backend == "object storage":
        settings |= {
            "AIRFLOW__CORE__XCOM_BACKEND": BACKEND,
            "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH": f"file://{stored}",
            "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_THRESHOLD": "0",
        }

    command = [sys.executable, "-m", "airflow", "dags", "test", "stored"]
    done = subprocess.run(command, env=os.environ | settings, capture_output=True, text=True, timeout=300)

    assert done.returncode == 0, done.stdout[-3000:]
    records, manifest = json.loads(tmp_path.joinpath("read.json").read_text())
    assert records == [{"id": "a", "response": TAMED}]
    assert manifest == json.loads(tmp_path.joinpath("landed", "_manifest.json").read_bytes())
    assert manifest["count"] == 20
    in_storage = [json.loads(file.read_bytes()) for file in stored.rglob("*") if file.is_file()]
    assert (records in in_storage) == (manifest in in_storage) == (backend == "object storage")
