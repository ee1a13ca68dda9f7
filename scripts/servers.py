"""PostgreSQL and Redis on loopback, of Debian's packages; nothing outlives the ``with`` block."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from abc import ABC, abstractmethod
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from stack import free_port, until


class MissingProgramError(Exception):
    """A program is not there and cannot be installed; the text says what to do."""


def found(name: str) -> str | None:
    """Where a program is; Debian keeps those of PostgreSQL off the search path."""
    folders = [*map(str, Path("/usr/lib/postgresql").glob("*/bin")), os.environ["PATH"]]
    return shutil.which(name, path=os.pathsep.join(folders))


def program(name: str, package: str) -> str:
    """Where a program is; as root it is installed where it is missing."""
    if not found(name) and os.geteuid() == 0 and shutil.which("apt-get"):
        print(f"Installing {package}, for {name} ...", flush=True)
        quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        for command in (["update"], ["install", "--yes", "--no-install-recommends", package]):
            subprocess.run(["apt-get", "--quiet", *command], env=quiet, capture_output=True, timeout=300)
    if path := found(name):
        return path
    raise MissingProgramError(f"{name} is missing and could not be installed: install the package {package}")


class Server(ABC):
    """A server on loopback, with a directory of its own; a context manager."""

    stop_signal = signal.SIGTERM

    def __enter__(self) -> Self:
        """Start it and wait until it answers."""
        self.port = free_port()
        with ExitStack() as stack:
            self.directory = Path(tempfile.mkdtemp(prefix="predictions-"))
            stack.callback(shutil.rmtree, self.directory, ignore_errors=True)
            self.start(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it and remove what it wrote."""
        self._stack.close()

    @abstractmethod
    def start(self, stack: ExitStack) -> None:
        """Start it; ``stack`` stops it."""

    def run(self, stack: ExitStack, command: list[str], ready: list[str], **options: object) -> None:
        """Run the server until the stack is closed; return when ``ready`` succeeds."""
        with self.directory.joinpath("log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True, **options)
        stack.callback(self._stop, process)
        until(f"{command[0]} answers", lambda: not subprocess.run(ready, capture_output=True).returncode, 60)

    def _stop(self, process: subprocess.Popen[bytes]) -> None:
        process.send_signal(self.stop_signal)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


class PostgreSQL(Server):
    """PostgreSQL with an empty database ``airflow``, which the user of that name owns."""

    stop_signal = signal.SIGINT  # does not wait for clients

    @property
    def url(self) -> str:
        """The database for SQLAlchemy."""
        return f"postgresql+psycopg2://airflow@127.0.0.1:{self.port}/airflow"

    def start(self, stack: ExitStack) -> None:
        """Make the database; as root all of it as ``postgres``, since PostgreSQL refuses root."""
        initdb, postgres, is_ready, createdb = (
            program(name, "postgresql") for name in ("initdb", "postgres", "pg_isready", "createdb")
        )
        who = {}
        if os.geteuid() == 0:
            shutil.chown(self.directory, "postgres", "postgres")
            who = {"user": "postgres", "group": "postgres", "extra_groups": [], "cwd": "/"}
        data = str(self.directory / "data")
        made = [
            initdb,
            "-D",
            data,
            "-U",
            "airflow",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
            "--no-sync",
        ]
        subprocess.run(made, check=True, capture_output=True, **who)
        loopback = ["listen_addresses=127.0.0.1", "unix_socket_directories="]
        throw_away = ["fsync=off", "synchronous_commit=off", "full_page_writes=off"]
        options = [word for option in (*loopback, *throw_away) for word in ("-c", option)]
        client = ["-h", "127.0.0.1", "-p", str(self.port), "-U", "airflow"]
        serve = [postgres, "-D", data, "-p", str(self.port), *options]
        self.run(stack, serve, [is_ready, *client], **who)
        subprocess.run([createdb, *client, "airflow"], check=True, capture_output=True)


class Redis(Server):
    """Redis that keeps nothing on disk."""

    @property
    def url(self) -> str:
        """Its first database."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self, stack: ExitStack) -> None:
        """Start it."""
        server = program("redis-server", "redis-server")
        ping = [program("redis-cli", "redis-tools"), "-p", str(self.port), "ping"]
        loopback = ["--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self.directory)]
        self.run(stack, [server, *loopback, "--save", "", "--appendonly", "no"], ping)
