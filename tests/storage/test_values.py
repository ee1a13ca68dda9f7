"""Values as rows: which rows a record gives, and what their columns hold."""

from __future__ import annotations

import itertools
import json
import logging
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_predictions.api.errors import ConfigurationError
from airflow_provider_predictions.api.http.auth import BearerAuth
from airflow_provider_predictions.api.limits import MAX_VALUE_DEPTH, MAX_VALUE_ROWS
from airflow_provider_predictions.api.vlmrun import VlmRun
from airflow_provider_predictions.sandbox.server import Sandbox
from airflow_provider_predictions.sandbox.store import RecordStore
from airflow_provider_predictions.storage.formats.factory import make_format
from benchmarks import records
from tests.api.services import CRADL, VLMRUN
from tests.given import DONE, LAND, context_of

Rows = list[dict[str, Any]]
Convert = Callable[..., Rows]
BY_NAME: dict[str, Any] = {"vlmrun": VLMRUN, "cradl": CRADL}
COLUMNS = ["prediction_id", "created_at", "domain", "document_id", "path", "label", "value", "number",
           "confidence", "confidence_level", "page"]  # fmt: skip


@pytest.fixture
def convert(tmp_path: Path) -> Convert:
    """The rows of some records."""

    def convert(service: str, *records: bytes, paths: tuple[str, ...] | None = None) -> Rows:
        lines = tmp_path / "lines"
        lines.write_bytes(b"".join(record + b"\n" for record in records))
        made = make_format("parquet", "zstd", BY_NAME[service], "values", paths)
        found: Rows = pq.read_table(made.convert(lines, tmp_path / "part")).to_pylist()
        return found

    return convert


@pytest.fixture
def of_response(convert: Convert) -> Convert:
    """Path and value of each row that a response of VLM Run gives."""

    def of_response(text: str, **how: Any) -> list[tuple[str, str | None]]:
        record = f'{{"id": "a", "response": {text}}}'.encode("utf-8", "surrogateescape")
        return [(row["path"], row["value"]) for row in convert("vlmrun", record, **how)]

    return of_response


@pytest.fixture
def of_fields(convert: Convert) -> Convert:
    """Path and value of each row that the predictions of Cradl give."""

    def of_fields(fields: Any, **how: Any) -> list[tuple[str, str | None]]:
        record = json.dumps({"predictionId": "a", "predictions": fields}).encode()
        return [(row["path"], row["value"]) for row in convert("cradl", record, **how)]

    return of_fields


# --- both services -----------------------------------------------------------------------------------


def test_a_row_says_of_which_prediction_it_is(convert: Convert) -> None:
    vlmrun = b'{"id": "a", "created_at": "2026-11-01T12:00:00", "domain": "d", "response": {"total": "1.50"}}'
    cradl = (
        b'{"predictionId": "a", "createdTime": "2026-11-01 13:00:00+0100", "modelId": "m", "documentId": "x",'
        b'"predictions": [{"label": "total", "value": "1.50", "confidence": 0.5, "page": 2}]}'
    )

    (first,), (second,) = convert("vlmrun", vlmrun), convert("cradl", cradl)

    created = datetime(2026, 11, 1, 12, tzinfo=UTC)
    assert list(first) == COLUMNS
    assert list(first.values()) == ["a", created, "d", None, "total", "total", "1.50", 1.5, None, None, None]
    assert list(second) == [name.replace("domain", "model_id") for name in COLUMNS]
    assert list(second.values()) == ["a", created, "m", "x", "total", "total", "1.50", 1.5, 0.5, None, 2]


@pytest.mark.parametrize(
    ("service", "record"),
    [
        ("vlmrun", b'{"id": "a"}'),
        ("vlmrun", b'{"id": "a", "response": null}'),
        ("vlmrun", b'{"id": "a", "response": {}}'),
        ("vlmrun", b'{"id": "a", "response": []}'),
        ("cradl", b'{"predictionId": "a"}'),
        ("cradl", b'{"predictionId": "a", "predictions": null}'),
        ("cradl", b'{"predictionId": "a", "predictions": []}'),
        ("cradl", b'{"predictionId": "a", "predictions": {}}'),
    ],
)
def test_a_prediction_without_a_value_gives_no_row(convert: Convert, service: str, record: bytes) -> None:
    assert convert(service, record) == []


