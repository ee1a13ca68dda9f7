"""Save and load state as JSON values, with a version."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

VERSION = 1


class StateError(ValueError):
    """The values are not a state of this version."""


class Versioned(msgspec.Struct, tag_field="version", tag=VERSION):
    """Base of all state that is saved between requests, attempts or runs."""


S = TypeVar("S", bound=Versioned)


def dump(state: Versioned) -> dict[str, Any]:
    """The state as JSON values. Sets are sorted, so equal states give equal values."""
    values: dict[str, Any] = msgspec.to_builtins(state, order="deterministic")
    return values


def load(values: Any, kind: type[S]) -> S:
    """Read what ``dump`` returned.

    :raises StateError: if the values have another shape or version, or lack a member.
    """
    try:
        if isinstance(values, dict) and (missing := {"version", *kind.__struct_fields__} - values.keys()):
            raise ValueError(f"it lacks {', '.join(sorted(missing))}")
        state = msgspec.convert(values, kind)
        if dump(state) != values:
            raise ValueError("its parts have other members")
        return state
    except ValueError as error:
        raise StateError(f"not a {kind.__name__} of version {VERSION}: {error}") from None
