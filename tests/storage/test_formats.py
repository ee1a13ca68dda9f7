"""What a part holds in each format: JSON Lines as sent, Parquet with typed columns."""

from __future__ import annotations

import gzip
import hashlib
import json
import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest
import zstandard
from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_predictions.api.errors import ConfigurationError
from airflow_provider_predictions.api.limits import MAX_GROUP_ROWS
from airflow_provider_predictions.api.service import Service
from airflow_provider_predictions.sandbox.data import Record
from airflow_provider_predictions.sandbox.server import Sandbox
from airflow_provider_predictions.sandbox.store import RecordStore
from airflow_provider_predictions.storage.formats.factory import make_format
from tests.faults import Fault
from tests.given import LAND

CODECS = [None, "gzip", "zstd"]
KINDS = [(form, codec) for form in ("jsonl", "parquet") for codec in CODECS]
SUFFIXES = {None: ".jsonl", "gzip": ".jsonl.gz", "zstd": ".jsonl.zst"}
TYPES = {
    "text": pa.string(),
    "time": pa.timestamp("us", tz="UTC"),
    "number": pa.float64(),
    "json": pa.string(),
}
ID = {"vlmrun": "id", "cradl": "predictionId"}
CREATED = {"vlmrun": "created_at", "cradl": "createdTime"}
VALUES = {"vlmrun": "response", "cradl": "predictions"}
"""The column of what was extracted."""

each_kind = pytest.mark.parametrize(("form", "codec"), KINDS)
each_form = pytest.mark.parametrize("form", ["jsonl", "parquet"])


@pytest.fixture
def land(connections: Sandbox, service_name: str, file_store) -> Callable[..., dict[str, Any]]:
    """Land from the sandbox, with arguments of the operator."""

    def land(
        form: str = "parquet",
        codec: str | None = None,
        path: ObjectStoragePath = file_store / "landed",
        **arguments: Any,
    ) -> dict[str, Any]:
        operator = LAND[service_name](
            task_id="land", path=str(path), file_format=form, compression=codec, **arguments
        )
        return operator.execute({})

    return land


@pytest.fixture
def show(record_store: RecordStore) -> Iterator[Callable[..., None]]:
    """Let the service hold these records only, as they are given."""
    kind = record_store.kind

    def show(*texts: bytes) -> None:
        record_store.fill(len(texts))
        given = {row.id: text for row, text in zip(record_store.rows, texts, strict=True)}

        def shown(record: Record, status: str, files: str) -> bytes:
            return given[record.id]

        record_store.kind = replace(kind, show=shown)

    yield show
    record_store.kind = kind


@pytest.fixture
def record(service_name: str) -> Callable[..., bytes]:
    """A record that has an id, a time and these members, as they stand there."""

    def record(**members: str | None) -> bytes:
        given = {ID[service_name]: '"a"', CREATED[service_name]: '"2026-10-01T12:00:00"'} | members
        parts = [f"{json.dumps(name)}: {text}" for name, text in given.items() if text is not None]
        return ("{" + ", ".join(parts) + "}").encode("utf-8", "surrogateescape")

    return record


def stored(manifest: dict[str, Any]) -> list[bytes]:
    """The objects of a landing."""
    return [ObjectStoragePath(part["uri"]).read_bytes() for part in manifest["parts"]]


def unpacked(part: bytes, codec: str | None) -> bytes:
    if codec == "gzip":
        return gzip.decompress(part)
    return zstandard.ZstdDecompressor().decompressobj().decompress(part) if codec else part


def table(manifest: dict[str, Any]) -> pa.Table:
    """All parts of a landing in Parquet, whose schemas must be equal."""
    return pa.concat_tables([pq.read_table(pa.BufferReader(part)) for part in stored(manifest)])


