"""Decode JSON and write it again, with numbers as they were spelled: ``1.10`` stays ``1.10``."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

import msgspec

_MINUS_ZERO = re.compile(rb"-0(?![0-9.eE])")
_EXACT = 2**53
"""Up to here, a double holds every integer."""


class Digits(str):
    """A number, spelled as the service spelled it."""

    __slots__ = ()


_decode = msgspec.json.Decoder(float_hook=Digits).decode


def spelled(text: bytes) -> Any:
    """Decode a JSON value. Numbers keep their spelling; of two equal names in an object, the last counts.

    :raises RecursionError: if it is nested more deeply than Python reads.
    """
    if not _MINUS_ZERO.search(text):  # an integer, which would lose its sign
        try:
            return _decode(text)
        except (ValueError, msgspec.DecodeError):  # such as NaN, a lone surrogate, 5,000 digits
            pass
    characters = text.decode("utf-8-sig", "surrogateescape")
    return json.loads(characters, parse_int=Digits, parse_float=Digits, parse_constant=Digits)


def as_number(value: Any) -> float | None:
    """A JSON number as a double. None if it is none, or if a double cannot hold it.

    A fraction may be rounded. A number beyond the integers that a double holds must not be another one.
    """
    if type(value) is int:
        return float(value) if -_EXACT <= value <= _EXACT else None
    if type(value) is Digits:
        number = float(value)
        if abs(number) < _EXACT:
            return number
        is_same = math.isfinite(number) and Decimal(repr(number)) == Decimal(value)
        is_large = abs(number) > _EXACT and value.lstrip("-").isdigit()
        return number if is_same and not is_large else None
    return None


def as_json(value: Any) -> str:
    """JSON text, without recursion, and with numbers as they were spelled."""
    written: list[str] = []
    left: list[Iterator[Any]] = [iter([value])]
    ends = [""]
    while left:
        for each in left[-1]:
            if type(each) is _Text:
                written.append(each.text)
            elif type(each) is dict:
                written.append("{")
                left.append(_parts([(json.dumps(name) + ":", member) for name, member in each.items()]))
                ends.append("}")
                break
            elif type(each) is list:
                written.append("[")
                left.append(_parts([("", element) for element in each]))
                ends.append("]")
                break
            else:
                written.append(each if type(each) is Digits else json.dumps(each))
        else:
            left.pop()
            written.append(ends.pop())
    return "".join(written)


class _Text(msgspec.Struct):
    text: str


def _parts(members: Sequence[tuple[str, Any]]) -> Iterator[Any]:
    for number, (name, value) in enumerate(members):
        yield _Text(f",{name}" if number else name)
        yield value