def test_a_record_without_an_id_or_a_time_gives_rows_all_the_same(convert: Convert) -> None:
    (row,) = convert("vlmrun", b'{"response": {"total": 1}, "created_at": "soon", "domain": 7}')

    assert row["prediction_id"].startswith("sha256:")
    assert (row["created_at"], row["value"]) == (None, "1")


NUMBERS: dict[str, tuple[str, float | None]] = {
    "1.10": ("1.10", 1.1),
    "1E2": ("1E2", 100.0),
    "-0": ("-0", 0.0),
    "-0.0": ("-0.0", 0.0),
    "1e400": ("1e400", None),
    "NaN": ("NaN", None),
    "-Infinity": ("-Infinity", None),
    "9007199254740992": ("9007199254740992", 2.0**53),
    "9007199254740993": ("9007199254740993", None),
    "9007199254740993.0": ("9007199254740993.0", None),
    "9007199254740994.0": ("9007199254740994.0", 2.0**53 + 2),
    "-1.5E+300": ("-1.5E+300", -1.5e300),
    "1.7976931348623157e308": ("1.7976931348623157e308", 1.7976931348623157e308),
    "12345678901234567.5e2": ("12345678901234567.5e2", None),
    "12345678901234567890": ("12345678901234567890", None),
    "9" * 5000: ("9" * 5000, None),
    "true": ("true", None),
    '"1.50"': ("1.50", 1.5),
    '"-12"': ("-12", -12.0),
    '"123456789012345"': ("123456789012345", 123456789012345.0),
    '"1234567890123456"': ("1234567890123456", None),
    '"1.234,5"': ("1.234,5", None),
    '"1,234.5"': ("1,234.5", None),
    '"007"': ("007", None),
    '"1e5"': ("1e5", None),
    '"1e400"': ("1e400", None),
    '"NaN"': ("NaN", None),
    '" 1"': (" 1", None),
    '"1\\n"': ("1\n", None),
    '"+1"': ("+1", None),
    '"1."': ("1.", None),
    '"\u0661"': ("\u0661", None),
    '""': ("", None),
}
"""JSON as VLM Run sends it, the value, and the number."""


def test_a_value_is_its_text_and_a_number_where_it_is_one(convert: Convert, subtests: Any) -> None:
    for text, wanted in NUMBERS.items():
        with subtests.test(text=text[:30]):
            (row,) = convert("vlmrun", f'{{"id": "a", "response": {{"x": {text}}}}}'.encode())
            assert (row["value"], row["number"]) == wanted


def test_a_number_is_the_same_beside_what_is_no_json(convert: Convert, subtests: Any) -> None:
    """Such as NaN, for which another decoder reads the record."""
    for text, (_, number) in NUMBERS.items():
        with subtests.test(text=text[:30]):
            first, _ = convert("vlmrun", f'{{"id": "a", "response": {{"x": {text}, "y": NaN}}}}'.encode())
            assert first["number"] == number


def test_text_that_utf8_cannot_hold_stays_readable(of_response: Convert) -> None:
    assert of_response('{"a": "\\ud800", "\\udfff": "x"}') == [("a", "\\ud800"), ('["\\udfff"]', "x")]
    assert of_response('{"a": "\udcff"}') == [("a", "\\udcff")]


# --- VLM Run -----------------------------------------------------------------------------------------


def test_a_path_leads_to_each_leaf(of_response: Convert) -> None:
    text = (
        '{"total": 1, "lines": [{"amount": "x"}, {"amount": null, "of": [[1, 2], []]}], "to": {}, "é": true}'
    )

    assert of_response(text) == [
        ("total", "1"),
        ("lines[0].amount", "x"),
        ("lines[1].amount", None),
        ("lines[1].of[0][0]", "1"),
        ("lines[1].of[0][1]", "2"),
        ("lines[1].of[1]", "[]"),
        ("to", "{}"),
        ("é", "true"),
    ]


def test_a_response_may_be_any_json(of_response: Convert) -> None:
    assert of_response('"text"') == [("", "text")]
    assert of_response("0") == [("", "0")]
    assert of_response("-0") == [("", "-0")]
    assert of_response('[1, {"a": 2}]') == [("[0]", "1"), ("[1].a", "2")]


