"""What a page holds comes out byte for byte, whichever of the two ways splits it."""

from __future__ import annotations

import codecs
import json
import re
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_predictions.api.json_slices import (
    elements,
    fields,
    kind,
    members,
    one_line,
    value,
    whole,
)
from airflow_provider_predictions.api.models import Prediction
from airflow_provider_predictions.api.service import Service
from tests.api.services import CRADL, SERVICES, VLMRUN

SLICES = [
    b"1.10",
    str(2**70).encode(),
    b"1e400",
    b"-0",
    b'"a\\/\\u00e9\\n\\""',
    '"é株式会社 😀"'.encode(),
    b'"\\ud83d\\ude00"',
    b'{ "b" : [ 1 ,\n\t2.50 ] }',
    b'{"a":1,"a":2}',
    b"[ ]",
    b"null",
    b"true",
]
REFUSED_BY_THE_FAST_WAY = {
    "NaN": b"NaN",
    "Infinity": b"Infinity",
    "-Infinity": b"-Infinity",
    "half a surrogate pair": b'{"a":"\\ud800"}',
    "bytes that are no UTF-8": b'"\xff\xc3"',
}
"""Of msgspec; as an element of a page."""

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)
spaces = st.text(" \t\r\n", max_size=3).map(str.encode)


@st.composite
def dumps(draw: st.DrawFn) -> bytes:
    """A JSON value as some server may write it."""
    style = draw(st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", "\t:\r\n")]))
    indent, is_ascii = draw(st.sampled_from([None, 2])), draw(st.booleans())
    return json.dumps(draw(json_values), separators=style, indent=indent, ensure_ascii=is_ascii).encode()


def array(*texts: bytes) -> bytes:
    return b"[" + b",".join(texts) + b"]"


class _Named(msgspec.Struct):
    name: str | None = None
    rest: msgspec.Raw | None = None


# --- pages into slices -------------------------------------------------------------------------------


@pytest.mark.parametrize("text", SLICES)
@pytest.mark.parametrize("other", [b"1", b"NaN"], ids=["fast", "slow"])
def test_an_element_keeps_its_bytes(text: bytes, other: bytes) -> None:
    assert elements(b" [ " + text + b"\n,\t" + other + b" ] \r\n") == [text, other]


@pytest.mark.parametrize("text", SLICES)
@pytest.mark.parametrize("other", [b"1", b"NaN"], ids=["fast", "slow"])
def test_a_member_keeps_its_bytes(text: bytes, other: bytes) -> None:
    page = b'\n{ "a\\u00e9" :' + text + b' , "b":\t' + other + b"} "

    assert members(page) == {"aé": text, "b": other}


@pytest.mark.parametrize("other", [b"1", b"NaN"], ids=["fast", "slow"])
def test_of_members_of_one_name_the_last_counts(other: bytes) -> None:
    assert members(b'{"a":1.0,"b":' + other + b',"a":2.0}') == {"a": b"2.0", "b": other}


@pytest.mark.parametrize("refused", REFUSED_BY_THE_FAST_WAY.values(), ids=REFUSED_BY_THE_FAST_WAY)
def test_one_odd_element_changes_nothing_of_the_others(refused: bytes) -> None:
    assert elements(array(*SLICES, refused)) == [*SLICES, refused]
    assert elements(array(refused, *SLICES)) == [refused, *SLICES]


@pytest.mark.parametrize("refused", REFUSED_BY_THE_FAST_WAY.values(), ids=REFUSED_BY_THE_FAST_WAY)
def test_one_odd_member_changes_nothing_of_the_others(refused: bytes) -> None:
    page = b'{"a": 1.10, "odd": ' + refused + b', "b": {"c": 1e400}}'

    assert members(page) == {"a": b"1.10", "odd": refused, "b": b'{"c": 1e400}'}


def test_a_byte_order_mark_is_no_part_of_a_page() -> None:
    assert elements(codecs.BOM_UTF8 + array(*SLICES)) == SLICES
    assert members(codecs.BOM_UTF8 + b'{"a":1.10}') == {"a": b"1.10"}
    assert whole(codecs.BOM_UTF8 + b' {"a":1.10}\n') == b'{"a":1.10}'


def test_odd_elements_and_members_keep_their_bytes_beside_each_other() -> None:
    odd = list(REFUSED_BY_THE_FAST_WAY.values())

    assert elements(array(*odd)) == odd
    assert members(b'{"a":%s,"b":%s,"c":%s,"d":%s,"e":%s}' % tuple(odd)) == dict(
        zip("abcde", odd, strict=True)
    )


@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8], ids=["fast", "slow"])
def test_what_is_empty_is_no_error(mark: bytes) -> None:
    assert elements(mark + b"[] \n") == []
    assert elements(mark + b"[\t]") == []
    assert members(mark + b"{} \n") == {}


