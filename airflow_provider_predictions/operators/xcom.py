"""What XCom can hold, which is less than JSON allows.

PostgreSQL's JSONB takes no NUL. Airflow's own messages on the way there take no half of a surrogate pair,
no NaN or Infinity, and no integer of more than 64 bits; and whatever writes them recurses once a level.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from typing import Any

from airflow_provider_predictions.api.json_slices import members, value

REPLACED = "characters replaced by U+FFFD"
NULLED = "numbers that are not finite replaced by null"
SPELLED = "integers of more than 64 bits made text"
WRITTEN = "values nested too deeply made text"
MAX_DEPTH = 100
_INTEGERS = range(-(2**63), 2**64)
_NO_TEXT = re.compile("[\x00\ud800-\udfff]")


def stored(record: bytes, changed: Counter[str]) -> dict[str, Any]:
    """A record as every XCom backend takes it; a member that cannot be read as a whole is its text.

    :param changed: counts what is not as it was, by what became of it.
    """
    return {storable(name, changed): _member(text, changed) for name, text in members(record).items()}


def _member(text: bytes, changed: Counter[str]) -> Any:
    found: Counter[str] = Counter()
    try:
        member = storable(value(text), found, MAX_DEPTH - 1)
    except RecursionError:
        found[WRITTEN] = 1
        member = storable(text.decode("utf-8", "surrogateescape"), found)
    changed += found
    return member


def storable(value: Any, changed: Counter[str], levels: int = MAX_DEPTH) -> Any:
    """A JSON value as every XCom backend takes it.

    :param changed: counts what is not as it was, by what became of it.
    :param levels: of nesting that are left.
    """
    if isinstance(value, str):
        value, count = _NO_TEXT.subn("\ufffd", value)
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
