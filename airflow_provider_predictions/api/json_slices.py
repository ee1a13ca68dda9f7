"""Split JSON without altering a byte of it: pages into records, records into fields.

Every function raises ValueError where a text is not the JSON that it should be.

msgspec does it fast, but refuses a whole page for one ``NaN``, one escaped half of a surrogate pair or a byte
order mark. Such a page is split by the standard library, element by element, into the same slices.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any, TypeVar

import msgspec

_Shape = TypeVar("_Shape", bound=msgspec.Struct)

# To split, no number needs to be understood, and a very long one cannot be.
_STANDARD = json.JSONDecoder(parse_int=bool, parse_float=bool)
_REFUSED = (msgspec.DecodeError, UnicodeDecodeError)
_SPACE = re.compile(r"[ \t\n\r]*")
# Possessive: to remember where it could turn back took 137 bytes for each byte of a string.
_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[^" \t\n\r]++')
AROUND = codecs.BOM_UTF8 + b" \t\n\r"
_decoder = cache(msgspec.json.Decoder)
_KINDS = {"[": "array", '"': "string", "n": "null", "t": "boolean", "f": "boolean"}


def elements(text: bytes) -> list[bytes]:
    """The elements of an array, as they stand there."""
    try:
        return list(map(bytes, _decoder(list[msgspec.Raw]).decode(text)))
    except _REFUSED:
        return [element for _, element in _paginator(text, "[", "]")]


def members(text: bytes) -> dict[str, bytes]:
    """The members of an object, as they stand there."""
    try:
        return {name: bytes(value) for name, value in _decoder(dict[str, msgspec.Raw]).decode(text).items()}
    except _REFUSED:
        return dict(_paginator(text, "{", "}"))


def whole(text: bytes) -> bytes:
    """A JSON value as it stands there, without what surrounds it."""
    try:
        return bytes(msgspec.json.decode(text, type=msgspec.Raw))
    except _REFUSED:
        value(text)
        return text.removeprefix(codecs.BOM_UTF8).strip()


def standard(text: bytes) -> bytes:
    """A JSON value as it stands there, where every other program reads it, too (RFC 8259, sections 6 to 8).

    Invalid UTF-8, NaN and Infinity are refused.
    """
    characters = text.decode("utf-8-sig")
    try:
        return bytes(msgspec.json.decode(text, type=msgspec.Raw))
    except _REFUSED:
        json.loads(characters, parse_int=bool, parse_float=bool, parse_constant=_refuse)
        return text.removeprefix(codecs.BOM_UTF8).strip()


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")


def joined(fields: dict[str, bytes]) -> bytes:
    """The object that has these members."""
    return b"{" + b",".join(json.dumps(name).encode() + b":" + value for name, value in fields.items()) + b"}"


def value(text: bytes) -> Any:
    """A JSON value as Python knows it, whatever numbers and strings it holds."""
    return json.loads(text.decode("utf-8-sig", "surrogateescape"), parse_int=_integer)


def _integer(text: str) -> int | str:
    try:
        return int(text)
    except ValueError:
        # Longer than Python reads.
        return text


def records(page: bytes, shape: type[_Shape]) -> Iterator[tuple[_Shape | None, bytes]]:
    """Some fields of each element of an array, None where that is no object, and the element on one line.

    :param shape: a Struct whose fields are text or ``Raw``; text takes a value of another type, too.
    """
    slices = elements(page)
    try:
        found: list[_Shape | None] = _decoder(list[shape]).decode(page)  # type: ignore[valid-type]
    except _REFUSED:
        found = [fields(text, shape) for text in slices]
    # Looked at together, since hardly any spans lines.
    return zip(found, map(one_line, slices) if _spans_lines(page) else slices, strict=True)


def fields(text: bytes, shape: type[_Shape]) -> _Shape | None:
    """Some fields of a record; None where it is no object."""
    try:
        fast: _Shape = _decoder(shape).decode(text)
        return fast
    except _REFUSED:
        if not text.lstrip(AROUND).startswith(b"{"):
            value(text)
            return None
    found = members(text)
    given: dict[str, Any] = {}
    for field, name in zip(shape.__struct_fields__, shape.__struct_encode_fields__, strict=True):
        if name in found:
            is_text = "str" in shape.__annotations__[field]
            given[field] = _text(found[name]) if is_text else msgspec.Raw(found[name])
    return shape(**given)


def _text(text: bytes) -> str | None:
    """A string, or the text of another value as it stands there."""
    found = value(text)
    is_other = not (found is None or isinstance(found, str))
    return text.decode("utf-8", "surrogateescape") if is_other else found


def as_text(value: object) -> str | None:
    """A value that should be text, whatever JSON type it came in."""
    return value if value is None or isinstance(value, str) else json.dumps(value)


def kind(text: bytes) -> str:
    """What JSON calls a value that is no object."""
    return _KINDS.get(text[:1].decode("ascii", "replace"), "number")


def one_line(text: bytes) -> bytes:
    """A record without the white space between its tokens, where that spans lines; no value changes."""
    if not _spans_lines(text):
        return text
    found = bytearray()
    for token in _TOKEN.finditer(text):
        found += token[0]
    return bytes(found)


def _spans_lines(text: bytes) -> bool:
    return b"\n" in text or b"\r" in text


def _paginator(body: bytes, opening: str, closing: str) -> Iterator[tuple[str, bytes]]:
    """Name and slice of each member of an object; of an array's elements the name is empty."""
    # A character for each byte, whatever it is: a character of another plane would make each take four.
    text = body.removeprefix(codecs.BOM_UTF8).decode("latin-1")
    at = _after(text, _skip(text, 0), opening)
    is_empty = text[at : at + 1] == closing
    while not is_empty:
        name = ""
        if opening == "{":
            name, end = _STANDARD.raw_decode(text, at)
            if not isinstance(name, str):
                raise ValueError(f"a name is no string at character {at}")
            name = value(text[at:end].encode("latin-1"))
            at = _after(text, _skip(text, end), ":")
        end = _STANDARD.raw_decode(text, at)[1]
        yield name, text[at:end].encode("latin-1")
        at = _skip(text, end)
        if text[at : at + 1] == closing:
            break
        at = _after(text, at, ",")
    if at + 1 != len(text.rstrip(" \t\n\r")):
        raise ValueError(f"there is more behind the {closing}")


def _skip(text: str, at: int) -> int:
    space = _SPACE.match(text, at)
    return space.end() if space else at


def _after(text: str, at: int, sign: str) -> int:
    if text[at : at + 1] != sign:
        raise ValueError(f"{sign} is missing at character {at}")
    return _skip(text, at + 1)