def test_names_that_look_like_steps_are_quoted_so_that_each_path_is_another(of_response: Convert) -> None:
    names = ["a.b", "a[0]", 'q"', "", "a b", "0", "ok-_1", "a\\", "a\n"]
    text = json.dumps({name: name for name in names} | {"a": {"b": 1}})

    assert of_response(text) == [
        ('["a.b"]', "a.b"),
        ('["a[0]"]', "a[0]"),
        ('["q\\""]', 'q"'),
        ('[""]', ""),
        ('["a b"]', "a b"),
        ("0", "0"),
        ("ok-_1", "ok-_1"),
        ('["a\\\\"]', "a\\"),
        ('["a\\n"]', "a\n"),
        ("a.b", "1"),
    ]


def test_the_last_of_two_equal_names_counts(of_response: Convert) -> None:
    assert of_response('{"a": 1, "a": 2}') == [("a", "2")]
    assert of_response('{"a": NaN, "a": 2}') == [("a", "2")]


METADATA: dict[str, tuple[Any, tuple[Any, Any, Any]]] = {
    "a word": ({"confidence": "hi"}, (None, "hi", None)),
    "boxes": (
        {"confidence": "med", "bboxes": [{"page": 1, "confidence": 0.9}, {"page": 2, "confidence": 0.5}]},
        (0.5, "med", 1),
    ),
    "a number": ({"confidence": 0.25, "page": 3}, (0.25, None, 3)),
    "outside of 0 to 1": ({"confidence": 97.5}, (97.5, None, None)),
    "no number": ({"confidence": True, "page": "2", "bboxes": {}}, (None, None, None)),
    "boxes that are none": ({"bboxes": [None, 7, {"page": 1.5, "confidence": "hi"}]}, (None, None, None)),
    "a page that no column holds": ({"page": 2**40, "confidence": None}, (None, None, None)),
    "nothing": (None, (None, None, None)),
}


def test_the_metadata_beside_a_field_become_its_columns(convert: Convert, subtests: Any) -> None:
    for name, (metadata, wanted) in METADATA.items():
        with subtests.test(name=name):
            response = {"x": "a", "x_metadata": metadata}
            rows = convert("vlmrun", json.dumps({"id": "a", "response": response}).encode())
            found = [(row["confidence"], row["confidence_level"], row["page"]) for row in rows]
            assert found == [wanted]


def test_a_field_that_only_looks_like_metadata_is_a_value(of_response: Convert) -> None:
    assert of_response('{"document": 1, "document_metadata": {"author": "x"}}') == [
        ("document", "1"),
        ("document_metadata.author", "x"),
    ]
    assert of_response('{"a": [1], "a_metadata": ["hi"]}') == [("a[0]", "1"), ("a_metadata[0]", "hi")]
    assert of_response('{"scan_metadata": {"page": 1}}') == [("scan_metadata.page", "1")]
    assert of_response('{"a": {"x": 1, "x_metadata": null}}') == [("a.x", "1")]


def test_metadata_with_a_member_that_is_not_known_keep_the_confidence_and_land_as_values(
    convert: Convert,
) -> None:
    metadata = {"confidence": "hi", "bboxes": [{"page": 4, "confidence": 0.5}], "source": "ocr"}
    record = {"id": "a", "response": {"x": "1", "x_metadata": metadata}}

    first, *others = convert("vlmrun", json.dumps(record).encode())

    assert (first["path"], first["confidence"], first["confidence_level"], first["page"]) == (
        "x",
        0.5,
        "hi",
        4,
    )
    assert ("x_metadata.source", "ocr") in [(row["path"], row["value"]) for row in others]
    assert {row["confidence"] for row in others} == {None}


# --- Cradl -------------------------------------------------------------------------------------------


def field(label: str, value: Any, **more: Any) -> dict[str, Any]:
    return {"label": label, "value": value} | more


def test_line_items_are_rows_by_their_position(of_fields: Convert) -> None:
    rows = [[field("amount", "1"), field("name", None, confidence=1)], [field("amount", "2")], []]

    found = of_fields([field("total", "3"), field("lines", rows), field("none", [])])

    assert found == [
        ("total", "3"),
        ("lines[0].amount", "1"),
        ("lines[0].name", None),
        ("lines[1].amount", "2"),
        ("lines[2]", "[]"),
        ("none", "[]"),
    ]


