"""Read arguments that come from people, templates or other tasks."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import chain
from numbers import Integral
from typing import Any, TypeGuard
from uuid import UUID

from airflow_provider_predictions.api.limits import MAX_QUOTED_LENGTH, MAX_REPR_LENGTH, MAX_TEXT_LENGTH

NOTHING = ("", "None", "null")
"""What a template renders for no value: empty text, None, and None with ``tojson``."""
BRACKETS = ("[", "(", "{")
QUOTES = ("'", '"')
_MARK = re.compile(r"\{[{%#]")
"""Each starts a template of Jinja."""
_URL_OR_WORD = re.compile(r"[^\s'\"]+")
_HEADER = re.compile(r"(?i)\b(bearer|basic)\s+[^\s'\",;}]+")
_PAIR = re.compile(
    r"""(?ix) (?<![\w-])
    (?= [\w-]*? (?: passw | passphrase | pwd | secret | token | credential | signature | authorization
        | (?:api|access|account|private|shared|master) [_-]? key ) )
    ( [\w-]+ \\?['"]? \s* [=:] \s* )
    (?: \\?"[^"]*" | \\?'[^']*' | (?!(?:bearer|basic)\b) [^\s'",;&}\])]+ )"""
)
"""The name of a secret with its value, in any notation."""
_KEY = re.compile(
    r"(?<![A-Za-z0-9]) (?: [0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
    r" | (?=[A-Za-z]*[0-9])(?=[0-9]*[A-Za-z])[A-Za-z0-9]{16,} ) (?![A-Za-z0-9])",
    re.VERBOSE,
)
"""A UUID, or many letters and digits without a break, which no name of a connection is."""
_OBJECT = re.compile(r"<[^<>]* at 0x[0-9a-fA-F]+>|^\s*(?:dict_\w+|deque|frozenset|set|range|array)\(")


def given(value: object) -> Any:
    """The value; None if it stands for no value. A lazy sequence of Airflow becomes a list."""
    if isinstance(value, str):
        text = value.strip()
        if text in NOTHING:
            return None
        is_quoted = text[0] in QUOTES and text[-1] == text[0] and len(text) <= MAX_TEXT_LENGTH
        found = parsed(text, text) if is_quoted else text
        return None if isinstance(found, str) and found.strip() in NOTHING else found
    if isinstance(value, Sequence) and not isinstance(value, list | tuple | bytes | bytearray):
        return list(value)
    return value


def is_template(value: object) -> bool:
    """Whether a text, or any text in a collection, is a template."""
    if isinstance(value, str):
        return bool(_MARK.search(value))
    return isinstance(value, list | tuple | set | frozenset) and any(map(is_template, value))


def parsed(text: str, otherwise: Any = None) -> Any:
    """Parse text that is JSON or a Python literal.

    :param otherwise: the result for any other text; None raises an error.
    :raises ValueError: if the text is neither, or is too long.
    """
    if len(text) > MAX_TEXT_LENGTH:
        raise ValueError(f"is text of more than {MAX_TEXT_LENGTH} characters; give the list itself")
    for read in (json.loads, ast.literal_eval):
        try:
            return read(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
    if otherwise is None:
        raise ValueError("looks like a list, but is neither JSON nor a Python literal")
    return otherwise


def words(value: Any) -> Any:
    """Read a list of texts from a list, one word, comma-separated text, or the text of a list.

    :raises ValueError: if an item is not text.
    """
    value = given(value)
    if isinstance(value, str):
        value = parsed(value) if value.startswith(BRACKETS) else _split(value)
    if isinstance(value, str):
        value = [value]
    if not is_list(value):
        return value  # None, or a type that pydantic rejects
    return [_word(item, number) for number, item in enumerate(value, 1)]


def is_list(value: object) -> TypeGuard[Collection[Any]]:
    """Whether a value is a collection: also a set, a dict view or an array, but not a mapping or text."""
    return isinstance(value, Collection) and not isinstance(value, Mapping | str | bytes | bytearray)


def is_object(value: object) -> bool:
    """Whether a value is, or contains, a Python object such as a generator, or the repr of one."""
    if is_list(value):
        return any(map(is_object, value))
    return isinstance(value, Iterator) or (
        isinstance(value, str) and bool(_OBJECT.search(value[:MAX_REPR_LENGTH]))
    )


def _split(text: str) -> Any:
    # Native rendering also reads '"a", "b"' as two texts.
    found = parsed(text, text) if text[0] in QUOTES else text
    return found if found is not text else [word.strip() for word in text.split(",") if word.strip()]


def _word(item: object, number: int) -> str:
    found = _listed(given(item))
    if isinstance(found, str):
        return found
    if _is_id(found):
        return str(found)
    kind = "nothing" if found is None else type(found).__name__
    raise ValueError(f"item {number} must be text; found {kind}")


def _listed(item: object) -> Any:
    """The item; the list that its text holds, as with native rendering."""
    return parsed(item, item) if isinstance(item, str) and item.startswith(BRACKETS) else item


def text(value: object) -> object:
    """Read one text. Whole numbers and UUIDs count as ids.

    :raises ValueError: for the text of a list.
    """
    value = given(value)
    if isinstance(value, str) and value.startswith(BRACKETS):
        raise ValueError("must be one string, not a list")
    return str(value) if _is_id(value) else value


def ids(value: object) -> Any:
    """Read a list of ids, as ``words`` does. Whole numbers and UUIDs are ids. Nested lists are flattened.

    :raises ValueError: for empty text, and for commas alone: templates between them rendered to nothing.
    """
    if isinstance(value, str) and (given(value) is None or not value.strip(", ")):
        raise ValueError("is empty; give ids, or leave it out")
    value = given(value)
    if isinstance(value, str) and value.startswith(BRACKETS):
        value = parsed(value)
    if is_list(value):
        parts = (_listed(part if isinstance(part, str) else given(part)) for part in value)
        value = [*chain.from_iterable(part if is_list(part) else [part] for part in parts)]
    return words(str(value) if _is_id(value) else value)


def number(value: object) -> object:
    """Read a number from a number or from text.

    :raises ValueError: for True and False.
    """
    if isinstance(value, bool):
        raise ValueError(f"must be a number; found {value}")
    return given(value)


def short(value: object) -> str:
    """Quote a value in a message, without what looks like a secret. URLs lose their query."""
    found = _URL_OR_WORD.sub(_without_user, repr(value)[:MAX_REPR_LENGTH])
    found = _PAIR.sub(r"\1***", _HEADER.sub(r"\1 ***", found))
    return found if len(found) <= MAX_QUOTED_LENGTH else f"{found[: MAX_QUOTED_LENGTH - 1]}…"


def short_conn_id(value: object) -> str:
    """Quote the id of a connection in a message. A key may have been given in its place."""
    return _KEY.sub("***", short(value))


def _without_user(word: re.Match[str]) -> str:
    """A URL without credentials. A password may hold slashes and at signs."""
    url, question_mark, _ = word[0].partition("?") if "://" in word[0] else (word[0], "", "")
    before, at, host = url.rpartition("@")
    scheme, slashes, user = before.partition("//") if "//" in before else ("", "", before)
    if at and (":" in user or scheme.endswith(("http:", "https:"))):
        url = f"{scheme}{slashes}***@{host}"
    return f"{url}?…" if question_mark else url


def _is_id(value: object) -> bool:
    """Whether a value is a whole number, also of numpy, or a UUID."""
    return isinstance(value, Integral | UUID) and not isinstance(value, bool)
