"""Fit records into XCom, which holds less than JSON allows.

PostgreSQL's JSONB accepts no NUL. Airflow's own messages accept no half of a surrogate pair, no NaN or
Infinity, and no integer of more than 64 bits. Their encoder recurses once per level.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import Any

from airflow_provider_predictions.api.json_slices import members, value
from airflow_provider_predictions.api.limits import MAX_XCOM_DEPTH
from airflow_provider_predictions.api.wording import UNSTORABLE

REPLACED = "characters replaced by U+FFFD"
NULLED = "numbers that are not finite replaced by null"
SPELLED = "integers of more than 64 bits made text"
WRITTEN = "values nested too deeply made text"
_INTEGERS = range(-(2**63), 2**64)


def stored(record: bytes, changed: Counter[str]) -> dict[str, Any]:
    """A record that every XCom backend accepts. A member that cannot be read as a whole becomes its text.

    :param changed: counts the changes, by kind.
    """
    return {storable(name, changed): _member(text, changed) for name, text in members(record).items()}


def _member(text: bytes, changed: Counter[str]) -> Any:
    found: Counter[str] = Counter()
    try:
        member = storable(value(text), found, MAX_XCOM_DEPTH - 1)
    except RecursionError:
        found[WRITTEN] = 1
        member = storable(text.decode("utf-8", "surrogateescape"), found)
    changed += found
    return member


def storable(value: Any, changed: Counter[str], levels: int = MAX_XCOM_DEPTH) -> Any:
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
        return {
            storable(name, changed): storable(member, changed, levels - 1) for name, member in value.items()
        }
    elif isinstance(value, list):
        return [storable(element, changed, levels - 1) for element in value]
    elif isinstance(value, float) and not math.isfinite(value):
        changed[NULLED] += 1
        return None
    elif isinstance(value, int) and value not in _INTEGERS:
        changed[SPELLED] += 1
        return str(value)
    return value