def test_a_label_is_the_path_without_positions(convert: Convert) -> None:
    taxes = [[field("rate", "19")], [field("rate", "7")]]
    lines = [[field("amount", [1, {"in euros": 2}]), field("taxes", taxes)], "no row"]
    fields = [field("total", "3"), field("lines", lines), field("total", {"sum": [4]})]
    response = {"total": 3, "lines": [{"amount": [1, {"in euros": 2}], "taxes": [{"rate": 19}]}, "no row"]}

    rows = convert("cradl", json.dumps({"predictionId": "a", "predictions": fields}).encode())
    rows += convert("vlmrun", json.dumps({"id": "a", "response": response}).encode())

    assert [row["label"] for row in rows] == [re.sub(r"\[\d+\]", "", row["path"]) for row in rows]
    assert {"lines", "lines.taxes.rate", 'lines.amount["in euros"]'} < {row["label"] for row in rows}


def test_a_label_that_comes_again_is_counted(of_fields: Convert) -> None:
    row = [field("amount", "1"), field("amount", "2")]

    assert of_fields([field("total", "3"), field("total", "4"), field("lines", [row])]) == [
        ("total", "3"),
        ("total[1]", "4"),
        ("lines[0].amount", "1"),
        ("lines[0].amount[1]", "2"),
    ]


def test_a_list_whose_label_comes_again_is_counted_on_so_that_each_path_is_another(
    of_fields: Convert,
) -> None:
    one, two = [field("amount", "1")], [[field("amount", "2")], []]

    assert of_fields([field("of", two), field("of", [one]), field("of", "3"), field("of", ["4", [5]])]) == [
        ("of[0].amount", "2"),
        ("of[1]", "[]"),
        ("of[2].amount", "1"),
        ("of[3]", "3"),
        ("of[4]", "4"),
        ("of[5][0]", "5"),
    ]
    assert of_fields([field("of", []), field("of", [one, one]), field("of", {"a": 1})]) == [
        ("of", "[]"),
        ("of[1].amount", "1"),
        ("of[2].amount", "1"),
        ("of[3].a", "1"),
    ]


ODD_FIELDS: dict[str, tuple[Any, list[tuple[str, str | None]]]] = {
    "an object by label": (
        {"total": [field("total", "1")], "to": {"value": "x", "confidence": 0.5}, "from": "y"},
        [("total", "1"), ("to", "x"), ("from", "y")],
    ),
    "a number": ([field("total", 1.5)], [("total", "1.5")]),
    "an object": ([field("total", {"a": [1]})], [("total.a[0]", "1")]),
    "a list of texts": ([field("tags", ["a", "b"])], [("tags[0]", "a"), ("tags[1]", "b")]),
    "items in one level": ([field("lines", [field("amount", "1")])], [("lines[0].amount", "1")]),
    "no value": ([{"label": "total"}], [("total", None)]),
    "no label": ([{"value": "1"}], [("[0].value", "1")]),
    "one without a label": (
        [field("total", "1"), {"value": "Kari", "confidence": 1}, None, field("net_value", "2")],
        [("total", "1"), ("[1]", '{"value":"Kari","confidence":1}'), ("[2]", None), ("net_value", "2")],
    ),
    "a label with a dot": ([field("a.b", "1")], [('["a.b"]', "1")]),
    "text": ("text", [("", "text")]),
}


def test_what_has_no_label_is_chosen_by_no_name(tmp_path: Path) -> None:
    odd = {"value": "Kari", "confidence": 1}
    record = {"predictionId": "a", "predictions": [field("net_value", "2"), odd]}
    lines = tmp_path / "lines"
    lines.write_text(json.dumps(record) + "\n")

    make_format("parquet", None, CRADL, "values", ("*value",)).convert(lines, tmp_path / "part")

    assert [row["value"] for row in pq.read_table(tmp_path / "part").to_pylist()] == ["2"]


def test_fields_that_the_specification_does_not_have_are_kept(of_fields: Convert, subtests: Any) -> None:
    for name, (fields, wanted) in ODD_FIELDS.items():
        with subtests.test(name=name):
            assert of_fields(fields) == wanted


@pytest.mark.parametrize(
    ("confidence", "page", "wanted"),
    [
        ("0.5", "0", (0.5, None, 0)),
        ("1", "-1", (1.0, None, -1)),
        ("-7.5", "1e400", (-7.5, None, None)),
        ('"high"', '"3"', (None, "high", None)),
        ("NaN", "null", (None, None, None)),
        ("[1]", "[1]", (None, None, None)),
    ],
)
def test_confidence_and_page_are_as_they_were_sent(convert: Convert, confidence, page, wanted) -> None:
    field = f'{{"label": "a", "value": "b", "confidence": {confidence}, "page": {page}}}'

    (row,) = convert("cradl", f'{{"predictions": [{field}]}}'.encode())

    assert (row["confidence"], row["confidence_level"], row["page"]) == wanted