def test_a_name_with_bytes_that_are_no_utf8_does_not_fail_the_object() -> None:
    assert members(b'{"\xff": 1.10, "a": 2}') == {"\udcff": b"1.10", "a": b"2"}


@pytest.mark.parametrize("other", [b"1", b"NaN"], ids=["fast", "slow"])
def test_a_number_of_any_length_is_kept(other: bytes) -> None:
    number = b"9" * 5000

    assert elements(array(number, other)) == [number, other]


def test_both_ways_cut_the_same_slices(examples: settings) -> None:
    @given(st.lists(dumps(), max_size=5), spaces)
    @examples
    def prove(texts: list[bytes], space: bytes) -> None:
        comma = space + b"," + space

        def page(elements: list[bytes]) -> bytes:
            return space + b"[" + space + comma.join(elements) + space + b"]" + space

        assert elements(page(texts)) == texts
        assert elements(page([*texts, b"NaN"])) == [*texts, b"NaN"]

    prove()


def test_both_ways_cut_the_same_members(examples: settings) -> None:
    @given(st.dictionaries(st.text(), dumps(), max_size=5), spaces)
    @examples
    def prove(given: dict[str, bytes], space: bytes) -> None:
        comma, colon = space + b"," + space, space + b":" + space

        def page(members: dict[str, bytes]) -> bytes:
            pairs = [json.dumps(name).encode() + colon + text for name, text in members.items()]
            return space + b"{" + space + comma.join(pairs) + space + b"}" + space

        assert members(page(given)) == given
        assert members(page(given | {"\ud800": b"NaN"})) == given | {"\ud800": b"NaN"}

    prove()


@pytest.mark.parametrize("other", [b"1", b"NaN"], ids=["fast", "slow"])
@pytest.mark.parametrize(
    "text",
    [
        b"", b" ", b"[%s", b"[%s,", b"[%s,]", b"[,%s]", b"[%s] x", b"[%s]]", b"[%s][]", b"[%s 2]", b"{%s}",
        b'{"a":%s}', b"%s", b'"[%s]"', b"[%s, tru]", b"[%s, 01]", b"[%s, {1:2}]", b'[%s, "a]', b"[[%s]",
        b"(%s)", b"[%s}", b"[%s, 'a']", b"<html>%s</html>", b"[%s]\x0b",
    ],
)  # fmt: skip
def test_what_is_no_array_is_refused(text: bytes, other: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        elements(text.replace(b"%s", other))


@pytest.mark.parametrize("other", [b"1", b"NaN"], ids=["fast", "slow"])
@pytest.mark.parametrize(
    "text",
    [
        b"", b"{", b'{"a":%s', b'{"a":%s,}', b'{"a":%s} x', b'{"a":%s}}', b'{"a" %s}', b'{"a"}', b'{"a":}',
        b'{"a":%s "b":2}', b'[{"a":%s}]', b"%s", b"[%s]", b"{a:%s}", b"{%s}", b'{"a",%s}', b'{,"a":%s}',
    ],
)  # fmt: skip
def test_what_is_no_object_is_refused(text: bytes, other: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        members(text.replace(b"%s", other))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b'{"a": 1}', "[ is missing at character 0"),
        (b"[1 2]", ", is missing at character 3"),
        (b"[1] x", "there is more behind the ]"),
    ],
)
def test_what_is_no_array_is_refused_with_the_reason(text: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(why)}$"):
        elements(codecs.BOM_UTF8 + text)


def test_a_name_that_is_no_string_is_refused_with_its_place() -> None:
    with pytest.raises(ValueError, match=r"^a name is not a string at character 9$"):
        members(codecs.BOM_UTF8 + b'{"a": 1, 2: 3}')


