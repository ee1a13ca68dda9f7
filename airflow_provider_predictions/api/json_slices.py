"""Split JSON without altering a byte of it: pages into records, records into fields.

Every function raises ValueError for text that is not the expected JSON.

msgspec is fast, but rejects a page for one ``NaN``, one escaped half of a surrogate pair or a byte order
mark. The standard library splits such a page, element by element, into the same slices. What is nested more
deeply than both read is split by its brackets.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, TypeVar

import msgspec

from airflow_provider_predictions.api.spelled_json import as_json

_Shape = TypeVar("_Shape", bound=msgspec.Struct)

# Splitting needs no numbers, and Python rejects very long ones.
_STANDARD = json.JSONDecoder(parse_int=bool, parse_float=bool)
_REFUSED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_SPACE = re.compile(r"[ \t\n\r]*")
# Possessive, because backtracking took 137 bytes of memory for each byte of a string.
_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[^" \t\n\r]++')
_BRACKET = re.compile(r'"(?:[^"\\]++|\\.)*+"|[][}{]', re.DOTALL)
"""A bracket, or a string, which may hold some."""
_CLOSING = {"[": "]", "{": "}"}
AROUND = codecs.BOM_UTF8 + b" \t\n\r"
_decoder = cache(msgspec.json.Decoder)
_KINDS = {"[": "array", '"': "string", "n": "null", "t": "boolean", "f": "boolean"}


def elements(text: bytes | msgspec.Raw) -> list[bytes]:
    """Split an array into its elements, byte for byte."""
    try:
        return list(map(bytes, _decoder(list[msgspec.Raw]).decode(text)))
    except _REFUSED:
        return [element for _, element in _slices(bytes(text), "[", "]")]


def members(text: bytes) -> dict[str, bytes]:
    """Split an object into its members, byte for byte."""
    return {name: bytes(value) for name, value in views(text).items()}


def views(text: bytes) -> Mapping[str, bytes | msgspec.Raw]:
    """Split an object into its members, without a copy of them where that is possible."""
    try:
        found: dict[str, msgspec.Raw] = _decoder(dict[str, msgspec.Raw]).decode(text)
        return found
    except _REFUSED:
        return dict(_slices(text, "{", "}"))


def whole(text: bytes, *, strict: bool = False) -> bytes:
    """A JSON value, byte for byte, without the white space around it.

    :param strict: reject invalid UTF-8, NaN and Infinity, as other programs do (RFC 8259, sections 6 to 8).
    """
    if strict:
        text.decode()
    try:
        return bytes(msgspec.json.decode(text, type=msgspec.Raw))
    except _REFUSED:
        _loaded(text, _refuse) if strict else value(text)
        return text.removeprefix(codecs.BOM_UTF8).strip()


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


def joined(fields: dict[str, bytes]) -> bytes:
    """Join members into an object. Their bytes do not change."""
    return b"{" + b",".join(json.dumps(name).encode() + b":" + value for name, value in fields.items()) + b"}"


def value(text: bytes) -> Any:
    """Decode a JSON value, whatever numbers and strings it holds.

    :raises RecursionError: if it is nested more deeply than Python reads.
    """
    try:
        return _loaded(text)
    except RecursionError:
        # A new thread has a short stack, so Python reads deeper.
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(_loaded, text).result()


def value_or_text(text: bytes) -> Any:
    """Decode a JSON value. One that is nested more deeply than Python reads stays text."""
    try:
        return value(text)
    except RecursionError:
        return text.decode("utf-8", "surrogateescape")


def _loaded(text: bytes, constant: Callable[[str], Any] | None = None) -> Any:
    characters = text.decode("utf-8-sig", "surrogateescape")
    return json.loads(characters, parse_int=_integer, parse_constant=constant)


def _integer(text: str) -> int | str:
    try:
        return int(text)
    except ValueError:
        return text  # longer than Python converts


def fields(text: bytes, shape: type[_Shape]) -> _Shape | None:
    """Some fields of a record; None if it is not an object."""
    try:
        fast: _Shape = _decoder(shape).decode(text)
        return fast
    except _REFUSED:
        if not text.lstrip(AROUND).startswith(b"{"):
            value_or_text(text)
            return None
    found = members(text)
    given: dict[str, Any] = {}
    for field, name in zip(shape.__struct_fields__, shape.__struct_encode_fields__, strict=True):
        if name in found:
            is_text = "str" in shape.__annotations__[field]
            given[field] = _text(found[name]) if is_text else msgspec.Raw(found[name])
    return shape(**given)


def _text(text: bytes) -> str | None:
    """A string; the JSON of any other value."""
    found = value_or_text(text)
    is_other = not (found is None or isinstance(found, str))
    return text.decode("utf-8", "surrogateescape") if is_other else found


def as_text(value: object) -> str | None:
    """Text; the JSON of any other value."""
    if value is None or isinstance(value, str):
        return value
    try:
        return json.dumps(value)
    except RecursionError:  # deeper on this stack than on the one where it was read
        return as_json(value)


def kind(text: bytes) -> str:
    """JSON's name for a value that is not an object."""
    return _KINDS.get(text[:1].decode("ascii", "replace"), "number")


def one_line(text: bytes) -> bytes:
    """A record on one line, without white space between tokens if it spans lines. No value changes."""
    if b"\n" not in text and b"\r" not in text:
        return text
    found = bytearray()
    for token in _TOKEN.finditer(text):
        found += token[0]
    return bytes(found)


def _slices(body: bytes, opening: str, closing: str) -> Iterator[tuple[str, bytes]]:
    """Name and slice of each member of an object. The elements of an array have empty names."""
    # Latin-1 takes one byte a character. Other text can take four.
    text = body.removeprefix(codecs.BOM_UTF8).decode("latin-1")
    at = _after(text, _skip(text, 0), opening)
    is_empty = text[at : at + 1] == closing
    while not is_empty:
        name = ""
        if opening == "{":
            name, end = _STANDARD.raw_decode(text, at)
            if not isinstance(name, str):
                raise ValueError(f"a name is not a string at character {at}")
            name = value(text[at:end].encode("latin-1"))
            at = _after(text, _skip(text, end), ":")
        end = _end(text, at)
        yield name, text[at:end].encode("latin-1")
        at = _skip(text, end)
        if text[at : at + 1] == closing:
            break
        at = _after(text, at, ",")
    if at + 1 != len(text.rstrip(" \t\n\r")):
        raise ValueError(f"there is more behind the {closing}")


def _end(text: str, at: int) -> int:
    """Where a value ends. Of one that is nested too deeply to be read, only the brackets are checked."""
    try:
        return _STANDARD.raw_decode(text, at)[1]
    except RecursionError:
        open_brackets: list[str] = []
    for token in _BRACKET.finditer(text, at):
        sign = token[0]
        if sign in _CLOSING:
            open_brackets.append(_CLOSING[sign])
        elif sign in _CLOSING.values():
            if open_brackets.pop() != sign:
                break
            if not open_brackets:
                return token.end()
    raise ValueError(f"brackets do not match after character {at}")


def _skip(text: str, at: int) -> int:
    space = _SPACE.match(text, at)
    return space.end() if space else at


def _after(text: str, at: int, sign: str) -> int:
    if text[at : at + 1] != sign:
        raise ValueError(f"{sign} is missing at character {at}")
    return _skip(text, at + 1)
