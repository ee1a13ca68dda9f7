"""How landings lie in storage: which objects are commits, and what they say.

All that the simulation knows of names and contents is here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

MANIFEST = "_manifest.json"
STATE = "_state.json"

# Calls as stories name them.
FIRST_PART = "/part-00000.jsonl"
SECOND_PART = "part-00001.jsonl"
BEFORE_COMMIT = f"put {STATE}"
PUT_MANIFEST = f"put */{MANIFEST}"


@dataclass(frozen=True)
class Commit:
    """A landing that is committed.

    :param name: of its directory, relative to the path; empty where it is the path itself.
    :param parts: the name of each object of records, relative to the path, with its sha256.
    :param run: whose it is, where that is known.
    """

    name: str
    parts: tuple[tuple[str, str], ...]
    run: str | None = None


@dataclass(frozen=True)
class Noted:
    """What the state of a path says of all its landings.

    :param ids: what has landed and is not older than the watermark.
    """

    ids: frozenset[str]
    watermark: datetime | None


def commits(objects: Mapping[str, bytes]) -> list[Commit]:
    """Of incremental landings: what any reader may take for committed now."""
    found = [_commit(_json(objects, name)) for name in objects if name.endswith(f"/{MANIFEST}")]
    if state := _json(objects, STATE):
        found.append(_commit(state["manifest"], run=state["run"].split()[1]))
    return found


def noted(objects: Mapping[str, bytes]) -> Noted | None:
    """Of incremental landings: what the next run will start from."""
    state = _json(objects, STATE)
    if state is None:
        return None
    return Noted(frozenset(state["landed"]), _time(state["watermark"]))


def shown(objects: Mapping[str, bytes]) -> list[Commit]:
    """Of a path that is landed anew: what readers may take for the landing now."""
    manifest = _json(objects, MANIFEST)
    return [] if manifest is None else [_commit(manifest, name="")]


def returned(manifest: Mapping[str, Any], *, incremental: bool) -> Commit:
    """What an attempt says that it, or an earlier one, has committed."""
    return _commit(manifest) if incremental else _commit(manifest, name="")


def records(content: bytes) -> list[tuple[str, datetime | None]]:
    """Id and creation time of each record of a part."""
    return [(row["id"], _time(row["created_at"])) for row in map(json.loads, content.splitlines())]


def sha256(content: bytes) -> str:
    """As a manifest says it."""
    return hashlib.sha256(content).hexdigest()


def _commit(manifest: Any, *, name: str | None = None, run: str | None = None) -> Commit:
    if name is None:
        name = manifest["path"].rpartition("/")[2]
    prefix = f"{name}/" if name else ""
    parts = ((prefix + part["uri"].rpartition("/")[2], part["sha256"]) for part in manifest["parts"])
    return Commit(name, tuple(parts), run)


def _json(objects: Mapping[str, bytes], name: str) -> Any:
    content = objects.get(name)
    return None if content is None else _parsed(content)


@lru_cache(maxsize=256)
def _parsed(content: bytes) -> Any:
    return json.loads(content)


def _time(text: str | None) -> datetime | None:
    if text is None:
        return None
    time = datetime.fromisoformat(text)
    return time.replace(tzinfo=time.tzinfo or UTC)