@pytest.mark.parametrize("name", [b"1", b"NaN", b"null", b"[1]", b"{}"])
def test_a_name_that_is_no_string_is_refused(name: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        members(b'{"a": 1, ' + name + b": 2}")


@pytest.mark.parametrize("text", [b'{"a":1', b"", b"1 2", b"{} x", b"[1,]", b"<html>"])
def test_what_is_no_value_is_no_record_either(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        whole(text)


@pytest.mark.parametrize("text", [*SLICES, *REFUSED_BY_THE_FAST_WAY.values()])
def test_a_whole_value_loses_what_surrounds_it_only(text: bytes) -> None:
    assert whole(b"\r\n " + text + b"\t ") == text


# --- records into fields -----------------------------------------------------------------------------


@pytest.mark.parametrize("rest", [b"1.10", b"NaN", b'"\\ud800"', b'"\xff"'])
def test_fields_are_read_beside_whatever_else_a_record_holds(rest: bytes) -> None:
    row = fields(b'{"other": %s, "name": "n", "rest": %s}' % (rest, rest), _Named)

    assert row is not None
    assert (row.name, bytes(row.rest or b"")) == ("n", rest)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (b"7", "7"), (b"true", "true"), (b"null", None), (b'""', ""), (b"[1]", "[1]"),
        (b'"\\ud800"', "\ud800"), (b'"\xff"', "\udcff"), (b'{"a": 1}', '{"a": 1}'),
        (str(2**70).encode(), str(2**70)), (b'[NaN, "\xff"]', '[NaN, "\udcff"]'),
    ],
)  # fmt: skip
def test_a_field_that_should_be_text_takes_any_value(text: bytes, name: str | None) -> None:
    row = fields(b'{"name": ' + text + b"}", _Named)

    assert row is not None
    assert row.name == name


def test_the_last_of_two_equal_names_is_the_field() -> None:
    row = fields(b'{"name": "first", "name": "last"}', _Named)
    slow = fields(b'{"name": 1, "name": "last"}', _Named)

    assert row is not None
    assert slow is not None
    assert (row.name, slow.name) == ("last", "last")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (b"1.10", "number"), (b"-1", "number"), (b"NaN", "number"), (b"-Infinity", "number"),
        (b'"a"', "string"), (b"null", "null"), (b"true", "boolean"), (b"false", "boolean"), (b"[1]", "array"),
    ],
)  # fmt: skip
def test_what_is_no_object_has_no_fields_and_a_name(text: bytes, name: str) -> None:
    assert fields(text, _Named) is None
    assert kind(text) == name


# --- one line ----------------------------------------------------------------------------------------


def test_one_line_has_the_same_values_and_no_space_between_them(examples: settings) -> None:
    @given(json_values)
    @examples
    def prove(made: Any) -> None:
        text = json.dumps(made, indent=2).encode()

        line = one_line(text)

        assert b"\n" not in line
        assert json.loads(line) == json.loads(text)
        if b"\n" in text:
            assert line == json.dumps(made, separators=(",", ":")).encode()

    prove()


def test_white_space_inside_of_strings_and_spellings_of_numbers_stay() -> None:
    text = b'{\r\n "a b" :\t"c  \\" \\\\",\n"d": [1.10, 1e400 , "\xc3\xa9 \xff"]}'

    assert one_line(text) == b'{"a b":"c  \\" \\\\","d":[1.10,1e400,"\xc3\xa9 \xff"]}'


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_a_record_is_on_one_line_whatever_ends_its_lines(end: bytes) -> None:
    assert one_line(b'{"a":' + end + b"1}") == b'{"a":1}'


def test_a_record_of_one_line_is_left_alone() -> None:
    text = b'{ "a" :  1.10 }'

    assert one_line(text) is text


# --- through the services ----------------------------------------------------------------------------


def split(service: Service[Any], *rows: bytes) -> list[Prediction]:
    body = array(*rows)
    return VLMRUN.split(body) if service is VLMRUN else CRADL.page(b'{"predictions": ' + body + b"}")[0]


def a_record(service: Service[Any], **given: str) -> bytes:
    """A record whose members are given as JSON text, by the names of the envelope."""
    names = {column.envelope: column.name for column in service.columns if column.envelope}
    return b"{%s}" % b", ".join(b'"%s": %s' % (names[n].encode(), t.encode()) for n, t in given.items())


