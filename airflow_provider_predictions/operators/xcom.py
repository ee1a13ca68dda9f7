"""Fit records into XCom, which holds less than JSON allows.

PostgreSQL's JSONB accepts no NUL. Airflow's own messages accept no half of a surrogate pair, no NaN or
Infinity, and no integer of more than 64 bits. Their encoder recurses once per level. Airflow's serialization
refuses some names of members, and reads others as objects of Python.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from airflow_provider_predictions.api.json_slices import members, value
from airflow_provider_predictions.api.limits import MAX_XCOM_DEPTH
from airflow_provider_predictions.api.wording import UNSTORABLE

REPLACED = "characters replaced by U+FFFD"
NULLED = "numbers that are not finite replaced by null"
SPELLED = "integers of more than 64 bits made text"
WRITTEN = "values nested too deeply made text"
_INTEGERS = range(-(2**63), 2**64)
_RESERVED = frozenset({"__classname__", "__id__", "__type", "__var"})
"""Airflow refuses a dict with one of the first two, and makes an object of one with the last two."""
T = TypeVar("T")


def stored(record: bytes, changed: Counter[str]) -> dict[str, Any]:
    """A record that every XCom backend accepts. A member that cannot be read as a whole becomes its text.

    :param changed: counts the changes, by kind.
    """
    return _renamed(members(record), changed, lambda text: _member(text, changed))


def _renamed(given: Mapping[str, T], changed: Counter[str], read: Callable[[T], Any]) -> dict[str, Any]:
    """The members under names that XCom can hold. No two get the same name."""
    found: dict[str, Any] = {}
    for name, member in given.items():
        fit = xcom_value(name, changed)
        if name in _RESERVED:
            fit = f"\ufffd{name[1:]}"
            changed[REPLACED] += 1
        while fit != name and (fit in found or fit in given):
            fit += str(len(found))
        found[fit] = read(member)
    return found


def _member(text: bytes, changed: Counter[str]) -> Any:
    found: Counter[str] = Counter()
    try:
        member = xcom_value(value(text), found, MAX_XCOM_DEPTH - 1)
    except RecursionError:
        found[WRITTEN] = 1
        member = xcom_value(text.decode("utf-8", "surrogateescape"), found)
    changed += found
    return member


def xcom_value(value: Any, changed: Counter[str], levels: int = MAX_XCOM_DEPTH) -> Any:
    """A JSON value that every XCom backend accepts.

    :param changed: counts the changes, by kind.
    :param levels: how many levels of nesting are left.
    """
    if isinstance(value, str):
        value, count = UNSTORABLE.subn("\ufffd", value)
        changed[REPLACED] += count
    elif isinstance(value, dict | list) and not levels:
        changed[WRITTEN] += 1
        return json.dumps(value)
    elif isinstance(value, dict):
        return _renamed(value, changed, lambda member: xcom_value(member, changed, levels - 1))
    elif isinstance(value, list):
        return [xcom_value(element, changed, levels - 1) for element in value]
    elif isinstance(value, float) and not math.isfinite(value):
        changed[NULLED] += 1
        return None
    elif isinstance(value, int) and value not in _INTEGERS:
        changed[SPELLED] += 1
        return str(value)
    return value