def rows(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = table(manifest).to_pylist()
    return found


def members(text: bytes) -> dict[str, bytes]:
    """Name and slice of each member of a record, as msgspec sees them."""
    return {name: bytes(raw) for name, raw in msgspec.json.decode(text, type=dict[str, msgspec.Raw]).items()}


def row_of(text: bytes, service: Service[Any]) -> dict[str, Any]:
    """What a record of the sandbox should be in Parquet."""
    slices = members(text)
    row: dict[str, Any] = {}
    for column in service.columns:
        raw = slices.pop(column.name, b"null")
        value = json.loads(raw)
        if value is not None and column.kind == "time":
            value = datetime.fromisoformat(value)
            value = value if value.tzinfo else value.replace(tzinfo=UTC)
        row[column.name] = raw.decode() if value is not None and column.kind == "json" else value
    return row | {"other": {name: json.loads(raw) for name, raw in slices.items()}}


def with_parsed_other(row: dict[str, Any]) -> dict[str, Any]:
    return row | {"other": json.loads(row["other"] or "{}")}


def assert_holds(
    manifest: dict[str, Any], texts: list[bytes], service: Service[Any], form: str, codec: str | None
) -> None:
    for part, content in zip(manifest["parts"], stored(manifest), strict=True):
        assert (part["bytes"], part["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
        assert part["uri"].endswith(SUFFIXES[codec] if form == "jsonl" else ".parquet")
    if form == "jsonl":
        content = b"".join(unpacked(part, codec) for part in stored(manifest))
        assert content == b"".join(text + b"\n" for text in texts)
    else:
        found = list(map(with_parsed_other, rows(manifest)))
        assert found == [row_of(text, service) for text in texts]
        metadata = pq.read_metadata(pa.BufferReader(stored(manifest)[0]))
        assert metadata.row_group(0).column(0).compression == (codec or "uncompressed").upper()


# --- all formats -------------------------------------------------------------------------------------


@each_kind
def test_a_landing_holds_the_records(land, record_store: RecordStore, service, form, codec) -> None:
    record_store.fill(250)

    manifest = land(form, codec, records_per_part=100, page_size=40)

    assert [part["count"] for part in manifest["parts"]] == [100, 100, 50]
    assert (manifest["format"], manifest["compression"]) == (form, codec)
    assert_holds(manifest, record_store.texts(), service, form, codec)


@pytest.mark.parametrize(("form", "codec"), [("parquet", None), ("jsonl", "zstd")])
def test_each_store_takes_each_format(land, record_store: RecordStore, service, store, form, codec) -> None:
    record_store.fill(120)

    manifest = land(form, codec, store / "landed", records_per_part=50)

    assert_holds(manifest, record_store.texts(), service, form, codec)


@each_kind
def test_equal_landings_make_equal_objects(land, record_store: RecordStore, file_store, form, codec) -> None:
    record_store.fill(120)

    first = land(form, codec, file_store / "a", records_per_part=50, page_size=30)
    second = land(form, codec, file_store / "b", records_per_part=50, page_size=77, prefetch=3)

    assert stored(first) == stored(second)
    assert len(stored(first)) == 3


def test_gzip_says_neither_when_nor_from_what_it_was_made(land, record_store: RecordStore) -> None:
    record_store.fill(3)

    (part,) = stored(land("jsonl", "gzip"))

    flags, modified = part[3], part[4:8]
    assert (flags, modified) == (0, bytes(4))


@each_kind
def test_an_empty_list_gives_no_part(land, file_store, form, codec) -> None:
    manifest = land(form, codec)

    assert (manifest["parts"], manifest["count"]) == ([], 0)
    assert [path.name for path in (file_store / "landed").glob("[!_]*")] == []


@each_kind
def test_incremental_landings_take_each_format(land, record_store: RecordStore, service, form, codec) -> None:
    record_store.fill(120)
    first = land(form, codec, incremental=True, records_per_part=50)
    record_store.add()

    second = land(form, codec, incremental=True, records_per_part=50)

    assert_holds(first, record_store.texts()[1:], service, form, codec)
    assert_holds(second, record_store.texts()[:1], service, form, codec)


@each_form
def test_values_are_fetched_four_at_once_and_land_in_order(connections: Sandbox, file_store, form) -> None:
    record_store = connections.cradl
    record_store.fill(60)
    connections.wire.order(Fault("files", how="slow", seconds=0.05))

    operator = LAND["cradl"](
        task_id="land",
        path=str(file_store / "x"),
        file_format=form,
        fetch_values=True,
        prefetch=4,
        page_size=20,
        records_per_part=25,
    )
    manifest = operator.execute({})

    if form == "jsonl":
        records = [json.loads(line) for part in stored(manifest) for line in part.splitlines()]
        values = [record["predictions"] for record in records]
    else:
        records = rows(manifest)
        values = [json.loads(row["predictions"] or "null") for row in records]
    assert [record["predictionId"] for record in records] == [row.id for row in record_store.rows]
    assert [value and value[0]["label"] for value in values] == [
        "supplier" if row.outcome == "succeeded" else None for row in record_store.rows
    ]
    assert len({json.dumps(value) for value in values if value}) > 50


# --- JSON Lines --------------------------------------------------------------------------------------

ODD = {
    "no number": b'{"id": "b", "predictionId": "b", "x": NaN, "y": [-Infinity]}',
    "half a pair": b'{"id": "b", "predictionId": "b", "x": "\\ud83d", "\\udc00": 1}',
    "an integer of 71 bits": b'{"id": "b", "predictionId": "b", "x": 1180591620717411303424}',
    "a trailing zero": b'{"id": "b", "predictionId": "b", "x": 1.10, "y": 1E5, "z": -0.0}',
    "nothing": b"{}",
    "white space": b'{ "id" :\t"b" ,  "predictionId":"b" }',
    "separators of lines that JSON does not know": '{"id": "\u2028\u2029\x85"}'.encode(),
    "a name twice": b'{"id": "c", "id": "b", "predictionId": "b"}',
}


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("text", ODD.values(), ids=ODD)
def test_an_odd_record_lands_byte_for_byte(land, show, record, text: bytes, codec) -> None:
    show(record(), text)

    (part,) = stored(land("jsonl", codec))

    assert unpacked(part, codec) == record() + b"\n" + text + b"\n"


def test_a_page_with_a_byte_order_mark_lands_without_it(
    land, connections: Sandbox, record_store: RecordStore, service_name
) -> None:
    record_store.fill(3)
    array = b"[" + b", ".join(record_store.texts()) + b"]"
    body = array if service_name == "vlmrun" else b'{"predictions": ' + array + b"}"
    connections.wire.order(Fault(service_name, status=200, body=b"\xef\xbb\xbf" + body))

    (part,) = stored(land("jsonl"))

    assert part == b"".join(text + b"\n" for text in record_store.texts())


def test_a_record_of_several_lines_becomes_one_with_the_same_values(land, show, record) -> None:
    text = b'{\n  "id": "a b",\r\n  "total": 1.10,\n  "e": 1E5,\n  "text": "\\n \\u00e9 \\" :  ,"\n}'
    show(record(), text)

    (part,) = stored(land("jsonl"))

    assert part == record() + b'\n{"id":"a b","total":1.10,"e":1E5,"text":"\\n \\u00e9 \\" :  ,"}\n'


# --- Parquet -----------------------------------------------------------------------------------------


def test_every_part_has_the_declared_columns(land, record_store: RecordStore, service) -> None:
    record_store.fill(30)

    manifest = land(records_per_part=1)

    declared = pa.schema([*((column.name, TYPES[column.kind]) for column in service.columns),
                          ("other", pa.string())])  # fmt: skip
    assert len(manifest["parts"]) == 30
    for part in stored(manifest):
        assert pq.read_schema(pa.BufferReader(part)).equals(declared)


@pytest.mark.parametrize("codec", CODECS)
def test_parts_are_one_data_set(land, record_store: RecordStore, service_name, codec) -> None:
    record_store.fill(70)

    manifest = land(codec=codec, records_per_part=20)

    files = [part["uri"].removeprefix("file://") for part in manifest["parts"]]
    found = pyarrow.dataset.dataset(files, format="parquet")
    assert found.to_table(columns=[ID[service_name]])[0].to_pylist() == [row.id for row in record_store.rows]


def test_many_records_make_several_row_groups(land, connections: Sandbox, record_store: RecordStore) -> None:
    record_store.fill(MAX_GROUP_ROWS + 7)

    (part,) = stored(land(page_size=1000))

    metadata = pq.read_metadata(pa.BufferReader(part))
    sizes = [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]
    assert sizes == [MAX_GROUP_ROWS, 7]


@pytest.mark.parametrize(
    ("sent", "instant"),
    [
        ("2026-10-01T12:00:00.000001", datetime(2026, 10, 1, 12, 0, 0, 1, UTC)),
        ("2026-10-01T12:00:00Z", datetime(2026, 10, 1, 12, tzinfo=UTC)),
        ("2026-10-01 12:00:00+0200", datetime(2026, 10, 1, 10, tzinfo=UTC)),
        ("1969-12-31T23:59:59-01:00", datetime(1970, 1, 1, 0, 59, 59, tzinfo=UTC)),
        ("0001-01-01T00:00:00Z", datetime(1, 1, 1, tzinfo=UTC)),
        ("9999-12-31T23:59:59.999999Z", datetime(9999, 12, 31, 23, 59, 59, 999999, UTC)),
    ],
)
def test_a_time_is_the_instant_that_was_sent(land, show, record, service_name, tokyo, sent, instant) -> None:
    show(record(**{CREATED[service_name]: f'"{sent}"'}))

    assert rows(land())[0][CREATED[service_name]] == instant


JSON = {
    "no number": '{"a": NaN, "b": -Infinity}',
    "half a pair": '"\\ud800"',
    "an integer of 71 bits": "1180591620717411303424",
    "a trailing zero": '[1.10, 1E5,  {"a": -0.0}]',
    "depth": '[[[{"a": [{"b": {}}]}]]]',
    "text": '"1"',
    "nothing": '""',
    "false": "false",
    "a name twice": '{"a": 1, "a": 2}',
}


@pytest.mark.parametrize("text", JSON.values(), ids=JSON)
def test_json_columns_hold_the_text_that_was_sent(land, show, record, service_name, text: str) -> None:
    show(record(**{VALUES[service_name]: text}))

    (row,) = rows(land())

    assert row[VALUES[service_name]] == text
    assert row["other"] is None


@pytest.mark.parametrize("text", JSON.values(), ids=JSON)
def test_members_without_a_column_are_kept_in_other(land, show, record, text: str) -> None:
    show(record(other="[1.10]", unknown=text))

    (row,) = rows(land())

    assert row["other"] == f'{{"other":[1.10],"unknown":{text}}}'


@pytest.mark.parametrize(
    ("service_name", "name", "text"),
    [
        ("vlmrun", "completed_at", '"soon"'),
        ("vlmrun", "completed_at", "1750000000"),
        ("vlmrun", "created_at", '"soon"'),
        ("vlmrun", "created_at", "1750000000"),
        ("cradl", "inferenceTime", '"fast"'),
        ("cradl", "inferenceTime", "true"),
        ("cradl", "inferenceTime", "[1.10]"),
        ("cradl", "name", "5"),
        ("cradl", "description", '{"a": 1.10}'),
        ("cradl", "error", "false"),
        ("cradl", "updatedTime", '"soon"'),
        ("cradl", "createdTime", '""'),
    ],
)
def test_a_member_that_does_not_fit_its_column_is_kept_in_other(land, show, record, name, text) -> None:
    show(record(**{name: text}))

    (row,) = rows(land())

    assert row[name] is None
    assert row["other"] == f'{{"{name}":{text}}}'


@pytest.mark.parametrize("service_name", ["cradl"])
@pytest.mark.parametrize("number", [7, 2**53, -(2**53), 1.5])
def test_a_number_is_held_where_a_double_is_exactly_it(land, show, record, number: float) -> None:
    show(record(inferenceTime=str(number)))

    (row,) = rows(land())

    assert row["inferenceTime"] == number
    assert row["other"] is None


@pytest.mark.parametrize("service_name", ["cradl"])
@pytest.mark.parametrize("text", [str(2**53 + 1), str(2**70), str(10**400), "-" + str(2**64), "1e999"])
def test_a_number_that_its_column_cannot_hold_is_not_lost(land, show, record, text: str) -> None:
    show(record(inferenceTime=text))

    (row,) = rows(land())

    exact = row["inferenceTime"] is not None and row["inferenceTime"] == json.loads(text)
    assert (exact and math.isfinite(row["inferenceTime"])) or row["other"] == f'{{"inferenceTime":{text}}}'


@pytest.mark.parametrize(
    ("service_name", "name", "text"),
    [
        ("vlmrun", "id", "5"),
        ("vlmrun", "status", "false"),
        ("vlmrun", "domain", '{"a": 1.10}'),
        ("cradl", "predictionId", "[1.10]"),
        ("cradl", "status", "1E5"),
        ("cradl", "modelId", "1180591620717411303424"),
    ],
)
def test_an_envelope_member_of_another_type_keeps_its_text(land, show, record, name, text) -> None:
    show(record(**{name: text}))

    (row,) = rows(land())

    assert text in (row[name], (row["other"] or "")[len(name) + 4 : -1])


@pytest.mark.parametrize(
    ("service_name", "more", "status"),
    [
        ("vlmrun", {}, "pending"),
        ("vlmrun", {"status": "null"}, "pending"),
        ("cradl", {}, "pending"),
        ("cradl", {"inferenceTime": "1.5"}, "succeeded"),
        ("cradl", {"predictions": "[]"}, "succeeded"),
    ],
)
def test_a_record_without_a_status_has_the_one_that_it_implies(land, show, record, more, status) -> None:
    show(record(**more))

    assert [row["status"] for row in rows(land())] == [status]


def test_a_record_without_an_id_is_called_by_the_hash_of_its_bytes(land, show, record, service_name) -> None:
    texts = [record(**{ID[service_name]: None, "x": "1.10"}), record(**{ID[service_name]: "null"})]
    show(*texts)

    found = [row[ID[service_name]] for row in rows(land())]

    assert found == [f"sha256:{hashlib.sha256(text).hexdigest()}" for text in texts]


def test_bytes_that_are_no_utf8_stay_readable(land, show, record, service_name) -> None:
    show(record(**{VALUES[service_name]: '"\udcff"'}))

    assert [row[VALUES[service_name]] for row in rows(land())] == ['"\\xff"']


# --- ids of what has landed --------------------------------------------------------------------------


@each_kind
@pytest.mark.parametrize("fetch", [False, True])
def test_a_record_lands_once_whatever_its_id_is(
    land, show, record, service_name, form, codec, fetch: bool
) -> None:
    id_, created = ID[service_name], CREATED[service_name]
    is_finished = {"status": '"completed"' if service_name == "vlmrun" else '"succeeded"'}
    odd: list[dict[str, str | None]] = [
        {},
        {id_: None},
        {id_: "5"},
        {id_: '"\\n\\u2028"'},
        {id_: '"\\ud800"'},
        {id_: '"\udcff"'},
        {id_: '"b"', created: None},
        {id_: '"c"', created: '"soon"'},
        {id_: '"d"', created: '"2026-10-01 12:00:00.1234567+0200"'},
    ]
    show(*(record(**is_finished, **members) for members in odd))
    how = {"fetch_values": True} if fetch and service_name == "cradl" else {}

    first, second = (land(form, codec, incremental=True, **how) for _ in range(2))

    assert (first["count"], second["count"]) == (9, 0)


def test_a_time_that_is_finer_than_its_column_stays_as_it_came(land, show, record, service_name) -> None:
    finer = {CREATED[service_name]: '"2026-10-01T12:00:00.123456789"'}
    show(
        record(**finer),
        record(**{ID[service_name]: '"b"', CREATED[service_name]: '"2026-10-01T12:00:00.123456000"'}),
    )

    fine, exact = rows(land())

    assert fine[CREATED[service_name]] == exact[CREATED[service_name]]
    assert json.loads(fine["other"])[CREATED[service_name]] == "2026-10-01T12:00:00.123456789"
    assert CREATED[service_name] not in json.loads(exact["other"] or "{}")


def test_a_library_that_is_missing_is_missed_by_who_needs_it(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "zstandard", None)

    assert make_format("jsonl", "gzip", service).suffix == ".jsonl.gz"
    with pytest.raises(ConfigurationError, match="file_format: zstandard is not installed"):
        make_format("jsonl", "zstd", service)
