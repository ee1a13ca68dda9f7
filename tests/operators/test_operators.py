"""List operators and landing operators, against the sandbox."""

from __future__ import annotations

import gzip
import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    AirflowNotFoundException,
)

from airflow_provider_predictions.api.errors import ConfigurationError, ServerError
from airflow_provider_predictions.operators.cradl import (
    CradlListPredictionsOperator,
    CradlPredictionsToObjectStorageOperator,
)
from airflow_provider_predictions.operators.vlmrun import (
    VlmRunListPredictionsOperator,
    VlmRunPredictionsToObjectStorageOperator,
)
from airflow_provider_predictions.sandbox.server import Sandbox
from airflow_provider_predictions.sandbox.store import RecordStore
from tests.clock import SimulatedTime
from tests.faults import Fault
from tests.given import LAND, LIST, connect

ALL = [*LIST.values(), *LAND.values()]


@pytest.fixture
def listing(connections: Sandbox, service_name: str) -> type:
    return LIST[service_name]


@pytest.fixture
def landing(connections: Sandbox, service_name: str) -> type:
    return LAND[service_name]


def make(operator: type, **arguments: Any) -> Any:
    needed = {"path": "file:///tmp/x"} if operator in LAND.values() else {}
    return operator(task_id="task", **needed | arguments)


def landed(manifest: dict[str, Any]) -> bytes:
    """All bytes of all parts, checked against what the manifest says of them."""
    content = b""
    for part in manifest["parts"]:
        stored = Path(part["uri"].removeprefix("file://")).read_bytes()
        assert len(stored) == part["bytes"]
        assert hashlib.sha256(stored).hexdigest() == part["sha256"]
        text = gzip.decompress(stored) if part["uri"].endswith(".gz") else stored
        assert text.count(b"\n") == part["count"]
        content += text
    return content


# --- list --------------------------------------------------------------------------------------------


def test_a_list_holds_each_record_as_sent(listing, record_store: RecordStore) -> None:
    record_store.fill(5000)

    records = make(listing, max_xcom_bytes=None).execute({})

    assert records == [json.loads(text) for text in record_store.texts()]


def test_fields_project_each_record(listing, record_store: RecordStore, service_name) -> None:
    record_store.fill(5)
    id_ = "id" if service_name == "vlmrun" else "predictionId"

    records = make(listing, fields=[id_, "status", "nothing"]).execute({})

    assert [list(record) for record in records] == [[id_, "status", "nothing"]] * 5
    assert [record[id_] for record in records] == [row.id for row in record_store.rows]
    assert {record["nothing"] for record in records} == {None}


def test_a_list_that_is_too_large_names_the_landing_operator(
    listing, record_store: RecordStore, service_name
) -> None:
    record_store.fill(3000)

    with pytest.raises(AirflowFailException, match=LAND[service_name].__name__) as caught:
        make(listing, max_xcom_bytes=20_000, page_size=10).execute({})

    assert "max_xcom_bytes" in str(caught.value)


def test_the_limit_is_the_size_of_what_is_pushed(listing, record_store: RecordStore) -> None:
    record_store.fill(20)
    size = len(b"[" + b",".join(record_store.texts()) + b"]")

    assert len(make(listing, max_xcom_bytes=size + 1).execute({})) == 20
    with pytest.raises(AirflowFailException):
        make(listing, max_xcom_bytes=size - 1).execute({})


def test_fields_may_come_as_text_from_a_template(listing, record_store: RecordStore) -> None:
    record_store.fill(1)

    assert [list(record) for record in make(listing, fields="status, other").execute({})] == [
        ["status", "other"]
    ]


# --- land --------------------------------------------------------------------------------------------