# --- paths -------------------------------------------------------------------------------------------

INVOICE = '{"total": 1, "totals": 2, "to": {"name": "Kari", "a.b": 3}, "lines": [{"amount": 4, "by": "Per"}]}'


@pytest.mark.parametrize(
    ("paths", "wanted"),
    [
        (("total",), ["total"]),
        (("total*",), ["total", "totals"]),
        (("to?al",), ["total"]),
        (("lines.amount",), ["lines[0].amount"]),
        (("*.amount", "total"), ["total", "lines[0].amount"]),
        (("to.*",), ["to.name", 'to["a.b"]'][:1]),
        (('to["a.b"]',), ['to["a.b"]']),
        (("to*",), ["total", "totals", "to.name", 'to["a.b"]']),
        (("*",), ["total", "totals", "to.name", 'to["a.b"]', "lines[0].amount", "lines[0].by"]),
        (("TOTAL", "lines", "to"), []),
    ],
)
def test_paths_choose_values_by_their_labels(of_response: Convert, paths: tuple[str, ...], wanted) -> None:
    assert [path for path, _ in of_response(INVOICE, paths=paths)] == wanted


# --- depth and size ----------------------------------------------------------------------------------


@pytest.mark.parametrize("opening", ["[", '{"a":'])
@pytest.mark.parametrize("depth", [MAX_VALUE_DEPTH + 1, 500, 900])
def test_what_is_nested_too_deeply_is_one_value(
    convert: Convert, caplog: pytest.LogCaptureFixture, opening: str, depth: int
) -> None:
    deep = opening * depth + "1.10" + ("]" if opening == "[" else "}") * depth
    caplog.set_level(logging.WARNING)

    (row,) = convert("vlmrun", f'{{"id": "p-1", "response": {deep}}}'.encode())

    assert len(re.findall(r"\[0\]|a", row["path"])) == MAX_VALUE_DEPTH
    rest = deep[len(opening) * MAX_VALUE_DEPTH : -MAX_VALUE_DEPTH]
    assert row["value"] == rest
    assert "1 prediction with values more than 100 levels deep" in caplog.text
    assert "'p-1'" in caplog.text


def test_what_is_nested_too_deeply_is_chosen_by_its_label_too(
    of_response: Convert, caplog: pytest.LogCaptureFixture
) -> None:
    deep = '{"a":' * 200 + "1" + "}" * 200

    assert of_response(deep, paths=("a.a",)) == []
    assert caplog.text == ""


def test_row_groups_are_bounded_and_end_with_a_record(tmp_path: Path) -> None:
    lines, count = tmp_path / "lines", MAX_VALUE_ROWS // 30
    response = {f"n{number}": number for number in range(40)}
    lines.write_text("".join(json.dumps({"id": f"p-{n}", "response": response}) + "\n" for n in range(count)))
    form = make_format("parquet", None, BY_NAME["vlmrun"], "values")

    metadata = pq.read_metadata(form.convert(lines, tmp_path / "part"))

    sizes = [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]
    assert sizes == [MAX_VALUE_ROWS, 40 * count - MAX_VALUE_ROWS]


@pytest.mark.parametrize("service", ["vlmrun", "cradl"])
def test_values_have_at_least_a_fifth_of_the_speed_of_records(service: str, tmp_path: Path) -> None:
    """Both in turn, in processor time: other processes of the machine slow them down alike."""
    lines, make = tmp_path / "lines", {"vlmrun": records.vlmrun_rows, "cradl": records.cradl_rows}[service]
    lines.write_bytes(b"".join(make(range(n, n + 1)) + b"\n" for n in range(3_000)))
    took: dict[str, list[float]] = {"records": [], "values": []}
    for _ in range(4):
        for shape, seconds in took.items():
            form = make_format("parquet", "zstd", BY_NAME[service], shape)
            start = time.process_time()
            form.convert(lines, tmp_path / shape)
            seconds.append(time.process_time() - start)

    assert min(took["values"]) <= 5 * min(took["records"])


def test_a_service_that_does_not_say_where_its_values_are_has_none() -> None:
    class Acme(VlmRun):
        title = "Acme"
        extracted = None

    with pytest.raises(ConfigurationError, match="shape: it is not known where Acme puts the values"):
        make_format("parquet", None, Acme("https://acme.test", BearerAuth("key")), "values")


# --- landings ----------------------------------------------------------------------------------------


