"""What the package stores for itself: structs as JSON, each with the version of its form."""

from __future__ import annotations

import json
from typing import Annotated, Any, TypeVar

import msgspec

VERSION = 1
Nonce = Annotated[str, msgspec.Meta(pattern=r"^([0-9a-f]{8})?\Z")]
"""Of an attempt; empty where there is none yet. It becomes a part of names, so it holds nothing else."""
Number = Annotated[int, msgspec.Meta(ge=0)]
"""Of a commit."""


class NotStoredError(ValueError):
    """Something is not what this package has stored."""


class Stored(msgspec.Struct, tag_field="version", tag=VERSION, kw_only=True):
    """The base of what is stored, with all its members: one that is gone is not taken for its default."""


S = TypeVar("S", bound=Stored)


def encode(content: Stored) -> bytes:
    """JSON in ASCII, so that an id with half a surrogate pair survives, too."""
    return json.dumps(msgspec.to_builtins(content)).encode()


def decode(text: bytes | str, kind: type[S]) -> S:
    """Read what ``encode`` wrote.

    :param kind: which struct.
    :raises NotStoredError: where the text is not such a struct, or of another version.
    """
    try:
        given: Any = json.loads(text)
        needed = () if kind.__struct_config__.omit_defaults else kind.__struct_fields__
        if isinstance(given, dict) and (missing := {"version", *needed} - given.keys()):
            raise ValueError(f"it lacks {', '.join(sorted(missing))}")
        return msgspec.convert(given, kind)
    except (ValueError, RecursionError, msgspec.MsgspecError) as error:
        article = "an" if kind.__name__[0] in "AEIOU" else "a"
        raise NotStoredError(f"not {article} {kind.__name__} of version {VERSION}: {error}") from None