def test_five_thousand_land_byte_for_byte(
    landing, record_store: RecordStore, tmp_path: Path, service_name, simulated_time: SimulatedTime
) -> None:
    record_store.fill(5000)
    simulated_time.skip(60 - datetime.now(UTC).second)

    manifest = make(landing, path=f"file://{tmp_path}/x").execute({})

    assert landed(manifest) == b"".join(text + b"\n" for text in record_store.texts())
    assert json.loads((tmp_path / "x/_manifest.json").read_bytes()) == manifest
    assert manifest["count"] == sum(manifest["statuses"].values()) == 5000
    assert (manifest["service"], manifest["format"], manifest["compression"]) == (service_name, "jsonl", None)
    assert manifest["complete"] is True
    assert manifest["duplicates"] == 0
    assert manifest["created_min"].endswith("Z")
    assert manifest["created_min"] < manifest["created_max"]
    assert manifest["requests"] >= 5
    assert len(json.dumps(manifest).replace(str(tmp_path), "")) < 850


def test_parts_hold_as_many_records_as_asked(landing, record_store: RecordStore, tmp_path: Path) -> None:
    record_store.fill(25)

    manifest = make(landing, path=str(tmp_path), records_per_part=10, page_size=7).execute({})

    assert [part["count"] for part in manifest["parts"]] == [10, 10, 5]
    assert landed(manifest) == b"".join(text + b"\n" for text in record_store.texts())


def test_gzip_lands_the_same_bytes_in_fewer(landing, record_store: RecordStore, tmp_path: Path) -> None:
    record_store.fill(50)

    first = make(landing, path=f"{tmp_path}/a", compression="gzip").execute({})
    again = make(landing, path=f"{tmp_path}/b", compression="gzip").execute({})

    assert landed(first) == b"".join(text + b"\n" for text in record_store.texts())
    assert first["parts"][0]["sha256"] == again["parts"][0]["sha256"]
    assert first["parts"][0]["bytes"] < len(landed(first)) / 2


def test_an_empty_list_lands_a_manifest_without_parts(
    landing, record_store: RecordStore, tmp_path: Path
) -> None:
    manifest = make(landing, path=str(tmp_path)).execute({})

    assert (manifest["count"], manifest["parts"], manifest["created_min"]) == (0, [], None)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["_log", "_manifest.json"]


def test_a_list_that_breaks_off_leaves_nothing_that_a_reader_would_meet(
    landing, record_store: RecordStore, tmp_path: Path, connections, service_name
) -> None:
    record_store.fill(40)
    connections.wire.order(Fault(service_name, status=400, body=b"{}", times=9, after=3))

    with pytest.raises(AirflowFailException):
        make(landing, path=str(tmp_path), page_size=10, records_per_part=12).execute({})

    assert list(tmp_path.iterdir()) == []


def test_landing_again_replaces_the_parts_and_leaves_no_orphan(
    landing, record_store: RecordStore, tmp_path: Path
) -> None:
    record_store.fill(40)
    make(landing, path=str(tmp_path), records_per_part=5).execute({})
    tmp_path.joinpath("part-notes.txt").write_text("not ours")
    tmp_path.joinpath("part-00000-c000.snappy.parquet").write_text("not ours either")
    tmp_path.joinpath("sub").mkdir()
    tmp_path.joinpath("sub/part-00009.jsonl").write_text("of another landing")

    manifest = make(landing, path=str(tmp_path), records_per_part=20).execute({})

    assert landed(manifest) == b"".join(text + b"\n" for text in record_store.texts())
    parts = [Path(part["url"]).name for part in manifest["parts"]]
    assert {path.name for path in tmp_path.iterdir()} == {
        "_log", "_manifest.json", "part-00000-c000.snappy.parquet", "part-notes.txt", "sub", *parts,
    }  # fmt: skip
    assert tmp_path.joinpath("sub/part-00009.jsonl").exists()


