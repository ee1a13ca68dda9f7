"""What the package stores for itself, as JSON text. Members of a newer form are ignored here."""

from __future__ import annotations

import json
from typing import Annotated, Any, TypeVar

import msgspec

from airflow_provider_predictions.api.state import VERSION, StateError, Versioned

Nonce = Annotated[str, msgspec.Meta(pattern=r"^([0-9a-f]{8})?\Z")]
"""Of an attempt; empty where there is none yet. It becomes a part of names, so it holds nothing else."""
Number = Annotated[int, msgspec.Meta(ge=0)]
"""Of a commit."""


S = TypeVar("S", bound=Versioned)


def encode(content: Versioned) -> bytes:
    """JSON in ASCII, so that an id with half a surrogate pair survives, too."""
    return json.dumps(msgspec.to_builtins(content)).encode()


def decode(text: bytes | str, kind: type[S]) -> S:
    """Read what ``encode`` wrote.

    :param kind: which struct.
    :raises StateError: if the text is not such a struct, has another version, or lacks a member.
    """
    try:
        given: Any = json.loads(text)
        needed = () if kind.__struct_config__.omit_defaults else kind.__struct_fields__
        if isinstance(given, dict) and (missing := {"version", *needed} - given.keys()):
            raise ValueError(f"it lacks {', '.join(sorted(missing))}")
        return msgspec.convert(given, kind)
    except (ValueError, RecursionError, msgspec.MsgspecError) as error:
        article = "an" if kind.__name__[0] in "AEIOU" else "a"
        raise StateError(f"not {article} {kind.__name__} of version {VERSION}: {error}") from None