@SERVICES
def test_a_record_of_nothing_is_a_record_and_known_by_its_bytes(service: Service[Any]) -> None:
    empty, spaced, other = split(service, b"{}", b"{\n}", b'{"x": 1}')

    assert (empty.fault, empty.status, empty.created_at, empty.group) == (None, "pending", None, None)
    assert empty.id.startswith("sha256:")
    assert empty.id == spaced.id
    assert empty.id != other.id


@SERVICES
@pytest.mark.parametrize("status", ["null", '""'])
def test_a_record_whose_status_says_nothing_is_pending(service: Service[Any], status: str) -> None:
    (row,) = split(service, a_record(service, id='"a"', status=status))

    assert (row.fault, row.status) == (None, "pending")


@SERVICES
@pytest.mark.parametrize(
    ("text", "id_"), [("7", "7"), ("1.5", "1.5"), (str(2**70), str(2**70)), ("true", "true"), ('"é"', "é")]
)
def test_an_id_of_any_type_is_text_here(service: Service[Any], text: str, id_: str) -> None:
    raw = a_record(service, id=text, status='"failed"')

    (row,) = split(service, raw)

    assert (row.fault, row.id, row.status, row.raw) == (None, id_, "failed", raw)


@SERVICES
@pytest.mark.parametrize("time", ["null", "5", '"yesterday"', '""', "{}"])
def test_a_creation_time_that_is_none_is_left_out(service: Service[Any], time: str) -> None:
    (row,) = split(service, a_record(service, id='"a"', created_at=time))

    assert (row.fault, row.id, row.created_at) == (None, "a", None)


@pytest.mark.parametrize(
    ("rest", "status"),
    [
        (b'"predictions": []', "succeeded"),
        (b'"predictions": [{"value": NaN}]', "succeeded"),
        (b'"inferenceTime": 0', "succeeded"),
        (b'"fileUrl": "https://files.example.com/a"', "succeeded"),
        (b'"predictions": null, "inferenceTime": null, "fileUrl": null', "pending"),
        (b'"fileUrl": ""', "pending"),
        (b'"status": null, "inferenceTime": 1.5', "succeeded"),
        (b'"status": "failed", "inferenceTime": 1.5', "failed"),
    ],
)
def test_a_record_of_cradl_without_a_status_is_finished_where_it_has_results(
    rest: bytes, status: str
) -> None:
    (row,) = split(CRADL, b'{"predictionId": "a", ' + rest + b"}")

    assert (row.fault, row.status) == (None, status)


@SERVICES
@pytest.mark.parametrize("junk", [b"7", b"-1.10", b'"text"', b"null", b"[1, 2]", b"[]", b"true", b"NaN"])
def test_a_row_that_is_no_object_is_rejected_and_the_page_is_not(service: Service[Any], junk: bytes) -> None:
    good = a_record(service, id='"a"', status='"failed"')

    first, rejected, last = split(service, good, junk, good)

    assert first == last
    assert (first.fault, first.id, first.raw) == (None, "a", good)
    assert rejected.raw == junk
    assert rejected.fault == f"{kind(junk)} instead of an object"
    assert (rejected.created_at, rejected.group) == (None, None)


@SERVICES
@pytest.mark.parametrize("name", ["id", "status", "created_at", "group"])
@pytest.mark.parametrize(
    "odd", [b'"\xff"', b'"\\ud800"', b"NaN"], ids=["no UTF-8", "half a surrogate pair", "NaN"]
)
def test_an_odd_value_in_the_envelope_does_not_fail_the_page(
    service: Service[Any], name: str, odd: bytes
) -> None:
    good = a_record(service, id='"a"', status='"failed"')
    raw = a_record(service, **{name: "?"}).replace(b"?", odd)

    rows = split(service, good, raw)

    assert [row.raw for row in rows] == [good, raw]
    assert rows[0].id == "a"


@SERVICES
def test_a_long_number_beside_an_odd_id_does_not_fail_the_page(service: Service[Any]) -> None:
    raw = a_record(service, id="7")[:-1] + b', "x": ' + b"9" * 5000 + b"}"

    (row,) = split(service, raw)

    assert (row.id, row.raw) == ("7", raw)


def test_a_value_may_hold_half_a_surrogate_pair() -> None:
    assert value(b'{"a": [1.5, "\\ud800", null]}') == {"a": [1.5, "\ud800", None]}
