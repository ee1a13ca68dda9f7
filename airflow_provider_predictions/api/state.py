"""Save and load state, with a version: as JSON values, or as JSON text."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import msgspec

VERSION = 1
"""Of the form of all that is saved. It grows when a state gets or loses a member."""


class StateError(ValueError):
    """The values are not a state of this version."""


class Versioned(msgspec.Struct, tag_field="version", tag=VERSION):
    """Base of all state that is saved between requests, attempts or runs."""


S = TypeVar("S", bound=Versioned)


def dump(state: Versioned) -> dict[str, Any]:
    """The state as JSON values. Equal states give equal values: sets and keys are sorted."""
    values: dict[str, Any] = msgspec.to_builtins(state, order="deterministic")
    return values


def load(values: Any, kind: type[S]) -> S:
    """Read what ``dump`` returned.

    The state and its parts must have exactly the members of this version. With a default for a missing one,
    or without an unknown one, a landing could lose or duplicate records. What it writes next would lack the
    unknown member, too.

    :raises StateError: if the values have another shape or version.
    """
    with _refusing(kind):
        if isinstance(values, dict) and (missing := {"version", *kind.__struct_fields__} - values.keys()):
            raise ValueError(f"it lacks {', '.join(sorted(missing))}")
        state = msgspec.convert(values, kind)
        if dump(state) != values:
            raise ValueError("it or its parts have other members")
        return state


def encode(state: Versioned) -> bytes:
    """The state as JSON in ASCII, so that an id with a lone surrogate survives, too."""
    return json.dumps(dump(state)).encode()


def decode(text: bytes, kind: type[S]) -> S:
    """Read what ``encode`` returned.

    :raises StateError: if the text is not JSON, or has another shape or version.
    """
    with _refusing(kind):
        values = json.loads(text)
    return load(values, kind)


@contextmanager
def _refusing(kind: type[Versioned]) -> Iterator[None]:
    try:
        yield
    except (ValueError, RecursionError) as error:
        article = "an" if kind.__name__[0] in "AEIOU" else "a"
        raise StateError(f"not {article} {kind.__name__} of version {VERSION}: {error}") from None