@pytest.fixture
def land(connections: Sandbox, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Land values from the sandbox, each time in a run of its own."""
    runs = itertools.count()

    def land(service: str, path: str = "landed", **arguments: Any) -> dict[str, Any]:
        given = {"file_format": "parquet", "shape": "values", "on_empty": "ignore"} | arguments
        if service == "cradl":
            given["fetch_values"] = True
        operator = LAND[service](task_id="land", path=f"file://{tmp_path}/{path}", **given)
        return dict(operator.execute(context_of(f"run {next(runs)}")))

    return land


def rows_of(manifest: dict[str, Any]) -> Rows:
    found: Rows = pa.concat_tables(pq.read_table(part["url"]) for part in manifest["parts"]).to_pylist()
    return found


@pytest.mark.parametrize("service_name", ["vlmrun", "cradl"])
def test_the_manifest_counts_predictions_and_rows(
    land: Callable[..., dict[str, Any]], record_store: RecordStore, service_name: str
) -> None:
    record_store.fill(60)

    manifest = land(service_name, records_per_part=25)

    rows, parts = rows_of(manifest), manifest["parts"]
    assert (manifest["shape"], manifest["format"]) == ("values", "parquet")
    assert (manifest["count"], [part["count"] for part in parts]) == (60, [25, 25, 10])
    assert manifest["rows"] == sum(part["rows"] for part in parts) == len(rows)
    done = [row.id for row in record_store.rows if row.outcome in DONE.values()]
    assert list(dict.fromkeys(row["prediction_id"] for row in rows)) == done
    assert len({(row["prediction_id"], row["path"]) for row in rows}) == len(rows) > 7 * len(done)


def test_a_landing_of_records_says_nothing_about_rows(
    land: Callable[..., dict[str, Any]], connections: Sandbox
) -> None:
    connections.vlmrun.fill(3)

    manifest = land("vlmrun", shape="records")

    assert {"shape", "rows"}.isdisjoint(manifest)
    assert "rows" not in manifest["parts"][0]


def test_predictions_without_values_land_in_a_part_without_rows(
    land: Callable[..., dict[str, Any]], connections: Sandbox
) -> None:
    for row in (connections.vlmrun.add() for _ in range(3)):
        row.outcome = "failed"

    manifest = land("vlmrun")

    assert (manifest["count"], manifest["rows"], len(manifest["parts"])) == (3, 0, 1)
    assert rows_of(manifest) == []


def test_paths_keep_everything_else_out_of_the_parts(
    land: Callable[..., dict[str, Any]],
    connections: Sandbox,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    connections.vlmrun.fill(30)

    manifest = land("vlmrun", paths=["total", "items.am*", "totl"])

    assert {row["label"] for row in rows_of(manifest)} == {"total", "items.amount"}
    content = b"".join(Path(part["url"]).read_bytes() for part in manifest["parts"])
    assert b"supplier" not in content
    logged = capsys.readouterr().out + caplog.text
    assert "paths: no value has the label totl" in logged


def test_an_incremental_path_holds_one_shape(
    land: Callable[..., dict[str, Any]], connections: Sandbox, subtests: Any
) -> None:
    connections.vlmrun.fill(5)
    first = land("vlmrun", incremental=True)
    connections.vlmrun.add()

    with pytest.raises(AirflowFailException, match=r"path: .* holds predictions of vlmrun shape=values"):
        land("vlmrun", incremental=True, shape="records")
    second = land("vlmrun", incremental=True, paths=["total"])

    assert (first["count"], second["count"]) == (5, 1)


@pytest.mark.parametrize("days", [-10, 0, 10])
def test_a_report_refuses_values_by_name(
    land: Callable[..., dict[str, Any]], connections: Sandbox, tmp_path: Path, days: int
) -> None:
    """Also if they are all older or newer than its period, so that it would read none."""
    pytest.importorskip("duckdb")
    from airflow_provider_predictions.operators.report import PredictionsReportOperator

    connections.vlmrun.fill(5, days=1)
    manifest = land("vlmrun")

    report = PredictionsReportOperator(
        task_id="report",
        path=f"file://{tmp_path}/report",
        source=manifest,
        period=(datetime.now(UTC) + timedelta(days - 2), datetime.now(UTC) + timedelta(days)),
    )
    with pytest.raises(AirflowFailException, match=r"source: .*landed holds rows of the shape 'values'"):
        report.execute(context_of("report"))
