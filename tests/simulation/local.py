"""A directory that landings share: each system call on it is a step of an attempt."""

from __future__ import annotations

import builtins
import errno
import io
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

from tests.simulation.world import World


class Directory:
    """A directory of the simulated disk.

    :param root: where it is.
    :param world: whose attempts land there.
    """

    def __init__(self, root: Path, world: World) -> None:
        self._root = str(root)
        self.version = 0
        """Changes with every change."""
        self._world = world
        self._real_open, self._real_scandir = builtins.open, os.scandir

    @property
    def url(self) -> str:
        """As the operator takes it."""
        return f"file://{self._root}"

    def objects(self) -> dict[str, bytes]:
        """The files, by names relative to it."""
        return dict(self._files(self._root)) if Path(self._root).exists() else {}

    def begin(self, world: World, creates: str = "created") -> None:
        """It is empty as it is, being new; a disk can always create."""

    @contextmanager
    def steps(self) -> Iterator[None]:
        """Let system calls on files below it be steps."""
        with ExitStack() as stack:
            for module, name, instead in (
                (builtins, "open", self._open),
                (io, "open", self._open),
                (os, "link", self._changing("link", os.link)),
                (os, "replace", self._changing("replace", os.replace)),
                (os, "rename", self._changing("replace", os.rename)),
                (os, "remove", self._removing(os.remove)),
                (os, "unlink", self._removing(os.unlink)),
                (os, "scandir", self._scan),
            ):
                stack.enter_context(mock.patch.object(module, name, instead))
            yield

    def act(self, call: str, place: str, change: Callable[[], Any]) -> None:
        """Change a file, if the call is let through."""
        try:
            self._world.act(call, place, change)
        finally:
            self.version += 1

    def _open(self, file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        name = self._name(file)
        if name is None:
            return self._real_open(file, mode, *args, **kwargs)
        if not set(mode) & set("wxa"):
            return self._world.get(name, partial(self._real_open, file, mode, *args, **kwargs))
        self._world.step("open", name)
        self.version += 1
        return _Written(self, name, file, mode)

    def _changing(self, call: str, real: Callable[..., None]) -> Callable[..., None]:
        """A system call that gives a file another name."""

        def change(source: Any, target: Any, **kwargs: Any) -> None:
            name = self._name(target)
            if name is None:
                real(source, target, **kwargs)
            else:
                self.act(call, name, lambda: real(source, target, **kwargs))

        return change

    def _removing(self, real: Callable[..., None]) -> Callable[..., None]:
        def remove(path: Any, **kwargs: Any) -> None:
            name = self._name(path)
            if name is None:
                real(path, **kwargs)
            else:
                self.act("remove", name, lambda: real(path, **kwargs))

        return remove

    def _scan(self, path: Any = ".") -> Any:
        name = self._name(path)
        if name is None:
            return self._real_scandir(path)
        self._world.step("ls", name)
        with self._real_scandir(path) as entries:
            return _Entries(entries)

    def _name(self, path: Any) -> str | None:
        """Relative to it; None for a file elsewhere."""
        if not isinstance(path, str | os.PathLike):
            return None
        text = os.fspath(path)
        if text == self._root:
            return "."
        return text[len(self._root) + 1 :] if text.startswith(f"{self._root}/") else None

    def _files(self, folder: str) -> Iterator[tuple[str, bytes]]:
        with self._real_scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir():
                    yield from self._files(entry.path)
                else:
                    with self._real_open(entry.path, "rb", buffering=0) as file:
                        yield entry.path[len(self._root) + 1 :], file.read()


class _Written(io.FileIO):
    """A file that is empty from when it is opened until it is written to."""

    def __init__(self, directory: Directory, name: str, file: Any, mode: str) -> None:
        super().__init__(file, mode)
        self._directory = directory
        self._place = name

    def write(self, content: Any) -> int:
        """Write all, or what is left room for."""
        done = super().write
        try:
            self._directory.act("write", self._place, lambda: done(content))
        except OSError:
            done(memoryview(content)[: len(content) // 2])
            raise OSError(errno.ENOSPC, "No space left on device") from None
        return len(content)


class _Entries(Iterator[os.DirEntry[str]]):
    """Of a directory, in an order that does not depend on the file system."""

    def __init__(self, entries: Iterator[os.DirEntry[str]]) -> None:
        self._left = iter(sorted(entries, key=lambda entry: entry.name))

    def __next__(self) -> os.DirEntry[str]:
        return next(self._left)

    def __enter__(self) -> _Entries:
        return self

    def __exit__(self, *_: object) -> None:
        """It holds nothing open."""

    def close(self) -> None:
        """It holds nothing open."""
