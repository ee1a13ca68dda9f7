"""A simulated object store: strong for single objects, with listings that may lag behind."""

from __future__ import annotations

import errno
import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from fsspec import AbstractFileSystem

from tests.compat import attach
from tests.simulation.attempt import ODD, odd
from tests.simulation.world import World

CONNECTION = "simulated"
ROOT = "bucket/landed"
LAG = 4
"""Changes that a stale listing does not know yet."""
ROOM = 4
"""Parts that fit into a store that is nearly full: more than a landing has, fewer than two have."""


class Store(AbstractFileSystem):
    """Objects, each of whose calls is a step of an attempt."""

    protocol = "s3"
    cachable = False
    client_kwargs = {"endpoint_url": "https://store.test"}  # noqa: RUF012

    url = f"s3://{CONNECTION}@{ROOT}"
    """As the operator takes it."""

    def begin(self, world: World, creates: str = "created") -> None:
        """Be empty, in a world.

        :param creates: what it makes of a put with a condition: an object is ``created`` where there is none,
            the condition is ``ignored``, or the put is refused with such an answer as ``ODD`` has.
        """
        self._world = world
        self._creates = creates
        self.most_parts = sys.maxsize
        """How many parts there is room for, of all attempts together."""
        self._objects: dict[str, bytes] = {}
        self._past: list[dict[str, int]] = [{}] * (LAG + 1)

    @contextmanager
    def steps(self) -> Iterator[None]:
        """Its calls are steps, whatever is patched."""
        yield

    @property
    def version(self) -> int:
        """Changes with every change."""
        return len(self._past)

    def fill(self) -> None:
        """Leave room for few more parts."""
        self.most_parts = self._count_parts() + ROOM

    def objects(self) -> dict[str, bytes]:
        """What lies under the path of all landings, by names relative to it."""
        return {path.removeprefix(f"{ROOT}/"): content for path, content in self._objects.items()}

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **_: Any) -> None:
        """Put an object in one request."""
        if mode == "create":
            self._act("create", path, partial(self._create, path, bytes(value)))
        else:
            self._act("put", path, partial(self._put, path, bytes(value)))

    def put_file(self, lpath: str, rpath: str, **_: Any) -> None:
        """Put a file of this machine in one request."""
        self.pipe_file(rpath, Path(lpath).read_bytes())

    def cp_file(self, path1: str, path2: str, **_: Any) -> None:
        """Copy an object in one request."""
        self._act("put", path2, lambda: self._put(path2, self._get(path1)))

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **_: Any) -> bytes:
        """Get an object, or bytes of it."""
        return self._world.get(self._name(path), partial(self._get, path))[start:end]

    def get_file(self, rpath: str, lpath: str, **_: Any) -> None:
        """Get an object into a file of this machine."""
        Path(lpath).write_bytes(self.cat_file(rpath))

    def rm_file(self, path: str) -> None:
        """Delete an object, if it is there."""
        self._act("rm", path, partial(self._remove, path))

    def rm(self, path: str | list[str], **_: Any) -> None:
        """Delete objects, one after the other: a request for many may do a part of its work."""
        for one in [path] if isinstance(path, str) else path:
            self.rm_file(one)

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:
        """List what lies right under a path."""
        found: dict[str, dict[str, Any]] = {}
        root = self._key(path) + "/"
        for key, size in self._listed(path):
            name, is_below, _rest = key.removeprefix(root).partition("/")
            kind = "directory" if is_below else "file"
            found[name] = {"name": root + name, "size": 0 if is_below else size, "type": kind}
        if not found:
            raise FileNotFoundError(path)
        return [*found.values()] if detail else [entry["name"] for entry in found.values()]

    def find(self, path: str, **_: Any) -> list[str]:
        """List all that lies below a path, in one request."""
        return [key for key, _size in self._listed(path)]

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        """What is known of an object without its content."""
        return {"name": self._key(path), "size": len(self.cat_file(path)), "type": "file"}

    def _open(self, path: str, mode: str = "rb", **_: Any) -> io.BytesIO:
        if mode != "rb":
            raise NotImplementedError(mode)
        return io.BytesIO(self.cat_file(path))

    def _listed(self, path: str) -> Iterator[tuple[str, int]]:
        is_stale = self._world.step("ls", self._name(path)) == "stale"
        known = self._past[-1 - LAG if is_stale else -1]
        return ((key, known[key]) for key in sorted(known) if key.startswith(self._key(path) + "/"))

    def _act(self, call: str, path: str, change: Any) -> None:
        self._world.act(call, self._name(path), change)

    def _get(self, path: str) -> bytes:
        try:
            return self._objects[self._key(path)]
        except KeyError:
            raise FileNotFoundError(path) from None

    def _create(self, path: str, content: bytes) -> None:
        if self._creates in ODD:
            odd(self._creates)
        if self._creates == "created" and self._key(path) in self._objects:
            raise FileExistsError(path)
        self._put(path, content)

    def _put(self, path: str, content: bytes) -> None:
        if "/part-" in path and path not in self._objects and self._count_parts() >= self.most_parts:
            raise OSError(errno.ENOSPC, "No space left on device")
        self._objects[self._key(path)] = content
        self._note()

    def _remove(self, path: str) -> None:
        self._objects.pop(self._key(path), None)
        self._note()

    def _count_parts(self) -> int:
        return sum("/part-" in key for key in self._objects)

    def _note(self) -> None:
        self._past.append({key: len(content) for key, content in self._objects.items()})

    def _key(self, path: str) -> str:
        return str(self._strip_protocol(path)).rstrip("/")

    def _name(self, path: str) -> str:
        return self._key(path).removeprefix(ROOT).lstrip("/") or "."


STORE = Store()
"""The one that Airflow knows; it is emptied for each history."""
attach("s3", CONNECTION, fs=STORE)