def test_a_landing_that_fails_leaves_the_one_before_as_it_was(
    landing, record_store: RecordStore, tmp_path: Path, connections, service_name
) -> None:
    record_store.fill(30)
    again = make(landing, path=str(tmp_path), page_size=10, records_per_part=5)
    first = again.execute({})
    connections.wire.order(Fault(service_name, status=400, body=b"{}", times=9, after=1))

    with pytest.raises(AirflowFailException):
        again.execute({})

    assert json.loads(tmp_path.joinpath("_manifest.json").read_bytes()) == first
    assert landed(first) == b"".join(text + b"\n" for text in record_store.texts())


def test_what_fails_before_it_lands_anything_leaves_the_earlier_commit(
    landing, record_store: RecordStore, tmp_path: Path, connections, service_name
) -> None:
    record_store.fill(10)
    manifest = make(landing, path=str(tmp_path)).execute({})
    connections.wire.order(Fault(service_name, status=403, body=b"{}", times=2))

    with pytest.raises(AirflowFailException):
        make(landing, path=str(tmp_path)).execute({})

    assert json.loads(tmp_path.joinpath("_manifest.json").read_bytes()) == manifest


def test_a_record_that_spans_lines_keeps_its_values(landing, tmp_path, connections, service_name) -> None:
    record = (
        b'{"id": "a",\n "predictionId": "a", "total": 1.10,\r\n "big": 1180591620717411303424,'
        b' "text": "one\\ntwo \\u00e9 \xc3\xa9  \xe2\x80\xa8", "e": 1E5}'
    )
    body = b"[" + record + b"]" if service_name == "vlmrun" else b'{"predictions": [' + record + b"]}"
    connections.wire.order(Fault(service_name, status=200, body=body))

    manifest = make(landing, path=str(tmp_path), max_predictions=1).execute({})

    assert landed(manifest) == (
        b'{"id":"a","predictionId":"a","total":1.10,"big":1180591620717411303424,'
        b'"text":"one\\ntwo \\u00e9 \xc3\xa9  \xe2\x80\xa8","e":1E5}\n'
    )


def test_filters_decide_what_lands(landing, record_store: RecordStore, tmp_path: Path, service_name) -> None:
    record_store.fill(100)

    failed = [row for row in record_store.rows if row.outcome == "failed"]

    manifest = make(landing, path=str(tmp_path), statuses="failed").execute({})

    assert landed(manifest) == b"".join(record_store.text(row) + b"\n" for row in failed)
    assert manifest["statuses"] == {"failed": len(failed)}


def test_fetched_values_land_in_the_record(connections, tmp_path: Path) -> None:
    connections.cradl.fill(30)

    operator = make(CradlPredictionsToObjectStorageOperator, path=str(tmp_path), fetch_values=True)
    records = [json.loads(line) for line in landed(operator.execute({})).splitlines()]

    for record, text in zip(records, connections.cradl.texts(), strict=True):
        values = record.pop("predictions")
        expected = json.loads(text)
        assert expected.pop("predictions") is None
        assert record == expected
        assert bool(values) == (record["status"] == "succeeded")
    files = [seen for seen in connections.wire.seen if seen.part == "files"]
    assert {seen.query for seen in files} == {"predictionsFormat=v2"}
    assert all(seen.authorization for seen in files)


# --- what bad input gets -----------------------------------------------------------------------------


def test_a_landing_of_cradl_reads_an_old_window_from_the_end_that_is_nearer(
    connections: Sandbox, tmp_path: Path
) -> None:
    connections.cradl.fill(1000, days=100)
    oldest = connections.cradl.rows[-1].created

    manifest = make(
        CradlPredictionsToObjectStorageOperator,
        path=f"file://{tmp_path}",
        created_after=oldest,
        created_before=oldest + timedelta(days=1),
    ).execute({})

    assert manifest["count"] == 10
    assert manifest["requests"] <= 3  # of ten pages


