"""Texts of others, without our secrets."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterator
from functools import partial
from urllib.parse import quote, quote_plus

from airflow_provider_predictions.api.limits import MIN_SECRET_LENGTH, MIN_VALUE_LENGTH

# Words are found without looking for anything in them: that would begin anew at each of their letters.
_WORD = re.compile(r"[\w+/=-]+")


def without(text: str, *secrets: str) -> str:
    """A text with ``***`` for each secret, also where that is quoted as in a URL, in JSON, HTML or base64."""
    for secret in filter(None, secrets):
        for form in sorted(set(_forms(secret)), key=len, reverse=True):
            text = text.replace(form, "***")
        for core in _in_base64(secret):
            if core in text:
                text = _WORD.sub(partial(_hidden, core), text)
    return text


def without_values(text: str, *values: str) -> str:
    """A text without the values of a query, which may be signatures or page tokens."""
    return without(text, *(value for value in values if len(value) >= MIN_VALUE_LENGTH))


def _hidden(core: str, word: re.Match[str]) -> str:
    return "***" if core in word[0] else word[0]


def _forms(secret: str) -> Iterator[str]:
    yield secret
    yield quote(secret)
    yield quote(secret, safe="")
    yield quote_plus(secret)
    in_json = json.dumps(secret)[1:-1]
    yield in_json
    yield json.dumps(in_json)[1:-1]
    yield repr(secret)[1:-1]
    yield html.escape(secret)


def _in_base64(secret: str) -> Iterator[str]:
    """What base64 makes of a secret, but for the letters that depend on what stands around it."""
    for offset in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            core = encode(b"\0" * offset + secret.encode()).decode().rstrip("=")[(0, 2, 3)[offset] : -1]
            if len(core) >= MIN_SECRET_LENGTH:
                yield core
