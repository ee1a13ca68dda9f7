"""How landings lie in storage: which objects are commits, and what they say.

All that the simulation knows of names and contents is here.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

MANIFEST = "_manifest.json"
LOG = "_log/"
STATE = "_state.json"
STATES = "_states/"
DAY = "created_date="

_AUTHOR = re.compile(r"(?:^|[/.]|\.day-)([0-9]{8,})[-/](?:[0-9a-f]{8}-)?([0-9a-f]{8})\b")

# Calls as stories name them.
FIRST_PART = "/part-00000.jsonl"
LAST_PAGE = "list 8"
SECOND_PART = "part-00001.*"
WRITE_NEW = "write _new/*"
COMMIT = f"* {LOG}00000001.json"
PUT_MANIFEST = f"put */{MANIFEST}"


@dataclass(frozen=True)
class Commit:
    """A landing that is committed.

    :param name: of its directory, relative to the path; empty where it is the path itself.
    :param parts: the name of each object of records, relative to the path, with its sha256.
    :param run: whose it is, where that is known.
    :param nonce: of the attempt.
    """

    name: str
    parts: tuple[tuple[str, str], ...]
    run: str | None = None
    nonce: str = ""


@dataclass(frozen=True)
class Noted:
    """What the state of a path says of all its landings.

    :param ids: what has landed and is not older than the watermark.
    """

    ids: frozenset[str]
    watermark: datetime | None


def entries(objects: Mapping[str, bytes]) -> dict[str, bytes]:
    """The commits as they lie there, by the names of their objects, the oldest first."""
    found = (name for name in objects if name.startswith(LOG) and name.endswith(".json"))
    return {name: objects[name] for name in sorted(found)}


def commits(objects: Mapping[str, bytes], *, incremental: bool) -> list[Commit]:
    """All that is committed."""
    name = None if incremental else ""
    return [
        _commit(entry["manifest"], name=name, run=entry["task"]["run"].split()[1], nonce=entry["nonce"])
        for entry in map(_parsed, entries(objects).values())
    ]


def noted(objects: Mapping[str, bytes]) -> Noted | None:
    """Of incremental landings: what the next run will start from; None before the first commit.

    :raises KeyError: where a commit names a state that is not there.
    """
    found = [*entries(objects).values()]
    if not found:
        return None
    state = _parsed(objects[STATES + _parsed(found[-1])["state"]])
    return Noted(frozenset(state["landed"]), as_time(state["watermark"]))


def shown(objects: Mapping[str, bytes]) -> list[Commit]:
    """Of a path that is landed anew: what readers may take for the landing now."""
    manifest = objects.get(MANIFEST)
    return [] if manifest is None else [_commit(_parsed(manifest), name="")]


def returned(manifest: Mapping[str, Any], *, incremental: bool) -> Commit:
    """What an attempt says that it, or an earlier one, has committed."""
    return _commit(manifest) if incremental else _commit(manifest, name="")


def records(content: bytes) -> list[tuple[str, datetime | None]]:
    """Id and creation time of each record of a part."""
    return [(row["id"], as_time(row["created_at"])) for row in rows(content)]


@lru_cache(maxsize=256)
def rows(content: bytes) -> list[dict[str, Any]]:
    """The records of a part."""
    if content.startswith(b"\x1f\x8b"):
        content = gzip.decompress(content)
    return [json.loads(line) for line in content.splitlines()]


def author(name: str) -> tuple[int, str] | None:
    """For which generation an object was written, and the nonce of its attempt, where its name has them."""
    found = _AUTHOR.search(name)
    return (int(found[1]), found[2]) if found else None


def named(objects: Mapping[str, bytes], *, incremental: bool) -> set[str]:
    """What a path may hold when nobody is at work there."""
    log = entries(objects)
    newest = [_parsed(content) for content in log.values()]
    found = {*log}
    if incremental:
        found |= {STATE, *(STATES + entry["state"] for entry in newest[-2:])}
        found |= {name for name in objects if name.startswith("_index/") and name.endswith(".gz")}
        shown = newest
    else:
        found.add(MANIFEST)
        manifest = _parsed(objects[MANIFEST])
        kept = {manifest["generation"], *manifest.get("unsettled", ())}
        shown = [entry for entry in newest if entry["generation"] in kept]
    for entry in shown:
        found |= _of(entry["manifest"], incremental=incremental)
    return found


def copies(objects: Mapping[str, bytes]) -> set[str]:
    """The manifests that lie beside the parts of increments."""
    log = (_parsed(content)["manifest"] for content in entries(objects).values())
    return {name for manifest in log for name in _of(manifest, incremental=True) if name.endswith(MANIFEST)}


def _of(manifest: Any, *, incremental: bool) -> set[str]:
    """The objects of a landing."""
    uris = [part["uri"] for part in manifest["parts"]]
    uris += [manifest["rejected_uri"]] * bool(manifest["rejected_uri"])
    if not incremental:
        return {_in_landing(uri) for uri in uris}
    return {f"{_directory(uri)}/{name}" for uri in uris for name in (_in_landing(uri), MANIFEST)}


def _in_landing(uri: str) -> str:
    """The name of an object in its landing: with the directory of its day, where it has one."""
    above, _, name = uri.rpartition("/")
    day = above.rpartition("/")[2]
    return f"{day}/{name}" if day.startswith(DAY) else name


def _directory(uri: str) -> str:
    """The directories of the generation and of the attempt, relative to the path."""
    return "/".join(uri.removesuffix(_in_landing(uri)).split("/")[-3:-1])


@lru_cache(maxsize=256)
def sha256(content: bytes) -> str:
    """As a manifest says it."""
    return hashlib.sha256(content).hexdigest()


def _commit(manifest: Any, *, name: str | None = None, run: str | None = None, nonce: str = "") -> Commit:
    if name is None:
        name = _directory(manifest["parts"][0]["uri"]) if manifest["parts"] else ""
    prefix = f"{name}/" if name else ""
    parts = ((prefix + _in_landing(part["uri"]), part["sha256"]) for part in manifest["parts"])
    return Commit(name, tuple(parts), run, nonce)


@lru_cache(maxsize=256)
def _parsed(content: bytes) -> Any:
    return json.loads(content)


def as_time(text: str | None) -> datetime | None:
    """In UTC, where it says nothing else."""
    if text is None:
        return None
    time = datetime.fromisoformat(text)
    return time.replace(tzinfo=time.tzinfo or UTC)