@pytest.mark.parametrize("operator", ALL)
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"page_size": 1001}, "page_size: "),
        ({"created_after": "2026-02-01", "created_before": "2026-01-01"}, "created_before: "),
        ({"max_predictions": "few"}, "max_predictions: "),
    ],
)
def test_a_wrong_argument_is_named_when_the_dag_is_parsed(operator, arguments, words) -> None:
    with pytest.raises(ConfigurationError, match=words):
        make(operator, **arguments)


@pytest.mark.parametrize(
    ("operator", "arguments", "words"),
    [
        (CradlListPredictionsOperator, {"order": "up"}, "order: "),
        (VlmRunListPredictionsOperator, {"max_xcom_bytes": 0}, "max_xcom_bytes: "),
        (VlmRunPredictionsToObjectStorageOperator, {"path": " "}, "path: is empty"),
        (VlmRunPredictionsToObjectStorageOperator, {"file_format": "csv"}, "file_format: .*'csv'"),
        (VlmRunPredictionsToObjectStorageOperator, {"compression": "rar"}, "compression: .*'rar'"),
        (VlmRunPredictionsToObjectStorageOperator, {"records_per_part": 0}, "records_per_part: "),
    ],
)
def test_a_wrong_value_is_named_when_the_dag_is_parsed(operator, arguments, words) -> None:
    with pytest.raises(ConfigurationError, match=words):
        make(operator, **arguments)


@pytest.mark.parametrize("operator", ALL)
def test_an_unknown_argument_is_refused_by_name(operator) -> None:
    with pytest.raises((TypeError, AirflowException), match="colour"):
        make(operator, colour="red")


def test_templates_are_checked_once_they_are_rendered(connections) -> None:
    operator = make(VlmRunListPredictionsOperator, page_size="{{ params.size }}")
    operator.page_size = "5000"

    with pytest.raises(AirflowFailException, match=r"page_size: .*5000"):
        operator.execute({})
    assert not connections.wire.seen


def test_a_scheme_without_its_provider_is_refused_before_any_request(connections) -> None:
    needed = r"path: gs:// needs the extra gcs: pip install 'airflow-provider-predictions\[gcs\]'"
    operator = make(VlmRunPredictionsToObjectStorageOperator, path="{{ params.path }}")
    operator.path = "gs://bucket/x"

    with pytest.raises(ConfigurationError, match=needed):
        make(VlmRunPredictionsToObjectStorageOperator, path="gs://bucket/x")
    with pytest.raises(AirflowFailException, match=needed):
        operator.execute({})
    assert not connections.wire.seen


@pytest.mark.parametrize("operator", ALL)
def test_a_missing_connection_is_named(operator, sandbox) -> None:
    name = operator.hook_class.conn_name_attr

    with pytest.raises(AirflowNotFoundException, match=f"{name}: .*'nowhere'"):
        make(operator, **{name: "nowhere"}).execute({})


def test_a_wrong_key_fails_the_task_at_once(simulated_time, monkeypatch, sandbox, service_name) -> None:
    wrong = sandbox.connection(service_name, password="wrong-one")
    connect(monkeypatch, wrong, f"{service_name}_default")

    with pytest.raises(AirflowFailException) as caught:
        make(LIST[service_name]).execute({})

    assert "(password)" in str(caught.value)
    assert "wrong-one" not in str(caught.value)


@pytest.mark.parametrize("status", [401, 403, 404, 422])
def test_a_refusal_fails_the_task_at_once(listing, connections, service_name, status) -> None:
    body = b'{"message": "the words of the service"}'
    connections.wire.order(Fault(service_name, status=status, body=body, times=9))

    with pytest.raises(AirflowFailException, match="the words of the service"):
        make(listing).execute({})


def test_a_failing_server_is_left_to_the_retries_of_the_task(listing, connections, service_name) -> None:
    connections.wire.order(Fault(service_name, times=9, headers={"Retry-After": "9999"}))

    with pytest.raises(ServerError) as caught:
        make(listing).execute({})

    assert not isinstance(caught.value, AirflowFailException)


# --- how it feels in Airflow -------------------------------------------------------------------------


@pytest.mark.parametrize("operator", ALL)
def test_everything_textual_is_templated(operator) -> None:
    fields = set(operator.hook_class.service_class.filters.model_fields)

    assert set(operator.template_fields) >= fields | {operator.hook_class.conn_name_attr}
    assert ("path" in operator.template_fields) == (operator in LAND.values())
    task = make(operator)
    assert all(hasattr(task, name) for name in operator.template_fields)


@pytest.mark.parametrize("operator", ALL)
def test_default_args_of_a_dag_reach_every_base(operator) -> None:
    name = operator.hook_class.conn_name_attr

    task = make(operator, default_args={name: "mine", "page_size": 7, "retries": 4})

    assert (getattr(task, name), task.page_size, task.retries) == ("mine", 7, 4)


def test_a_task_links_to_the_dashboard(connections) -> None:
    task = make(VlmRunListPredictionsOperator)

    assert task.operator_extra_links[0].get_link(task, ti_key=None) == "https://app.vlm.run/dashboard"


@pytest.mark.parametrize("end", ["?versionId=b", "#b"])
def test_a_path_with_what_a_store_takes_for_the_end_of_it_is_refused(landing, end: str) -> None:
    """Each version of an object would be put over the one before, and a reader would look elsewhere."""
    with pytest.raises(ConfigurationError, match=rf"path: holds a \{end[0]}, after which stores read"):
        make(landing, path=f"s3://aws_default@bucket/a{end}")


def test_a_path_with_two_slashes_after_the_bucket_is_refused(landing) -> None:
    """s3fs lists what lies under the path with one."""
    with pytest.raises(ConfigurationError, match="path: has two slashes after the bucket; leave one out"):
        make(landing, path="s3://aws_default@bucket//a")
    make(landing, path="s3://aws_default@bucket/a//b")
    make(landing, path="s3://aws_default@bucket/")


def test_a_directory_named_none_is_warned_of(landing, connections, tmp_path, capsys, caplog) -> None:
    make(landing, path=f"{tmp_path}/None/x", max_predictions=1).execute({})

    assert "holds a directory named None" in capsys.readouterr().out + caplog.text


@pytest.mark.parametrize(
    ("path", "given", "said"),
    [
        ("/{{ params.x }}/land", None, "a directory named None"),
        ("/team={{ params.x }}/land", None, "a directory named None"),
        ("/{{ params.x }}/land", "null", "a directory named null"),
        ("/{{ params.x }}/land", "", "a directory without a name"),
        ("/team={{ params.x }}", "", "a directory without a name"),
        ("/a/{{ params.x }}", " ", "a directory without a name"),
        ("/{ds}/land", "", "{ds}, which is no template; write two braces on each side"),
        ("/${run_id}", "", "{run_id}, which is no template"),
        ("/{{ params.x }}", ["a", "b"], "the text of a list or a dict"),
        ("/{{ params.x }}", {"a": 1}, "the text of a list or a dict"),
        ("/{{ params.x }}", "{{ ds }}/x", "{{ ds }}. Airflow renders no template in a value"),
        ("/{{ params.x }}", "{% if x %}", "{% if x %}. Airflow renders no template"),
        ("/{{ params.x }}/land", "a", ""),
        ("{{ params.x }}", "/a/", ""),
        ("//a/b/", "", ""),
        ("/{{ '{{' }}/{a b}/[1]", "", ""),
    ],
)
def test_a_path_that_looks_like_a_mistake_is_warned_of(
    landing, connections, tmp_path, capsys, caplog, path: str, given: object, said: str
) -> None:
    running = make(landing, path=f"{tmp_path}{path}", max_predictions=1).prepare_for_execution()
    running.render_template_fields({"params": {"x": given}})
    running.execute({})

    logged = capsys.readouterr().out + caplog.text
    assert (f" holds {said}" in logged) if said else (" holds " not in logged)
